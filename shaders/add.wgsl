//! shared: index
//! elements: B, Out
// out += b, where out starts with a's contents. Twin: ops/add.rs.

struct Arguments {
    len: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> b: array<B>;           // [len]
@group(0) @binding(2) var<storage, read_write> out: array<Out>; // [len]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.len {
        out[i] = Out(f32(out[i]) + f32(b[i]));
    }
}
