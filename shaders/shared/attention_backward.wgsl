// What the kernels of attention's gradient for heads of any width have in common; they declare `dout` and `dqkv`, of
// elements Dout and Dqkv. Needs shared/attention_scalar.wgsl.

// As `read_qkv` of the output's gradient.
fn read_dout(start: u32, row: u32, count: u32, column: u32) -> vec4<f32> {
    var x = vec4<f32>(0.0);
    if row >= count {
        return x;
    }
    let at = start + row * arguments.heads * arguments.width + column;
    if column + 4u <= arguments.width {
        return vec4<f32>(f32(dout[at]), f32(dout[at + 1u]), f32(dout[at + 2u]), f32(dout[at + 3u]));
    }
    if column < arguments.width {
        x.x = f32(dout[at]);
    }
    if column + 1u < arguments.width {
        x.y = f32(dout[at + 1u]);
    }
    if column + 2u < arguments.width {
        x.z = f32(dout[at + 2u]);
    }
    return x;
}

fn write_row(start: u32, column: u32, x: vec4<f32>) {
    let at = start + column;
    if column < arguments.width {
        dqkv[at] = Dqkv(x.x);
    }
    if column + 1u < arguments.width {
        dqkv[at + 1u] = Dqkv(x.y);
    }
    if column + 2u < arguments.width {
        dqkv[at + 2u] = Dqkv(x.z);
    }
    if column + 3u < arguments.width {
        dqkv[at + 3u] = Dqkv(x.w);
    }
}
