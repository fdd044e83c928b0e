//! shared: step, random, matmul, matmul_vector, matmul_tiles
// Matrix multiplication for GPUs: stored lines that are multiples of 4. All of it is in the pieces put in front.
