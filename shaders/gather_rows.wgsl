//! shared: index
//! elements: X, Out
// Row positions[m] of x for each m. Twin: ops/gather_rows.rs.

override columns: u32 = 256u; // C

struct Arguments {
    len: u32,  // M * C
    rows: u32, // T
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<X>;           // [T, C]
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [M]
@group(0) @binding(3) var<storage, read_write> out: array<Out>; // [M, C]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.len {
        let row = min(positions[i / columns], arguments.rows - 1u);
        out[i] = Out(f32(x[row * columns + i % columns]));
    }
}
