// What the attention kernels for GPUs have in common; each of them declares `qkv`, of vectors Qkv4. Needs
// shared/attention.wgsl before it. For heads of at most 64 columns, a multiple of 4.
//
// A workgroup of 256 invocations works on tiles of 64 x 64 numbers. Of a tile of scores, invocation
// (local / 16, local % 16) owns four rows (queries) and four neighbouring columns (keys) in its registers. Factors pass
// through workgroup memory, half a tile of either at a time, which is all that fits into 16 KiB:
// - as rows, [64 rows, 8 vec4 of columns], for products of rows with rows (scores) and of weights with values;
// - as lines, [32 rows, 16 vec4 of columns], for values, and for weights whose columns are wanted.
// A block of four rows of four numbers is a mat4x4f whose columns are those rows.

const TILE: u32 = 64u;
const HALF: u32 = 32u;

// The first factor at 0, the second at SECOND.
var<workgroup> pool: array<vec4f, 1024>;
const SECOND: u32 = 512u;

// Where vector `column` of a factor kept as rows lies. The exclusive or spreads rows 4, 8, 12, .. over the banks.
fn place(row: u32, column: u32) -> u32 {
    return row * 8u + (column ^ ((row >> 2u) & 7u));
}

// Vector `column` of row `row` of what starts at `start`; 0 beyond the head's width and for rows from `count` on.
fn read_qkv(head: Head, start: u32, row: u32, count: u32, column: u32) -> vec4f {
    if row < count && column < head.columns {
        return vec4f(qkv[start + row * head.stride + column]);
    }
    return vec4f();
}

// Puts 8 columns of 64 rows of qkv into the pool as rows.
fn load_rows(at: u32, local: u32, head: Head, start: u32, first: u32, count: u32, from_column: u32) {
    let row = local / 8u;
    let column = local % 8u;
    pool[at + place(row, column)] = read_qkv(head, start, first + row, count, from_column + column);
    pool[at + place(row + 32u, column)] = read_qkv(head, start, first + row + 32u, count, from_column + column);
}

// Puts 32 whole rows of qkv into the pool as lines, behind the first factor.
fn load_lines(local: u32, head: Head, start: u32, first: u32, count: u32) {
    let row = local / 16u;
    let column = local % 16u;
    pool[SECOND + local] = read_qkv(head, start, first + row, count, column);
    pool[SECOND + 256u + local] = read_qkv(head, start, first + row + 16u, count, column);
}

// Puts this invocation's block of weights into the pool as rows, if its keys are in the half.
fn store_rows(local: u32, half: u32, block: mat4x4f) {
    let column = local % 16u;
    if column / 8u == half {
        let row = local / 16u * 4u;
        let at = row * 8u + ((column & 7u) ^ ((row >> 2u) & 7u));
        pool[at] = block[0];
        pool[at + 8u] = block[1];
        pool[at + 16u] = block[2];
        pool[at + 24u] = block[3];
    }
}

// Products of this invocation's four rows of the first factor with four rows of the second, both kept as rows, added to
// those before.
fn add_products(local: u32, before: mat4x4f) -> mat4x4f {
    let row = local / 16u * 4u;
    let key = local % 16u * 4u;
    let first = row * 8u;
    let second = SECOND + key * 8u;
    // All four rows of a block have the same bits exclusive-ored.
    let first_bits = (row >> 2u) & 7u;
    let second_bits = (key >> 2u) & 7u;
    var s0 = before[0];
    var s1 = before[1];
    var s2 = before[2];
    var s3 = before[3];
    for (var k = 0u; k < 8u; k++) {
        let b = second + (k ^ second_bits);
        let b0 = pool[b];
        let b1 = pool[b + 8u];
        let b2 = pool[b + 16u];
        let b3 = pool[b + 24u];
        let a = first + (k ^ first_bits);
        let a0 = pool[a];
        s0 += vec4f(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
        let a1 = pool[a + 8u];
        s1 += vec4f(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
        let a2 = pool[a + 16u];
        s2 += vec4f(dot(a2, b0), dot(a2, b1), dot(a2, b2), dot(a2, b3));
        let a3 = pool[a + 24u];
        s3 += vec4f(dot(a3, b0), dot(a3, b1), dot(a3, b2), dot(a3, b3));
    }
    return mat4x4f(s0, s1, s2, s3);
}

// Four rows of weights, kept as rows, times 32 lines, added to those before: this invocation's vector of columns.
fn add_values(local: u32, before: mat4x4f) -> mat4x4f {
    let row = local / 16u * 4u;
    let first = row * 8u;
    let bits = (row >> 2u) & 7u;
    let second = SECOND + local % 16u;
    var o0 = before[0];
    var o1 = before[1];
    var o2 = before[2];
    var o3 = before[3];
    for (var k = 0u; k < 8u; k++) {
        let v = second + k * 64u;
        let v0 = pool[v];
        let v1 = pool[v + 16u];
        let v2 = pool[v + 32u];
        let v3 = pool[v + 48u];
        let a = first + (k ^ bits);
        let w0 = pool[a];
        o0 += w0.x * v0 + w0.y * v1 + w0.z * v2 + w0.w * v3;
        let w1 = pool[a + 8u];
        o1 += w1.x * v0 + w1.y * v1 + w1.z * v2 + w1.w * v3;
        let w2 = pool[a + 16u];
        o2 += w2.x * v0 + w2.y * v1 + w2.z * v2 + w2.w * v3;
        let w3 = pool[a + 24u];
        o3 += w3.x * v0 + w3.y * v1 + w3.z * v2 + w3.w * v3;
    }
    return mat4x4f(o0, o1, o2, o3);
}

// Sums over the 16 invocations that share four rows; a number a row. Leaves the pool in use.
fn sum_rows(local: u32, x: vec4f) -> vec4f {
    pool[local] = x;
    workgroupBarrier();
    let first = local / 16u * 16u;
    var sum = pool[first];
    for (var i = 1u; i < 16u; i++) {
        sum += pool[first + i];
    }
    return sum;
}
