//! shared: step, random, attention, attention_scalar, attention_visible, attention_backward
//! elements: Qkv, Out, Dout, Dqkv
// The queries' part of attention's gradient, and D = rowsum(dO * O) for the keys' part: a workgroup owns 32 queries of
// one head and goes over the keys 32 at a time, computing the probabilities again from the log-sum-exp.
// Twin: ops/attention_backward.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv>;         // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> visible: array<u32>;     // lengths [B], or ranks and bounds [B, 2, L]
@group(0) @binding(3) var<storage, read> out: array<Out>;         // [B, L, H]
@group(0) @binding(4) var<storage, read> lse: array<f32>;         // [B, heads, L]
@group(0) @binding(5) var<storage, read> dout: array<Dout>;        // [B, L, H]
@group(0) @binding(6) var<storage, read_write> dqkv: array<Dqkv>;  // [B, L, 3 H]; the queries' part is written
@group(0) @binding(7) var<storage, read_write> means: array<f32>; // [B, heads, L]: D

var<workgroup> rows: array<vec4<f32>, 256>; // queries, then the output's gradient
var<workgroup> keys: array<vec4<f32>, 256>; // then values
var<workgroup> weights: array<vec4<f32>, 256>; // gradients of scores
var<workgroup> lane_sums: array<f32, 256>; // [32 rows, 8 invocations]

fn row_sum(row: u32) -> f32 {
    var sum = lane_sums[row * 8u];
    for (var i = 1u; i < 8u; i++) {
        sum += lane_sums[row * 8u + i];
    }
    return sum;
}

// Products of this invocation's two rows with its four keys, added to those before.
fn add_products(row: u32, column: u32, before: mat2x4<f32>) -> mat2x4<f32> {
    var s0 = before[0];
    var s1 = before[1];
    for (var k = 0u; k < 8u; k++) {
        let q0 = rows[place(row, k)];
        let q1 = rows[place(row + 1u, k)];
        let k0 = keys[place(4u * column, k)];
        let k1 = keys[place(4u * column + 1u, k)];
        let k2 = keys[place(4u * column + 2u, k)];
        let k3 = keys[place(4u * column + 3u, k)];
        s0 += vec4<f32>(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3));
        s1 += vec4<f32>(dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
    }
    return mat2x4<f32>(s0, s1);
}

// The product of two rows of weights with a tile of keys, added to that before.
fn add_keys(row: u32, column: u32, before: mat2x4<f32>) -> mat2x4<f32> {
    var sum0 = before[0];
    var sum1 = before[1];
    for (var j = 0u; j < 8u; j++) {
        let w0 = weights[place(row, j)];
        let w1 = weights[place(row + 1u, j)];
        let k0 = keys[place(4u * j, column)];
        let k1 = keys[place(4u * j + 1u, column)];
        let k2 = keys[place(4u * j + 2u, column)];
        let k3 = keys[place(4u * j + 3u, column)];
        sum0 += w0.x * k0 + w0.y * k1 + w0.z * k2 + w0.w * k3;
        sum1 += w1.x * k0 + w1.y * k1 + w1.z * k2 + w1.w * k3;
    }
    return mat2x4<f32>(sum0, sum1);
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
    let query = block.row + row;
    let has0 = query < length;
    let has1 = query + 1u < length;
    // The rows of a tile that this invocation loads: 16 rows at a time.
    let load = local / 8u;

    var lse0 = 0.0;
    var lse1 = 0.0;
    var sum0 = 0.0;
    var sum1 = 0.0;
    if has0 {
        lse0 = lse[head.rows + query];
        for (var c = column; c < width; c += 8u) {
            let at = head.out + query * head.hidden + c;
            sum0 += f32(out[at]) * f32(dout[at]);
        }
    }
    if has1 {
        lse1 = lse[head.rows + query + 1u];
        for (var c = column; c < width; c += 8u) {
            let at = head.out + (query + 1u) * head.hidden + c;
            sum1 += f32(out[at]) * f32(dout[at]);
        }
    }
    lane_sums[row * 8u + column] = sum0;
    lane_sums[row * 8u + 8u + column] = sum1;
    workgroupBarrier();
    let mean0 = row_sum(row);
    let mean1 = row_sum(row + 1u);
    if block.column == 0u && column == 0u {
        if has0 {
            means[head.rows + query] = mean0;
        }
        if has1 {
            means[head.rows + query + 1u] = mean1;
        }
    }

    var low = mat2x4<f32>(); // columns 0..32 of the slice
    var high = mat2x4<f32>(); // columns 32..64
    for (var first = 0u; first < valid; first += TILE) {
        var s = mat2x4<f32>();
        var dp = mat2x4<f32>();
        for (var c = 0u; c < width; c += TILE) {
            let from_column = c + 4u * column;
            rows[place(load, column)] = read_qkv(head.queries, block.row + load, length, from_column);
            rows[place(load + 16u, column)] = read_qkv(head.queries, block.row + load + 16u, length, from_column);
            keys[place(load, column)] = read_qkv(head.keys, first + load, valid, from_column);
            keys[place(load + 16u, column)] = read_qkv(head.keys, first + load + 16u, valid, from_column);
            workgroupBarrier();
            s = add_products(row, column, s);
            workgroupBarrier();
            rows[place(load, column)] = read_dout(head.out, block.row + load, length, from_column);
            rows[place(load + 16u, column)] = read_dout(head.out, block.row + load + 16u, length, from_column);
            keys[place(load, column)] = read_qkv(head.values, first + load, valid, from_column);
            keys[place(load + 16u, column)] = read_qkv(head.values, first + load + 16u, valid, from_column);
            workgroupBarrier();
            dp = add_products(row, column, dp);
            workgroupBarrier();
        }
        let key = first + 4u * column;
        let sees0 = sees4(head.example, query, key);
        let sees1 = sees4(head.example, query + 1u, key);
        let p0 = select(vec4<f32>(0.0), exp4(s[0] * arguments.scale - lse0), sees0);
        let p1 = select(vec4<f32>(0.0), exp4(s[1] * arguments.scale - lse1), sees1);
        let element = (head.rows + query) * length + key;
        weights[place(row, column)] = p0 * (dp[0] * dropout4(element) - mean0);
        weights[place(row + 1u, column)] = p1 * (dp[1] * dropout4(element + length) - mean1);

        let to_column = block.column + 4u * column;
        keys[place(load, column)] = read_qkv(head.keys, first + load, valid, to_column);
        keys[place(load + 16u, column)] = read_qkv(head.keys, first + load + 16u, valid, to_column);
        workgroupBarrier();
        low = add_keys(row, column, low);
        workgroupBarrier();
        if wide {
            keys[place(load, column)] = read_qkv(head.keys, first + load, valid, to_column + TILE);
            keys[place(load + 16u, column)] = read_qkv(head.keys, first + load + 16u, valid, to_column + TILE);
            workgroupBarrier();
            high = add_keys(row, column, high);
            workgroupBarrier();
        }
    }

    for (var i = 0u; i < 2u; i++) {
        if query + i >= length {
            continue;
        }
        let start = head.queries + (query + i) * head.stride;
        let to_column = block.column + 4u * column;
        write_row(start, to_column, select(low[0], low[1], i == 1u) * arguments.scale);
        if wide {
            write_row(start, to_column + TILE, select(high[0], high[1], i == 1u) * arguments.scale);
        }
    }
}
