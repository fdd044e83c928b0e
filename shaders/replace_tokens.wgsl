//! shared: index
// Every token looks through its example's slots for its own position, takes the last sample it finds there, and is
// labelled 1 where that differs from the original. Twin: ops/replace_tokens.rs.

struct Arguments {
    tokens: u32, // B * L
    length: u32, // L
    slots: u32,  // K
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> ids: array<u32>;             // [B, L]
@group(0) @binding(2) var<storage, read> sampled: array<u32>;         // [B, K]
@group(0) @binding(3) var<storage, read> positions: array<u32>;       // [B, K], within the example
@group(0) @binding(4) var<storage, read> weights: array<f32>;         // [B, K], 0: an unused slot
@group(0) @binding(5) var<storage, read_write> corrupted: array<u32>; // [B, L]
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;    // [B, L]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.tokens {
        let first = i / arguments.length * arguments.slots;
        let position = i % arguments.length;
        let original = ids[i];
        var id = original;
        for (var m = first; m < first + arguments.slots; m++) {
            if positions[m] == position && weights[m] > 0.0 {
                id = sampled[m];
            }
        }
        corrupted[i] = id;
        labels[i] = select(0u, 1u, id != original);
    }
}
