// What the vocabulary's logits are made of, x word^T + bias, and how it is read. The kernel declares `arguments` with rows (M),
// vocabulary (V) and embedding (E).

// E is a multiple of 4: every four elements are one vector.
override aligned: bool = false;

@group(0) @binding(1) var<storage, read> x: array<X4>;       // [M, E]
@group(0) @binding(2) var<storage, read> word: array<Word4>; // [V, E]
@group(0) @binding(3) var<storage, read> bias: array<f32>;   // [V]

// Four elements that begin `shift` behind the first of two vectors.
fn straddle(a: vec4f, b: vec4f, shift: u32) -> vec4f {
    let one = select(a, vec4f(a.yzw, b.x), (shift & 1u) != 0u);
    let then = select(b, vec4f(b.yzw, b.w), (shift & 1u) != 0u);
    return select(one, vec4f(one.zw, then.xy), (shift & 2u) != 0u);
}

// Elements k to k + 3 of a row of x, zero outside.
fn read_x(row: u32, k: u32) -> vec4f {
    let inside = (row < arguments.rows) & (k < arguments.embedding);
    let start = select(0u, row * arguments.embedding + k, inside);
    var v = vec4f(x[start / 4u]);
    if !aligned {
        let last = (arguments.rows * arguments.embedding - 1u) / 4u;
        v = straddle(v, vec4f(x[min(start / 4u + 1u, last)]), start % 4u);
        v = select(vec4f(), v, vec4u(k) + vec4u(0, 1, 2, 3) < vec4u(arguments.embedding));
    }
    return select(vec4f(), v, inside);
}

// The same of word.
fn read_word(row: u32, k: u32) -> vec4f {
    let inside = (row < arguments.vocabulary) & (k < arguments.embedding);
    let start = select(0u, row * arguments.embedding + k, inside);
    var v = vec4f(word[start / 4u]);
    if !aligned {
        let last = (arguments.vocabulary * arguments.embedding - 1u) / 4u;
        v = straddle(v, vec4f(word[min(start / 4u + 1u, last)]), start % 4u);
        v = select(vec4f(), v, vec4u(k) + vec4u(0, 1, 2, 3) < vec4u(arguments.embedding));
    }
    return select(vec4f(), v, inside);
}

fn bias4(first: u32) -> vec4f {
    let i = min(vec4u(first) + vec4u(0, 1, 2, 3), vec4u(arguments.vocabulary - 1u));
    return vec4f(bias[i.x], bias[i.y], bias[i.z], bias[i.w]);
}
