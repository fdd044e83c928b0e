//! The matrix-multiplication kernels against a plain product in double precision, on whatever device is there.

use leyden::gpu::shaders;
use leyden::graph::DType;
use leyden::ops::{Access, DeviceTraits, Dispatch, Epilogue, Matmul, MatmulOperands, Operand};
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock};
use wgpu::util::DeviceExt as _;

const SHADERS: [&str; 5] =
    ["matmul_tiles_scalar", "matmul_tiles_vector", "matmul_blocks_scalar", "matmul_blocks_vector", "matmul_sum"];
const GPU: DeviceTraits = DeviceTraits::FLOOR;
const SOFTWARE: DeviceTraits = DeviceTraits { software: true, ..GPU };
const A: Operand = Operand::Input(0);
const B: Operand = Operand::Input(1);
const BIAS: Operand = Operand::Input(2);
const C: Operand = Operand::Output(0);
const SECOND: Operand = Operand::Output(1);

fn source(stem: &str, elements: &[(&str, DType)]) -> String {
    shaders::source(stem, elements).unwrap_or_else(|error| panic!("{error}")).into_owned()
}

struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: HashMap<String, wgpu::ComputePipeline>,
}

/// The device, or `None` on a machine without one.
fn device() -> MutexGuard<'static, Device> {
    static DEVICE: OnceLock<Option<Mutex<Device>>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok()?;
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).ok()?;
        Some(Mutex::new(Device { device, queue, pipelines: HashMap::new() }))
    });
    let device = device.as_ref().expect("no GPU adapter: install a Vulkan driver, such as mesa-vulkan-drivers");
    device.lock().unwrap_or_else(|e| e.into_inner())
}

/// Runs dispatches over buffers and returns the buffers' contents, and the seconds of the fastest of `repeats` runs.
fn run(
    gpu: &mut Device,
    dispatches: &[Dispatch],
    buffers: &HashMap<Operand, Vec<f32>>,
    repeats: usize,
) -> (HashMap<Operand, Vec<f32>>, f64) {
    let device = &gpu.device;
    let on_device: HashMap<Operand, wgpu::Buffer> = buffers
        .iter()
        .map(|(operand, values)| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
            let contents = bytemuck::cast_slice(values);
            (*operand, device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage }))
        })
        .collect();
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
        let key = format!("{} {:?}", dispatch.shader, dispatch.constants);
        let pipeline = gpu.pipelines.entry(key).or_insert_with(|| {
            let descriptor = wgpu::ShaderModuleDescriptor {
                label: Some(dispatch.shader),
                source: wgpu::ShaderSource::Wgsl(source(dispatch.shader, &dispatch.elements).into()),
            };
            // SAFETY: the shaders end their loops and stay inside their buffers; that is what is being tested.
            let module =
                unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                bind_group_layouts: &[Some(&group_layout)],
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
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (pipeline, group, workgroups) in &ready {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(workgroups[0], workgroups[1], workgroups[2]);
        }
        drop(pass);
        let start = std::time::Instant::now();
        gpu.queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
        best = best.min(start.elapsed().as_secs_f64());
    }
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
        contents.insert(*operand, bytemuck::cast_slice(&mapped).to_vec());
    }
    (contents, best)
}

