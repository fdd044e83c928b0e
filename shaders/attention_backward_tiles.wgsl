//! shared: step, random, attention, attention_tiles
//! elements: Qkv, Out, Dout, Dqkv
// Attention's gradient, for GPUs: a workgroup owns a head and goes over its keys and, for each 64 of them, over the
// queries 64 at a time, so that the probabilities are computed once for all three parts. The gradients of keys and
// values add up in registers; those of queries in `partial`, tile of keys by tile of keys, each number by one and the
// same invocation. Twin: ops/attention_backward.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv4>;           // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> lengths: array<u32>;        // [B]
@group(0) @binding(3) var<storage, read> out: array<Out4>;           // [B, L, H]
@group(0) @binding(4) var<storage, read> lse: array<f32>;            // [B, heads, L]
@group(0) @binding(5) var<storage, read> dout: array<Dout4>;         // [B, L, H]
@group(0) @binding(6) var<storage, read_write> dqkv: array<Dqkv4>;   // [B, L, 3 H]
@group(0) @binding(7) var<storage, read_write> partial: array<vec4f>; // [B, L, H] where keys are more than one tile

// As `read_qkv` of the output's gradient.
fn read_dout(head: Head, row: u32, column: u32) -> vec4f {
    if row < arguments.length && column < head.columns {
        return vec4f(dout[head.out + row * head.hidden + column]);
    }
    return vec4f();
}

// The share of this invocation's column in rowsum(dO * O).
fn mean_part(head: Head, row: u32, column: u32) -> f32 {
    if row < arguments.length && column < head.columns {
        let at = head.out + row * head.hidden + column;
        return dot(vec4f(out[at]), vec4f(dout[at]));
    }
    return 0.0;
}

fn read_lse(head: Head, row: u32) -> f32 {
    if row < arguments.length {
        return lse[head.rows + row];
    }
    return 0.0;
}

// Puts this invocation's block of weights into the pool as lines, if its queries are in the half.
fn store_lines(local: u32, half: u32, block: mat4x4f) {
    let row = local / 16u * 4u;
    if row / HALF == half {
        let at = row % HALF * 16u + local % 16u;
        pool[at] = block[0];
        pool[at + 16u] = block[1];
        pool[at + 32u] = block[2];
        pool[at + 48u] = block[3];
    }
}

// Four columns (keys) of weights, kept as lines, times 32 lines, added to those before: a row a key.
fn add_transposed(local: u32, before: mat4x4f) -> mat4x4f {
    let first = local / 16u;
    let second = SECOND + local % 16u;
    var o0 = before[0];
    var o1 = before[1];
    var o2 = before[2];
    var o3 = before[3];
    for (var k = 0u; k < HALF; k++) {
        let w = pool[first + k * 16u];
        let x = pool[second + k * 16u];
        o0 += w.x * x;
        o1 += w.y * x;
        o2 += w.z * x;
        o3 += w.w * x;
    }
    return mat4x4f(o0, o1, o2, o3);
}

fn write_row(head: Head, start: u32, row: u32, column: u32, x: vec4f) {
    if row < arguments.length && column < head.columns {
        dqkv[start + row * head.stride + column] = Dqkv4(x);
    }
}

fn write_block(head: Head, start: u32, row: u32, column: u32, x: mat4x4f) {
    write_row(head, start, row, column, x[0]);
    write_row(head, start, row + 1u, column, x[1]);
    write_row(head, start, row + 2u, column, x[2]);
    write_row(head, start, row + 3u, column, x[3]);
}

