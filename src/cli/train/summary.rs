//! What a run came to, in words and numbers.

use super::Outcome;
use crate::cli::output::grouped;
use crate::cli::style::Style;
use crate::corpus::Tokenizer;
use crate::electra::Config;
use crate::numbers::fixed;
use crate::run::Run;
use crate::session::Prepared;
use crate::train::Verdict;
use std::fmt::Write as _;
use std::path::Path;

/// Where the losses began and ended, beside their floors.
pub(super) fn losses(style: Style, config: &Config, prepared: &Prepared, o: &Outcome) -> String {
    let mut out = String::new();
    let rate = o.tokens as f64 / o.seconds.max(1e-9);
    let minutes = (o.seconds / 60.0, o.seconds as u64);
    let time = if minutes.1 < 120 { format!("{:.0} s", o.seconds) } else { format!("{:.1} min", minutes.0) };
    let done = format!("{} tokens in {time}, {} tokens/s", grouped(o.tokens), grouped(rate as u64));
    let _ = writeln!(out, "{}  {done}", style.bold("done"));
    let _ = writeln!(out, "\n{}", style.dim("                      began   ended   held out   floors"));
    let value =
        |x: Option<f64>| x.filter(|x| x.is_finite()).map_or_else(|| "   -  ".into(), |x| format!("{:>6}", fixed(x, 3)));
    let (first, last) = (o.history.intervals.first(), o.history.intervals.last());
    let uniform = (config.model.vocabulary as f64).ln();
    let _ = writeln!(
        out,
        "generator loss       {}  {}     {}   {uniform:.3} guessing blindly, {} knowing each word's frequency",
        value(first.map(|m| m.generator_loss)),
        value(last.map(|m| m.generator_loss)),
        style.bold(&value(Some(o.after.generator_loss))),
        fixed(prepared.statistics.unigram_entropy, 3),
    );
    let _ = writeln!(
        out,
        "discriminator loss   {}  {}     {}   {:.3} always saying the replaced rate, {:.1} %",
        value(first.map(|m| m.discriminator_loss)),
        value(last.map(|m| m.discriminator_loss)),
        style.bold(&value(Some(o.after.discriminator_loss))),
        o.after.base_rate_entropy(),
        100.0 * o.after.replaced_rate,
    );
    let _ = writeln!(
        out,
        "discriminator AUC    {}  {}     {}   0.500 knowing nothing",
        value(first.map(|m| m.auc)),
        value(last.map(|m| m.auc)),
        style.bold(&value(o.after.auc)),
    );
    let percent = |x: f64| format!("{:.1} %", 100.0 * x);
    let _ = write!(
        out,
        "\n{}  the generator guesses {} of the masked words ({} before training);\n          the discriminator finds \
         {} of its fakes, and is right in {} of the cases where it cries fake",
        style.bold("held out"),
        percent(o.after.generator_accuracy),
        percent(o.history.held_out.first().map_or(0.0, |m| m.generator_accuracy)),
        o.after.recall.map_or("none".into(), percent),
        o.after.precision.map_or("none".into(), percent),
    );
    out
}

/// Where the files are and what to try next.
pub(super) fn files(style: Style, run: &Run, weights: &Path, shown: &[Vec<Verdict>], tokenizer: &Tokenizer) -> String {
    let folder = run.folder().display();
    let weights = weights.display();
    // The first sentence without its special tokens, and without what a shell would read otherwise.
    let sentence = shown.first().map(|s| {
        let sep = tokenizer.special().sep;
        let ids: Vec<u32> = s.iter().skip(1).map(|v| v.original).take_while(|&id| id != sep).take(32).collect();
        tokenizer.decode(&ids).unwrap_or_default().replace(['"', '$', '`', '\\', '!'], "")
    });
    format!(
        "{}  {folder}/metrics.jsonl, config.toml, samples.jsonl\n       {weights}/generator and discriminator: \
         transformers loads both\n\n{}   change a word, and see whether the discriminator notices:\n         leyden probe \
         {folder} \"{}\"\n       train on a text of your own, longer:\n         leyden train --preset mini --text your.txt",
        style.bold("files"),
        style.bold("next"),
        sentence.unwrap_or_default(),
    )
}
