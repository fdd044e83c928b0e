//! A device with its queue: allocation against its limits, waiting, and what went wrong behind our back.

use super::Adapter;
use super::profile::Timestamps;
use crate::plan::EngineError;
use crate::plan::layout::size;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Longest wait for one submission. A software driver on two cores needs minutes for a large step.
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether a thread may wait for a device. In a browser a device answers when the thread is given back to the browser, and not before.
pub(super) const WAITS: bool = !cfg!(target_family = "wasm");

const MIB: u64 = 1 << 20;

/// Errors that wgpu reports by callback; the next call of the engine returns them.
#[derive(Debug, Default)]
struct Faults {
    lost: Option<String>,
    error: Option<EngineError>,
}

/// A device, its queue and its limits.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    /// The adapter in words, for errors.
    pub name: String,
    pub software: bool,
    pub timestamps: Timestamps,
    /// Bytes of all buffers that were made and kept.
    pub allocated: u64,
    faults: Arc<Mutex<Faults>>,
}

fn lock(faults: &Mutex<Faults>) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Context {
    /// Opens a device with the adapter's own buffer and workgroup sizes and otherwise the floor of WebGPU, and with those of
    /// its features that kernels can use.
    pub async fn new(adapter: &Adapter) -> Result<Self, EngineError> {
        let (info, handle) = (adapter.info(), &adapter.handle);
        let name = info.to_string();
        let available = handle.limits();
        let mut limits = wgpu::Limits::defaults().or_worse_values_from(&available);
        limits.max_buffer_size = available.max_buffer_size;
        limits.max_storage_buffer_binding_size = available.max_storage_buffer_binding_size;
        limits.max_compute_workgroup_storage_size = available.max_compute_workgroup_storage_size;
        limits.max_compute_invocations_per_workgroup = available.max_compute_invocations_per_workgroup;
        limits.max_compute_workgroup_size_x = available.max_compute_workgroup_size_x;
        use wgpu::Features;
        let mut wanted = Features::SHADER_F16 | Features::SUBGROUP;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if info.cooperative_matrices.is_some() {
            wanted |= Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: of the experiments only cooperative matrices are asked for, and a kernel of theirs is not used
            // before its results on this device agree with the base kernel's.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let mut features = Timestamps::wanted(handle.features()) | (handle.features() & wanted);
        let open = async |required_features, experimental_features| {
            let descriptor = wgpu::DeviceDescriptor {
                label: Some("leyden"),
                required_features,
                required_limits: limits.clone(),
                experimental_features,
                // Few and large buffers: memory blocks for many small ones would only be waste.
                memory_hints: wgpu::MemoryHints::MemoryUsage,
                ..Default::default()
            };
            handle.request_device(&descriptor).await
        };
        let mut opened = open(features, experimental_features).await;
        if opened.is_err() && features.contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
            // A driver that offers them and gives no device with them is good enough without: their kernels are then
            // refused when they are tried.
            features.remove(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
            opened = open(features, wgpu::ExperimentalFeatures::disabled()).await;
        }
        let (device, queue) =
            opened.map_err(|error| EngineError::NoDevice { adapter: name.clone(), reason: error.to_string() })?;
        let context = Self {
            device,
            queue,
            limits,
            name,
            software: info.software(),
            timestamps: Timestamps::of(features),
            allocated: 0,
            faults: Arc::default(),
        };
        context.listen();
        Ok(context)
    }

    fn listen(&self) {
        let (faults, name) = (self.faults.clone(), self.name.clone());
        self.device.on_uncaptured_error(Arc::new(move |error| {
            let mut faults = lock(&faults);
            faults.error.get_or_insert(describe(&name, "a command", &error, 0));
        }));
        let faults = self.faults.clone();
        self.device.set_device_lost_callback(move |reason, message| {
            let message = one_line(&message);
            let reason = if message.is_empty() { format!("{reason:?}") } else { message };
            lock(&faults).lost.get_or_insert(reason);
        });
    }

    /// What went wrong since the last call, if anything. A lost device stays lost.
    pub fn check(&self) -> Result<(), EngineError> {
        let mut faults = lock(&self.faults);
        if let Some(reason) = &faults.lost {
            return Err(EngineError::DeviceLost { adapter: self.name.clone(), reason: reason.clone() });
        }
        match faults.error.take() {
            Some(EngineError::OutOfMemory { adapter, .. }) => {
                Err(EngineError::OutOfMemory { adapter, needed: self.allocated.div_ceil(MIB) })
            }
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Keeps an error for the next [`Context::check`].
    pub fn record(&self, error: EngineError) {
        lock(&self.faults).error.get_or_insert(error);
    }

    /// A kernel's or plan's refusal.
    pub fn refused(&self, what: impl Into<String>, reason: impl Into<String>) -> EngineError {
        EngineError::Kernel { adapter: self.name.clone(), what: what.into(), reason: reason.into() }
    }

    /// An error unless `needed` is within `limit`.
    pub fn within(&self, what: impl FnOnce() -> String, needed: u64, limit: u64) -> Result<(), EngineError> {
        if needed <= limit {
            return Ok(());
        }
        Err(EngineError::Limit { what: what(), needed, limit, adapter: self.name.clone() })
    }

    /// Runs `f` and turns any complaint of wgpu about it into an error about `what`; in a browser, which complains later, the
    /// next [`Context::check`] tells it. Thread-local, as wgpu's scopes are.
    pub fn guarded<T>(&self, what: &str, f: impl FnOnce() -> T) -> Result<T, EngineError> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [OutOfMemory, Internal, Validation].map(|filter| self.device.push_error_scope(filter));
        let value = f();
        // All are closed before anybody waits: another's could be opened meanwhile.
        let complaints: Vec<_> = scopes.into_iter().rev().map(|scope| scope.pop()).collect();
        let (context, what) = (self.clone(), what.to_string());
        let complaint = async move {
            let mut found = None;
            for complaint in complaints {
                found = found.or(complaint.await);
            }
            found.map(|error| describe(&context.name, &what, &error, context.allocated))
        };
        self.hear(complaint)?;
        Ok(value)
    }

    #[cfg(not(target_family = "wasm"))]
    fn hear(&self, complaint: impl Future<Output = Option<EngineError>>) -> Result<(), EngineError> {
        pollster::block_on(complaint).map_or(Ok(()), Err)
    }

    #[cfg(target_family = "wasm")]
    fn hear(&self, complaint: impl Future<Output = Option<EngineError>> + 'static) -> Result<(), EngineError> {
        let context = self.clone();
        wasm_bindgen_futures::spawn_local(async move { complaint.await.into_iter().for_each(|e| context.record(e)) });
        Ok(())
    }

    /// A buffer of `bytes`, rounded up to 16, that counts as allocated.
    pub fn buffer(&mut self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, EngineError> {
        let size = size(bytes);
        self.within(|| format!("the buffer of {label}, in bytes,"), size, self.limits.max_buffer_size)?;
        self.allocated += size;
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let made = self.guarded(label, || self.device.create_buffer(&descriptor));
        self.check().and(made).inspect_err(|_| self.allocated -= size)
    }

    /// Waits for a submission, or for the last one.
    pub fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<(), EngineError> {
        self.poll(wgpu::PollType::Wait { submission_index: submission, timeout: Some(PATIENCE) })
    }

    /// Lets finished submissions call back.
    pub fn poll(&self, how: wgpu::PollType) -> Result<(), EngineError> {
        self.check()?;
        // wgpu panics in `poll` where the device is lost while it waits.
        let polled = catch_unwind(AssertUnwindSafe(|| self.device.poll(how)));
        self.check()?;
        let reason = match polled {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => format!("no answer for {} s", PATIENCE.as_secs()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the driver gave up".to_string(),
        };
        Err(EngineError::DeviceLost { adapter: self.name.clone(), reason })
    }
}

fn describe(adapter: &str, what: &str, error: &wgpu::Error, allocated: u64) -> EngineError {
    let adapter = adapter.to_string();
    match error {
        wgpu::Error::OutOfMemory { .. } => EngineError::OutOfMemory { adapter, needed: allocated.div_ceil(MIB) },
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            EngineError::Kernel { adapter, what: what.to_string(), reason: one_line(description) }
        }
    }
}

/// wgpu's reports have a line a cause; ours have one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
