//! shared: step, random, activation, matmul, matmul_vector, matmul_blocks
//! elements: ElementA, ElementB, ElementC, Second, Side
// Matrix multiplication for drivers that run shaders on the CPU: stored lines that are multiples of 4. All of it is in the pieces put in front.
