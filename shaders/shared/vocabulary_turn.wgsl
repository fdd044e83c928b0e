// Gradients of the logits of some words, d * (softmax - onehot(target)), written once: the logits that they are made from are
// made here again and never written.

struct Arguments {
    rows: u32,       // M
    vocabulary: u32, // V
    embedding: u32,  // E
    first: u32,      // word
    words: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(4) var<storage, read> targets: array<u32>;               // [M]
@group(0) @binding(5) var<storage, read> lse: array<f32>;                   // [M]
@group(0) @binding(6) var<storage, read> d: array<f32>;                     // [M]
@group(0) @binding(7) var<storage, read_write> gradient: array<Gradient>;   // [M, words]

fn turn(logit: vec4f, row_in_batch: u32, first_word: u32) -> vec4f {
    let row = min(row_in_batch, arguments.rows - 1u);
    let below = logit - lse[row];
    // Some drivers return nonsense far below -87; what is not a number must stay that.
    let p = select(exp(below), vec4f(), below < vec4f(-87.0));
    let hit = vec4u(first_word) + vec4u(0, 1, 2, 3) == vec4u(targets[row]);
    return d[row] * (p - select(vec4f(), vec4f(1.0), hit));
}
