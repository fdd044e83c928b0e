//! shared: step, random, attention, attention_cooperative, attention_cooperative_backward
//! elements: Qkv, Out, Dqkv
// See shared/attention_cooperative_backward.wgsl.

const SIZE: u32 = 8u;
alias MatrixA = coop_mat8x8<Qkv, A>;
alias MatrixB = coop_mat8x8<Qkv, B>;
alias MatrixC = coop_mat8x8<f32, C>;
