//! shared: index, step
// sums += gradients; the first part of a step overwrites instead, even what is not a number. Twin: ops/accumulate.rs.
// Banks are multiples of 64 elements.

struct Arguments {
    quads: u32, // elements / 4
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec4f>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.quads {
        sums[i] = select(sums[i] + gradients[i], gradients[i], step.part == 0u);
    }
}
