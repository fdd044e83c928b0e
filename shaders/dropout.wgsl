//! shared: index, step, random
//! elements: X
// Dropout in place: an element is kept where its number reaches the threshold. Twin: ops/dropout.rs.
// An invocation takes four elements; a binding is padded to whole vectors.

struct Arguments {
    len: u32,       // elements
    threshold: u32, // probability * 2^32
    scale: f32,     // 1 / (1 - probability)
    stream: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read_write> x: array<X4>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let quad = element_index(workgroup, workgroups, local, 256u);
    if quad < (arguments.len + 3u) / 4u {
        let bits = draw4_from(arguments.stream, step.part * arguments.len + 4u * quad);
        let kept = bits >= vec4<u32>(arguments.threshold);
        x[quad] = X4(vec4f(x[quad]) * select(vec4f(0.0), vec4f(arguments.scale), kept));
    }
}
