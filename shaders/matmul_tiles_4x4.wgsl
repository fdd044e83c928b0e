//! shared: step, random, activation, matmul, matmul_vector, matmul_tiles, matmul_tiles_4x4
//! elements: ElementA, ElementB, ElementC, Second, Side, Tile
// Matrix multiplication for GPUs: stored lines that are multiples of 4, a block of 4 x 4 an invocation. All of it is in the
// pieces put in front.
