// What the attention kernels for heads of any width have in common; each of them declares `qkv`, of elements Qkv. Needs
// shared/attention.wgsl before it.
//
// A workgroup of 128 invocations works on tiles of 32 x 32 numbers, each kept as [32 rows, 8 vec4] in workgroup memory.
// Of a tile of scores, invocation (local / 8, local % 8) owns two rows (queries) and four neighbouring columns (keys),
// so that one draw of four random numbers serves a row. A workgroup writes at most 64 columns of a head: a wider head
// is cut into slices whose workgroups compute the same scores.

const TILE: u32 = 32u;
const SLICE: u32 = 64u;

// What a workgroup owns.
struct Block {
    head: Head,
    row: u32,    // first of its 32 rows of the example
    column: u32, // first of its columns of the head
}

// Neighbouring workgroups share an example and a head, and so what they read.
fn find_block(group: u32) -> Block {
    let tiles = (arguments.length + TILE - 1u) / TILE;
    let slices = (arguments.width + SLICE - 1u) / SLICE;
    let pair = group / (tiles * slices);
    let rest = group % (tiles * slices);
    return Block(find_head(pair, arguments.width), (rest % tiles) * TILE, (rest / tiles) * SLICE);
}

// Where vec4 `column` of a tile's row lies. The exclusive or spreads the rows that invocations read at once over the
// banks of workgroup memory.
fn place(row: u32, column: u32) -> u32 {
    return row * 8u + (column ^ (((row >> 1u) ^ (row >> 2u)) & 7u));
}

// Four columns of row `row` of what starts at `start`; 0 beyond the head's width and for rows from `count` on.
fn read_qkv(start: u32, row: u32, count: u32, column: u32) -> vec4<f32> {
    var x = vec4<f32>(0.0);
    if row >= count {
        return x;
    }
    let at = start + row * 3u * arguments.heads * arguments.width + column;
    if column + 4u <= arguments.width {
        return vec4<f32>(f32(qkv[at]), f32(qkv[at + 1u]), f32(qkv[at + 2u]), f32(qkv[at + 3u]));
    }
    if column < arguments.width {
        x.x = f32(qkv[at]);
    }
    if column + 1u < arguments.width {
        x.y = f32(qkv[at + 1u]);
    }
    if column + 2u < arguments.width {
        x.z = f32(qkv[at + 2u]);
    }
    return x;
}
