// Cooperative matrices of 16 x 16 for attention's kernels.

const SIZE: u32 = 16u;
alias MatrixA = coop_mat16x16<Qkv, A>;
alias MatrixB = coop_mat16x16<Qkv, B>;
alias MatrixC = coop_mat16x16<f32, C>;
