// Puts the parts of agreement.wgsl together. Twin: tune/agreement.rs.

struct Arguments {
    groups: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> parts: array<vec4<u32>>;   // [groups]
@group(0) @binding(2) var<storage, read_write> error: array<f32>;   // [1]
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;  // [3]: hash, elements of other bits, those in the guard

var<workgroup> lanes: array<vec4<u32>, 256>;

fn both(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(max(a.x, b.x), a.y + b.y, a.z + b.z, a.w + b.w);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var part = vec4<u32>(0u, 0u, 0u, 0u);
    for (var i = local; i < arguments.groups; i += 256u) {
        part = both(part, parts[i]);
    }
    lanes[local] = part;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half = half / 2u) {
        if local < half {
            lanes[local] = both(lanes[local], lanes[local + half]);
        }
        workgroupBarrier();
    }
    if local == 0u {
        let all = lanes[0];
        error[0] = bitcast<f32>(all.x);
        counts[0] = all.y;
        counts[1] = all.z;
        counts[2] = all.w;
    }
}
