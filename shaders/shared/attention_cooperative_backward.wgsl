// Attention's gradient with cooperative matrices, in the order of attention_backward_tiles.wgsl: a workgroup owns a head
// and goes over its keys and, for each 64 of them, over the queries 64 at a time. Needs shared/attention_cooperative.wgsl.
// Twin: ops/attention_backward.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv>;             // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> lengths: array<u32>;         // [B]
@group(0) @binding(3) var<storage, read> out: array<Out4>;            // [B, L, H]
@group(0) @binding(4) var<storage, read> lse: array<f32>;             // [B, heads, L]
@group(0) @binding(5) var<storage, read> dout: array<Qkv>;            // [B, L, H]
@group(0) @binding(6) var<storage, read_write> dqkv: array<Dqkv4>;    // [B, L, 3 H]
@group(0) @binding(7) var<storage, read_write> partial: array<vec4f>; // [B, L, H] where keys are more than one tile

// scores = gradients of the output times values^T: of the probabilities after dropout.
fn multiply_gradients(subgroup: u32, subgroups: u32, head: Head, first_query: u32, first_key: u32) {
    let width = arguments.width;
    let a_stride = head.hidden;
    let stride = head.stride;
    let to_stride = SCORE_STRIDE;
    let size = SIZE;
    for (var unit = subgroup; unit < UNITS; unit += subgroups) {
        let row = first_row(unit);
        let column = first_column(unit);
        let a_start = head.out + within(first_query + row) * a_stride;
        let low_start = head.values + within(first_key + column) * stride;
        let high_start = head.values + within(first_key + column + SIZE) * stride;
        var low = coopLoadT<MatrixC>(&zeros[0], size);
        var high = coopLoadT<MatrixC>(&zeros[0], size);
        for (var k = 0u; k < width; k += SIZE) {
            let a_at = a_start + k;
            let low_at = low_start + k;
            let high_at = high_start + k;
            let a = coopLoadT<MatrixA>(&dout[a_at], a_stride);
            let b_low = coopLoad<MatrixB>(&qkv[low_at], stride);
            low = coopMultiplyAdd(a, b_low, low);
            let b_high = coopLoad<MatrixB>(&qkv[high_at], stride);
            high = coopMultiplyAdd(a, b_high, high);
        }
        let to = row * SCORE_STRIDE + column;
        let next = to + SIZE;
        coopStoreT(low, &scores[to], to_stride);
        coopStoreT(high, &scores[next], to_stride);
    }
}

// scores = the first `count` rows of the weights, transposed, times as many rows of the output's gradient.
fn multiply_transposed_gradients(subgroup: u32, subgroups: u32, start: u32, stride: u32, count: u32) {
    let from_stride = WEIGHT_STRIDE;
    let to_stride = SCORE_STRIDE;
    let size = SIZE;
    for (var unit = subgroup; unit < UNITS; unit += subgroups) {
        let row = first_row(unit);
        let column = first_column(unit);
        let low_start = start + within_width(column);
        let high_start = start + within_width(column + SIZE);
        var low = coopLoadT<MatrixC>(&zeros[0], size);
        var high = coopLoadT<MatrixC>(&zeros[0], size);
        for (var k = 0u; k < count; k += SIZE) {
            let a_at = k * WEIGHT_STRIDE + row;
            let low_at = low_start + k * stride;
            let high_at = high_start + k * stride;
            let a = coopLoad<MatrixA>(&weights[a_at], from_stride);
            let b_low = coopLoadT<MatrixB>(&dout[low_at], stride);
            low = coopMultiplyAdd(a, b_low, low);
            let b_high = coopLoadT<MatrixB>(&dout[high_at], stride);
            high = coopMultiplyAdd(a, b_high, high);
        }
        let to = row * SCORE_STRIDE + column;
        let next = to + SIZE;
        coopStoreT(low, &scores[to], to_stride);
        coopStoreT(high, &scores[next], to_stride);
    }
}

// The same of rows of qkv.
fn multiply_transposed(subgroup: u32, subgroups: u32, start: u32, stride: u32, count: u32) {
    let from_stride = WEIGHT_STRIDE;
    let to_stride = SCORE_STRIDE;
    let size = SIZE;
    for (var unit = subgroup; unit < UNITS; unit += subgroups) {
        let row = first_row(unit);
        let column = first_column(unit);
        let low_start = start + within_width(column);
        let high_start = start + within_width(column + SIZE);
        var low = coopLoadT<MatrixC>(&zeros[0], size);
        var high = coopLoadT<MatrixC>(&zeros[0], size);
        for (var k = 0u; k < count; k += SIZE) {
            let a_at = k * WEIGHT_STRIDE + row;
            let low_at = low_start + k * stride;
            let high_at = high_start + k * stride;
            let a = coopLoad<MatrixA>(&weights[a_at], from_stride);
            let b_low = coopLoadT<MatrixB>(&qkv[low_at], stride);
            low = coopMultiplyAdd(a, b_low, low);
            let b_high = coopLoadT<MatrixB>(&qkv[high_at], stride);
            high = coopMultiplyAdd(a, b_high, high);
        }
        let to = row * SCORE_STRIDE + column;
        let next = to + SIZE;
        coopStoreT(low, &scores[to], to_stride);
        coopStoreT(high, &scores[next], to_stride);
    }
}

