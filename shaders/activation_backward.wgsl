//! shared: index, activation
//! elements: U, D
// d *= f'(u), where d starts with the gradient behind the activation f. Twin: ops/activation_backward.rs. Bindings are padded to
// whole vectors; what lies behind the last element stays as it is.

struct Arguments {
    len: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> u: array<U4>;          // [len]
@group(0) @binding(2) var<storage, read_write> d: array<D4>;    // [len]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let quad = element_index(workgroup, workgroups, local, 256u);
    let i = 4u * quad;
    if i < arguments.len {
        let before = vec4f(d[quad]);
        let slope = activation_gradient4(vec4f(u[quad]));
        let inside = vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(arguments.len);
        d[quad] = D4(select(before, before * slope, inside));
    }
}
