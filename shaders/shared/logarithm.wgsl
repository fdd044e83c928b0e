// Natural logarithm of positive normal numbers: the same series as `math::Real::ln`. WGSL's own promises only an absolute
// error near 1, where Gumbel noise wins, and a software driver's is off by 1e-5, which a log-sum-exp would carry into
// every probability.
fn logarithm4(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x) - 0x3f3504f3u;
    let exponent = vec4<f32>(bitcast<vec4<i32>>(bits) >> vec4<u32>(23u));
    let m = bitcast<vec4<f32>>((bits & vec4<u32>(0x007fffffu)) + 0x3f3504f3u);
    let z = (m - 1.0) / (m + 1.0);
    let s = z * z;
    return z * (2.0 + s * (0.6666667 + s * (0.4 + s * (0.2857143 + s * 0.2222222)))) + exponent * 0.6931472;
}

fn logarithm(x: f32) -> f32 {
    return logarithm4(vec4<f32>(x)).x;
}
