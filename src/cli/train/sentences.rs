//! A few held-out sentences with the generator's fakes and the discriminator's verdict on every token.

use crate::cli::style::Style;
use crate::corpus::Tokenizer;
use crate::train::Verdict;
use std::fmt::Write as _;

/// Columns of a terminal that a sentence may take.
const WIDTH: usize = 96;

/// One column of the table.
struct Column {
    original: String,
    generator: String,
    verdict: String,
    fake: bool,
    called: bool,
}

fn column(v: &Verdict, tokenizer: &Tokenizer) -> Column {
    // A piece that goes on a word is written as `leyden probe` does.
    let token = |id: u32| tokenizer.token(id).map_or_else(|| "?".into(), |t| t.replacen("##", "·", 1));
    let (fake, called) = (v.shown != v.original, v.replaced > 0.5);
    let generator = match (v.drawn, fake) {
        (false, _) => String::new(),
        (true, false) => "=".into(),
        (true, true) => token(v.shown),
    };
    let mark = match (fake, called) {
        (true, true) => " hit",
        (true, false) => " miss",
        (false, true) => " false",
        (false, false) => "",
    };
    Column { original: token(v.original), generator, verdict: format!("{:.0}{mark}", 100.0 * v.replaced), fake, called }
}

/// The sentences as three rows each: the text, what the generator put in, and the discriminator's percentages.
pub(super) fn table(style: Style, sentences: &[Vec<Verdict>], tokenizer: &Tokenizer) -> String {
    let mut out = format!(
        "\n{}: what the generator put where words were drawn (= where it hit the word),\nand the discriminator's \
         percentage of \"replaced\" for every token; over 50 it cries fake\n",
        style.bold("held-out sentences")
    );
    for sentence in sentences {
        let inner = &sentence[1..sentence.len().saturating_sub(1).max(1)];
        let columns: Vec<Column> = inner.iter().map(|v| column(v, tokenizer)).collect();
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
            rows(&mut out, style, line);
            rest = later;
        }
    }
    out
}

fn width(c: &Column) -> usize {
    [&c.original, &c.generator, &c.verdict].iter().map(|s| s.chars().count()).max().unwrap_or(0)
}

fn rows(out: &mut String, style: Style, columns: &[Column]) {
    let mut row = |name: &str, cell: &dyn Fn(&Column) -> (String, u8)| {
        let _ = write!(out, "  {}", style.dim(&format!("{name:<13} ")));
        for c in columns {
            let (text, colour) = cell(c);
            let padded = format!("{text:<0$}", width(c));
            let padded = match colour {
                1 => style.red(&padded),
                2 => style.green(&padded),
                3 => style.yellow(&padded),
                4 => style.dim(&padded),
                _ => padded,
            };
            let _ = write!(out, "{padded} ");
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    };
    row("text", &|c| (c.original.clone(), 0));
    row("generator", &|c| (c.generator.clone(), if c.fake { 1 } else { 2 }));
    row("discriminator", &|c| {
        let colour = match (c.fake, c.called) {
            (true, true) => 2,
            (true, false) => 1,
            (false, true) => 3,
            (false, false) => 4,
        };
        (c.verdict.clone(), colour)
    });
}
