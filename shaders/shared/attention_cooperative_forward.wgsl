// As attention.wgsl with cooperative matrices: a workgroup owns 64 queries of one head and goes over the keys 64 at a
// time. Needs shared/attention_cooperative.wgsl. Twin: ops/attention.rs.

@group(0) @binding(1) var<storage, read> qkv: array<Qkv>;        // [B, L, 3 H]: queries, keys, values of all heads
@group(0) @binding(2) var<storage, read> lengths: array<u32>;    // [B]
@group(0) @binding(3) var<storage, read_write> out: array<Out4>; // [B, L, H]
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;  // [B, heads, L]

fn maximum(x: vec4f, counts: vec4<bool>) -> f32 {
    let y = select(vec4f(-1e30), x, counts);
    return max(max(y.x, y.y), max(y.z, y.w));
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
    let tiles = (length + TILE - 1u) / TILE;
    let head = find_head(group / tiles, arguments.width);
    let first_query = group % tiles * TILE;
    let valid = min(lengths[head.example], length);
    let row = local % 64u;
    let column = local / 64u * 16u;

    clear(local);
    workgroupBarrier();
    var most = -1e30;
    var total = 0.0; // of this invocation's columns
    var sums = mat4x4f();
    for (var first = 0u; first < valid; first += TILE) {
        multiply_keys(subgroup, subgroups, head, first_query, first);
        workgroupBarrier();
        let key = first + column;
        let s = read_scores(local) * arguments.scale;
        shares[local] = max(
            max(maximum(s[0], counting(key, valid)), maximum(s[1], counting(key + 4u, valid))),
            max(maximum(s[2], counting(key + 8u, valid)), maximum(s[3], counting(key + 12u, valid))),
        );
        workgroupBarrier();
        let now = max(most, max(max(shares[row], shares[row + 64u]), max(shares[row + 128u], shares[row + 192u])));
        let before = exp4(vec4f(most - now)).x;
        most = now;
        let p = probabilities(s, now, key, valid);
        total = total * before + sum16(p);
        write_weights(local, each_times(p, dropout16((head.rows + first_query + row) * length + key)));
        workgroupBarrier();
        multiply_weights(subgroup, subgroups, head.values + first * head.stride, head.stride, min(TILE, valid - first));
        workgroupBarrier();
        sums = sums * before + read_scores(local);
        workgroupBarrier();
    }

    shares[local] = total;
    workgroupBarrier();
    total = (shares[row] + shares[row + 64u]) + (shares[row + 128u] + shares[row + 192u]);
    let query = first_query + row;
    if query >= length {
        return;
    }
    // An example of length 0 gives 0.
    if column == 0u {
        lse[head.rows + query] = select(0.0, most + logarithm(total), valid > 0u);
    }
    if column < arguments.width {
        let y = sums * select(0.0, 1.0 / total, valid > 0u);
        let at = (head.out + query * head.hidden + column) / 4u;
        out[at] = Out4(y[0]);
        out[at + 1u] = Out4(y[1]);
        if column + 8u < arguments.width {
            out[at + 2u] = Out4(y[2]);
            out[at + 3u] = Out4(y[3]);
        }
    }
}
