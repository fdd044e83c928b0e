//! shared: step, random, activation, matmul, matmul_vector, matmul_matrices_16, matmul_cooperative
//! elements: ElementA, ElementB, ElementC, Second, Side
// Matrix multiplication for GPUs with cooperative matrices of 16 x 16: stored lines that are multiples of 4, A and B in half
// precision. All of it is in the pieces put in front.
