//! shared: index
// y = x a + b, many times over, in registers alone: as many multiply-adds as the device can do. Twin: tune/multiply_add.rs.

struct Arguments {
    vectors: u32, // of y; a multiple of 8
    repeats: u32,
    a: f32,
    b: f32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;        // [vectors]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;  // [vectors]

// Each invocation has eight vectors, a stride apart so that neighbours read neighbours: 32 sums that do not wait for each
// other.
@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let stride = arguments.vectors / 8u;
    let i = element_index(workgroup, workgroups, local, 256u);
    if i >= stride {
        return;
    }
    let a = vec4(arguments.a);
    let b = vec4(arguments.b);
    var v0 = x[i];
    var v1 = x[i + stride];
    var v2 = x[i + 2u * stride];
    var v3 = x[i + 3u * stride];
    var v4 = x[i + 4u * stride];
    var v5 = x[i + 5u * stride];
    var v6 = x[i + 6u * stride];
    var v7 = x[i + 7u * stride];
    for (var r = 0u; r < arguments.repeats; r++) {
        v0 = fma(v0, a, b);
        v1 = fma(v1, a, b);
        v2 = fma(v2, a, b);
        v3 = fma(v3, a, b);
        v4 = fma(v4, a, b);
        v5 = fma(v5, a, b);
        v6 = fma(v6, a, b);
        v7 = fma(v7, a, b);
    }
    y[i] = v0;
    y[i + stride] = v1;
    y[i + 2u * stride] = v2;
    y[i + 3u * stride] = v3;
    y[i + 4u * stride] = v4;
    y[i + 5u * stride] = v5;
    y[i + 6u * stride] = v6;
    y[i + 7u * stride] = v7;
}
