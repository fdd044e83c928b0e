// What is to be known of each row of the vocabulary's logits, in one pass: maximum and sum of exponentials (the online
// softmax of arXiv 1805.02867), the largest logit's word, a word sampled from the softmax, and the target's logit.
// A workgroup of 128 goes over some tiles of words for its 64 rows. The kernel gives `logits4(half, at, word)`: four logits
// of the words from `word` on, vector `at` of the 32 upper or lower rows of the tile.

struct Arguments {
    rows: u32,       // M
    vocabulary: u32, // V
    embedding: u32,  // E
    tiles: u32,      // of 64 words, a workgroup
    stream: u32,     // NONE: nothing is drawn
    sharpness: f32,  // 1 / temperature
    excludes: u32,   // 1: the target is never drawn
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(4) var<storage, read> targets: array<u32>;     // [M]
@group(0) @binding(5) var<storage, read_write> state: array<u32>; // [workgroups along V, 7, M]: `Running`, floats as bits

// The first of four words of which a condition holds.
fn first(words: vec4u, holds: vec4<bool>) -> u32 {
    return select(select(select(words.w, words.z, holds.z), words.y, holds.y), words.x, holds.x);
}

fn largest(x: vec4f) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
}

// e^x of x <= 0, as in exponential(), and 0 of words that are not there.
fn powers(x: vec4f, there: vec4<bool>) -> vec4f {
    return select(select(exp(x), vec4f(), x < vec4f(-87.0)), vec4f(), !there);
}

// Takes 16 words of a row into what is known of it: a row of one half of the tile, which four invocations share.
fn take_in(before: Running, half: u32, row: u32, first_word: u32, local: u32) -> Running {
    let word = first_word + local % 4u * 16u;
    if row >= arguments.rows || word >= arguments.vocabulary {
        return before;
    }
    var own = before;
    let at = local / 4u * STRIDE + local % 4u * 4u;
    // Random numbers come four at a time; the first word's may lie in the middle of four.
    let counter = (step.part * arguments.rows + row) * arguments.vocabulary + word;
    let draws = arguments.stream != NONE;
    var now = vec4u();
    if draws {
        now = draw4(arguments.stream, counter / 4u);
    }
    for (var i = 0u; i < 4u; i++) {
        var clock = vec4f(1.0);
        if draws {
            let next = draw4(arguments.stream, counter / 4u + i + 1u);
            let u = vec4f(from_two(now, next, counter % 4u) >> vec4u(8u)) * (1.0 / 16777216.0);
            clock = 1e-9 - logarithm4(u + 1e-9);
            now = next;
        }
        let words = vec4u(word + 4u * i) + vec4u(0, 1, 2, 3);
        let there = words < vec4u(arguments.vocabulary);
        let logit = select(vec4f(LEAST), logits4(half, at + i, word + 4u * i), there);
        let most = largest(logit);
        if most > own.most {
            own.total *= exponential(own.most - most);
            own.most = most;
            own.best = first(words, logit == vec4f(most));
        }
        let p = powers(logit - own.most, there);
        own.total += p.x + p.y + p.z + p.w;
        // Words that may be drawn have a largest logit of their own: beside one that may not, all of them may be as good as 0.
        let may = there & (words != vec4u(select(NONE, targets[row], arguments.excludes != 0u)));
        let open = select(vec4f(LEAST), logit, may);
        let peak = largest(open);
        if peak > own.peak {
            own.race *= exponential((own.peak - peak) * arguments.sharpness);
            own.peak = peak;
        }
        let race = powers((open - own.peak) * arguments.sharpness, may) / clock;
        let fastest = largest(race);
        if fastest > own.race {
            own.race = fastest;
            own.sampled = first(words, race == vec4f(fastest));
        }
    }
    let goal = targets[row] - word;
    if goal < 16u && targets[row] < arguments.vocabulary {
        own.target_logit = logits4(half, at + goal / 4u, word + goal / 4u * 4u)[goal % 4u];
    }
    return own;
}

var<workgroup> parts: array<Running, 128>;

// Puts together what four invocations know of a row.
fn store(own: Running, row: u32, group: u32, local: u32) {
    workgroupBarrier();
    parts[local] = own;
    workgroupBarrier();
    if local % 4u == 0u && row < arguments.rows {
        let sharpness = arguments.sharpness;
        let first_two = merge(parts[local], parts[local + 1u], sharpness);
        let all = merge(first_two, merge(parts[local + 2u], parts[local + 3u], sharpness), sharpness);
        let rows = arguments.rows;
        let at = group * 7u * rows + row;
        state[at] = bitcast<u32>(all.most);
        state[at + rows] = bitcast<u32>(all.total);
        state[at + 2u * rows] = all.best;
        state[at + 3u * rows] = bitcast<u32>(all.race);
        state[at + 4u * rows] = all.sampled;
        state[at + 5u * rows] = bitcast<u32>(all.target_logit);
        state[at + 6u * rows] = bitcast<u32>(all.peak);
    }
}
