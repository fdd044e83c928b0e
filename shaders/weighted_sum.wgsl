// Sum of weight * term over up to seven scalars. Twin: ops/weighted_sum.rs. Bindings beyond the last term hold the
// first one again and are not read.

struct Arguments {
    terms: u32,
    weight0: f32,
    weight1: f32,
    weight2: f32,
    weight3: f32,
    weight4: f32,
    weight5: f32,
    weight6: f32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> term0: array<f32>;     // [1]
@group(0) @binding(2) var<storage, read> term1: array<f32>;     // [1]
@group(0) @binding(3) var<storage, read> term2: array<f32>;     // [1]
@group(0) @binding(4) var<storage, read> term3: array<f32>;     // [1]
@group(0) @binding(5) var<storage, read> term4: array<f32>;     // [1]
@group(0) @binding(6) var<storage, read> term5: array<f32>;     // [1]
@group(0) @binding(7) var<storage, read> term6: array<f32>;     // [1]
@group(0) @binding(8) var<storage, read_write> out: array<f32>; // [1]

@compute @workgroup_size(1)
fn main() {
    var sum = arguments.weight0 * term0[0];
    if arguments.terms > 1u {
        sum += arguments.weight1 * term1[0];
    }
    if arguments.terms > 2u {
        sum += arguments.weight2 * term2[0];
    }
    if arguments.terms > 3u {
        sum += arguments.weight3 * term3[0];
    }
    if arguments.terms > 4u {
        sum += arguments.weight4 * term4[0];
    }
    if arguments.terms > 5u {
        sum += arguments.weight5 * term5[0];
    }
    if arguments.terms > 6u {
        sum += arguments.weight6 * term6[0];
    }
    out[0] = sum;
}
