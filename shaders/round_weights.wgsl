//! shared: index
//! elements: Half
// Rounds the bank of parameters to half precision. Twin: ops/round_weights.rs.

struct Arguments {
    quads: u32, // elements / 4
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> halves: array<Half4>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.quads {
        halves[i] = Half4(parameters[i]);
    }
}
