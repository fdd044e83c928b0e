// What a layer's sum is put through, and its derivative, elementwise. Twins: `math/activation.rs`.

override activation: u32 = 0u; // 0 GELU, 1 GELU by tanh, 2 ReLU: `ops::Activation`

// gelu(x) = x Phi(x). erf is Abramowitz and Stegun, formula 7.1.26, |error| < 2e-7, as in `real.rs`.
fn gelu4(x: vec4f) -> vec4f {
    let a = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.453152 + t * 1.0614054))));
    // exp is 0 in f32 long before -87; some drivers return nonsense far below that.
    let erf = sign(x) * (1.0 - p * exp(max(-a * a, vec4f(-87.0))));
    return 0.5 * x * (1.0 + erf);
}

// Its derivative Phi(x) + x phi(x). The exponential is the one inside erf.
fn gelu_gradient4(x: vec4f) -> vec4f {
    let a = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.453152 + t * 1.0614054))));
    let e = exp(max(-a * a, vec4f(-87.0)));
    let erf = sign(x) * (1.0 - p * e);
    return 0.5 * (1.0 + erf) + x * (0.3989423 * e);
}

// (1 + tanh(z)) / 2 = 1 / (1 + exp(-2 z)) with z = sqrt(2 / pi) (x + 0.044715 x^3). Behind 10 it is 0 or 1 in f32, and exp
// stays finite.
fn tanh_gate4(x: vec4f) -> vec4f {
    let y = clamp(x, vec4f(-10.0), vec4f(10.0));
    return 1.0 / (1.0 + exp(-y * (1.5957691 + 0.071354814 * y * y)));
}

fn activation4(x: vec4f) -> vec4f {
    if activation == 1u {
        return x * tanh_gate4(x);
    }
    if activation == 2u {
        return select(x, vec4f(), x <= vec4f());
    }
    return gelu4(x);
}

fn activation_gradient4(x: vec4f) -> vec4f {
    if activation == 1u {
        let gate = tanh_gate4(x);
        let y = clamp(x, vec4f(-10.0), vec4f(10.0));
        return gate + x * gate * (1.0 - gate) * (1.5957691 + 0.21406444 * y * y);
    }
    if activation == 2u {
        return select(vec4f(1.0), vec4f(), x <= vec4f());
    }
    return gelu_gradient4(x);
}
