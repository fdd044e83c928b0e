//! shared: index
//! elements: A, B, Out
// Of each example the rows of a, and behind them those of b. Twin: ops/join_rows.rs.

struct Arguments {
    len: u32,     // B * (M + N) * C
    a_rows: u32,  // M
    b_rows: u32,  // N
    columns: u32, // C
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> a: array<A>;           // [B, M, C]
@group(0) @binding(2) var<storage, read> b: array<B>;           // [B, N, C]
@group(0) @binding(3) var<storage, read_write> out: array<Out>; // [B, M + N, C]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i >= arguments.len {
        return;
    }
    let length = arguments.a_rows + arguments.b_rows;
    let example = i / arguments.columns / length;
    let row = i / arguments.columns % length;
    let column = i % arguments.columns;
    if row < arguments.a_rows {
        out[i] = Out(f32(a[(example * arguments.a_rows + row) * arguments.columns + column]));
    } else {
        out[i] = Out(f32(b[(example * arguments.b_rows + row - arguments.a_rows) * arguments.columns + column]));
    }
}
