//! shared: index, vocabulary_state
// Puts together what the workgroups of shared/vocabulary_rows.wgsl know of each row, in order, for
// vocabulary_nll_finish.wgsl. Twin: ops/vocabulary_nll.rs.

struct Arguments {
    rows: u32,      // M
    groups: u32,    // along V
    sharpness: f32, // 1 / temperature
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> some: array<u32>;        // [groups, 7, M]
@group(0) @binding(2) var<storage, read_write> state: array<u32>; // [M, 8]

var<workgroup> parts: array<Running, 64>;

// Eight invocations a row.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let rows = arguments.rows;
    let row = element_index(workgroup, workgroups, local % 8u, 8u);
    var own = nothing();
    for (var group = local / 8u; group < arguments.groups && row < rows; group += 8u) {
        let at = group * 7u * rows + row;
        own = merge(own, Running(
            bitcast<f32>(some[at]),
            bitcast<f32>(some[at + rows]),
            some[at + 2u * rows],
            bitcast<f32>(some[at + 6u * rows]),
            bitcast<f32>(some[at + 3u * rows]),
            some[at + 4u * rows],
            bitcast<f32>(some[at + 5u * rows]),
        ), arguments.sharpness);
    }
    parts[local] = own;
    workgroupBarrier();
    if local >= 8u || row >= rows {
        return;
    }
    var all = parts[local];
    for (var i = local + 8u; i < 64u; i += 8u) {
        all = merge(all, parts[i], arguments.sharpness);
    }
    let to = row * 8u;
    state[to] = bitcast<u32>(all.most);
    state[to + 1u] = bitcast<u32>(all.total);
    state[to + 2u] = all.best;
    state[to + 3u] = bitcast<u32>(all.race);
    state[to + 4u] = all.sampled;
    state[to + 5u] = bitcast<u32>(all.target_logit);
}
