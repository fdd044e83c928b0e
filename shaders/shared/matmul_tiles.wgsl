// Matrix multiplication for GPUs: tiles of A and B in workgroup memory. How they get there.
//
// In steps of tile_k along k, the invocations bring 4 x 4 pieces of A and B into workgroup memory, transposed in registers
// where need be, so that both lie with k outermost: tile_m / 4 or tile_n / 4 vectors along m or n for each k. Each
// invocation then multiplies a block of its own (`matmul_tiles_8x8.wgsl` and its like).

// Rows and columns of C that a workgroup computes, and the k of a step.
override tile_m: u32 = 64;
override tile_n: u32 = 64;
override tile_k: u32 = 16;
override invocations: u32 = 128;
// A spare vector for each k keeps the writes of a transposed piece off each other's banks.
override spare: u32 = 1;
// Reads the next step's pieces before this step is multiplied.
override prefetch: bool = false;

override stride_a: u32 = tile_m / 4 + spare;
override stride_b: u32 = tile_n / 4 + spare;
override vectors_a: u32 = tile_k * stride_a;
override vectors_b: u32 = tile_k * stride_b;
// The pieces of A, and of both: at most two for each invocation.
override pieces_a: u32 = tile_m / 4 * (tile_k / 4);
override pieces: u32 = pieces_a + tile_n / 4 * (tile_k / 4);

var<workgroup> tile_a: array<Tile4, vectors_a>;
var<workgroup> tile_b: array<Tile4, vectors_b>;

// Where a piece lies, in pieces: along m or n, and along k. Neighbouring invocations read neighbouring addresses: along k
// where the matrix is stored with k innermost.
fn place_a(piece: u32) -> vec2u {
    if transpose_a {
        return vec2u(piece % (tile_m / 4), piece / (tile_m / 4));
    }
    return vec2u(piece / (tile_k / 4), piece % (tile_k / 4));
}

fn place_b(piece: u32) -> vec2u {
    if transpose_b {
        return vec2u(piece / (tile_k / 4), piece % (tile_k / 4));
    }
    return vec2u(piece % (tile_n / 4), piece / (tile_n / 4));
}

// Reads a piece of the tiles whose first row, column and k are given: column i of the result is k + i.
fn bring(piece: u32, row: u32, column: u32, k: u32, k_end: u32) -> mat4x4f {
    if piece < pieces_a {
        let place = place_a(piece);
        let i = row + 4 * place.x;
        let p = k + 4 * place.y;
        if transpose_a {
            return mat4x4f(
                load_a(i, p, k_end),
                load_a(i, p + 1, k_end),
                load_a(i, p + 2, k_end),
                load_a(i, p + 3, k_end),
            );
        }
        return transpose(mat4x4f(
            load_a(i, p, k_end),
            load_a(i + 1, p, k_end),
            load_a(i + 2, p, k_end),
            load_a(i + 3, p, k_end),
        ));
    }
    if piece < pieces {
        let place = place_b(piece - pieces_a);
        let j = column + 4 * place.x;
        let p = k + 4 * place.y;
        if transpose_b {
            return transpose(mat4x4f(
                load_b(p, j, k_end),
                load_b(p, j + 1, k_end),
                load_b(p, j + 2, k_end),
                load_b(p, j + 3, k_end),
            ));
        }
        return mat4x4f(
            load_b(p, j, k_end),
            load_b(p + 1, j, k_end),
            load_b(p + 2, j, k_end),
            load_b(p + 3, j, k_end),
        );
    }
    return mat4x4f();
}

// Puts a piece into workgroup memory.
fn keep(piece: u32, v: mat4x4f) {
    if piece < pieces_a {
        let place = place_a(piece);
        let to = 4 * place.y * stride_a + place.x;
        tile_a[to] = Tile4(v[0]);
        tile_a[to + stride_a] = Tile4(v[1]);
        tile_a[to + 2 * stride_a] = Tile4(v[2]);
        tile_a[to + 3 * stride_a] = Tile4(v[3]);
    } else if piece < pieces {
        let place = place_b(piece - pieces_a);
        let to = 4 * place.y * stride_b + place.x;
        tile_b[to] = Tile4(v[0]);
        tile_b[to + stride_b] = Tile4(v[1]);
        tile_b[to + 2 * stride_b] = Tile4(v[2]);
        tile_b[to + 3 * stride_b] = Tile4(v[3]);
    }
}

// The column and row of an invocation among those of its workgroup, `wide` side by side: 32 neighbours form a cluster of 8 x 4,
// which reads the fewest different vectors of the tiles.
fn seat(local: u32, wide: u32) -> vec2u {
    let side = min(wide, 8u);
    let cluster = local / (4 * side);
    let across = wide / side;
    return vec2u(cluster % across * side + local % side, cluster / across * 4 + local / side % 4);
}
