//! shared: index
//! elements: X, Out
// The rows of x at the slots' positions, each within its own example. Twin: ops/gather_rows.rs.

override columns: u32 = 256u; // C

struct Arguments {
    len: u32,    // M * C
    length: u32, // L
    slots: u32,  // K
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> x: array<X>;           // [T, C]
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [B, K]
@group(0) @binding(3) var<storage, read_write> out: array<Out>; // [M, C]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.len {
        let slot = i / columns;
        // A position outside of its example counts as the nearest one inside.
        let row = slot / arguments.slots * arguments.length + min(positions[slot], arguments.length - 1u);
        out[i] = Out(f32(x[row * columns + i % columns]));
    }
}