/// Random buffers for a multiplication; each is longer than needed, so that a stray write shows.
fn buffers(matmul: &Matmul, has_bias: bool, traits: &DeviceTraits, seed: u64) -> HashMap<Operand, Vec<f32>> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut random = |len: usize| -> Vec<f32> {
        (0..len.next_multiple_of(4) + 8).map(|_| (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
    };
    let Matmul { m, n, k, .. } = *matmul;
    let mut buffers = HashMap::from([
        (A, random(matmul.a_offset + m * k)),
        (B, random(matmul.b_offset + k * n)),
        (C, random(matmul.c_offset + m * n)),
        (BIAS, random(matmul.bias_offset + n)),
    ]);
    match matmul.epilogue {
        Epilogue::None => {}
        Epilogue::Gelu => _ = buffers.insert(SECOND, random(m * n)),
        Epilogue::RowSums => _ = buffers.insert(SECOND, random(matmul.bias_offset + m)),
    }
    for (i, scratch) in matmul.scratch(has_bias, traits).iter().enumerate() {
        buffers.insert(Operand::Scratch(i), vec![f32::NAN; scratch.len()]);
    }
    buffers
}

fn operands(matmul: &Matmul, has_bias: bool) -> MatmulOperands {
    let second = (matmul.epilogue != Epilogue::None).then_some(SECOND);
    MatmulOperands { a: A, b: B, c: C, bias: has_bias.then_some(BIAS), second }
}

/// What C and the second output should hold.
fn expected(matmul: &Matmul, has_bias: bool, buffers: &HashMap<Operand, Vec<f32>>) -> [Vec<f64>; 2] {
    let Matmul { m, n, k, .. } = *matmul;
    let wide = |operand: Operand| buffers[&operand].iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let (a, b, mut c) = (wide(A), wide(B), wide(C));
    let mut second = buffers.get(&SECOND).map(|_| wide(SECOND)).unwrap_or_default();
    let at = |i: usize, p: usize| a[matmul.a_offset + if matmul.transpose_a { p * m + i } else { i * k + p }];
    for i in 0..m {
        for j in 0..n {
            let product: f64 = (0..k)
                .map(|p| at(i, p) * b[matmul.b_offset + if matmul.transpose_b { j * k + p } else { p * n + j }])
                .sum();
            let old = if matmul.accumulate { c[matmul.c_offset + i * n + j] } else { 0.0 };
            let bias = if has_bias { f64::from(buffers[&BIAS][matmul.bias_offset + j]) } else { 0.0 };
            let value = product + old + bias;
            c[matmul.c_offset + i * n + j] = value;
            if matmul.epilogue == Epilogue::Gelu {
                second[i * n + j] = 0.5 * value * (1.0 + libm::erf(value * std::f64::consts::FRAC_1_SQRT_2));
            }
        }
        if matmul.epilogue == Epilogue::RowSums {
            let old = if matmul.accumulate { second[matmul.bias_offset + i] } else { 0.0 };
            second[matmul.bias_offset + i] = old + (0..k).map(|p| at(i, p)).sum::<f64>();
        }
    }
    [c, second]
}

/// Runs every case on both families of kernels and reports all that is wrong.
fn check(cases: &[(Matmul, bool)]) {
    let mut gpu = device();
    let mut wrong = Vec::new();
    for (seed, (matmul, has_bias)) in cases.iter().enumerate() {
        for traits in [GPU, SOFTWARE] {
            let before = buffers(matmul, *has_bias, &traits, seed as u64);
            let dispatches = matmul.dispatches(&operands(matmul, *has_bias), 0, &traits);
            let (after, _) = run(&mut gpu, &dispatches, &before, 1);
            let tolerance = 2e-6 * (matmul.k as f64 + 8.0).sqrt() * 4.0;
            for (operand, expected) in [C, SECOND].iter().zip(expected(matmul, *has_bias, &before)) {
                let Some(found) = after.get(operand) else { continue };
                let bad = (0..found.len()).filter(|&i| {
                    let difference = (f64::from(found[i]) - expected[i]).abs();
                    difference.is_nan() || difference > tolerance
                });
                let bad: Vec<usize> = bad.collect();
                if let Some(&first) = bad.first() {
                    wrong.push(format!(
                        "{}, seed {seed}, {matmul:?}, bias {has_bias}: {operand:?}: {} of {} wrong, at {first} {} instead of {}",
                        dispatches[0].shader,
                        bad.len(),
                        found.len(),
                        found[first],
                        expected[first],
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A case of these sizes with offsets that a window may have.
fn case(m: usize, n: usize, k: usize) -> Matmul {
    Matmul { m, n, k, ..Matmul::default() }
}

#[test]
fn forward_with_bias() {
    let linear = |m, n, k| (Matmul { transpose_b: true, ..case(m, n, k) }, true);
    let window = Matmul { b_offset: 128, bias_offset: 64, ..linear(19, 36, 20).0 };
    check(&[
        linear(1, 1, 1),
        linear(152, 64, 24),
        linear(67, 131, 52),
        linear(33, 1, 256),
        linear(17, 29, 37),
        (window, true),
        (Matmul { a_offset: 64, c_offset: 192, n: 35, ..window }, true),
    ]);
}

#[test]
fn forward_with_gelu() {
    let linear = |m, n, k| (Matmul { transpose_b: true, epilogue: Epilogue::Gelu, ..case(m, n, k) }, true);
    check(&[linear(70, 68, 20), linear(5, 7, 11), linear(130, 24, 36)]);
}

#[test]
fn input_gradient() {
    let plain = |m, n, k| (case(m, n, k), false);
    let adds = |m, n, k| (Matmul { accumulate: true, ..case(m, n, k) }, false);
    let window = Matmul { b_offset: 64, c_offset: 128, accumulate: true, ..case(21, 24, 44) };
    check(&[plain(66, 36, 20), plain(31, 7, 1), plain(13, 52, 530), adds(66, 36, 20), adds(9, 5, 3), (window, false)]);
}

#[test]
fn weight_and_bias_gradient() {
    let gradient = |m, n, k| Matmul { transpose_a: true, epilogue: Epilogue::RowSums, ..case(m, n, k) };
    let window = Matmul { c_offset: 64, bias_offset: 64, ..gradient(20, 36, 700) };
    check(&[
        (gradient(64, 68, 40), false),
        (gradient(20, 132, 1_023), false),
        (gradient(1, 36, 515), false),
        (gradient(13, 7, 1), false),
        (window, false),
        (Matmul { accumulate: true, ..window }, false),
        (Matmul { accumulate: true, k: 33, ..window }, false),
    ]);
}

#[test]
fn without_row_sums_and_both_transposed() {
    let split = Matmul { transpose_a: true, ..case(20, 24, 900) };
    let both = Matmul { transpose_a: true, transpose_b: true, ..case(12, 20, 28) };
    check(&[(split, false), (both, false), (Matmul { m: 11, ..both }, false)]);
}

#[test]
fn a_split_sum_has_the_same_bits_each_time() {
    let mut gpu = device();
    let matmul = Matmul { transpose_a: true, epilogue: Epilogue::RowSums, ..case(36, 20, 2_000) };
    for traits in [GPU, SOFTWARE] {
        let before = buffers(&matmul, false, &traits, 1);
        let dispatches = matmul.dispatches(&operands(&matmul, false), 0, &traits);
        assert_eq!(dispatches.len(), 2, "the case is meant to be split");
        let (first, _) = run(&mut gpu, &dispatches, &before, 1);
        let (second, _) = run(&mut gpu, &dispatches, &before, 1);
        assert_eq!(first[&C], second[&C]);
        assert_eq!(first[&SECOND], second[&SECOND]);
    }
}

#[test]
fn shaders_validate_and_translate() {
    use naga::back::{hlsl, msl, spv};
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    for stem in SHADERS {
        let source = source(stem, &[]);
        let module =
            naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| panic!("{stem}: {}", e.emit_to_string(&source)));
        // Nothing beyond what every WebGPU device has.
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{stem}: {}", e.emit_to_string(&source)));
        let (module, info) =
            naga::back::pipeline_constants::process_overrides(&module, &info, None, &Default::default())
                .unwrap_or_else(|e| panic!("{stem}: {e}"));
        let shared: u32 = module
            .global_variables
            .iter()
            .filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup)
            .map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx()))
            .sum();
        assert!(shared <= 16_384, "{stem}: {shared} bytes of workgroup memory");
        spv::write_vec(&module, &info, &spv::Options::default(), None)
            .unwrap_or_else(|e| panic!("{stem}: SPIR-V: {e}"));
        let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
        msl::write_string(&module, &info, &options, &Default::default()).unwrap_or_else(|e| panic!("{stem}: MSL: {e}"));
        let options = hlsl::Options::default();
        let pipeline_options = hlsl::PipelineOptions::default();
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline_options)
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{stem}: HLSL: {e}"));
    }
}
