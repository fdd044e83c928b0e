//! shared: step, random, logarithm, attention, attention_scalar, attention_visible
//! elements: Qkv, Out
// Multi-head self-attention in the form of FlashAttention (arXiv 2205.14135): a workgroup owns 32 queries of one head
// and goes over the keys 32 at a time with a running maximum and sum. Twin: ops/attention.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv>;       // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> visible: array<u32>;   // lengths [B], or ranks and bounds [B, 2, L]
@group(0) @binding(3) var<storage, read_write> out: array<Out>; // [B, L, H]
@group(0) @binding(4) var<storage, read_write> lse: array<f32>; // [B, heads, L]

var<workgroup> queries: array<vec4<f32>, 256>;
var<workgroup> keys: array<vec4<f32>, 256>; // then values
var<workgroup> weights: array<vec4<f32>, 256>;
var<workgroup> lane_sums: array<f32, 256>; // [32 rows, 8 invocations]

fn write_row(start: u32, column: u32, x: vec4<f32>) {
    let at = start + column;
    if column < arguments.width {
        out[at] = Out(x.x);
    }
    if column + 1u < arguments.width {
        out[at + 1u] = Out(x.y);
    }
    if column + 2u < arguments.width {
        out[at + 2u] = Out(x.z);
    }
    if column + 3u < arguments.width {
        out[at + 3u] = Out(x.w);
    }
}

fn row_maximum(row: u32) -> f32 {
    var most = lane_sums[row * 8u];
    for (var i = 1u; i < 8u; i++) {
        most = max(most, lane_sums[row * 8u + i]);
    }
    return most;
}

fn row_sum(row: u32) -> f32 {
    var sum = lane_sums[row * 8u];
    for (var i = 1u; i < 8u; i++) {
        sum += lane_sums[row * 8u + i];
    }
    return sum;
}

// The product of two rows of weights with a tile of values, added to `sums`.
fn add_values(row: u32, column: u32, before: mat2x4<f32>) -> mat2x4<f32> {
    var sum0 = before[0];
    var sum1 = before[1];
    for (var j = 0u; j < 8u; j++) {
        let w0 = weights[place(row, j)];
        let w1 = weights[place(row + 1u, j)];
        let v0 = keys[place(4u * j, column)];
        let v1 = keys[place(4u * j + 1u, column)];
        let v2 = keys[place(4u * j + 2u, column)];
        let v3 = keys[place(4u * j + 3u, column)];
        sum0 += w0.x * v0 + w0.y * v1 + w0.z * v2 + w0.w * v3;
        sum1 += w1.x * v0 + w1.y * v1 + w1.z * v2 + w1.w * v3;
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
    // The rows of a tile that this invocation loads: 16 rows at a time.
    let load = local / 8u;

    var most0 = -1e30;
    var most1 = -1e30;
    var total0 = 0.0; // of this invocation's columns
    var total1 = 0.0;
    var low = mat2x4<f32>(); // columns 0..32 of the slice
    var high = mat2x4<f32>(); // columns 32..64

    for (var first = 0u; first < valid; first += TILE) {
        var s0 = vec4<f32>(0.0);
        var s1 = vec4<f32>(0.0);
        for (var c = 0u; c < width; c += TILE) {
            let from_column = c + 4u * column;
            queries[place(load, column)] = read_qkv(head.queries, block.row + load, length, from_column);
            queries[place(load + 16u, column)] = read_qkv(head.queries, block.row + load + 16u, length, from_column);
            keys[place(load, column)] = read_qkv(head.keys, first + load, valid, from_column);
            keys[place(load + 16u, column)] = read_qkv(head.keys, first + load + 16u, valid, from_column);
            workgroupBarrier();
            for (var k = 0u; k < 8u; k++) {
                let q0 = queries[place(row, k)];
                let q1 = queries[place(row + 1u, k)];
                let k0 = keys[place(4u * column, k)];
                let k1 = keys[place(4u * column + 1u, k)];
                let k2 = keys[place(4u * column + 2u, k)];
                let k3 = keys[place(4u * column + 3u, k)];
                s0 += vec4<f32>(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3));
                s1 += vec4<f32>(dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
            }
            workgroupBarrier();
        }
        let key = first + 4u * column;
        let sees0 = sees4(head.example, block.row + row, key);
        let sees1 = sees4(head.example, block.row + row + 1u, key);
        s0 = select(vec4<f32>(-1e30), s0 * arguments.scale, sees0);
        s1 = select(vec4<f32>(-1e30), s1 * arguments.scale, sees1);
        lane_sums[row * 8u + column] = max(max(s0.x, s0.y), max(s0.z, s0.w));
        lane_sums[row * 8u + 8u + column] = max(max(s1.x, s1.y), max(s1.z, s1.w));
        workgroupBarrier();
        let now0 = max(most0, row_maximum(row));
        let now1 = max(most1, row_maximum(row + 1u));
        let before = exp4(vec4<f32>(most0 - now0, most1 - now1, 0.0, 0.0));
        most0 = now0;
        most1 = now1;
        let p0 = select(vec4<f32>(0.0), exp4(s0 - most0), sees0);
        let p1 = select(vec4<f32>(0.0), exp4(s1 - most1), sees1);
        total0 = total0 * before.x + (p0.x + p0.y + p0.z + p0.w);
        total1 = total1 * before.y + (p1.x + p1.y + p1.z + p1.w);
        let element = (head.rows + block.row + row) * length + key;
        weights[place(row, column)] = p0 * dropout4(element);
        weights[place(row + 1u, column)] = p1 * dropout4(element + length);
        low = mat2x4<f32>(low[0] * before.x, low[1] * before.y);
        high = mat2x4<f32>(high[0] * before.x, high[1] * before.y);

        let to_column = block.column + 4u * column;
        keys[place(load, column)] = read_qkv(head.values, first + load, valid, to_column);
        keys[place(load + 16u, column)] = read_qkv(head.values, first + load + 16u, valid, to_column);
        workgroupBarrier();
        low = add_values(row, column, low);
        workgroupBarrier();
        if wide {
            keys[place(load, column)] = read_qkv(head.values, first + load, valid, to_column + TILE);
            keys[place(load + 16u, column)] = read_qkv(head.values, first + load + 16u, valid, to_column + TILE);
            workgroupBarrier();
            high = add_values(row, column, high);
            workgroupBarrier();
        }
    }

    lane_sums[row * 8u + column] = total0;
    lane_sums[row * 8u + 8u + column] = total1;
    workgroupBarrier();
    for (var i = 0u; i < 2u; i++) {
        if block.row + row + i >= length {
            continue;
        }
        // What sees no key, as in an example of length 0, gives 0; what is not a number must stay that.
        let total = row_sum(row + i);
        let sees_none = valid == 0u || (ordered && total == 0.0);
        let factor = select(1.0 / total, 0.0, sees_none);
        let start = head.out + (block.row + row + i) * head.hidden;
        let to_column = block.column + 4u * column;
        write_row(start, to_column, select(low[0], low[1], i == 1u) * factor);
        if wide {
            write_row(start, to_column + TILE, select(high[0], high[1], i == 1u) * factor);
        }
        if block.column == 0u && column == 0u {
            lse[head.rows + block.row + row + i] = select(select(most0, most1, i == 1u) + logarithm(total), 0.0, sees_none);
        }
    }
}
