//! shared: index
// Ranks and bounds of an example's tokens and, behind them, of its slots' queries. Twin: ops/two_streams.rs.

struct Arguments {
    rows: u32,   // B * (L + K)
    length: u32, // L
    slots: u32,  // K
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;       // [B]
@group(0) @binding(2) var<storage, read> positions: array<u32>;     // [B, K]
@group(0) @binding(3) var<storage, read> ranks: array<u32>;         // [B, K]
@group(0) @binding(4) var<storage, read_write> order: array<u32>;   // [B, 2, L + K]: ranks, bounds
@group(0) @binding(5) var<storage, read_write> queries: array<u32>; // [B, K]

const NEVER: u32 = 0xffffffffu;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i >= arguments.rows {
        return;
    }
    let all = arguments.length + arguments.slots;
    let example = i / all;
    let place = i % all;
    let first = example * arguments.slots;
    var rank = NEVER;
    var bound = 0u;
    if place < arguments.length {
        for (var slot = first; slot < first + arguments.slots; slot++) {
            if positions[slot] == place {
                bound = max(bound, ranks[slot]);
            }
        }
        if place < lengths[example] {
            rank = bound;
        }
    } else {
        let slot = first + place - arguments.length;
        bound = max(ranks[slot], 1u) - 1u;
        queries[slot] = place;
    }
    order[example * 2u * all + place] = rank;
    order[example * 2u * all + all + place] = bound;
}
