//! shared: step, random, matmul, matmul_scalar, matmul_tiles
// Matrix multiplication for GPUs: any size and offset. All of it is in the pieces put in front.
