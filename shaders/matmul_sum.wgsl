//! elements: ElementC
// Adds up the partial sums of a matrix multiplication whose k is split, and those of its row sums, in order of k.
//
// One invocation an element of C[m, n], then one an element of the row sums [m].

// Adds to what is there instead of replacing it.
override accumulate: bool = false;

struct Sizes {
    // m * n
    elements: u32,
    // m, or 0 without row sums.
    rows: u32,
    slices: u32,
    // Offsets in elements.
    c_offset: u32,
    sums_offset: u32,
    // Workgroups in x.
    groups: u32,
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> partial_c: array<f32>; // [slices, m, n]
@group(0) @binding(2) var<storage, read> partial_sums: array<f32>; // [slices, m]
@group(0) @binding(3) var<storage, read_write> c: array<ElementC>; // [m, n]
@group(0) @binding(4) var<storage, read_write> sums: array<f32>; // [m]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let i = (group.y * sizes.groups + group.x) * 64 + local;
    if i < sizes.elements {
        var total = partial_c[i];
        for (var s = 1u; s < sizes.slices; s++) {
            total += partial_c[s * sizes.elements + i];
        }
        if accumulate {
            total += f32(c[sizes.c_offset + i]);
        }
        c[sizes.c_offset + i] = ElementC(total);
    } else if i < sizes.elements + sizes.rows {
        let row = i - sizes.elements;
        var total = partial_sums[row];
        for (var s = 1u; s < sizes.slices; s++) {
            total += partial_sums[s * sizes.rows + row];
        }
        if accumulate {
            total += sums[sizes.sums_offset + row];
        }
        sums[sizes.sums_offset + row] = total;
    }
}
