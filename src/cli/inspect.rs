//! `leyden inspect`: what is in a dataset.

use super::Failure;
use super::output::{bytes, grouped, print, print_json};
use super::prepare::failure;
use super::style::Style;
use super::table::Table;
use crate::corpus::{Changes, Examples, TokenCounts, Tokenizer};
use crate::dataset::{Check, Counts, Dataset};
use crate::numbers::{counted, fixed};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `leyden inspect`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InspectArguments {
    /// A folder that `leyden prepare` made
    dir: PathBuf,
    /// Compare the SHA-256 of every shard with the manifest too, as training does
    #[arg(long)]
    verify: bool,
    /// Examples to show
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Most frequent tokens that are shown.
const FREQUENT: usize = 20;

/// All there is to say.
#[derive(Debug, Serialize)]
struct Report {
    folder: String,
    fingerprint: String,
    /// Whether the SHA-256 of every shard was compared.
    verified: bool,
    length: usize,
    vocabulary: usize,
    sources: usize,
    skipped_records: u64,
    shards: usize,
    training: Part,
    held_out: Part,
    /// In nats.
    unigram_entropy: f64,
    /// Different tokens that occur in the training part.
    distinct: usize,
    most_frequent: Vec<Frequent>,
    /// What the normalizer did to a sample of the text; nothing in datasets of older programs.
    changes: Option<Changes>,
    examples: Vec<String>,
}

/// A part in numbers.
#[derive(Debug, Serialize)]
struct Part {
    counts: Counts,
    /// Share of a batch of full rows that would be padding.
    padding: f64,
    /// Share of the tokens that are unknown.
    unknown: f64,
    /// Examples with a segment B.
    pairs: u64,
    /// The length of the shortest example, of those at a tenth, a half and nine tenths, and of the longest.
    lengths: Option<[usize; 5]>,
    /// Examples by length, in ten equal steps up to the longest allowed.
    histogram: [u64; 10],
}

#[derive(Debug, Serialize)]
struct Frequent {
    token: String,
    count: u64,
    share: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: InspectArguments) -> Result<(), Failure> {
    let check = if arguments.verify { Check::Everything } else { Check::Layout };
    let dataset = Dataset::open_with(&arguments.dir, check).map_err(failure)?;
    let report = report(&arguments, &dataset)?;
    if arguments.json {
        return print_json(&serde_json::to_value(&report).map_err(Failure::work)?);
    }
    print(&text(&report)).map(drop)
}

fn report(arguments: &InspectArguments, dataset: &Dataset) -> Result<Report, Failure> {
    let manifest = &dataset.manifest;
    let mut counts = TokenCounts::default();
    counts.add(&dataset.training);
    let special = dataset.tokenizer.special();
    let statistics = counts.statistics(special);
    let mut frequent: Vec<(u32, u64)> = counts.occurring(special).collect();
    frequent.sort_by_key(|&(id, count)| (std::cmp::Reverse(count), id));
    frequent.truncate(FREQUENT);
    let most_frequent = frequent.into_iter().map(|(id, count)| Frequent {
        token: dataset.tokenizer.token(id).unwrap_or_default(),
        count,
        share: count as f64 / statistics.tokens.max(1) as f64,
    });
    Ok(Report {
        folder: arguments.dir.display().to_string(),
        fingerprint: dataset.fingerprint().into(),
        verified: arguments.verify,
        length: manifest.settings.length,
        vocabulary: manifest.tokenizer.vocabulary,
        sources: manifest.sources.len(),
        skipped_records: manifest.skipped(),
        shards: manifest.training.shards.len() + manifest.held_out.shards.len(),
        training: part(&dataset.training, manifest.training.counts),
        held_out: part(&dataset.held_out, manifest.held_out.counts),
        unigram_entropy: statistics.unigram_entropy,
        distinct: statistics.distinct,
        most_frequent: most_frequent.collect(),
        changes: manifest.changes.clone(),
        examples: decoded(&dataset.training, &dataset.tokenizer, arguments.examples)?,
    })
}

fn part(examples: &Examples, counts: Counts) -> Part {
    let most = examples.length();
    let mut by_length = vec![0u64; most + 1];
    let mut pairs = 0;
    for view in examples.views() {
        let mut start = 0;
        for (&end, &boundary) in view.ends.iter().zip(view.boundaries) {
            by_length[(end - start) as usize] += 1;
            pairs += u64::from(u64::from(boundary) < end - start);
            start = end;
        }
    }
    let number: u64 = by_length.iter().sum();
    // The length of the example at a place in the order of lengths.
    let at = |place: u64| {
        let mut before = 0;
        by_length.iter().position(|&count| {
            before += count;
            before > place
        })
    };
    let last = number.saturating_sub(1);
    let places = [0, last / 10, last / 2, last / 10 * 9, last].map(at);
    let mut histogram = [0; 10];
    for (length, &count) in by_length.iter().enumerate().skip(1) {
        histogram[(length - 1) * 10 / most] += count;
    }
    Part {
        padding: 1.0 - examples.tokens() as f64 / ((number as usize * most).max(1)) as f64,
        unknown: counts.unknown as f64 / counts.tokens.max(1) as f64,
        pairs,
        lengths: places.iter().all(Option::is_some).then(|| places.map(Option::unwrap_or_default)),
        histogram,
        counts,
    }
}

/// Examples from all over the dataset as text.
fn decoded(examples: &Examples, tokenizer: &Tokenizer, count: usize) -> Result<Vec<String>, Failure> {
    let mut row = vec![0; examples.length()];
    let count = count.min(examples.len());
    (0..count)
        .map(|index| {
            let (length, _) = examples.copy(index * examples.len() / count, &mut row);
            tokenizer.decode(&row[..length]).map_err(Failure::work)
        })
        .collect()
}

fn text(report: &Report) -> String {
    let style = Style::stdout();
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let mut out = format!("{}  {}\n", style.bold("dataset"), report.folder);
    let checked = if report.verified {
        style.green("every SHA-256 is the manifest's")
    } else {
        "sizes and contents make sense; the SHA-256 of the shards were not compared: --verify does".into()
    };
    let _ = writeln!(out, "{}  {checked}\n", style.bold("checked"));

    let mut table = Table::new(&[false, true, true]);
    table.row(["", "training", "held out"]);
    let both = [&report.training, &report.held_out];
    let mut row = |name: &str, cell: &dyn Fn(&Part) -> String| {
        table.row([name.to_owned(), cell(both[0]), cell(both[1])]);
    };
    row("documents", &|p| grouped(p.counts.documents));
    row("text", &|p| bytes(p.counts.bytes));
    row("examples", &|p| grouped(p.counts.examples));
    row("of two segments", &|p| percent(p.pairs as f64 / p.counts.examples.max(1) as f64));
    row("tokens", &|p| grouped(p.counts.tokens));
    row("unknown", &|p| percent(p.unknown));
    row("cut off", &|p| percent(p.counts.dropped as f64 / (p.counts.tokens + p.counts.dropped).max(1) as f64));
    row("padding", &|p| percent(p.padding));
    for (index, name) in ["shortest", "a tenth up to", "half up to", "nine tenths up to", "longest"].iter().enumerate()
    {
        row(name, &|p| p.lengths.map_or("-".into(), |lengths| lengths[index].to_string()));
    }
    for line in table.lines() {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(
        out,
        "\n  {} tokens at most an example, {} words in the vocabulary, {} of them used\n  {} nats unigram entropy: the \
         loss of a network that knows only how frequent words are\n  {} of text, {} shards, {} left out\n  fingerprint {}",
        report.length,
        grouped(report.vocabulary as u64),
        grouped(report.distinct as u64),
        fixed(report.unigram_entropy, 3),
        counted(report.sources as u64, "file"),
        report.shards,
        counted(report.skipped_records, "record"),
        report.fingerprint,
    );
    let _ = writeln!(out, "\n{}", style.bold("lengths of the training examples"));
    let most = report.training.histogram.iter().max().copied().unwrap_or(0).max(1);
    for (index, &count) in report.training.histogram.iter().enumerate() {
        let (from, to) = (index * report.length / 10 + 1, (index + 1) * report.length / 10);
        let bar = "#".repeat((count * 40).div_ceil(most) as usize);
        let line = format!("  {:>11}  {:>13}  {bar}", format!("{from} to {to}"), grouped(count));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let frequent: Vec<String> =
        report.most_frequent.iter().map(|f| format!("{} {:.1} %", f.token, 100.0 * f.share)).collect();
    let _ = writeln!(out, "\n{}\n  {}", style.bold("most frequent tokens"), frequent.join("  "));
    let _ = write!(out, "\n{}\n{}", style.bold("words that the normalizer changed most"), changed(report));
    if !report.examples.is_empty() {
        let _ = writeln!(out, "\n{}", style.bold("examples"));
    }
    for example in &report.examples {
        let _ = writeln!(out, "  {example}");
    }
    out
}

/// The ten words, and how many there are of their kind.
fn changed(report: &Report) -> String {
    let Some(changes) = &report.changes else {
        return "  unknown: it was prepared before that was kept\n".into();
    };
    let share = |count: u64| 100.0 * count as f64 / changes.words.max(1) as f64;
    let mut out = format!(
        "  of {} words looked at, {:.1} % were changed, {:.1} % otherwise than in case\n",
        grouped(changes.words),
        share(changes.changed),
        share(changes.altered),
    );
    if !changes.most.is_empty() {
        let words: Vec<String> =
            changes.most.iter().map(|w| format!("{} → {} ({})", w.word, w.becomes, grouped(w.count))).collect();
        let _ = writeln!(out, "  {}", words.join("  "));
    }
    out
}
