//! shared: index
//! elements: Out
// Fills a tensor with one number. Twin: ops/constant.rs.

struct Arguments {
    len: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read_write> out: array<Out>; // [len]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.len {
        out[i] = Out(arguments.value);
    }
}
