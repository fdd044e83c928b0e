//! What a run came to, in words and numbers.

use super::Outcome;
use crate::cli::output::grouped;
use crate::cli::style::Style;
use crate::corpus::Tokenizer;
use crate::measure::Baseline;
use crate::numbers::fixed;
use crate::objective::{Demonstration, Objective, ObjectiveConfig, Shown};
use crate::session::Session;
use std::fmt::Write as _;
use std::path::Path;

/// Where the measures began and ended, beside their baselines.
pub(super) fn losses(style: Style, objective: &dyn Objective, o: &Outcome) -> String {
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
    let _ = write!(out, "\n{}  {}", style.bold("held out"), objective.in_words(&before, &o.after));
    out
}

/// `Generator loss` as `generator loss`.
fn in_a_sentence(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// Where the files are and what to try next.
pub(super) fn files(
    style: Style,
    session: &Session,
    weights: &Path,
    shown: &[Vec<Shown>],
    tokenizer: &Tokenizer,
) -> String {
    let folder = session.run().folder().display();
    let networks: Vec<&str> = session.trainer().model().networks.iter().map(|network| network.name).collect();
    let loads = match networks.len() {
        1 => "transformers loads it",
        2 => "transformers loads both",
        _ => "transformers loads all of them",
    };
    let demonstration = session.config().objective.demonstration();
    let attempt = match demonstration {
        Demonstration::Masked { .. } => format!(
            "hide a word, and see what the {} puts there:\n         leyden probe {folder} --mask \"{}\"\n       ",
            networks.join(" and "),
            sentence(shown, tokenizer, true)
        ),
        // An encoder that has never met `[MASK]` is not asked about it.
        Demonstration::Replaced { .. } | Demonstration::Restored { .. } | Demonstration::Chosen { .. }
            if !networks.contains(&"discriminator") =>
        {
            format!(
                "hide a word, and see what the generator puts there:\n         leyden probe {}/generator --mask \"{}\"\n       ",
                weights.display(),
                sentence(shown, tokenizer, true)
            )
        }
        Demonstration::Replaced { .. } | Demonstration::Restored { .. } | Demonstration::Chosen { .. } => format!(
            "change a word, and see whether the discriminator notices:\n         leyden probe {folder} \"{}\"\n       ",
            sentence(shown, tokenizer, false)
        ),
        Demonstration::Predictions => String::new(),
    };
    format!(
        "{}  {folder}/metrics.jsonl, config.toml, samples.jsonl\n       {}/{}: {loads}\n\n{}   {attempt}train on a text of your \
         own, longer:\n         leyden train --preset mini --text your.txt{}",
        style.bold("files"),
        weights.display(),
        networks.join(" and "),
        style.bold("next"),
        match session.config().objective.name() {
            name if name == ObjectiveConfig::USUAL => String::new(),
            other => format!(" --objective {other}"),
        }
    )
}

/// The first sentence without its special tokens, and without what a shell would read otherwise; with `[MASK]` for a whole word that
/// was asked for, if that is wanted and there is one.
fn sentence(shown: &[Vec<Shown>], tokenizer: &Tokenizer, masked: bool) -> String {
    let Some(shown) = shown.first() else { return String::new() };
    let sep = tokenizer.special().sep;
    let tokens: Vec<&Shown> = shown.iter().skip(1).take_while(|token| token.original != sep).take(32).collect();
    let plain = |tokens: &[&Shown]| {
        let ids: Vec<u32> = tokens.iter().map(|token| token.original).collect();
        tokenizer.decode(&ids).unwrap_or_default().replace(['"', '$', '`', '\\', '!'], "")
    };
    // A piece of a word with the rest of it beside a mask would be other tokens.
    let begins = |place: usize| {
        let token = tokens.get(place).and_then(|token| tokenizer.token(token.original));
        token.is_none_or(|token| !token.starts_with("##"))
    };
    let whole = |place: &usize| begins(*place) && begins(place + 1);
    let asked = |place: &usize| tokens[*place].selected;
    match (0..tokens.len()).filter(whole).find(asked).filter(|_| masked) {
        Some(place) => format!("{} [MASK] {}", plain(&tokens[..place]), plain(&tokens[place + 1..])).trim().to_string(),
        None => plain(&tokens),
    }
}
