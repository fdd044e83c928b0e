//! shared: index
//! elements: D, Out
// Every row of an example looks through the example's slots for its own position, and adds up what it finds in their
// order. Twin: ops/gather_rows.rs. An invocation takes up to four columns, `quads` apart, so that it looks once.

override columns: u32 = 256u; // C

struct Arguments {
    len: u32,    // T * ceil(C / 4)
    length: u32, // L
    slots: u32,  // K
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> d: array<D>;           // [M, C]
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [B, K]
@group(0) @binding(3) var<storage, read_write> out: array<Out>; // [T, C]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let quads = (columns + 3u) / 4u;
    let index = element_index(workgroup, workgroups, local, 256u);
    if index >= arguments.len {
        return;
    }
    let row = index / quads;
    let j = index % quads;
    let example = row / arguments.length;
    let position = row % arguments.length;
    var sum = vec4f(0.0, 0.0, 0.0, 0.0);
    for (var m = example * arguments.slots; m < (example + 1u) * arguments.slots; m++) {
        // A position outside of its example counts as the nearest one inside.
        if min(positions[m], arguments.length - 1u) == position {
            let source = m * columns + j;
            sum.x += f32(d[source]);
            if j + quads < columns {
                sum.y += f32(d[source + quads]);
            }
            if j + 2u * quads < columns {
                sum.z += f32(d[source + 2u * quads]);
            }
            if j + 3u * quads < columns {
                sum.w += f32(d[source + 3u * quads]);
            }
        }
    }
    let to = row * columns + j;
    out[to] = Out(sum.x);
    if j + quads < columns {
        out[to + quads] = Out(sum.y);
    }
    if j + 2u * quads < columns {
        out[to + 2u * quads] = Out(sum.z);
    }
    if j + 3u * quads < columns {
        out[to + 3u * quads] = Out(sum.w);
    }
}
