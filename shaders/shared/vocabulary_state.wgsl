// What is known of a row after some words: `shaders/vocabulary_tiles.wgsl` and `vocabulary_tiles_merge.wgsl`.
//
// A word is sampled as the first to arrive in a race of exponential clocks: the largest e^logit / clock, clock = -ln(u), is
// the word of the largest logit + Gumbel noise, -ln(-ln(u)), for one logarithm less.

struct Running {
    most: f32,
    total: f32, // of e^(logit - most)
    best: u32,
    race: f32, // the largest e^(logit - most) / clock
    sampled: u32,
    target_logit: f32,
}

const LEAST: f32 = -1e30;
const NONE: u32 = 0xffffffffu;

fn nothing() -> Running {
    return Running(LEAST, 0.0, NONE, 0.0, NONE, 0.0);
}

// e^x for x <= 0. Some drivers return nonsense far below -87; what is not a number must stay that.
fn exponential(x: f32) -> f32 {
    return select(exp(x), 0.0, x < -87.0);
}

// What is known of both; of equals the lower word counts.
fn merge(a: Running, b: Running) -> Running {
    var both = a;
    both.most = max(a.most, b.most);
    let scale_a = exponential(a.most - both.most);
    let scale_b = exponential(b.most - both.most);
    both.total = a.total * scale_a + b.total * scale_b;
    if b.most > a.most || (b.most == a.most && b.best < a.best) {
        both.best = b.best;
    }
    let race_a = a.race * scale_a;
    let race_b = b.race * scale_b;
    both.race = race_a;
    if race_b > race_a || (race_b == race_a && b.sampled < a.sampled) {
        both.race = race_b;
        both.sampled = b.sampled;
    }
    both.target_logit = a.target_logit + b.target_logit;
    return both;
}
