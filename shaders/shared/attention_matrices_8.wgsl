// Cooperative matrices of 8 x 8 for attention's kernels.

const SIZE: u32 = 8u;
alias MatrixA = coop_mat8x8<Qkv, A>;
alias MatrixB = coop_mat8x8<Qkv, B>;
alias MatrixC = coop_mat8x8<f32, C>;
