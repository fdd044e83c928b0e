//! shared: step, random, activation, matmul, matmul_scalar, matmul_blocks
//! elements: ElementA, ElementB, ElementC, Second, Side
// Matrix multiplication for drivers that run shaders on the CPU: any size and offset. All of it is in the pieces put in front.
