//! shared: step, random, activation, matmul, matmul_vector, matmul_matrices_8, matmul_cooperative
//! elements: ElementA, ElementB, ElementC, Second, Side
// Matrix multiplication for GPUs with cooperative matrices of 8 x 8: stored lines that are multiples of 4, A and B in half
// precision. All of it is in the pieces put in front.