// Adds a tile of keys' share of a query's gradient to those of the tiles before, and writes the sum in the end.
fn write_query(head: Head, row: u32, column: u32, x: vec4f, first: bool, last: bool) {
    if row >= arguments.length || column >= head.columns {
        return;
    }
    let at = head.out + row * head.hidden + column;
    var sum = x;
    if !first {
        sum += partial[at];
    }
    if last {
        dqkv[head.queries + row * head.stride + column] = Dqkv4(sum * arguments.scale);
    } else {
        partial[at] = sum;
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    if group >= arguments.groups {
        return;
    }
    let length = arguments.length;
    let head = find_head(group, arguments.width / 4u);
    let valid = min(lengths[head.example], length);
    let column = local % 16u;
    let row = local / 16u * 4u;

    for (var first_key = 0u; first_key < valid; first_key += TILE) {
        let key = first_key + 4u * column;
        let counts = vec4<u32>(key, key + 1u, key + 2u, key + 3u) < vec4<u32>(valid);
        var dkeys = mat4x4f(); // of keys first_key + row ..
        var dvalues = mat4x4f();
        for (var first_query = 0u; first_query < length; first_query += TILE) {
            let query = first_query + row;
            let means = sum_rows(local, vec4f(
                mean_part(head, query, column),
                mean_part(head, query + 1u, column),
                mean_part(head, query + 2u, column),
                mean_part(head, query + 3u, column),
            ));
            workgroupBarrier();
            var s = mat4x4f();
            var dp = mat4x4f();
            for (var c = 0u; c < head.columns; c += 8u) {
                load_rows(0u, local, head, head.queries, first_query, length, c);
                load_rows(SECOND, local, head, head.keys, first_key, valid, c);
                workgroupBarrier();
                s = add_products(local, s);
                workgroupBarrier();
                let line = local / 8u;
                let lane = local % 8u;
                pool[place(line, lane)] = read_dout(head, first_query + line, c + lane);
                pool[place(line + 32u, lane)] = read_dout(head, first_query + line + 32u, c + lane);
                load_rows(SECOND, local, head, head.values, first_key, valid, c);
                workgroupBarrier();
                dp = add_products(local, dp);
                workgroupBarrier();
            }
            let scale = arguments.scale;
            let p0 = select(vec4f(), exp4(s[0] * scale - read_lse(head, query)), counts);
            let p1 = select(vec4f(), exp4(s[1] * scale - read_lse(head, query + 1u)), counts);
            let p2 = select(vec4f(), exp4(s[2] * scale - read_lse(head, query + 2u)), counts);
            let p3 = select(vec4f(), exp4(s[3] * scale - read_lse(head, query + 3u)), counts);
            let element = (head.rows + query) * length + key;
            let f0 = dropout4(element);
            let f1 = dropout4(element + length);
            let f2 = dropout4(element + 2u * length);
            let f3 = dropout4(element + 3u * length);
            let kept = mat4x4f(p0 * f0, p1 * f1, p2 * f2, p3 * f3);
            let ds = mat4x4f(
                p0 * (dp[0] * f0 - means.x),
                p1 * (dp[1] * f1 - means.y),
                p2 * (dp[2] * f2 - means.z),
                p3 * (dp[3] * f3 - means.w),
            );

            let queries = min(TILE, length - first_query);
            for (var half = 0u; half * HALF < queries; half++) {
                let line = first_query + half * HALF + local / 16u;
                store_lines(local, half, kept);
                pool[SECOND + local] = read_dout(head, line, column);
                pool[SECOND + 256u + local] = read_dout(head, line + 16u, column);
                workgroupBarrier();
                dvalues = add_transposed(local, dvalues);
                workgroupBarrier();
                store_lines(local, half, ds);
                load_lines(local, head, head.queries, first_query + half * HALF, length);
                workgroupBarrier();
                dkeys = add_transposed(local, dkeys);
                workgroupBarrier();
            }
            var dqueries = mat4x4f();
            let keys = min(TILE, valid - first_key);
            for (var half = 0u; half * HALF < keys; half++) {
                store_rows(local, half, ds);
                load_lines(local, head, head.keys, first_key + half * HALF, valid);
                workgroupBarrier();
                dqueries = add_values(local, dqueries);
                workgroupBarrier();
            }
            let last = first_key + TILE >= valid;
            write_query(head, query, column, dqueries[0], first_key == 0u, last);
            write_query(head, query + 1u, column, dqueries[1], first_key == 0u, last);
            write_query(head, query + 2u, column, dqueries[2], first_key == 0u, last);
            write_query(head, query + 3u, column, dqueries[3], first_key == 0u, last);
        }
        write_block(head, head.keys, first_key + row, column, dkeys * arguments.scale);
        write_block(head, head.values, first_key + row, column, dvalues);
    }

    // Keys beyond the example's end have no gradient; of an example of length 0, queries have none either.
    for (var first = (valid + TILE - 1u) / TILE * TILE; first < length; first += TILE) {
        write_block(head, head.keys, first + row, column, mat4x4f());
        write_block(head, head.values, first + row, column, mat4x4f());
        if valid == 0u {
            write_block(head, head.queries, first + row, column, mat4x4f());
        }
    }
}
