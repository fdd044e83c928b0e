//! `leyden embed`: texts as vectors.

mod sink;

use super::Failure;
use super::inference::InferenceArguments;
use super::labelled::failure;
use super::lines::{Line, Tally, standard_input};
use super::output::{note, remark};
use super::progress::progress;
use crate::task::features::Cut;
use crate::task::table::{self, Columns, LabelKind};
use crate::task::{Embedder, Input, Part, Pooling, Record};
use crate::text::TextEncoding;
use crate::transformers::Pretrained;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use sink::{Entry, Sink};
use std::path::{Path, PathBuf};

/// Lines that are read together where someone waits for them.
const BATCH: usize = 64;
/// Texts that are read together where they all go into a file.
const FILE_BATCH: usize = 1_024;
/// Bytes of a line that are looked at.
const MOST_BYTES: usize = 1 << 24;

/// Arguments of `leyden embed`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  leyden embed runs/small \"A film that lingers.\"           # a JSON object a line: text and vector
  leyden embed runs/small < sentences.txt --out vectors.npy
  leyden embed google/electra-small --pooling cls --input reviews.csv --text review --out vectors.npy")]
pub(crate) struct EmbedArguments {
    /// A run, a checkpoint, or a folder of any ELECTRA that transformers loads, pre-trained or fine-tuned
    #[arg(value_name = "MODEL")]
    dir: PathBuf,
    /// Texts; without any, or for -, lines of standard input
    ///
    /// Two texts of a pair have a tab between them. Texts are cut at the model's length, which is counted. A line that is no text is
    /// named on standard error, and in an .npy file its row is NaN; the others are read, and the exit code is 2.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// What of a text's tokens is its vector: their mean, [CLS] and [SEP] included, or [CLS] alone
    #[arg(long, default_value = "mean", value_name = "mean|cls")]
    pooling: PoolingArgument,
    /// A table instead of lines: csv, tsv, jsonl or parquet
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// Where the vectors go: .npy, float32 [texts, width] in their order, or .jsonl; standard output without it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The column of the text
    #[arg(long, value_name = "COLUMN", default_value = "text", requires = "input", conflicts_with = "texts")]
    text: String,
    /// The column of the second text of a pair
    #[arg(long, value_name = "COLUMN", requires = "input", conflicts_with = "texts")]
    pair: Option<String>,
    /// The column of an id; a row's number without one
    #[arg(long, value_name = "COLUMN", requires = "input", conflicts_with = "texts")]
    id: Option<String>,
    #[command(flatten)]
    on: InferenceArguments,
}

/// `--pooling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingArgument {
    Mean,
    Cls,
}

/// Runs the command.
pub(crate) fn run(arguments: EmbedArguments) -> Result<(), Failure> {
    Sink::check(arguments.out.as_deref())?;
    let records = arguments.input.as_deref().map(|path| arguments.read(path)).transpose()?;
    let embedder = arguments.embedder()?;
    let sink = Sink::open(arguments.out.as_deref(), embedder.width())?;
    let given = arguments.texts.len() as u64;
    let from_lines = given == 0 || arguments.texts == ["-"];
    let total = records.as_ref().map(|records| records.len() as u64).or((!from_lines).then_some(given));
    let bar = if sink.is_file() { progress(total, "texts") } else { ProgressBar::hidden() };
    let batch = if sink.is_file() { FILE_BATCH } else { BATCH };
    let tally = Tally { of: "line", ..Tally::default() };
    let mut vectors = Vectors { embedder, sink, tally, cut: Cut::default(), bar };
    let whole = match records {
        Some(records) => vectors.of_records(&records)?,
        None if from_lines => standard_input("text", (MOST_BYTES, batch), |lines| vectors.of_lines(lines))?,
        None => {
            let line = |(number, text)| Line { number, text: Ok(text) };
            let lines: Vec<Line> = (1..).zip(arguments.texts).map(line).collect();
            let mut whole = true;
            for lines in lines.chunks(batch) {
                whole = whole && vectors.of_lines(lines)?;
            }
            whole
        }
    };
    if whole { vectors.end() } else { Ok(()) }
}

impl EmbedArguments {
    /// The table's texts.
    fn read(&self, path: &Path) -> Result<Vec<Record>, Failure> {
        let columns = Columns { text: self.text.clone(), pair: self.pair.clone(), label: None, id: self.id.clone() };
        let data = table::read(path, TextEncoding::default(), &columns, LabelKind::Class, None, Part::Test);
        let data = data.map_err(Failure::input)?;
        data.report.remarks().iter().for_each(|text| remark(text));
        Ok(data.records)
    }

    fn embedder(&self) -> Result<Embedder, Failure> {
        let found = Pretrained::load_encoder(&self.dir).map_err(Failure::input)?;
        found.tokenizer.notes().iter().for_each(|text| remark(text));
        note(&format!("the encoder in {}", found.folder.display()));
        let (engine, target, precision) = self.on.open(found.model.table.len())?;
        let pooling = match self.pooling {
            PoolingArgument::Mean => Pooling::Mean,
            PoolingArgument::Cls => Pooling::Cls,
        };
        Ok(Embedder::new(found, (engine, target), pooling).map_err(failure)?.in_precision(precision))
    }
}

struct Vectors {
    embedder: Embedder,
    sink: Sink,
    tally: Tally,
    cut: Cut,
    bar: ProgressBar,
}

impl Vectors {
    /// `false` once nobody reads the vectors.
    fn of_lines(&mut self, lines: &[Line]) -> Result<bool, Failure> {
        self.tally.all += lines.len();
        let good = lines.iter().filter_map(|line| Some((line, Input::typed(None, line.text.as_ref().ok()?).ok()?)));
        let records: Vec<Record> = good
            .map(|(line, input)| Record { id: line.number.to_string(), line: line.number as u64, input, label: None })
            .collect();
        let mut vectors = self.embed(&records)?.into_iter();
        for line in lines {
            match (&line.text, line.text.as_ref().ok().and_then(|_| vectors.next())) {
                (Ok(text), Some(vector)) => self.sink.put(&Entry { id: None, text, vector: &vector })?,
                (Ok(_), None) => {}
                (Err(reason), _) => {
                    let (bar, tally, json) = (&self.bar, &mut self.tally, !self.sink.is_npy());
                    let said = bar.suspend(|| tally.refuse(line.number, reason, json))?;
                    self.sink.leave_out(&said)?;
                }
            }
        }
        self.bar.inc(lines.len() as u64);
        self.sink.flush()
    }

    /// A table's, each with its id.
    fn of_records(&mut self, records: &[Record]) -> Result<bool, Failure> {
        for records in records.chunks(FILE_BATCH) {
            let vectors = self.embed(records)?;
            for (record, vector) in records.iter().zip(&vectors) {
                self.sink.put(&Entry { id: Some(&record.id), text: &record.input.as_typed(), vector })?;
            }
            self.bar.inc(records.len() as u64);
            if !self.sink.flush()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn embed(&mut self, records: &[Record]) -> Result<Vec<Vec<f32>>, Failure> {
        let (vectors, cut) = self.embedder.embed(records).map_err(failure)?;
        self.cut += cut;
        Ok(vectors)
    }

    /// The command's end: whether there is a vector of every text.
    fn end(self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        self.cut.remark(self.embedder.longest()).iter().for_each(|text| remark(text));
        self.sink.finish()?;
        self.tally.end()
    }
}
