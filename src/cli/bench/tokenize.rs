//! `leyden bench --tokenize`: text to ids against the tokenizers library.

use crate::bench::{TokenizeTimes, median, tokenize_times};
use crate::cli::Failure;
use crate::cli::output::{grouped, print};
use crate::cli::style::Style;
use crate::corpus::{Tokenizer, VocabularyOptions};
use crate::text::{Reading, read_documents};
use std::path::Path;

/// Pieces of a vocabulary that is learnt from the text where none is given, as of `leyden prepare`.
const VOCABULARY: usize = 30_522;

/// Measures and prints.
pub(super) fn run(text: &Path, tokenizer: Option<&Path>, json: bool) -> Result<(), Failure> {
    let documents = read_documents(&[text.to_path_buf()], &Reading::default()).map_err(Failure::input)?.documents;
    let tokenizer = match tokenizer {
        Some(path) => Tokenizer::load(path),
        None => {
            let options = VocabularyOptions { size: VOCABULARY, ..VocabularyOptions::default() };
            Tokenizer::train(&documents, &options)
        }
    };
    let tokenizer = tokenizer.map_err(Failure::input)?;
    let times = tokenize_times(&documents, &tokenizer).map_err(Failure::work)?;
    if json {
        let line = serde_json::to_string(&times).map_err(Failure::work)?;
        return print(&format!("{line}\n")).map(drop);
    }
    print(&report(&times, text)).map(drop)
}

fn report(times: &TokenizeTimes, text: &Path) -> String {
    let style = Style::stdout();
    let range = |rounds: &[f64]| {
        let smallest = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = rounds.iter().copied().fold(0.0, f64::max);
        format!("by round {smallest:.1} to {largest:.1}, median {:.1}", median(rounds))
    };
    format!(
        "{}\n  {:.1} MB of text, {} tokens, {} threads, {} rounds in turn; the same ids\n\n  leyden              {}\n  \
         encode_batch       {:>6.1} MB/s\n  encode_batch_fast  {:>6.1} MB/s\n  leyden / encode_batch       {} {}\n  leyden / \
         encode_batch_fast  {:.2}\n",
        style.bold(&text.display().to_string()),
        times.bytes as f64 / 1e6,
        grouped(times.ids as u64),
        times.threads,
        times.rounds.len(),
        style.bold(&format!("{:>5.1} MB/s", times.leyden)),
        times.encode_batch,
        times.encode_batch_fast,
        style.bold(&format!("{:.2}", times.leyden / times.encode_batch)),
        style.dim(&format!("({})", range(&times.rounds))),
        times.leyden / times.encode_batch_fast,
    )
}
