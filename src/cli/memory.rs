//! `--memory` and `--recompute`, shared by `train`, `plan` and `bench`, and what is said of what follows from them.

use super::Failure;
use super::output::grouped;
use crate::graph::Recompute;
use crate::train::{Fit, Resources, TrainError};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};

/// How much memory training may take, and how it saves some.
#[derive(Debug, Clone, Args)]
pub(crate) struct Memory {
    /// Work through a step's examples in parts that take no more of the device's memory than this, as in 2GB or 1500MiB
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
    /// What of each layer the backward pass computes again instead of keeping it: the numbers stay the same, to the bit
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    recompute: What,
}

/// `--recompute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum What {
    /// Whatever is fastest of what fits: nothing, parts, or one of the next two
    #[default]
    Auto,
    /// Nothing
    Off,
    /// All but what takes long to compute for its size
    Selective,
    /// Everything but the layer's input
    Full,
}

impl Memory {
    /// Both.
    pub(crate) fn resources(&self) -> Result<Resources, Failure> {
        let recompute = match self.recompute {
            What::Auto => None,
            What::Off => Some(Recompute::Off),
            What::Selective => Some(Recompute::Selective),
            What::Full => Some(Recompute::Full),
        };
        Ok(Resources { memory: self.bytes()?, recompute })
    }

    /// In bytes, where it was given.
    fn bytes(&self) -> Result<Option<u64>, Failure> {
        let parse = |text: &String| match text.trim().parse::<ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
            _ => Err(Failure::Input(format!("--memory {text}: expected a number of bytes, as in 2GB or 1500MiB"))),
        };
        self.memory.as_ref().map(parse).transpose()
    }
}

/// Who is to blame where training cannot start: settings that nothing has room for are input.
pub(crate) fn failure(error: TrainError) -> Failure {
    match error {
        TrainError::Memory { .. } | TrainError::Device { .. } => Failure::input(error),
        other => Failure::work(other),
    }
}

/// `in 3 parts of 43, activations computed again (full)`, nothing where a step is worked through at once and everything is kept.
pub(crate) fn how(fit: Fit) -> Option<String> {
    let split = fit.micro_batches;
    let parts = (split.count > 1)
        .then(|| format!("in {} parts of {}", grouped(split.count as u64), grouped(split.examples as u64)));
    let again =
        (fit.recompute != Recompute::Off).then(|| format!("activations computed again ({})", fit.recompute.name()));
    let said: Vec<String> = parts.into_iter().chain(again).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::MicroBatches;

    #[test]
    fn reads_decimal_and_binary_units() {
        let bytes = |text: &str| Memory { memory: Some(text.into()), recompute: What::Auto }.bytes();
        for (text, expected) in [("2GB", 2_000_000_000), ("1.5 GiB", 3 << 29), ("700MiB", 700 << 20), ("12000", 12_000)]
        {
            assert!(matches!(bytes(text), Ok(Some(found)) if found == expected), "{text}: {:?}", bytes(text));
        }
        for text in ["", "GB", "2 XB", "-1GB", "0", "2GB or so"] {
            assert!(matches!(bytes(text), Err(Failure::Input(line)) if line.contains("1500MiB")), "{text:?}");
        }
        assert!(matches!(Memory { memory: None, recompute: What::Off }.bytes(), Ok(None)));
    }

    #[test]
    fn says_what_was_done() {
        let fit = |parts, recompute| Fit { micro_batches: MicroBatches { count: parts, examples: 43 }, recompute };
        assert_eq!(how(fit(1, Recompute::Off)), None);
        assert_eq!(how(fit(3, Recompute::Off)).as_deref(), Some("in 3 parts of 43"));
        assert_eq!(how(fit(1, Recompute::Full)).as_deref(), Some("activations computed again (full)"));
        let both = "in 2 parts of 43, activations computed again (selective)";
        assert_eq!(how(fit(2, Recompute::Selective)).as_deref(), Some(both));
    }
}
