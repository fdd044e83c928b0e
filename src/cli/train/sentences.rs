//! A few held-out sentences, and what the networks made of them.

use crate::cli::style::Style;
use crate::corpus::Tokenizer;
use crate::objective::{Demonstration, Shown};
use std::fmt::Write as _;

/// Columns of a terminal that a sentence may take.
const WIDTH: usize = 96;

/// One column of the table: the token of the text, and a text and colour for each further row.
struct Column {
    original: String,
    below: Vec<(String, Colour)>,
}

#[derive(Clone, Copy)]
enum Colour {
    Plain,
    Red,
    Green,
    Yellow,
    Dim,
}

fn column(shown: &Shown, tokenizer: &Tokenizer) -> Column {
    // A piece that goes on a word is written as `leyden probe` does.
    let token = |id: u32| tokenizer.token(id).map_or_else(|| "?".into(), |t| t.replacen("##", "·", 1));
    let put = match (shown.selected, shown.shown != shown.original) {
        (false, _) => (String::new(), Colour::Plain),
        (true, false) => ("=".into(), Colour::Green),
        (true, true) => (token(shown.shown), Colour::Red),
    };
    let verdict = shown.replaced.map(|probability| {
        let (mark, colour) = match (shown.shown != shown.original, probability > 0.5) {
            (true, true) => (" hit", Colour::Green),
            (true, false) => (" miss", Colour::Red),
            (false, true) => (" false", Colour::Yellow),
            (false, false) => ("", Colour::Dim),
        };
        (format!("{:.0}{mark}", 100.0 * probability), colour)
    });
    let restored = shown.restored.map(|word| {
        let (name, colour) = match word == shown.original {
            true => ("=".into(), Colour::Green),
            false => (token(word), Colour::Red),
        };
        match shown.candidates.first() {
            Some((_, p)) => (format!("{name} {:.0}", 100.0 * p), colour),
            None => (name, colour),
        }
    });
    Column { original: token(shown.original), below: [put].into_iter().chain(verdict).chain(restored).collect() }
}

/// The sentences in rows: the text, what a network put in, and a discriminator's percentages where there is one. The rows have the
/// names of the networks.
pub(super) fn table(
    style: Style,
    demonstration: Demonstration,
    networks: &[&str],
    sentences: &[Vec<Shown>],
    tokenizer: &Tokenizer,
) -> String {
    let (chosen, replaced);
    let (names, about) = match demonstration {
        Demonstration::Masked { .. } => {
            let names = &networks[networks.len().saturating_sub(1)..];
            (names, format!("what the {} guesses where words were masked (= where it hit the word)", names.join("")))
        }
        Demonstration::Replaced { .. } => (
            {
                // Words may come from no network.
                let judge = networks.last().copied().unwrap_or_default();
                replaced = [if networks.len() > 1 { networks[0] } else { "put in" }, judge];
                &replaced[..]
            },
            format!(
                "what was put where words were selected (= where it hit the word),\nand the {}'s percentage of \
                 \"replaced\" for every token; over 50 it cries fake",
                networks.last().copied().unwrap_or_default()
            ),
        ),
        Demonstration::Restored { .. } => (
            networks,
            format!(
                "what the generator put where words were selected (= where it hit the word),\nand what the {} takes the \
                 word to have been there",
                networks.last().copied().unwrap_or_default()
            ),
        ),
        Demonstration::Chosen { logits, .. } => {
            let (encoder, judge) = match logits {
                Some(_) => (networks.last(), networks.iter().rev().nth(1)),
                None => (networks.last(), networks.last()),
            };
            let (encoder, judge) = (encoder.copied().unwrap_or_default(), judge.copied().unwrap_or_default());
            chosen = ["generator", judge, if logits.is_some() { encoder } else { "its choice" }];
            (
                &chosen[..],
                format!(
                    "what the generator put where words were selected (= where it hit the word), the {judge}'s percentage\nof \
                     \"replaced\" for every token, over 50 it cries fake, and what the {encoder} takes the word to have been,\nwith \
                     its percentage among the words it chose from"
                ),
            )
        }
        Demonstration::Predictions => return String::new(),
    };
    let mut out = format!("\n{}: {about}\n", style.bold("held-out sentences"));
    for sentence in sentences {
        let inner = &sentence[1..sentence.len().saturating_sub(1).max(1)];
        let columns: Vec<Column> = inner.iter().map(|shown| column(shown, tokenizer)).collect();
        let mut rest = &columns[..];
        out.push('\n');
        while !rest.is_empty() {
            let (mut used, mut count) = (0, 0);
            for c in rest {
                used += width(c) + 1;
                if used > WIDTH && count > 0 {
                    break;
                }
                count += 1;
            }
            let (line, later) = rest.split_at(count);
            rows(&mut out, style, names, line);
            rest = later;
        }
    }
    out
}

fn width(c: &Column) -> usize {
    let below = c.below.iter().map(|(text, _)| text.chars().count());
    below.chain([c.original.chars().count()]).max().unwrap_or(0)
}

fn rows(out: &mut String, style: Style, names: &[&str], columns: &[Column]) {
    let mut row = |name: &str, cell: &dyn Fn(&Column) -> (String, Colour)| {
        let _ = write!(out, "  {}", style.dim(&format!("{name:<13} ")));
        for c in columns {
            let (text, colour) = cell(c);
            let padded = format!("{text:<0$}", width(c));
            let padded = match colour {
                Colour::Plain => padded,
                Colour::Red => style.red(&padded),
                Colour::Green => style.green(&padded),
                Colour::Yellow => style.yellow(&padded),
                Colour::Dim => style.dim(&padded),
            };
            let _ = write!(out, "{padded} ");
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    };
    row("text", &|c| (c.original.clone(), Colour::Plain));
    for (i, name) in names.iter().enumerate() {
        row(name, &|c| c.below.get(i).cloned().unwrap_or_else(|| (String::new(), Colour::Plain)));
    }
}
