//! shared: index
// Words to choose from: the original before the samples, or in place of the first one where it was replaced. Twin: ops/candidates.rs.

override where_replaced: bool = false;

struct Arguments {
    len: u32,     // M * columns
    columns: u32, // of what comes out
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> samples: array<u32>;   // [M, columns], or [M, columns - 1] where the original comes before them
@group(0) @binding(2) var<storage, read> originals: array<u32>; // [M]
@group(0) @binding(3) var<storage, read> replaced: array<u32>;  // [M], anything where it does not matter
@group(0) @binding(4) var<storage, read_write> out: array<u32>; // [M, columns]

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
    let row = i / arguments.columns;
    let column = i % arguments.columns;
    if where_replaced {
        out[i] = samples[i];
        if column == 0u && replaced[row] == 1u {
            out[i] = originals[row];
        }
    } else if column == 0u {
        out[i] = originals[row];
    } else {
        out[i] = samples[row * (arguments.columns - 1u) + column - 1u];
    }
}
