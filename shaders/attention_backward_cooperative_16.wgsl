//! shared: step, random, attention, attention_cooperative, attention_cooperative_backward
//! elements: Qkv, Out, Dqkv
// See shared/attention_cooperative_backward.wgsl.

const SIZE: u32 = 16u;
alias MatrixA = coop_mat16x16<Qkv, A>;
alias MatrixB = coop_mat16x16<Qkv, B>;
alias MatrixC = coop_mat16x16<f32, C>;
