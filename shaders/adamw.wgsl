//! shared: index, step, finite
// AdamW over spans of the flat banks in one pass, clipping included. Twin: ops/adamw.rs. Banks and spans are multiples of
// 128 elements.

// The gradients and their norm are those of the loss times the loss scale.
override scaled: bool = false;

// Quads that are updated alike.
struct Span {
    first: u32,
    end: u32,
    rate: f32,  // times the step's learning rate
    decay: f32, // per unit of it
}

struct Arguments {
    quads: u32, // elements / 4
    count: u32, // of spans, which are in order
    beta1: f32,
    beta2: f32,
    rest1: f32,   // 1 - beta1, not rounded twice
    rest2: f32,   // 1 - beta2
    epsilon: f32,
    clip_norm: f32,
    spans: array<Span, 64>,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read> norm: array<f32>; // [1]
@group(0) @binding(3) var<storage, read> loss_scale: array<f32>; // its first element; not read unless `scaled`
@group(0) @binding(4) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> moment1: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> moment2: array<vec4f>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i >= arguments.quads {
        return;
    }
    // The last span that does not begin behind this quad.
    var low = 0u;
    var high = arguments.count;
    while high > low + 1u {
        let middle = (low + high) / 2u;
        if arguments.spans[middle].first <= i {
            low = middle;
        } else {
            high = middle;
        }
    }
    let span = arguments.spans[low];
    if i < span.first || i >= span.end {
        return;
    }
    var inverse = 1.0;
    if scaled {
        if !finite(norm[0]) {
            return;
        }
        inverse = 1.0 / loss_scale[0];
    }
    var clip = inverse;
    if norm[0] * inverse > arguments.clip_norm {
        clip = arguments.clip_norm / norm[0];
    }
    let g = gradients[i] * clip;
    let m = arguments.beta1 * moment1[i] + arguments.rest1 * g;
    let v = arguments.beta2 * moment2[i] + arguments.rest2 * g * g;
    let p = parameters[i];
    moment1[i] = m;
    moment2[i] = v;
    let direction = step.correction1 * m / (sqrt(step.correction2 * v) + arguments.epsilon) + span.decay * p;
    parameters[i] = p - step.learning_rate * span.rate * direction;
}
