//! Kernels of cooperative matrices on a device that may have none: their matrices are replaced by arrays, and a subgroup by
//! invocations that each multiply them element by element. What is left to a device that has some is the multiplication itself; all
//! indices, barriers and everything between the products is the kernels' own.

use super::{adapter, state};
use leyden::graph::DType;
use leyden::math::unpack;
use leyden::op::{Access, Dispatch, Operand};
use std::collections::{BTreeSet, HashMap};
use wgpu::util::DeviceExt as _;

/// A kernel of cooperative matrices without them: a matrix is the number of a place in the invocation's own memory, and each
/// invocation of a subgroup computes all of the subgroup's.
pub struct Emulation {
    /// The source, with calls of `load_BUFFER_rows(place, at, stride)`, `store_BUFFER_columns(place, at, stride)` and their like, and of
    /// `multiply_add(a, b, c)`. It sets `base`, its invocation's first place, and `area` to `AREA`, not as a constant.
    pub source: String,
    /// Places of an invocation.
    pub places: usize,
    /// Invocations of a workgroup.
    pub invocations: usize,
    /// Its loads and stores.
    pub moves: BTreeSet<Move>,
}

/// A load or a store of matrices.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    load: bool,
    buffer: String,
    /// Whether the matrix lies there row by row.
    rows: bool,
    /// Whether the buffer is an array of vectors of four.
    vectors: bool,
}

impl Move {
    fn name(&self) -> String {
        let Self { load, buffer, rows, .. } = self;
        format!("{}_{buffer}_{}", if *load { "load" } else { "store" }, if *rows { "rows" } else { "columns" })
    }
}

impl Emulation {
    /// A kernel without matrices as it is.
    pub fn plain(source: String, dispatch: &Dispatch) -> Self {
        let used = format!(
            "@group(0) @binding({}) var<storage, read_write> places: array<f32>;\n",
            dispatch.bindings.len() + 1
        );
        Self { source: source + &used, places: 0, invocations: 0, moves: BTreeSet::new() }
    }

    /// Runs `dispatch` in place of its shader; what it writes is in `buffers` then.
    pub fn run(self, dispatch: &Dispatch, buffers: &mut HashMap<Operand, Vec<u32>>, seed: u64) {
        const LARGEST: usize = 16;
        if self.places == 0 {
            return run(dispatch, (self.source, 4), buffers, seed);
        }
        let floats =
            dispatch.workgroups.iter().product::<u32>() as usize * self.invocations * self.places * LARGEST * LARGEST;
        let source = self.source + &functions(dispatch.bindings.len() + 1, &self.moves);
        run(dispatch, (source, floats), buffers, seed);
    }
}

/// Source with calls in place of coopLoad<MatrixA>(&buffer[at], stride) and coopStore(matrix, &buffer[at], stride), both with or without
/// T, and what these calls are. `place` tells, from what stands before a load, to which place it goes; `vectors` says that tiles are
/// arrays of vectors.
pub fn without_matrices(text: &str, vectors: bool, mut place: impl FnMut(&str) -> usize) -> (String, BTreeSet<Move>) {
    let mut moves = BTreeSet::new();
    let mut out = String::new();
    let mut rest = text;
    let next = |rest: &str| ["coopLoad", "coopStore"].into_iter().filter_map(|call| rest.find(call)).min();
    while let Some(at) = next(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at + "coop".len()..];
        let open = rest.find('(').expect("a call");
        let (head, after) = (&rest[..open], &rest[open + 1..]);
        let (before, after) = after.split_once('&').expect("a pointer");
        let (buffer, after) = after.split_once('[').expect("an index");
        let load = head.starts_with("Load");
        let rows = head.split('<').next().is_some_and(|name| name.ends_with('T'));
        let vectors = vectors && buffer.starts_with("tile");
        let call = Move { load, buffer: buffer.into(), rows, vectors };
        let place = if load { format!("{}u, ", place(&out)) } else { String::new() };
        out.push_str(&format!("{}({place}{before}", call.name()));
        moves.insert(call);
        let (index, after) = after.split_once(']').expect("an index");
        out.push_str(index);
        rest = after;
    }
    out.push_str(rest);
    (out, moves)
}

/// What an emulation's source calls; its places are bound to `binding`.
fn functions(binding: usize, moves: &BTreeSet<Move>) -> String {
    let mut out = format!(
        "
// `places` is a buffer and `area` no constant, and loops are few, for a driver's compiler would take too long otherwise. Their turns
// must not be too many either: where an invocation's came to more than 65,535, the lavapipe of Mesa 22.3 did not go through all of them.
@group(0) @binding({binding}) var<storage, read_write> places: array<f32>;
const AREA: u32 = SIZE * SIZE;
var<private> base: u32; // of the invocation's places
var<private> area: u32; // AREA

fn multiply_add(a: u32, b: u32, c: u32) -> u32 {{
    for (var e = 0u; e < area; e++) {{
        var sum = places[base + c * AREA + e];
        for (var k = 0u; k < SIZE; k++) {{
            sum += places[base + a * AREA + e / SIZE * SIZE + k] * places[base + b * AREA + k * SIZE + e % SIZE];
        }}
        places[base + c * AREA + e] = sum;
    }}
    return c;
}}

fn clear_sums(c: u32) -> u32 {{
    for (var e = 0u; e < area; e++) {{
        places[base + c * AREA + e] = 0;
    }}
    return c;
}}
"
    );
    for call in moves {
        let (name, Move { load, buffer, rows, vectors }) = (call.name(), call);
        let (line, along) = if *rows { ("e / SIZE", "e % SIZE") } else { ("e % SIZE", "e / SIZE") };
        let there = match vectors {
            true => format!("{buffer}[at + {line} * stride + {along} / 4][{along} % 4]"),
            false => format!("{buffer}[at + {line} * stride + {along}]"),
        };
        let (here, each) = ("places[base + m * AREA + e]", "for (var e = 0u; e < area; e++) {");
        out.push_str(&match load {
            true => format!(
                "fn {name}(m: u32, at: u32, stride: u32) -> u32 {{ {each} {here} = f32({there}); }} return m; }}\n"
            ),
            false => format!("fn {name}(m: u32, at: u32, stride: u32) {{ {each} {there} = {here}; }} }}\n"),
        });
    }
    out
}

