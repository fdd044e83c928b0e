//! shared: index
//! elements: X, Out
// Some neighbouring rows of each example. Twin: ops/join_rows.rs.

struct Arguments {
    len: u32,     // B * count * C
    length: u32,  // rows of an example
    first: u32,   // of those that are taken
    count: u32,   // so many
    columns: u32, // C
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<X>;           // [B, length, C]
@group(0) @binding(2) var<storage, read_write> out: array<Out>; // [B, count, C]

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
    let example = i / arguments.columns / arguments.count;
    let row = i / arguments.columns % arguments.count;
    let source = (example * arguments.length + arguments.first + row) * arguments.columns + i % arguments.columns;
    out[i] = Out(f32(x[source]));
}
