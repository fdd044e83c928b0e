// GELU by the error function, x * (1 + erf(x / sqrt(2))) / 2, the same formula as `ops::Real::erf` in f32:
// Abramowitz and Stegun 7.1.26, absolute error below 2e-7.

fn erf(x: f32) -> f32 {
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.2548296 + t * (-0.28449672 + t * (1.4214138 + t * (-1.453152 + t * 1.0614054))));
    // exp is 0 in f32 long before -87; some drivers return nonsense far below that.
    let y = 1.0 - p * exp(max(-a * a, -87.0));
    return select(y, -y, x < 0.0);
}

fn gelu(x: f32) -> f32 {
    return 0.5 * x * (1.0 + erf(x * 0.70710677));
}

// d gelu / d x = Phi(x) + x * phi(x), with the normal distribution's Phi and density phi.
fn gelu_derivative(x: f32) -> f32 {
    let density = 0.3989423 * exp(max(-0.5 * x * x, -87.0));
    return 0.5 * (1.0 + erf(x * 0.70710677)) + x * density;
}
