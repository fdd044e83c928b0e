//! shared: step, random, logarithm
// Takes the logits of some words into what is known of each row: maximum and sum of exponentials (the online softmax of
// arXiv 1805.02867), the largest logit's word, the word of the largest logit + Gumbel noise, and the target's logit.
// A workgroup a row. Twin: ops/vocabulary_nll.rs.

struct Arguments {
    rows: u32,       // M
    words: u32,      // in this chunk
    first: u32,      // word of the chunk
    vocabulary: u32, // V
    stream: u32,     // NONE: nothing is drawn
    sharpness: f32,  // 1 / temperature
    excludes: u32,   // 1: the target is never drawn
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

// In the order that `shaders/vocabulary_nll_finish.wgsl` reads.
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

// e^x for x <= 0. Some drivers return nonsense far below -87; what is not a number must stay that.
fn exponential(x: f32) -> f32 {
    return select(exp(x), 0.0, x < -87.0);
}

fn gumbel(bits: vec4<u32>) -> vec4<f32> {
    let u = vec4<f32>(bits >> vec4<u32>(8u)) * (1.0 / 16777216.0);
    return -logarithm4(1e-9 - logarithm4(u + 1e-9));
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

var<workgroup> parts: array<Running, 64>;

@compute @workgroup_size(64)
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
    // Random numbers come four at a time; the row's first may lie in the middle of four.
    let start = (step.part * arguments.rows + row) * arguments.vocabulary + first;
    let quads = (start % 4u + words + 3u) / 4u;
    let goal = targets[row] - first;
    var own = Running(LEAST, 0.0, NONE, LEAST, NONE, 0.0);
    for (var i = local; i < quads; i += 64u) {
        let quad = start / 4u + i;
        // Below 0 wraps round and is no word of the chunk either.
        let word = vec4<u32>(quad * 4u - start) + vec4<u32>(0u, 1u, 2u, 3u);
        let there = word < vec4<u32>(words);
        let at = vec4<u32>(row * words) + min(word, vec4<u32>(words - 1u));
        let x = select(vec4<f32>(LEAST), vec4<f32>(logits[at.x], logits[at.y], logits[at.z], logits[at.w]), there);
        var noisy = x;
        if arguments.stream != NONE {
            let noise = gumbel(draw4(arguments.stream, quad));
            let may = there & (word != vec4<u32>(select(NONE, goal, arguments.excludes != 0u)));
            noisy = select(vec4<f32>(LEAST), x * arguments.sharpness + noise, may);
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
    }
    parts[local] = own;
    workgroupBarrier();
    // Two rounds of eight instead of six of two: fewer barriers.
    if local < 8u {
        var some = parts[local * 8u];
        for (var i = 1u; i < 8u; i++) {
            some = merge(some, parts[local * 8u + i]);
        }
        parts[local * 8u] = some;
    }
    workgroupBarrier();
    if local == 0u {
        var all = parts[0];
        for (var i = 8u; i < 64u; i += 8u) {
            all = merge(all, parts[i]);
        }
        if goal < words {
            all.target_logit = logits[row * words + goal];
        }
        if first > 0u {
            all = merge(load(row), all);
        }
        store(row, all);
    }
}
