//! shared: index
//! elements: Out
// Sum of word, position and type embeddings of every token. Twin: ops/embedding.rs.

override columns: u32 = 128u; // E

struct Arguments {
    len: u32,        // T * E
    length: u32,     // L
    vocabulary: u32, // V
    types: u32,      // Y
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> word: array<f32>;      // [V, E]
@group(0) @binding(2) var<storage, read> position: array<f32>;  // [P, E]
@group(0) @binding(3) var<storage, read> kind: array<f32>;      // [Y, E]
@group(0) @binding(4) var<storage, read> ids: array<u32>;       // [T]
@group(0) @binding(5) var<storage, read> types: array<u32>;     // [T]
@group(0) @binding(6) var<storage, read_write> out: array<Out>; // [T, E]

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = element_index(workgroup, workgroups, local, 256u);
    if i < arguments.len {
        let row = i / columns;
        let j = i % columns;
        let w = word[min(ids[row], arguments.vocabulary - 1u) * columns + j];
        let p = position[row % arguments.length * columns + j];
        let k = kind[min(types[row], arguments.types - 1u) * columns + j];
        out[i] = Out(w + p + k);
    }
}
