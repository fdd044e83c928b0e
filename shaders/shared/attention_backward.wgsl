// What the kernels of attention's gradient have in common; they declare `dout` and `dqkv`. Needs shared/attention.wgsl.

// As `read_qkv` of the output's gradient.
fn read_dout(start: u32, row: u32, count: u32, column: u32) -> vec4<f32> {
    var x = vec4<f32>(0.0);
    if row >= count {
        return x;
    }
    let at = start + row * arguments.heads * arguments.width + column;
    if column + 4u <= arguments.width {
        return vec4<f32>(dout[at], dout[at + 1u], dout[at + 2u], dout[at + 3u]);
    }
    if column < arguments.width {
        x.x = dout[at];
    }
    if column + 1u < arguments.width {
        x.y = dout[at + 1u];
    }
    if column + 2u < arguments.width {
        x.z = dout[at + 2u];
    }
    return x;
}

fn write_row(start: u32, column: u32, x: vec4<f32>) {
    let at = start + column;
    if column < arguments.width {
        dqkv[at] = x.x;
    }
    if column + 1u < arguments.width {
        dqkv[at + 1u] = x.y;
    }
    if column + 2u < arguments.width {
        dqkv[at + 2u] = x.z;
    }
    if column + 3u < arguments.width {
        dqkv[at + 3u] = x.w;
    }
}
