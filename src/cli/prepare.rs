//! `leyden prepare`: text in, a dataset out.

mod progress;

use super::Failure;
use super::output::{bytes, grouped, print, print_json, remark};
use super::reading::ReadingArguments;
use super::style::Style;
use crate::corpus::VocabularyOptions;
use crate::dataset::{DatasetError, Manifest, Preparation, Vocabulary, prepare};
use crate::text::Reading;
use clap::Args;
use progress::Bar;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Arguments of `leyden prepare`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden prepare corpus/ --out data
  leyden prepare wiki.jsonl.zst books.txt.xz --out data --vocab-size 16000 --length 512
  zcat *.gz | leyden prepare - --out data --tokenizer vocab.txt
  leyden train --data data")]
pub(crate) struct PrepareArguments {
    /// Files or folders: .txt, .jsonl, .ndjson, .json, .csv, .tsv (all also .gz, .bz2, .zst, .xz), .parquet, what
    /// WikiExtractor writes; - for standard input
    ///
    /// Text has a paragraph or sentence a line and blank lines between documents. A record of JSON or a row of a table or
    /// parquet file is a document. What a file holds is told by its content; a file named here may end as it likes.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The folder to make; it must not be there, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A vocabulary that is there: tokenizer.json, vocab.txt, or a folder with one of them. Without it one is learnt from the text
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Pieces of the vocabulary that is learnt; a small text may give fewer
    #[arg(long, value_name = "N", default_value_t = 30_522, conflicts_with = "tokenizer")]
    vocab_size: usize,
    /// Keep case: in the vocabulary that is learnt, or with --tokenizer whatever its files say
    #[arg(long)]
    cased: bool,
    /// The vocabulary that is learnt drops accents and all other marks above and below letters, as BERT uncased does; in many
    /// scripts those are vowels
    #[arg(long, conflicts_with = "tokenizer")]
    strip_accents: bool,
    /// Tokens an example at most
    #[arg(long, default_value_t = 128)]
    length: usize,
    /// Fraction of the documents that are held out for evaluation, 0 to 0.5
    #[arg(long, value_name = "FRACTION", default_value_t = 0.05)]
    held_out: f64,
    /// Decides what is held out, and where examples are cut
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What the library says went wrong, as input or as a failure at work.
pub(crate) fn failure(error: DatasetError) -> Failure {
    if error.is_input() { Failure::input(error) } else { Failure::work(error) }
}

/// Runs the command.
pub(crate) fn run(arguments: PrepareArguments) -> Result<(), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Where the system does not allow it, Ctrl-C ends the program and the next one cleans up.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    let vocabulary = match arguments.tokenizer {
        Some(path) if arguments.cased => Vocabulary::LoadCased(path),
        Some(path) => Vocabulary::Load(path),
        None => Vocabulary::Train(VocabularyOptions {
            size: arguments.vocab_size,
            cased: arguments.cased,
            strip_accents: arguments.strip_accents,
            ..VocabularyOptions::default()
        }),
    };
    let mut reading = Reading::default();
    arguments.reading.apply(&mut reading);
    let preparation = Preparation {
        inputs: arguments.inputs,
        out: arguments.out,
        vocabulary,
        length: arguments.length,
        held_out: arguments.held_out,
        seed: arguments.seed,
        reading,
    };
    let start = Instant::now();
    let mut bar = Bar::new();
    let prepared = prepare(&preparation, &mut |progress| {
        bar.show(progress);
        !interrupted.load(Ordering::SeqCst)
    });
    bar.finish();
    let prepared = prepared.map_err(failure)?;
    let style = Style::stderr();
    prepared.report.remarks().iter().for_each(|text| remark(text));
    let manifest = &prepared.manifest;
    for text in prepared.notes.iter().cloned().chain(about_marks(manifest)) {
        remark(&text);
    }
    if unknown_share(manifest) > 0.01 {
        let share = 100.0 * unknown_share(manifest);
        let cause = "the vocabulary does not know the text's script or its characters";
        eprintln!("{} {share:.1} % of the tokens are unknown: {cause}", style.yellow("note:"));
    }
    let seconds = start.elapsed().as_secs_f64();
    if arguments.json {
        return print_json(&json!({
            "folder": preparation.out.display().to_string(),
            "seconds": seconds,
            "training": manifest.training.counts,
            "held_out": manifest.held_out.counts,
            "reading": prepared.report.to_json(),
            "vocabulary": manifest.tokenizer.vocabulary,
            "statistics": manifest.statistics,
            "notes": prepared.notes,
            "changes": manifest.changes,
        }));
    }
    print(&summary(&preparation, manifest, seconds)).map(drop)
}

/// Words that lose more than their case: how many, and what becomes of a few of them.
fn about_marks(manifest: &Manifest) -> Option<String> {
    let changes = manifest.changes.as_ref()?;
    if changes.altered * 100 <= changes.words {
        return None;
    }
    let altered = changes.most.iter().filter(|word| word.word.to_lowercase() != word.becomes.to_lowercase());
    let shown: Vec<String> = altered.take(3).map(|word| format!("{} becomes {}", word.word, word.becomes)).collect();
    let share = 100.0 * changes.altered as f64 / changes.words.max(1) as f64;
    let strip = manifest.settings.strip_accents == Some(true);
    let way_out = if strip { "; without --strip-accents they keep them" } else { "" };
    Some(format!(
        "the tokenizer takes marks from {share:.1} % of the words or alters them: {}{way_out}",
        shown.join(", ")
    ))
}

fn unknown_share(manifest: &Manifest) -> f64 {
    let counts = manifest.counts();
    counts.unknown as f64 / counts.tokens.max(1) as f64
}

fn summary(preparation: &Preparation, manifest: &Manifest, seconds: f64) -> String {
    let style = Style::stdout();
    let (all, held) = (manifest.counts(), manifest.held_out.counts);
    let folder = preparation.out.display();
    let mut out = format!(
        "{}  {folder}: {} examples of up to {} tokens, {} of them held out\n",
        style.bold("dataset"),
        grouped(all.examples),
        manifest.settings.length,
        grouped(held.examples),
    );
    let _ = writeln!(
        out,
        "{}     {} documents, {}, {} tokens; {:.1} % cut off, {:.2} % unknown; {} words in the vocabulary",
        style.bold("text"),
        grouped(all.documents),
        bytes(all.bytes),
        grouped(all.tokens),
        100.0 * all.dropped as f64 / (all.tokens + all.dropped).max(1) as f64,
        100.0 * unknown_share(manifest),
        grouped(manifest.tokenizer.vocabulary as u64),
    );
    let rate = all.bytes as f64 / 1e6 / seconds.max(1e-9);
    let _ = writeln!(out, "{}     {seconds:.1} s, {rate:.1} MB/s", style.bold("done"));
    let _ = writeln!(out, "{}     leyden inspect {folder}\n         leyden train --data {folder}", style.bold("next"));
    out
}
