//! shared: step, random, attention, attention_scalar, attention_visible, attention_backward
//! elements: Qkv, Dout, Dqkv
// The keys' and values' part of attention's gradient: a workgroup owns 32 keys of one head and goes over the queries 32
// at a time, computing the probabilities again from the log-sum-exp. Half of the invocations add up the values' part,
// the other half the keys'. Twin: ops/attention_backward.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv>;        // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> visible: array<u32>;    // lengths [B], or ranks and bounds [B, 2, L]
@group(0) @binding(3) var<storage, read> lse: array<f32>;        // [B, heads, L]
@group(0) @binding(4) var<storage, read> dout: array<Dout>;       // [B, L, H]
@group(0) @binding(5) var<storage, read> means: array<f32>;      // [B, heads, L]: rowsum(dO * O)
@group(0) @binding(6) var<storage, read_write> dqkv: array<Dqkv>; // [B, L, 3 H]; all but the queries' part is written

// Two tiles each: 16 KiB together, all that there is.
var<workgroup> tiles: array<vec4<f32>, 512>; // the output's gradient or queries
var<workgroup> weights: array<vec4<f32>, 512>; // probabilities after dropout; gradients of scores

// Products of two rows of the first tile with four rows of the second, added to those before.
fn add_products(row: u32, column: u32, before: mat2x4<f32>) -> mat2x4<f32> {
    var s0 = before[0];
    var s1 = before[1];
    for (var k = 0u; k < 8u; k++) {
        let q0 = tiles[place(row, k)];
        let q1 = tiles[place(row + 1u, k)];
        let k0 = tiles[256u + place(4u * column, k)];
        let k1 = tiles[256u + place(4u * column + 1u, k)];
        let k2 = tiles[256u + place(4u * column + 2u, k)];
        let k3 = tiles[256u + place(4u * column + 3u, k)];
        s0 += vec4<f32>(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3));
        s1 += vec4<f32>(dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
    }
    return mat2x4<f32>(s0, s1);
}

// Four keys' weights over the tile's queries times one of the tiles, added to that before. `base` is 0 for the values'
// part and 256 for the keys'.
fn add_rows(base: u32, keys: u32, column: u32, before: mat4x4<f32>) -> mat4x4<f32> {
    var sum0 = before[0];
    var sum1 = before[1];
    var sum2 = before[2];
    var sum3 = before[3];
    for (var i = 0u; i < TILE; i++) {
        let w = weights[base + place(i, keys)];
        let x = tiles[base + place(i, column)];
        sum0 += w.x * x;
        sum1 += w.y * x;
        sum2 += w.z * x;
        sum3 += w.w * x;
    }
    return mat4x4<f32>(sum0, sum1, sum2, sum3);
}

// Column `i` of a matrix; a computed index would put the matrix into scratch memory on some drivers.
fn column4(x: mat4x4<f32>, i: u32) -> vec4<f32> {
    return select(select(x[0], x[1], i == 1u), select(x[2], x[3], i == 3u), i >= 2u);
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    if group >= arguments.groups {
        return;
    }
    let block = find_block(group);
    let head = block.head;
    let length = arguments.length;
    let width = arguments.width;
    let valid = valid_keys(head.example);
    let wide = width > block.column + TILE;

    let column = local % 8u;
    let row = local / 8u * 2u;
    // The rows of a tile that this invocation loads: 16 rows at a time.
    let load = local / 8u;
    // What this invocation adds up: four keys, and the values' part (0) or the keys' (256).
    let keys = local / 8u % 8u;
    let base = local / 64u * 256u;
    let key = block.row + 4u * column;
    let to_column = block.column + 4u * column;

    var low = mat4x4<f32>(); // columns 0..32 of the slice
    var high = mat4x4<f32>(); // columns 32..64
    // Keys beyond the example's end have no gradient.
    let queries = select(0u, length, block.row < valid);
    for (var first = 0u; first < queries; first += TILE) {
        var s = mat2x4<f32>();
        var dp = mat2x4<f32>();
        for (var c = 0u; c < width; c += TILE) {
            let from_column = c + 4u * column;
            tiles[place(load, column)] = read_qkv(head.queries, first + load, length, from_column);
            tiles[place(load + 16u, column)] = read_qkv(head.queries, first + load + 16u, length, from_column);
            tiles[256u + place(load, column)] = read_qkv(head.keys, block.row + load, valid, from_column);
            tiles[256u + place(load + 16u, column)] = read_qkv(head.keys, block.row + load + 16u, valid, from_column);
            workgroupBarrier();
            s = add_products(row, column, s);
            workgroupBarrier();
            tiles[place(load, column)] = read_dout(head.out, first + load, length, from_column);
            tiles[place(load + 16u, column)] = read_dout(head.out, first + load + 16u, length, from_column);
            tiles[256u + place(load, column)] = read_qkv(head.values, block.row + load, valid, from_column);
            tiles[256u + place(load + 16u, column)] =
                read_qkv(head.values, block.row + load + 16u, valid, from_column);
            workgroupBarrier();
            dp = add_products(row, column, dp);
            workgroupBarrier();
        }
        for (var i = 0u; i < 2u; i++) {
            let query = first + row + i;
            var kept = vec4<f32>(0.0);
            var ds = vec4<f32>(0.0);
            if query < length {
                let scores = select(s[0], s[1], i == 1u) * arguments.scale;
                let p = select(vec4<f32>(0.0), exp4(scores - lse[head.rows + query]), sees4(head.example, query, key));
                let factor = dropout4((head.rows + query) * length + key);
                kept = p * factor;
                ds = p * (select(dp[0], dp[1], i == 1u) * factor - means[head.rows + query]);
            }
            weights[place(row + i, column)] = kept;
            weights[256u + place(row + i, column)] = ds;
        }
        tiles[place(load, column)] = read_dout(head.out, first + load, length, to_column);
        tiles[place(load + 16u, column)] = read_dout(head.out, first + load + 16u, length, to_column);
        tiles[256u + place(load, column)] = read_qkv(head.queries, first + load, length, to_column);
        tiles[256u + place(load + 16u, column)] = read_qkv(head.queries, first + load + 16u, length, to_column);
        workgroupBarrier();
        low = add_rows(base, keys, column, low);
        workgroupBarrier();
        if wide {
            let next = to_column + TILE;
            tiles[place(load, column)] = read_dout(head.out, first + load, length, next);
            tiles[place(load + 16u, column)] = read_dout(head.out, first + load + 16u, length, next);
            tiles[256u + place(load, column)] = read_qkv(head.queries, first + load, length, next);
            tiles[256u + place(load + 16u, column)] = read_qkv(head.queries, first + load + 16u, length, next);
            workgroupBarrier();
            high = add_rows(base, keys, column, high);
            workgroupBarrier();
        }
    }

    let to_start = select(head.values, head.keys, base > 0u);
    let scale = select(1.0, arguments.scale, base > 0u);
    for (var i = 0u; i < 4u; i++) {
        let at = block.row + 4u * keys + i;
        if at < length {
            let start = to_start + at * head.stride;
            write_row(start, to_column, column4(low, i) * scale);
            if wide {
                write_row(start, to_column + TILE, column4(high, i) * scale);
            }
        }
    }
}