// The share of four columns in rowsum(dO * O); `at` is the first.
fn mean_part(at: u32) -> f32 {
    let d = vec4f(f32(dout[at]), f32(dout[at + 1u]), f32(dout[at + 2u]), f32(dout[at + 3u]));
    return dot(d, vec4f(out[at / 4u]));
}

fn mean_share(head: Head, query: u32, column: u32) -> f32 {
    var sum = 0.0;
    if query < arguments.length && column < arguments.width {
        let at = head.out + query * head.hidden + column;
        sum = mean_part(at) + mean_part(at + 4u);
        if column + 8u < arguments.width {
            sum += mean_part(at + 8u) + mean_part(at + 12u);
        }
    }
    return sum;
}

// Writes 16 columns of row `row` of what starts at `start`, as far as there are.
fn write_row(head: Head, start: u32, row: u32, column: u32, x: mat4x4f) {
    if row >= arguments.length || column >= arguments.width {
        return;
    }
    let at = (start + row * head.stride + column) / 4u;
    dqkv[at] = Dqkv4(x[0]);
    dqkv[at + 1u] = Dqkv4(x[1]);
    if column + 8u < arguments.width {
        dqkv[at + 2u] = Dqkv4(x[2]);
        dqkv[at + 3u] = Dqkv4(x[3]);
    }
}

// Adds a tile of keys' share of a query's gradient to those of the tiles before, and writes the sum in the end.
fn write_query(head: Head, row: u32, column: u32, x: mat4x4f, first: bool, last: bool) {
    if row >= arguments.length || column >= arguments.width {
        return;
    }
    let at = (head.out + row * head.hidden + column) / 4u;
    let more = column + 8u < arguments.width;
    var sum = x;
    if !first {
        sum[0] += partial[at];
        sum[1] += partial[at + 1u];
        if more {
            sum[2] += partial[at + 2u];
            sum[3] += partial[at + 3u];
        }
    }
    if last {
        write_row(head, head.queries, row, column, sum * arguments.scale);
        return;
    }
    partial[at] = sum[0];
    partial[at + 1u] = sum[1];
    if more {
        partial[at + 2u] = sum[2];
        partial[at + 3u] = sum[3];
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let group = workgroup.y * workgroups.x + workgroup.x;
    if group >= arguments.groups {
        return;
    }
    let length = arguments.length;
    let head = find_head(group, arguments.width);
    let valid = min(lengths[head.example], length);
    let row = local % 64u;
    let column = local / 64u * 16u;

    clear(local);
    workgroupBarrier();
    for (var first_key = 0u; first_key < valid; first_key += TILE) {
        let key = first_key + column;
        let keys = min(TILE, valid - first_key);
        var dkeys = mat4x4f(); // of key first_key + row
        var dvalues = mat4x4f();
        for (var first_query = 0u; first_query < length; first_query += TILE) {
            let query = first_query + row;
            let queries = min(TILE, length - first_query);
            multiply_keys(subgroup, subgroups, head, first_query, first_key);
            shares[local] = mean_share(head, query, column);
            workgroupBarrier();
            let mean = (shares[row] + shares[row + 64u]) + (shares[row + 128u] + shares[row + 192u]);
            // No key counts for a row beyond the example.
            let count = select(0u, valid, query < length);
            var size = 0.0;
            if query < length {
                size = lse[head.rows + query];
            }
            let p = probabilities(read_scores(local) * arguments.scale, size, key, count);
            let factors = dropout16((head.rows + query) * length + key);
            write_weights(local, each_times(p, factors));
            workgroupBarrier();
            multiply_gradients(subgroup, subgroups, head, first_query, first_key);
            workgroupBarrier();
            let dp = each_times(read_scores(local), factors);
            let means = vec4f(mean);
            let ds = each_times(p, mat4x4f(dp[0] - means, dp[1] - means, dp[2] - means, dp[3] - means));
            workgroupBarrier();
            let dout_start = head.out + first_query * head.hidden;
            multiply_transposed_gradients(subgroup, subgroups, dout_start, head.hidden, queries);
            workgroupBarrier();
            dvalues += read_scores(local);
            write_weights(local, ds);
            workgroupBarrier();
            let query_start = head.queries + first_query * head.stride;
            multiply_transposed(subgroup, subgroups, query_start, head.stride, queries);
            workgroupBarrier();
            dkeys += read_scores(local);
            workgroupBarrier();
            multiply_weights(subgroup, subgroups, head.keys + first_key * head.stride, head.stride, keys);
            workgroupBarrier();
            write_query(head, query, column, read_scores(local), first_key == 0u, first_key + TILE >= valid);
            workgroupBarrier();
        }
        write_row(head, head.keys, first_key + row, column, dkeys * arguments.scale);
        write_row(head, head.values, first_key + row, column, dvalues);
    }

    // Keys beyond the example's end have no gradient; of an example of length 0, queries have none either.
    for (var first = (valid + TILE - 1u) / TILE * TILE; first < length; first += TILE) {
        write_row(head, head.keys, first + row, column, mat4x4f());
        write_row(head, head.values, first + row, column, mat4x4f());
        if valid == 0u {
            write_row(head, head.queries, first + row, column, mat4x4f());
        }
    }
}
