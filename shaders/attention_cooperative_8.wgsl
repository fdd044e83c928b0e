//! shared: step, random, logarithm, attention, attention_cooperative, attention_cooperative_forward
//! elements: Qkv, Out
// See shared/attention_cooperative_forward.wgsl.

const SIZE: u32 = 8u;
alias MatrixA = coop_mat8x8<Qkv, A>;
alias MatrixB = coop_mat8x8<Qkv, B>;
alias MatrixC = coop_mat8x8<f32, C>;
