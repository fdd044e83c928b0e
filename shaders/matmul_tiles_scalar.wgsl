//! shared: step, random, activation, matmul, matmul_scalar, matmul_tiles, matmul_tiles_8x4
//! elements: ElementA, ElementB, ElementC, Second, Side, Tile
// Matrix multiplication for GPUs: any size and offset. All of it is in the pieces put in front.
