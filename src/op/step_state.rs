//! What changes from step to step.

use crate::math::Draws;

/// What changes from step to step and from part to part, the same for every op: a uniform on a GPU (`shared/step.wgsl`).
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct StepState {
    /// The run's seed, low and high word.
    pub seed: [u32; 2],
    /// The step's number: keys the random numbers.
    pub step: u32,
    /// Which part of the step's batch this is, from 0: its first element's random number follows the part before.
    pub part: u32,
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// 1 / (1 - beta1^t), or 1 without bias correction.
    pub correction1: f32,
    /// 1 / (1 - beta2^t), or 1 without bias correction.
    pub correction2: f32,
    /// Unused; a uniform is made of whole vectors.
    pub padding: f32,
}

impl StepState {
    /// The random numbers of `stream` in this step for a tensor of `count` elements, the batch first among its dimensions.
    pub fn draws(&self, stream: u32, count: usize) -> Draws {
        Draws::new(self.seed, self.step, stream, self.part.wrapping_mul(count as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_draws_what_the_whole_batch_does() {
        let at = |part, count| StepState { seed: [7, 9], step: 3, part, ..StepState::default() }.draws(1, count);
        for part in 0..3 {
            let found: Vec<u32> = (0..7).map(|i| at(part, 7).element(i)).collect();
            let expected: Vec<u32> = (0..7).map(|i| at(0, 21).element(part as usize * 7 + i)).collect();
            assert_eq!(found, expected, "part {part}");
        }
        // Counters go round.
        assert_eq!(at(2, 1 << 31).element(5), at(0, 8).element(5));
    }
}
