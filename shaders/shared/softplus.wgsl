// log(1 + e) for e in [0, 1] as 2 artanh(e / (2 + e)): keeps its relative accuracy where e is tiny, unlike log().
fn log_one_plus(e: f32) -> f32 {
    let z = e / (2.0 + e);
    let s = z * z;
    return z * (2.0 + s * (0.6666667 + s * (0.4 + s * (0.2857143 + s * (0.2222222 + s * (0.1818182 + s * 0.1538462))))));
}

// What log(1 + e^x) is more than max(x, 0); it does not overflow.
fn softplus_rest(x: f32) -> f32 {
    return log_one_plus(exp(max(-abs(x), -87.0)));
}

fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + softplus_rest(x);
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(max(-abs(x), -87.0));
    let large = 1.0 / (1.0 + e);
    return select(large, e * large, x < 0.0);
}
