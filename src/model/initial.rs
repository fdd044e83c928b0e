//! What parameters are before anything is learnt.

use super::{Head, Model};
use crate::graph::Initialization;
use rand_core::{Rng as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// The output bias of a row without a token: far below any logit, and a number in 16 bits too.
const SILENT: f32 = -1e4;

impl Model {
    /// Gives the rows of the vocabulary that have no token, as `has_token` says, an output bias under which the probability of
    /// them is 0 in every masked language model: they are never sampled, and as that has no gradient, they stay so.
    pub fn silence(&self, bank: &mut [f32], has_token: impl Fn(u32) -> bool) {
        for head in self.networks.iter().flat_map(|network| &network.heads) {
            if let Head::MaskedLm(head) = head {
                let bias = &mut bank[self.table.parameters()[head.bias].range()];
                (0..).zip(bias).filter(|(id, _)| !has_token(*id)).for_each(|(_, x)| *x = SILENT);
            }
        }
    }

    /// Initial weights as a bank: a pure function of `seed`.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let mut bank = vec![0.0; self.table.len()];
        for (i, p) in self.table.parameters().iter().enumerate() {
            let mut rng = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i as u64));
            // 53 random bits in [0, 1).
            let mut uniform = || (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
            let window = &mut bank[p.range()];
            match p.initialization {
                Initialization::Zeros => {}
                Initialization::Ones => window.fill(1.0),
                Initialization::Constant(value) => window.fill(value),
                Initialization::TruncatedNormal(deviation) => {
                    for x in window {
                        *x = loop {
                            // Box and Muller's transform.
                            let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
                            let z = radius * (std::f64::consts::TAU * uniform()).cos();
                            if z.abs() <= 2.0 {
                                break z as f32 * deviation;
                            }
                        };
                    }
                }
                Initialization::Sinusoidal(deviation) => {
                    let width = p.shape[1];
                    for (i, x) in window.iter_mut().enumerate() {
                        let (position, column) = ((i / width) as f64, i % width);
                        let angle = position / 10_000f64.powf((column - column % 2) as f64 / width as f64);
                        let wave = if column % 2 == 0 { angle.sin() } else { angle.cos() };
                        // A wave's deviation is sqrt(1/2).
                        *x = (wave * std::f64::consts::SQRT_2 * f64::from(deviation)) as f32;
                    }
                }
                Initialization::GlorotUniform => {
                    let limit = (6.0 / (p.shape[0] + p.shape[1]) as f64).sqrt();
                    window.iter_mut().for_each(|x| *x = ((2.0 * uniform() - 1.0) * limit) as f32);
                }
            }
        }
        bank
    }
}
