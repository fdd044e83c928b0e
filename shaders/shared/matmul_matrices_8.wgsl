// Tiles that hold what matrices of 8 x 8 are loaded from: element by element, as Metal's simdgroup_load wants it.

// Elements of the tiles' arrays for each vector of 4.
const UNIT: u32 = 4;

override elements_a: u32 = room_a * UNIT;
override elements_b: u32 = room_b * UNIT;
var<workgroup> tile_a: array<f16, elements_a>;
var<workgroup> tile_b: array<f16, elements_b>;

fn put_a(at: u32, v: vec4<f16>) {
    tile_a[at * 4] = v.x;
    tile_a[at * 4 + 1] = v.y;
    tile_a[at * 4 + 2] = v.z;
    tile_a[at * 4 + 3] = v.w;
}

fn put_b(at: u32, v: vec4<f16>) {
    tile_b[at * 4] = v.x;
    tile_b[at * 4 + 1] = v.y;
    tile_b[at * 4 + 2] = v.z;
    tile_b[at * 4 + 3] = v.w;
}

fn get_a(at: u32) -> vec4f {
    let i = at * 4;
    return vec4f(f32(tile_a[i]), f32(tile_a[i + 1]), f32(tile_a[i + 2]), f32(tile_a[i + 3]));
}
