//! shared: step, random
// Draws words from the softmax of rows of logits: a workgroup a row. Exponentials are added up by segments of neighbouring words; a random
// part of their sum falls into a segment, and into a word of it. Twin: ops/sample_words.rs.

override excludes: bool = false; // whether a word of each row is never drawn
override repeats: bool = false;  // whether a word may be drawn again

struct Arguments {
    rows: u32,       // of the logits
    first: u32,      // which row of all the first of them is
    all: u32,        // M
    vocabulary: u32, // V
    segment: u32,    // words of a segment; there are 256 at most
    count: u32,      // words to be drawn, 64 at most
    stream: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>; // [rows, V]; what may no longer be drawn is overwritten
@group(0) @binding(2) var<storage, read> excluded: array<u32>;     // [M], anything where nothing is
@group(0) @binding(3) var<storage, read_write> out: array<u32>;    // [M, count]

const LEAST: f32 = -3.4e38;

var<workgroup> sums: array<f32, 256>;
var<workgroup> lane_most: array<f32, 64>;

// e^x for x <= 0. Some drivers return nonsense far below -87; what is not a number must stay that.
fn exponential(x: f32) -> f32 {
    return select(exp(x), 0.0, x < -87.0);
}

// The word that the part of the sum falls into; where rounding leaves none, the last that could be drawn.
fn find(row: u32, number: f32, most: f32) -> u32 {
    let segments = (arguments.vocabulary + arguments.segment - 1u) / arguments.segment;
    var total = 0.0;
    for (var s = 0u; s < segments; s++) {
        total += sums[s];
    }
    let goal = number * total;
    var so_far = 0.0;
    var found = 0u;
    for (var s = 0u; s < segments; s++) {
        let sum = sums[s];
        if sum > 0.0 {
            found = s;
        }
        if goal < so_far + sum {
            break;
        }
        so_far += sum;
    }
    let first = found * arguments.segment;
    let end = min(first + arguments.segment, arguments.vocabulary);
    var word = first;
    if goal >= so_far {
        for (var w = first; w < end; w++) {
            let weight = exponential(logits[row * arguments.vocabulary + w] - most);
            if weight > 0.0 {
                word = w;
            }
            so_far += weight;
            if goal < so_far {
                break;
            }
        }
    }
    return word;
}

fn number(row: u32, j: u32) -> f32 {
    let place = (step.part * arguments.all + arguments.first + row) * arguments.count + j;
    return uniform01(draw(arguments.stream, place));
}

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
    let start = row * arguments.vocabulary;
    if excludes && local == 0u {
        let never = excluded[arguments.first + row];
        if never < arguments.vocabulary {
            logits[start + never] = LEAST;
        }
    }
    storageBarrier();
    let turns = select(arguments.count, 1u, repeats);
    for (var turn = 0u; turn < turns; turn++) {
        var most = LEAST;
        for (var w = local; w < arguments.vocabulary; w += 64u) {
            most = max(most, logits[start + w]);
        }
        lane_most[local] = most;
        workgroupBarrier();
        most = lane_most[0];
        for (var i = 1u; i < 64u; i++) {
            most = max(most, lane_most[i]);
        }
        for (var s = local; s * arguments.segment < arguments.vocabulary; s += 64u) {
            var sum = 0.0;
            let end = min((s + 1u) * arguments.segment, arguments.vocabulary);
            for (var w = s * arguments.segment; w < end; w++) {
                sum += exponential(logits[start + w] - most);
            }
            sums[s] = sum;
        }
        workgroupBarrier();
        // With repeats every draw is an invocation's own; without, each must know of those before.
        let draws = select(local == 0u, local < arguments.count, repeats);
        if draws {
            let j = select(turn, local, repeats);
            let word = find(row, number(row, j), most);
            out[(arguments.first + row) * arguments.count + j] = word;
            if !repeats {
                logits[start + word] = LEAST;
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
}
