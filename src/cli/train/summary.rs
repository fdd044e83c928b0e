//! What a run came to, in words and numbers.

use super::Outcome;
use crate::cli::output::grouped;
use crate::cli::style::Style;
use crate::corpus::Tokenizer;
use crate::measure::Baseline;
use crate::numbers::fixed;
use crate::objective::electra::measures::in_words;
use crate::run::Run;
use crate::train::Verdict;
use std::fmt::Write as _;
use std::path::Path;

/// Where the measures began and ended, beside their baselines.
pub(super) fn losses(style: Style, o: &Outcome) -> String {
    let mut out = String::new();
    let rate = o.tokens as f64 / o.seconds.max(1e-9);
    let minutes = (o.seconds / 60.0, o.seconds as u64);
    let time = if minutes.1 < 120 { format!("{:.0} s", o.seconds) } else { format!("{:.1} min", minutes.0) };
    let done = format!("{} tokens in {time}, {} tokens/s", grouped(o.tokens), grouped(rate as u64));
    let _ = writeln!(out, "{}  {done}", style.bold("done"));
    let measures = &o.history.measures;
    let titles: Vec<String> = measures.headline().map(|m| in_a_sentence(&m.title)).collect();
    let wide = titles.iter().map(|title| title.chars().count()).max().unwrap_or(0) + 3;
    let _ = writeln!(out, "\n{:wide$} {}", "", style.dim("began   ended   held out   baselines"));
    let value =
        |x: Option<f64>| x.filter(|x| x.is_finite()).map_or_else(|| "   -  ".into(), |x| format!("{:>6}", fixed(x, 3)));
    let (first, last) = (o.history.intervals.first(), o.history.intervals.last());
    for (measure, title) in measures.headline().zip(titles) {
        let baseline = |b: &Baseline| {
            let at = b.at.or_else(|| o.after.get(&b.key(&measure.name)))?;
            let follows = b.follows.as_ref().and_then(|name| o.after.get(name));
            let share = follows.map_or(String::new(), |x| format!(", {:.1} %", 100.0 * x));
            Some(format!("{} {}{share}", fixed(at, 3), b.title))
        };
        let _ = writeln!(
            out,
            "{title:wide$}{}  {}     {}   {}",
            value(first.and_then(|m| m.get(&measure.name))),
            value(last.and_then(|m| m.get(&measure.name))),
            style.bold(&value(o.after.get(&measure.name))),
            measure.baselines.iter().filter_map(baseline).collect::<Vec<_>>().join(", "),
        );
    }
    let before = o.history.held_out.first().map(|m| m.values.clone()).unwrap_or_default();
    let _ = write!(out, "\n{}  {}", style.bold("held out"), in_words(&before, &o.after));
    out
}

/// `Generator loss` as `generator loss`.
fn in_a_sentence(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
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
