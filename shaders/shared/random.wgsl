// Counter-based random numbers, the same as `math::Draws`: PCG4D of Jarzynski and Olano, "Hash Functions for GPU
// Rendering" (JCGT 2020). Needs shared/step.wgsl before it. Elements are counted modulo 2^32 within the whole batch of a
// step: those of a part with `count` elements begin at `step.part * count`.

// The numbers of elements 4 * quad .. 4 * quad + 4 of `stream` in this step.
fn draw4(stream: u32, quad: u32) -> vec4<u32> {
    var v = vec4<u32>(step.seed.x, step.step, stream ^ step.seed.y, quad & 0x3fffffffu) * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v ^= v >> vec4<u32>(16u);
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
}

// Four numbers that begin `shift` behind the first of those of two quads.
fn from_two(now: vec4<u32>, next: vec4<u32>, shift: u32) -> vec4<u32> {
    if shift == 1u {
        return vec4<u32>(now.yzw, next.x);
    } else if shift == 2u {
        return vec4<u32>(now.zw, next.xy);
    } else if shift == 3u {
        return vec4<u32>(now.w, next.xyz);
    }
    return now;
}

// The numbers of elements element .. element + 4, wherever they begin.
fn draw4_from(stream: u32, element: u32) -> vec4<u32> {
    let quad = element / 4u;
    let bits = draw4(stream, quad);
    let shift = element % 4u;
    if shift == 0u {
        return bits;
    }
    return from_two(bits, draw4(stream, quad + 1u), shift);
}

// The number of one element.
fn draw(stream: u32, element: u32) -> u32 {
    let v = draw4(stream, element / 4u);
    // Selects instead of v[element % 4]: a computed index puts the vector into scratch memory on some drivers.
    let low = select(v.x, v.y, (element & 1u) != 0u);
    let high = select(v.z, v.w, (element & 1u) != 0u);
    return select(low, high, (element & 2u) != 0u);
}

// A number in [0, 1) with 24 random bits.
fn uniform01(bits: u32) -> f32 {
    return f32(bits >> 8u) * (1.0 / 16777216.0);
}
