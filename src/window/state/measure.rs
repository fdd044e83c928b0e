//! What may be plotted of a run.

use crate::electra::ObjectiveConfig;
use crate::history::Moment;

/// A number that a run has at every interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Nats a masked token.
    GeneratorLoss,
    /// Nats a token.
    DiscriminatorLoss,
    /// The weighted sum of both, which is what is minimised.
    JointLoss,
    /// Fraction of the masked tokens that the generator's first guess is right at.
    GeneratorAccuracy,
    /// Fraction of all tokens that the discriminator is right at.
    DiscriminatorAccuracy,
    /// Area under the discriminator's receiver operating characteristic.
    Auc,
    /// Fraction of all tokens that the generator has replaced.
    ReplacedRate,
    /// Of the last step of an interval.
    LearningRate,
    /// Of all gradients, before clipping.
    GradientNorm,
    /// Tokens a second.
    Speed,
}

impl Measure {
    /// The two that are always shown.
    pub const LOSSES: [Self; 2] = [Self::GeneratorLoss, Self::DiscriminatorLoss];
    /// Those that may be shown or hidden.
    pub const OTHERS: [Self; 8] = [
        Self::JointLoss,
        Self::GeneratorAccuracy,
        Self::DiscriminatorAccuracy,
        Self::Auc,
        Self::ReplacedRate,
        Self::LearningRate,
        Self::GradientNorm,
        Self::Speed,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::GeneratorLoss => "Generator loss",
            Self::DiscriminatorLoss => "Discriminator loss",
            Self::JointLoss => "Joint loss",
            Self::GeneratorAccuracy => "Generator accuracy",
            Self::DiscriminatorAccuracy => "Discriminator accuracy",
            Self::Auc => "Discriminator AUC",
            Self::ReplacedRate => "Replaced rate",
            Self::LearningRate => "Learning rate",
            Self::GradientNorm => "Gradient norm",
            Self::Speed => "Speed",
        }
    }

    /// What it is counted in; nothing for a plain number.
    pub fn unit(self) -> &'static str {
        match self {
            Self::GeneratorLoss => "nats a masked token",
            Self::DiscriminatorLoss => "nats a token",
            Self::JointLoss => "nats, weighted",
            Self::Speed => "tokens/s",
            Self::GeneratorAccuracy | Self::DiscriminatorAccuracy | Self::ReplacedRate => "share",
            Self::Auc => "0.5 knows nothing",
            Self::LearningRate | Self::GradientNorm => "",
        }
    }

    /// Its value at a moment of a run with these weights of the losses; NaN where it was not measured.
    pub fn of(self, moment: &Moment, weights: Weights) -> f64 {
        match self {
            Self::GeneratorLoss => moment.generator_loss,
            Self::DiscriminatorLoss => moment.discriminator_loss,
            Self::JointLoss => {
                weights.generator * moment.generator_loss + weights.discriminator * moment.discriminator_loss
            }
            Self::GeneratorAccuracy => moment.generator_accuracy,
            Self::DiscriminatorAccuracy => moment.discriminator_accuracy,
            Self::Auc => moment.auc,
            Self::ReplacedRate => moment.replaced_rate,
            Self::LearningRate => moment.learning_rate,
            Self::GradientNorm => moment.gradient_norm,
            Self::Speed => moment.tokens_per_second,
        }
    }
}

/// The losses' weights in the joint loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// The generator's.
    pub generator: f64,
    /// The discriminator's.
    pub discriminator: f64,
}

impl Weights {
    /// As the settings have them.
    pub fn of(objective: &ObjectiveConfig) -> Self {
        let ObjectiveConfig { generator_weight, discriminator_weight, .. } = *objective;
        Self { generator: generator_weight.into(), discriminator: discriminator_weight.into() }
    }
}

impl Default for Weights {
    /// The paper's.
    fn default() -> Self {
        Self { generator: 1.0, discriminator: 50.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joint_loss_is_the_weighted_sum() {
        let moment = Moment { generator_loss: 5.0, discriminator_loss: 0.25, ..Moment::default() };
        assert_eq!(Measure::JointLoss.of(&moment, Weights::default()), 17.5);
        assert!(Measure::Auc.of(&moment, Weights::default()).is_nan());
        let all = [&Measure::LOSSES[..], &Measure::OTHERS[..]].concat();
        let names: std::collections::BTreeSet<&str> = all.iter().map(|m| m.name()).collect();
        assert_eq!(names.len(), all.len());
    }
}