/// Runs a dispatch over buffers of words, with another source than its shader's, which writes places for the matrices of all
/// invocations, `floats` in all.
fn run(dispatch: &Dispatch, (source, floats): (String, usize), buffers: &mut HashMap<Operand, Vec<u32>>, seed: u64) {
    let (device, queue) = device();
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::UNIFORM;
    let buffer =
        |contents: &[u8]| device.create_buffer_init(&wgpu::util::BufferInitDescriptor { label: None, contents, usage });
    let size = (floats * size_of::<f32>()) as u64;
    let usage = wgpu::BufferUsages::STORAGE;
    let places = device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    let mut words = dispatch.uniform.clone();
    words.resize(words.len().next_multiple_of(4), 0);
    let bound: Vec<wgpu::Buffer> = std::iter::once(buffer(bytemuck::cast_slice(&words)))
        .chain(dispatch.bindings.iter().map(|binding| buffer(bytemuck::cast_slice(&buffers[&binding.operand]))))
        .chain([places])
        .collect();
    let step = [buffer(bytemuck::bytes_of(&state(seed)))];
    let uniform = wgpu::BufferBindingType::Uniform;
    let storage = |access: Access| wgpu::BufferBindingType::Storage { read_only: access == Access::Read };
    let access = dispatch.bindings.iter().map(|binding| binding.access).chain([Access::Write]);
    let types = std::iter::once(uniform).chain(access.map(storage));
    let groups = [(types.collect::<Vec<_>>(), &bound[..]), (vec![uniform], &step[..])];
    let groups = groups.map(|(types, buffers)| {
        let entry = |(binding, ty): (usize, wgpu::BufferBindingType)| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let entries: Vec<_> = types.into_iter().enumerate().map(entry).collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let entry = |(binding, buffer): (usize, &wgpu::Buffer)| (binding as u32, buffer.clone());
        let resources: Vec<(u32, wgpu::Buffer)> = buffers.iter().enumerate().map(entry).collect();
        let entries: Vec<_> = resources
            .iter()
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding: *binding, resource: buffer.as_entire_binding() })
            .collect();
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        (device.create_bind_group(&descriptor), layout)
    });
    let layouts = [Some(&groups[0].1), Some(&groups[1].1)];
    let layout = device
        .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor { bind_group_layouts: &layouts, ..Default::default() });
    let descriptor = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(source.into()) };
    // SAFETY: the loops end, and all indices are inside their buffers; that is what is being tested.
    let module = unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
    let constants: Vec<(&str, f64)> = dispatch.constants.clone();
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(dispatch.shader),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
        cache: None,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &groups[0].0, &[]);
    pass.set_bind_group(1, &groups[1].0, &[]);
    let [x, y, z] = dispatch.workgroups;
    pass.dispatch_workgroups(x, y, z);
    drop(pass);
    let copies: Vec<wgpu::Buffer> = bound[1..bound.len() - 1]
        .iter()
        .map(|buffer| {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let size = buffer.size();
            let copy =
                device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
            encoder.copy_buffer_to_buffer(buffer, 0, &copy, 0, size);
            copy.clone()
        })
        .collect();
    queue.submit([encoder.finish()]);
    for copy in &copies {
        copy.slice(..).map_async(wgpu::MapMode::Read, |result| result.expect("the buffer can be mapped"));
    }
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
    let read = |copy: &wgpu::Buffer| {
        let mapped = copy.slice(..).get_mapped_range().expect("the buffer is mapped");
        bytemuck::pod_collect_to_vec(&mapped)
    };
    for (binding, copy) in dispatch.bindings.iter().zip(&copies) {
        if binding.access == Access::Write {
            buffers.insert(binding.operand, read(copy));
        }
    }
}

fn device() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let name = &adapter().info().name;
    let found = adapters.into_iter().find(|found| found.get_info().name == *name).expect("the tests' adapter");
    let required_limits = wgpu::Limits {
        max_compute_workgroup_storage_size: found.limits().max_compute_workgroup_storage_size,
        ..wgpu::Limits::defaults()
    };
    let required_features = wgpu::Features::SHADER_F16;
    let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    pollster::block_on(found.request_device(&descriptor)).expect("a device")
}

/// Numbers that lie in words.
pub fn real(dtype: DType, words: &[u32]) -> Vec<f32> {
    match dtype {
        DType::F16 => unpack(words).collect(),
        _ => words.iter().map(|&word| f32::from_bits(word)).collect(),
    }
}
