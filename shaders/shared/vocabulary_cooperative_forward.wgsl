// The kernel of shared/vocabulary_rows.wgsl with cooperative matrices.

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let first_row = group.x * TILE;
    let upper = first_row + local / 4;
    let lower = upper + 32;
    let start = group.y * arguments.tiles;
    let end = min(start + arguments.tiles, (arguments.vocabulary + TILE - 1) / TILE);
    var above = nothing();
    var below = nothing();
    for (var t = start; t < end; t++) {
        multiply(first_row, t * TILE, local, subgroup, subgroups);
        above = take_in(above, 0u, upper, t * TILE, local);
        below = take_in(below, 1u, lower, t * TILE, local);
    }
    store(above, upper, group.y, local);
    store(below, lower, group.y, local);
}
