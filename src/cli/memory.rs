//! `--memory`, shared by `train`, `plan` and `bench`, and what is said of the parts that follow from it.

use super::Failure;
use super::output::grouped;
use crate::train::{MicroBatch, TrainError};
use bytesize::ByteSize;
use clap::Args;

/// How much memory training may take.
#[derive(Debug, Clone, Args)]
pub(crate) struct Memory {
    /// Work through a step's examples in parts that take no more of the device's memory than this, as in 2GB or 1500MiB
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
}

impl Memory {
    /// In bytes, where it was given.
    pub(crate) fn bytes(&self) -> Result<Option<u64>, Failure> {
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

/// `in 3 parts of 43`, nothing where a step is worked through at once.
pub(crate) fn parts(split: MicroBatch) -> Option<String> {
    (split.parts > 1).then(|| format!("in {} parts of {}", grouped(split.parts as u64), grouped(split.rows as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_decimal_and_binary_units() {
        let bytes = |text: &str| Memory { memory: Some(text.into()) }.bytes();
        for (text, expected) in [("2GB", 2_000_000_000), ("1.5 GiB", 3 << 29), ("700MiB", 700 << 20), ("12000", 12_000)]
        {
            assert!(matches!(bytes(text), Ok(Some(found)) if found == expected), "{text}: {:?}", bytes(text));
        }
        for text in ["", "GB", "2 XB", "-1GB", "0", "2GB or so"] {
            assert!(matches!(bytes(text), Err(Failure::Input(line)) if line.contains("1500MiB")), "{text:?}");
        }
        assert!(matches!(Memory { memory: None }.bytes(), Ok(None)));
    }
}
