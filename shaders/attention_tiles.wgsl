//! shared: step, random, logarithm, attention, attention_tiles
//! elements: Qkv, Out
// As attention.wgsl, for GPUs: a workgroup owns 64 queries of one head and goes over the keys 64 at a time.
// Twin: ops/attention.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv4>;       // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> lengths: array<u32>;    // [B]
@group(0) @binding(3) var<storage, read_write> out: array<Out4>; // [B, L, H]
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;  // [B, heads, L]

fn maximum(x: vec4f) -> f32 {
    return max(max(x.x, x.y), max(x.z, x.w));
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
    let tiles = (length + TILE - 1u) / TILE;
    let head = find_head(group / tiles, arguments.width / 4u);
    let first_query = group % tiles * TILE;
    let valid = min(lengths[head.example], length);
    let column = local % 16u;
    let query = first_query + local / 16u * 4u;

    var most = vec4f(-1e30); // a number a row
    var total = vec4f(); // of this invocation's columns
    var sums = mat4x4f();
    for (var first = 0u; first < valid; first += TILE) {
        var s = mat4x4f();
        for (var c = 0u; c < head.columns; c += 8u) {
            load_rows(0u, local, head, head.queries, first_query, length, c);
            load_rows(SECOND, local, head, head.keys, first, valid, c);
            workgroupBarrier();
            s = add_products(local, s);
            workgroupBarrier();
        }
        let key = first + 4u * column;
        let counts = vec4<u32>(key, key + 1u, key + 2u, key + 3u) < vec4<u32>(valid);
        let s0 = select(vec4f(-1e30), s[0] * arguments.scale, counts);
        let s1 = select(vec4f(-1e30), s[1] * arguments.scale, counts);
        let s2 = select(vec4f(-1e30), s[2] * arguments.scale, counts);
        let s3 = select(vec4f(-1e30), s[3] * arguments.scale, counts);
        pool[local] = vec4f(maximum(s0), maximum(s1), maximum(s2), maximum(s3));
        load_lines(local, head, head.values, first, valid);
        workgroupBarrier();
        var now = most;
        for (var i = 0u; i < 16u; i++) {
            now = max(now, pool[local / 16u * 16u + i]);
        }
        let before = exp4(most - now);
        most = now;
        let p0 = select(vec4f(), exp4(s0 - now.x), counts);
        let p1 = select(vec4f(), exp4(s1 - now.y), counts);
        let p2 = select(vec4f(), exp4(s2 - now.z), counts);
        let p3 = select(vec4f(), exp4(s3 - now.w), counts);
        let ones = vec4f(1.0);
        total = total * before + vec4f(dot(p0, ones), dot(p1, ones), dot(p2, ones), dot(p3, ones));
        let element = (head.rows + query) * length + key;
        let weights = mat4x4f(
            p0 * dropout4(element),
            p1 * dropout4(element + length),
            p2 * dropout4(element + 2u * length),
            p3 * dropout4(element + 3u * length),
        );
        sums = mat4x4f(sums[0] * before.x, sums[1] * before.y, sums[2] * before.z, sums[3] * before.w);
        workgroupBarrier();
        store_rows(local, 0u, weights);
        workgroupBarrier();
        sums = add_values(local, sums);
        workgroupBarrier();
        if valid > first + HALF {
            store_rows(local, 1u, weights);
            load_lines(local, head, head.values, first + HALF, valid);
            workgroupBarrier();
            sums = add_values(local, sums);
            workgroupBarrier();
        }
    }

    total = sum_rows(local, total);
    // An example of length 0 gives 0.
    let factor = select(vec4f(), 1.0 / total, valid > 0u);
    let sizes = select(vec4f(), most + logarithm4(total), valid > 0u);
    write_row(head, query, column, sums[0] * factor.x, sizes.x);
    write_row(head, query + 1u, column, sums[1] * factor.y, sizes.y);
    write_row(head, query + 2u, column, sums[2] * factor.z, sizes.z);
    write_row(head, query + 3u, column, sums[3] * factor.w, sizes.w);
}

fn write_row(head: Head, query: u32, column: u32, x: vec4f, size: f32) {
    if query >= arguments.length {
        return;
    }
    if column < head.columns {
        out[head.out + query * head.hidden + column] = Out4(x);
    }
    if column == 0u {
        lse[head.rows + query] = size;
    }
}
