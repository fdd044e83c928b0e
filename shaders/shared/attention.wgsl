// What the attention kernels have in common; each of them declares `qkv`. Needs shared/step.wgsl and
// shared/random.wgsl before it.
//
// A workgroup of 128 invocations works on tiles of 32 x 32 numbers, each kept as [32 rows, 8 vec4] in workgroup memory.
// Of a tile of scores, invocation (local / 8, local % 8) owns two rows (queries) and four neighbouring columns (keys),
// so that one draw of four random numbers serves a row. A workgroup writes at most 64 columns of a head: a wider head
// is cut into slices whose workgroups compute the same scores.

struct Arguments {
    groups: u32,    // workgroups that have work
    length: u32,    // L
    heads: u32,
    width: u32,     // of a head
    stream: u32,    // of dropout's random numbers
    threshold: u32, // a probability is dropped where its number is below; 0 without dropout
    keep: f32,      // 1 / (1 - probability of dropout)
    scale: f32,     // 1 / sqrt(width)
    count: u32,     // probabilities: B * heads * L * L, modulo 2^32
}

@group(0) @binding(0) var<uniform> arguments: Arguments;

const TILE: u32 = 32u;
const SLICE: u32 = 64u;

// What a workgroup owns.
struct Block {
    example: u32,
    head: u32,
    row: u32,    // first of its 32 rows of the example
    column: u32, // first of its columns of the head
}

// Neighbouring workgroups share an example and a head, and so what they read.
fn find_block(group: u32) -> Block {
    let tiles = (arguments.length + TILE - 1u) / TILE;
    let slices = (arguments.width + SLICE - 1u) / SLICE;
    let pair = group / (tiles * slices);
    let rest = group % (tiles * slices);
    return Block(pair / arguments.heads, pair % arguments.heads, (rest % tiles) * TILE, (rest / tiles) * SLICE);
}

// Where vec4 `column` of a tile's row lies. The exclusive or spreads the rows that invocations read at once over the
// banks of workgroup memory.
fn place(row: u32, column: u32) -> u32 {
    return row * 8u + (column ^ (((row >> 1u) ^ (row >> 2u)) & 7u));
}

// Factors that dropout gives four neighbouring probabilities, the first of them numbered `element`.
fn dropout4(element: u32) -> vec4<f32> {
    if arguments.threshold == 0u {
        return vec4<f32>(arguments.keep);
    }
    let bits = draw4_from(arguments.stream, step.part * arguments.count + element);
    return select(vec4<f32>(0.0), vec4<f32>(arguments.keep), bits >= vec4<u32>(arguments.threshold));
}

// Some drivers return nonsense far below -87, where e^x is as good as 0; what is not a number must stay that.
fn exp4(x: vec4<f32>) -> vec4<f32> {
    return select(exp(x), vec4<f32>(0.0), x < vec4<f32>(-87.0));
}

// Four columns of row `row` of what starts at `start`; 0 beyond the head's width and for rows from `count` on.
fn read_qkv(start: u32, row: u32, count: u32, column: u32) -> vec4<f32> {
    var x = vec4<f32>(0.0);
    if row >= count {
        return x;
    }
    let at = start + row * 3u * arguments.heads * arguments.width + column;
    if column + 4u <= arguments.width {
        return vec4<f32>(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
    }
    if column < arguments.width {
        x.x = qkv[at];
    }
    if column + 1u < arguments.width {
        x.y = qkv[at + 1u];
    }
    if column + 2u < arguments.width {
        x.z = qkv[at + 2u];
    }
    return x;
}
