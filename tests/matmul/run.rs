//! Runs dispatches on whatever device is there, without the engine.

use leyden::gpu::{Adapter, adapters};
use leyden::graph::DType;
use leyden::op::{Access, Dispatch, Operand, StepState};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock};
use wgpu::util::DeviceExt as _;

/// A device with the pipelines made so far.
pub struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pub workgroup_memory: u32,
    /// Rows and columns of the device's cooperative matrices.
    pub cooperative: Option<u32>,
    pipelines: HashMap<String, wgpu::ComputePipeline>,
}

/// The device that there is, with half precision and cooperative matrices where it has them, and its workgroup memory.
///
/// # Panics
/// On a machine without one.
pub fn device() -> MutexGuard<'static, Device> {
    static DEVICE: OnceLock<Option<Mutex<Device>>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok()?;
        let workgroup_memory = adapter.limits().max_compute_workgroup_storage_size;
        let info = adapter.get_info();
        let same = |known: &Adapter| {
            known.info().name == info.name && info.backend.to_str() == known.info().backend.to_lowercase()
        };
        let cooperative = adapters().iter().find(|known| same(known)).and_then(|a| a.info().cooperative_matrices);
        let mut features = wgpu::Features::SHADER_F16;
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if cooperative.is_some() {
            features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP;
            // SAFETY: whether they multiply as they should is what is being tested.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_features: adapter.features() & features,
            experimental_features,
            required_limits: wgpu::Limits {
                max_compute_workgroup_storage_size: workgroup_memory,
                ..wgpu::Limits::defaults()
            },
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).ok()?;
        Some(Mutex::new(Device { device, queue, workgroup_memory, cooperative, pipelines: HashMap::new() }))
    });
    let device = device.as_ref().expect("no GPU adapter: install a Vulkan driver, such as mesa-vulkan-drivers");
    device.lock().unwrap_or_else(|e| e.into_inner())
}

/// The step of all dispatches.
pub const STEP: StepState = StepState {
    seed: [11, 12],
    step: 13,
    part: 2,
    learning_rate: 0.0,
    correction1: 1.0,
    correction2: 1.0,
    padding: 0.0,
};

/// Group 1 of every kernel: the step's state.
fn step_group(device: &wgpu::Device) -> (wgpu::BindGroupLayout, wgpu::BindGroup) {
    let ty = wgpu::BufferBindingType::Uniform;
    let entry = wgpu::BindGroupLayoutEntry {
        binding: 0,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &[entry] });
    let step = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: None,
        contents: bytemuck::bytes_of(&STEP),
        usage: wgpu::BufferUsages::UNIFORM,
    });
    let entries = [wgpu::BindGroupEntry { binding: 0, resource: step.as_entire_binding() }];
    let group =
        device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries });
    (layout, group)
}

/// A tensor's type and contents.
pub type Buffers = HashMap<Operand, (DType, Vec<f32>)>;

fn bytes(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F16 => values.iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect(),
        _ => bytemuck::cast_slice(values).to_vec(),
    }
}

fn values(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        DType::F16 => bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        _ => bytemuck::pod_collect_to_vec(bytes),
    }
}

/// Runs dispatches over buffers and returns the buffers' contents. `source` gives a dispatch's shader.
pub fn run(
    gpu: &mut Device,
    dispatches: &[Dispatch],
    buffers: &Buffers,
    source: impl Fn(&Dispatch) -> String,
) -> HashMap<Operand, Vec<f32>> {
    let device = &gpu.device;
    let on_device: HashMap<Operand, wgpu::Buffer> = buffers
        .iter()
        .map(|(operand, (dtype, values))| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            let contents = &bytes(*dtype, values);
            (*operand, device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage }))
        })
        .collect();
    let (step_layout, step) = step_group(device);
    let mut ready = Vec::new();
    for dispatch in dispatches {
        let mut layout = vec![(wgpu::BufferBindingType::Uniform, 0)];
        layout.extend(dispatch.bindings.iter().enumerate().map(|(i, binding)| {
            (wgpu::BufferBindingType::Storage { read_only: binding.access == Access::Read }, i as u32 + 1)
        }));
        let entries: Vec<_> = layout
            .into_iter()
            .map(|(ty, binding)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        let group_layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let text = source(dispatch);
        let key = format!("{:?} {text}", dispatch.constants);
        let pipeline = gpu.pipelines.entry(key).or_insert_with(|| {
            let descriptor = wgpu::ShaderModuleDescriptor {
                label: Some(dispatch.shader),
                source: wgpu::ShaderSource::Wgsl(text.into()),
            };
            // SAFETY: the shaders end their loops and stay inside their buffers; that is what is being tested.
            let module =
                unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                bind_group_layouts: &[Some(&group_layout), Some(&step_layout)],
                ..Default::default()
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(dispatch.shader),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &dispatch.constants,
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            })
        });
        let mut words = dispatch.uniform.clone();
        words.resize(words.len().next_multiple_of(4), 0);
        let uniform = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents: bytemuck::cast_slice(&words),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }];
        for (i, binding) in dispatch.bindings.iter().enumerate() {
            let resource = on_device[&binding.operand].as_entire_binding();
            entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource });
        }
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &group_layout,
            entries: &entries,
        });
        ready.push((pipeline.clone(), group, dispatch.workgroups));
    }
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    for (pipeline, group, workgroups) in &ready {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.set_bind_group(1, &step, &[]);
        pass.dispatch_workgroups(workgroups[0], workgroups[1], workgroups[2]);
    }
    drop(pass);
    gpu.queue.submit([encoder.finish()]);
    let mut contents = HashMap::new();
    for (operand, buffer) in &on_device {
        let copy = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &copy, 0, buffer.size());
        gpu.queue.submit([encoder.finish()]);
        copy.slice(..).map_async(wgpu::MapMode::Read, |result| result.expect("the buffer can be mapped"));
        device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
        let mapped = copy.slice(..).get_mapped_range().expect("the buffer is mapped");
        contents.insert(*operand, values(buffers[operand].0, &mapped));
    }
    contents
}
