// Matrix multiplication for GPUs: tiles of A and B in workgroup memory.
//
// In steps of tile_k along k, the invocations bring 4 x 4 pieces of A and B into workgroup memory, transposed in registers
// where need be, so that both lie with k outermost: tile_m / 4 or tile_n / 4 vectors along m or n for each k. Each
// invocation then multiplies a block of its own, of 4 or 8 rows and columns: four rows from 4 * y on, with 8 also four from half
// the tile on, and columns by x alike, so that neighbours read and write neighbouring vectors.

// Rows and columns of C that a workgroup computes, and the k of a step.
override tile_m: u32 = 64;
override tile_n: u32 = 64;
override tile_k: u32 = 16;
override invocations: u32 = 128;
// Rows and columns of an invocation's block, 4 or 8.
override block_m: u32 = 8;
override block_n: u32 = 4;
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

// An invocation's part of C, a row each: the low four columns and, where there are eight, the high four; and the sums of A's
// low and high rows. What a smaller block does not have is never written.
struct Block {
    l0: vec4f,
    l1: vec4f,
    l2: vec4f,
    l3: vec4f,
    l4: vec4f,
    l5: vec4f,
    l6: vec4f,
    l7: vec4f,
    h0: vec4f,
    h1: vec4f,
    h2: vec4f,
    h3: vec4f,
    h4: vec4f,
    h5: vec4f,
    h6: vec4f,
    h7: vec4f,
    low: vec4f,
    high: vec4f,
}

// Adds a column of A's tile times a row of B's.
fn multiply(c: ptr<function, Block>, at_a: u32, at_b: u32) {
    let a = vec4f(tile_a[at_a]);
    let b = vec4f(tile_b[at_b]);
    var next = vec4f();
    (*c).l0 = fma(vec4f(a.x), b, (*c).l0);
    (*c).l1 = fma(vec4f(a.y), b, (*c).l1);
    (*c).l2 = fma(vec4f(a.z), b, (*c).l2);
    (*c).l3 = fma(vec4f(a.w), b, (*c).l3);
    if block_n > 4 {
        next = vec4f(tile_b[at_b + tile_n / 8]);
        (*c).h0 = fma(vec4f(a.x), next, (*c).h0);
        (*c).h1 = fma(vec4f(a.y), next, (*c).h1);
        (*c).h2 = fma(vec4f(a.z), next, (*c).h2);
        (*c).h3 = fma(vec4f(a.w), next, (*c).h3);
    }
    if block_m > 4 {
        let below = vec4f(tile_a[at_a + tile_m / 8]);
        (*c).l4 = fma(vec4f(below.x), b, (*c).l4);
        (*c).l5 = fma(vec4f(below.y), b, (*c).l5);
        (*c).l6 = fma(vec4f(below.z), b, (*c).l6);
        (*c).l7 = fma(vec4f(below.w), b, (*c).l7);
        if block_n > 4 {
            (*c).h4 = fma(vec4f(below.x), next, (*c).h4);
            (*c).h5 = fma(vec4f(below.y), next, (*c).h5);
            (*c).h6 = fma(vec4f(below.z), next, (*c).h6);
            (*c).h7 = fma(vec4f(below.w), next, (*c).h7);
        }
        if row_sums {
            (*c).high += below;
        }
    }
    if row_sums {
        (*c).low += a;
    }
}

// Writes a row of a block.
fn write_row(start: u32, row: u32, column: u32, low: vec4f, high: vec4f, bias_low: vec4f, bias_high: vec4f) {
    write_c(start, row, column, low + bias_low);
    if block_n > 4 {
        write_c(start, row, column + tile_n / 2, high + bias_high);
    }
}

@compute @workgroup_size(invocations)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
    let tile_row = group.y * tile_m;
    let tile_column = group.x * tile_n;
    let range = k_range(group.z);
    let place = seat(local, tile_n / block_n);
    let x = place.x;
    let y = place.y;

    var c = Block();
    var first = mat4x4f();
    var other = mat4x4f();
    if prefetch {
        first = bring(local, tile_row, tile_column, range.x, range.y);
        if pieces > invocations {
            other = bring(local + invocations, tile_row, tile_column, range.x, range.y);
        }
    }
    for (var k = range.x; k < range.y; k += tile_k) {
        if !prefetch {
            first = bring(local, tile_row, tile_column, k, range.y);
            if pieces > invocations {
                other = bring(local + invocations, tile_row, tile_column, k, range.y);
            }
        }
        workgroupBarrier();
        keep(local, first);
        if pieces > invocations {
            keep(local + invocations, other);
        }
        workgroupBarrier();
        let next = k + tile_k;
        if prefetch && next < range.y {
            first = bring(local, tile_row, tile_column, next, range.y);
            if pieces > invocations {
                other = bring(local + invocations, tile_row, tile_column, next, range.y);
            }
        }
        for (var i = 0u; i < tile_k; i += 4) {
            let at_a = i * stride_a + y;
            let at_b = i * stride_b + x;
            multiply(&c, at_a, at_b);
            multiply(&c, at_a + stride_a, at_b + stride_b);
            multiply(&c, at_a + 2 * stride_a, at_b + 2 * stride_b);
            multiply(&c, at_a + 3 * stride_a, at_b + 3 * stride_b);
        }
    }

    let row = tile_row + 4 * y;
    let column = tile_column + 4 * x;
    let start = problem.c_offset + group.z * problem.m * problem.n;
    let sums_start = problem.bias_offset + group.z * problem.m;
    let sums = row_sums && group.x == 0 && x == 0;
    var low = vec4f();
    var high = vec4f();
    if has_bias {
        low = read_bias(column);
        if block_n > 4 {
            high = read_bias(column + tile_n / 2);
        }
    }
    write_row(start, row, column, c.l0, c.h0, low, high);
    write_row(start, row + 1, column, c.l1, c.h1, low, high);
    write_row(start, row + 2, column, c.l2, c.h2, low, high);
    write_row(start, row + 3, column, c.l3, c.h3, low, high);
    if sums {
        write_sums(sums_start, row, c.low);
    }
    if block_m > 4 {
        let below = row + tile_m / 2;
        write_row(start, below, column, c.l4, c.h4, low, high);
        write_row(start, below + 1, column, c.l5, c.h5, low, high);
        write_row(start, below + 2, column, c.l6, c.h6, low, high);
        write_row(start, below + 3, column, c.l7, c.h7, low, high);
        if sums {
            write_sums(sums_start, below, c.high);
        }
    }
}
