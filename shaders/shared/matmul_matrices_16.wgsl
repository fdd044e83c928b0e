// Tiles that hold what matrices of 16 x 16 are loaded from: in vectors, for Vulkan.

// Elements of the tiles' arrays for each vector of 4.
const UNIT: u32 = 1;

var<workgroup> tile_a: array<vec4<f16>, room_a>;
var<workgroup> tile_b: array<vec4<f16>, room_b>;

fn put_a(at: u32, v: vec4<f16>) {
    tile_a[at] = v;
}

fn put_b(at: u32, v: vec4<f16>) {
    tile_b[at] = v;
}

fn get_a(at: u32) -> vec4f {
    return vec4f(tile_a[at]);
}
