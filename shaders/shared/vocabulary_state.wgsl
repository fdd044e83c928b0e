// What is known of a row after some words: `vocabulary_rows.wgsl` and `shaders/vocabulary_tiles_merge.wgsl`.
//
// A word is sampled as the first to arrive in a race of exponential clocks: the largest e^logit / clock, clock = -ln(u), is
// the word of the largest logit + Gumbel noise, -ln(-ln(u)), for one logarithm less. Logits are multiplied by a sharpness
// in it, 1 over the temperature.

struct Running {
    most: f32,
    total: f32, // of e^(logit - most)
    best: u32,
    peak: f32, // the largest logit of the words that may be drawn
    race: f32, // the largest e^(sharpness (logit - peak)) / clock
    sampled: u32,
    target_logit: f32,
}

const LEAST: f32 = -1e30;
const NONE: u32 = 0xffffffffu;

fn nothing() -> Running {
    return Running(LEAST, 0.0, NONE, LEAST, 0.0, NONE, 0.0);
}

// e^x for x <= 0. Some drivers return nonsense far below -87; what is not a number must stay that.
fn exponential(x: f32) -> f32 {
    return select(exp(x), 0.0, x < -87.0);
}

// What is known of both; of equals the lower word counts.
fn merge(a: Running, b: Running, sharpness: f32) -> Running {
    var both = a;
    both.most = max(a.most, b.most);
    let scale_a = exponential(a.most - both.most);
    let scale_b = exponential(b.most - both.most);
    both.total = a.total * scale_a + b.total * scale_b;
    if b.most > a.most || (b.most == a.most && b.best < a.best) {
        both.best = b.best;
    }
    both.peak = max(a.peak, b.peak);
    let race_a = a.race * exponential((a.peak - both.peak) * sharpness);
    let race_b = b.race * exponential((b.peak - both.peak) * sharpness);
    both.race = race_a;
    if race_b > race_a || (race_b == race_a && b.sampled < a.sampled) {
        both.race = race_b;
        both.sampled = b.sampled;
    }
    both.target_logit = a.target_logit + b.target_logit;
    return both;
}
