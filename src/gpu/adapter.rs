//! Which GPUs there are, what matters about them for training, and the choice among them.

use crate::op::{DeviceTraits, Tuning};
use crate::plan::{EngineError, Limits};
use std::fmt;

/// What sort of device an adapter is. Ordered from the best for training to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU inside a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// A driver that runs shaders on the CPU.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Other => "GPU",
            Self::Software => "software",
        })
    }
}

/// An adapter, as `leyden devices` shows it. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// The device's name.
    pub name: String,
    /// `Vulkan`, `Metal`, `DX12`, or `WebGPU` in a browser.
    pub backend: &'static str,
    /// What sort of device it is.
    pub kind: AdapterKind,
    /// The driver's name and version.
    pub driver: String,
    /// Largest window of a buffer that a kernel may see.
    pub max_storage_binding: u64,
    /// Largest buffer.
    pub max_buffer: u64,
    /// Memory that the invocations of a workgroup share.
    pub workgroup_memory: u32,
    /// Most invocations in a workgroup.
    pub max_invocations: u32,
    /// Smallest and largest subgroup; `None` without subgroup operations.
    pub subgroup_size: Option<(u32, u32)>,
    /// Whether kernels may use 16-bit floating point.
    pub f16: bool,
    /// Whether a dispatch's time can be measured on the device.
    pub timestamps: bool,
    /// Rows and columns of the cooperative matrices (tensor cores) that multiply f16 and add up f32; `None` without any.
    pub cooperative_matrices: Option<u32>,
}

impl AdapterInfo {
    /// Whether shaders run on the CPU.
    pub fn software(&self) -> bool {
        self.kind == AdapterKind::Software
    }

    /// What the choice among kernels may depend on.
    pub fn traits(&self) -> DeviceTraits {
        DeviceTraits {
            software: self.software(),
            f16: self.f16,
            workgroup_memory: self.workgroup_memory,
            invocations: self.max_invocations,
            cooperative: self.cooperative_matrices,
            wide_subgroups: self.subgroup_size.is_some_and(wide),
            attention: None,
            vocabulary: None,
            tuning: Tuning::default(),
        }
    }

    /// What fits. How much memory there is, no adapter says.
    pub fn limits(&self) -> Limits {
        Limits { buffer: self.max_buffer, binding: self.max_storage_binding, memory: None }
    }

    fn of(adapter: &wgpu::Adapter) -> Self {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Other,
        };
        let backend = match info.backend {
            wgpu::Backend::Vulkan => "Vulkan",
            wgpu::Backend::Metal => "Metal",
            wgpu::Backend::Dx12 => "DX12",
            wgpu::Backend::Gl => "OpenGL",
            wgpu::Backend::BrowserWebGpu => "WebGPU",
            wgpu::Backend::Noop => "none",
        };
        let subgroups = features.contains(wgpu::Features::SUBGROUP);
        Self {
            // A browser does not tell.
            name: if info.name.is_empty() { "GPU".into() } else { info.name },
            backend,
            kind,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            max_storage_binding: limits.max_storage_buffer_binding_size,
            max_buffer: limits.max_buffer_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_invocations: limits.max_compute_invocations_per_workgroup,
            subgroup_size: subgroups.then_some((info.subgroup_min_size, info.subgroup_max_size)),
            f16: features.contains(wgpu::Features::SHADER_F16),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            cooperative_matrices: cooperative_matrices(adapter),
        }
    }
}

/// Whether subgroups of these sizes at least and at most may have 64 invocations. Metal says 4 to 64 of every GPU, though Apple's have 32,
/// and a Vulkan driver that cannot choose 4 to 128.
fn wide((least, most): (u32, u32)) -> bool {
    least >= 32 && most >= 64
}

/// The size of the cooperative matrices that kernels may use: square ones of f16 with f32 sums, the larger the better.
fn cooperative_matrices(adapter: &wgpu::Adapter) -> Option<u32> {
    use wgpu::CooperativeScalarType::{F16, F32};
    use wgpu::Features;
    // Their kernels share the matrices out among a workgroup's subgroups.
    let needed = Features::EXPERIMENTAL_COOPERATIVE_MATRIX | Features::SHADER_F16 | Features::SUBGROUP;
    if !adapter.features().contains(needed) {
        return None;
    }
    let shapes = adapter.cooperative_matrix_properties();
    [16, 8].into_iter().find(|&size| {
        shapes.iter().any(|p| [p.m_size, p.n_size, p.k_size] == [size; 3] && p.ab_type == F16 && p.cr_type == F32)
    })
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.backend, self.kind)
    }
}

/// A device that an engine can be made on.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(super) handle: wgpu::Adapter,
    info: AdapterInfo,
}

impl Adapter {
    /// What is known about it.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }
}

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// The best GPU, never a software driver.
    #[default]
    Auto,
    /// A part of the adapter's name, driver or backend, in any case of letters.
    Named(String),
}

/// All adapters, the best for training first. Empty where there is no driver.
pub async fn adapters_async() -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = BACKENDS;
    // No validation layers in debug builds: they are a system package, and where they are missing one is told so.
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let found = found(&instance).await;
    let mut found: Vec<Adapter> =
        found.into_iter().map(|handle| Adapter { info: AdapterInfo::of(&handle), handle }).collect();
    found.sort_by_key(|adapter| adapter.info.kind);
    found
}

const BACKENDS: wgpu::Backends = wgpu::Backends::VULKAN
    .union(wgpu::Backends::METAL)
    .union(wgpu::Backends::DX12)
    .union(wgpu::Backends::BROWSER_WEBGPU);

