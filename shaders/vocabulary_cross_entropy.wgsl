//! shared: step, random
// Takes the logits of some words into what is known of each row: maximum and sum of exponentials (the online softmax of
// arXiv 1805.02867), the largest logit's word, the word of the largest logit + Gumbel noise, and the target's logit.
// A workgroup a row. Twin: ops/vocabulary_cross_entropy.rs.

struct Arguments {
    rows: u32,       // M
    words: u32,      // in this chunk
    first: u32,      // word of the chunk
    vocabulary: u32, // V
    stream: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> logits: array<f32>;      // [M, words]
@group(0) @binding(2) var<storage, read> targets: array<u32>;     // [M]
@group(0) @binding(3) var<storage, read_write> state: array<u32>; // [M, 8]: `Running`, floating point as bits

struct Running {
    most: f32,
    total: f32, // of e^(logit - most)
    best: u32,
    sample: f32, // the largest logit + noise
    sampled: u32,
    target_logit: f32,
}

const LEAST: f32 = -1e30;
const NONE: u32 = 0xffffffffu;

// Also of 8 neighbouring words of state; `shaders/vocabulary_cross_entropy_finish.wgsl` reads them.
fn load(row: u32) -> Running {
    let at = row * 8u;
    return Running(
        bitcast<f32>(state[at]),
        bitcast<f32>(state[at + 1u]),
        state[at + 2u],
        bitcast<f32>(state[at + 3u]),
        state[at + 4u],
        bitcast<f32>(state[at + 5u]),
    );
}

fn store(row: u32, x: Running) {
    let at = row * 8u;
    state[at] = bitcast<u32>(x.most);
    state[at + 1u] = bitcast<u32>(x.total);
    state[at + 2u] = x.best;
    state[at + 3u] = bitcast<u32>(x.sample);
    state[at + 4u] = x.sampled;
    state[at + 5u] = bitcast<u32>(x.target_logit);
}

// e^x for x <= 0; what is not a number stays that.
fn exponential(x: f32) -> f32 {
    return select(exp(x), 0.0, x < -87.0);
}

// Natural logarithm with a small relative error near 1 too, where WGSL's own promises none and where the noise that
// decides a sample comes from: the same series as `ops::Real::ln`.
fn logarithm(x: f32) -> f32 {
    let bits = bitcast<u32>(x) - 0x3f3504f3u;
    let exponent = f32(bitcast<i32>(bits) >> 23u);
    let m = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u);
    let z = (m - 1.0) / (m + 1.0);
    let s = z * z;
    return z * (2.0 + s * (0.6666667 + s * (0.4 + s * (0.2857143 + s * 0.2222222)))) + exponent * 0.6931472;
}

fn gumbel(bits: u32) -> f32 {
    return -log(1e-9 - logarithm(uniform01(bits) + 1e-9));
}

// What is known of both; of equals the lower word counts.
fn merge(a: Running, b: Running) -> Running {
    var x = a;
    x.most = max(a.most, b.most);
    x.total = a.total * exponential(a.most - x.most) + b.total * exponential(b.most - x.most);
    if b.most > a.most || (b.most == a.most && b.best < a.best) {
        x.best = b.best;
    }
    if b.sample > a.sample || (b.sample == a.sample && b.sampled < a.sampled) {
        x.sample = b.sample;
        x.sampled = b.sampled;
    }
    x.target_logit = a.target_logit + b.target_logit;
    return x;
}

var<workgroup> parts: array<Running, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = workgroup.y * workgroups.x + workgroup.x;
    if row >= arguments.rows {
        return;
    }
    let first = arguments.first;
    let words = arguments.words;
    let goal = targets[row];
    // Random numbers come four at a time; the row's first may lie in the middle of four.
    let start = row * arguments.vocabulary + first;
    let quads = (start + words + 3u) / 4u - start / 4u;
    var own = Running(LEAST, 0.0, NONE, LEAST, NONE, 0.0);
    for (var i = local; i < quads; i += 256u) {
        let quad = start / 4u + i;
        let bits = draw4(arguments.stream, quad);
        // Below 0 wraps round and is no word of the chunk either.
        let word = vec4<u32>(quad * 4u - start) + vec4<u32>(0u, 1u, 2u, 3u);
        let there = word < vec4<u32>(words);
        var x = vec4<f32>(LEAST);
        var noisy = vec4<f32>(LEAST);
        let at = row * words;
        if there.x {
            x.x = logits[at + word.x];
            noisy.x = x.x + gumbel(bits.x);
        }
        if there.y {
            x.y = logits[at + word.y];
            noisy.y = x.y + gumbel(bits.y);
        }
        if there.z {
            x.z = logits[at + word.z];
            noisy.z = x.z + gumbel(bits.z);
        }
        if there.w {
            x.w = logits[at + word.w];
            noisy.w = x.w + gumbel(bits.w);
        }
        let most = max(max(x.x, x.y), max(x.z, x.w));
        if most > own.most {
            own.total *= exponential(own.most - most);
            own.most = most;
            let equal = x == vec4<f32>(most);
            own.best = first + select(select(select(word.w, word.z, equal.z), word.y, equal.y), word.x, equal.x);
        }
        // Numbers of words that are not there are so small that they add nothing.
        own.total += exponential(x.x - own.most) + exponential(x.y - own.most) + exponential(x.z - own.most)
            + exponential(x.w - own.most);
        let sample = max(max(noisy.x, noisy.y), max(noisy.z, noisy.w));
        if sample > own.sample {
            own.sample = sample;
            let equal = noisy == vec4<f32>(sample);
            own.sampled = first + select(select(select(word.w, word.z, equal.z), word.y, equal.y), word.x, equal.x);
        }
        if any(there & (word == vec4<u32>(goal - first))) {
            own.target_logit = logits[at + goal - first];
        }
    }
    parts[local] = own;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            parts[local] = merge(parts[local], parts[local + half]);
        }
        workgroupBarrier();
    }
    if local == 0u {
        var all = parts[0];
        if first > 0u {
            all = merge(load(row), all);
        }
        store(row, all);
    }
}