#[cfg(not(target_family = "wasm"))]
async fn found(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    instance.enumerate_adapters(BACKENDS).await
}

/// A browser lists nothing: of a laptop's two it gives the fast one where it is asked for that.
#[cfg(target_family = "wasm")]
async fn found(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let power_preference = wgpu::PowerPreference::HighPerformance;
    let options = wgpu::RequestAdapterOptions { power_preference, ..Default::default() };
    instance.request_adapter(&options).await.into_iter().collect()
}

/// The adapter for `choice`; `None` if the choice is automatic and there is no GPU, so that the CPU engine is to be
/// used.
///
/// # Errors
/// [`EngineError::NoAdapter`] if no adapter has that name, or several different ones do.
pub async fn choose_async(choice: &Choice) -> Result<Option<Adapter>, EngineError> {
    let mut found = adapters_async().await;
    let infos: Vec<AdapterInfo> = found.iter().map(|adapter| adapter.info.clone()).collect();
    Ok(select(choice, &infos)?.map(|index| found.swap_remove(index)))
}

/// Index of the chosen adapter among `infos`, which are sorted by kind.
fn select(choice: &Choice, infos: &[AdapterInfo]) -> Result<Option<usize>, EngineError> {
    let Choice::Named(wanted) = choice else {
        return Ok(infos.iter().position(|info| !info.software()));
    };
    let all: Vec<usize> = (0..infos.len()).collect();
    let no_adapter = |wanted: String, of: &[usize]| {
        let names: Vec<String> = of.iter().map(|&i| infos[i].to_string()).collect();
        let found = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        EngineError::NoAdapter { wanted, found }
    };
    let text = match wanted.trim().to_lowercase().as_str() {
        // Mesa's driver is called lavapipe, its device llvmpipe.
        "lavapipe" => "llvmpipe".to_string(),
        text => text.to_string(),
    };
    if text.is_empty() {
        return Err(no_adapter("of an empty name".into(), &all));
    }
    let holds = |field: &str| field.to_lowercase().contains(&text);
    let matching = |test: &dyn Fn(&AdapterInfo) -> bool| -> Vec<usize> {
        all.iter().copied().filter(|&i| test(&infos[i])).collect()
    };
    let mut matches = matching(&|info| holds(&info.name));
    if matches.is_empty() {
        matches = matching(&|info| holds(&info.driver) || holds(info.backend));
        // Of a backend's devices the GPUs are meant; Mesa often installs a software driver beside them.
        if matches.iter().any(|&i| !infos[i].software()) {
            matches.retain(|&i| !infos[i].software());
        }
    }
    let Some(&first) = matches.first() else { return Err(no_adapter(format!("called {wanted:?}"), &all)) };
    // One GPU under two backends, or two of one model, are no contradiction: the first will do.
    if matches.iter().any(|&i| infos[i].name != infos[first].name) {
        return Err(no_adapter(format!("called {wanted:?} alone"), &matches));
    }
    Ok(Some(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, backend: &'static str, kind: AdapterKind) -> AdapterInfo {
        AdapterInfo {
            name: name.into(),
            backend,
            kind,
            driver: String::new(),
            max_storage_binding: 0,
            max_buffer: 0,
            workgroup_memory: 0,
            max_invocations: 0,
            subgroup_size: None,
            f16: false,
            timestamps: false,
            cooperative_matrices: None,
        }
    }

    fn named(name: &str) -> Choice {
        Choice::Named(name.into())
    }

    #[test]
    fn subgroups_of_64_are_told_from_those_that_nobody_has() {
        let sizes = [(32, 64), (64, 64), (4, 64), (4, 128), (32, 32), (8, 32)];
        assert_eq!(sizes.map(wide), [true, true, false, false, false, false]);
    }

    #[test]
    fn automatic_choice_never_takes_a_software_driver() {
        let software = info("llvmpipe (LLVM 15)", "Vulkan", AdapterKind::Software);
        let laptop = info("Radeon 890M", "Vulkan", AdapterKind::Integrated);
        assert_eq!(select(&Choice::Auto, &[laptop.clone(), software.clone()]), Ok(Some(0)));
        assert_eq!(select(&named("vulkan"), &[laptop, software.clone()]), Ok(Some(0)));
        assert_eq!(select(&Choice::Auto, std::slice::from_ref(&software)), Ok(None));
        assert_eq!(select(&Choice::Auto, &[]), Ok(None));
        assert_eq!(select(&named("Lavapipe"), std::slice::from_ref(&software)), Ok(Some(0)));
        assert_eq!(select(&named("vulkan"), &[software]), Ok(Some(0)));
    }

    #[test]
    fn a_name_must_mean_one_device() {
        let a = info("GeForce RTX 3080", "Vulkan", AdapterKind::Discrete);
        let b = info("GeForce RTX 3080", "DX12", AdapterKind::Discrete);
        let c = info("Radeon RX 7600", "Vulkan", AdapterKind::Discrete);
        let infos = [a, b, c];
        assert_eq!(select(&named("rtx"), &infos), Ok(Some(0)));
        assert_eq!(select(&named("dx12"), &infos), Ok(Some(1)));
        let error = select(&named("r"), &infos).expect_err("ambiguous").to_string();
        assert!(error.contains("GeForce RTX 3080 (DX12") && error.contains("Radeon"), "{error}");
        let error = select(&named("arc"), &infos).expect_err("none of that name").to_string();
        assert!(error.contains("\"arc\"") && error.contains("Radeon RX 7600"), "{error}");
        assert!(select(&named("arc"), &[]).expect_err("none").to_string().contains("found none"));
    }
}
