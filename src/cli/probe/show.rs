//! A sentence's tokens with a number under each.

use crate::cli::style::Style;
use crate::cli::table::{Table, columns_of, columns_of_char};
use crate::probe::{Guessed, Judged};

/// Fills the gap between the pieces of one word.
const JOINER: char = '·';
/// Before the continuation of a word in a WordPiece vocabulary.
const CONTINUATION: &str = "##";
/// What is to be filled in.
const MASK: &str = "[MASK]";

/// Columns to fill: `COLUMNS`, else the 80 that every terminal has.
pub(super) fn terminal_columns() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.filter(|&columns: &usize| columns >= 20).unwrap_or(80)
}

/// What the numbers and colours mean.
pub(super) fn legend(style: Style) -> String {
    let text = "Under each token: the probability in % that it was replaced.";
    if style.on() {
        let scale: Vec<String> =
            [10, 30, 45, 60, 75, 90].iter().map(|&p| style.heat(p as f32 / 100.0, &format!(" {p} "))).collect();
        format!("{} {}", style.dim(text), scale.concat())
    } else {
        format!("{text} * over 50. {JOINER} joins the pieces of a word.")
    }
}

/// What the numbers under a sentence with masks mean.
pub(super) fn mask_legend(network: &str) -> String {
    format!("Under each sentence: the {network}'s likeliest words for every [MASK], with their probability in %.")
}

/// A sentence and under it a column of guesses for each mask, as many side by side as `columns` hold.
pub(super) fn guesses(guessed: &Guessed, style: Style, columns: usize) -> String {
    let inner = &guessed.tokens[1..guessed.tokens.len() - 1];
    let words: Vec<&str> = inner.iter().map(|t| t.strip_prefix(CONTINUATION).unwrap_or(t)).collect();
    let joined = inner.iter().skip(1).map(|t| if t.starts_with(CONTINUATION) && t.len() > 2 { JOINER } else { ' ' });
    let mut text = String::new();
    let mut used = 0;
    for (i, (word, before)) in words.iter().zip(std::iter::once(' ').chain(joined)).enumerate() {
        let next = columns_of(word);
        if used + 1 + next > columns && used > 0 {
            text.push('\n');
            used = 0;
        } else if i > 0 {
            text.push(before);
            used += 1;
        }
        text += &if *word == MASK { style.bold(word) } else { word.to_string() };
        used += next;
    }
    text.push('\n');
    let widest = guessed.masks.iter().flat_map(|m| &m.guesses).map(|g| columns_of(&g.token)).max().unwrap_or_default();
    let together = (columns / (widest.max(MASK.len()) + 9)).max(1);
    for masks in guessed.masks.chunks(together) {
        let mut table = Table::new(&[true, false].repeat(masks.len()));
        for rank in 0..masks.iter().map(|m| m.guesses.len()).max().unwrap_or_default() {
            let cells = masks.iter().filter_map(|m| m.guesses.get(rank));
            table.row(cells.flat_map(|g| [format!("{:6.1}", g.p * 100.0), visible(&g.token)]));
        }
        text += &table.lines().join("\n");
        text.push('\n');
    }
    if guessed.cut {
        text += &format!("{}\n", style.dim(&format!("(cut to {} tokens)", guessed.tokens.len())));
    }
    text
}

/// A token without what would move a terminal's cursor.
fn visible(token: &str) -> String {
    token.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// One token, ready to be put down.
struct Cell {
    text: String,
    number: String,
    p: f32,
    continues: bool,
}

impl Cell {
    fn new(token: &str, p: f32, style: Style) -> Self {
        let piece = token.strip_prefix(CONTINUATION).filter(|piece| !piece.is_empty());
        let text = visible(piece.unwrap_or(token));
        let mark = if p > 0.5 && !style.on() { "*" } else { "" };
        Self { text, number: format!("{:.0}{mark}", p * 100.0), p, continues: piece.is_some() }
    }

    fn columns(&self) -> usize {
        columns_of(&self.text).max(self.number.len())
    }
}

/// The tokens between `[CLS]` and `[SEP]` in rows of at most `columns`, numbers under them.
pub(super) fn sentence(judged: &Judged, style: Style, columns: usize) -> String {
    let inner = 1..judged.tokens.len().saturating_sub(1).max(1);
    let cells: Vec<Cell> = inner.map(|i| Cell::new(&judged.tokens[i], judged.p_replaced[i], style)).collect();
    if cells.is_empty() {
        return format!("{}\n", style.dim("(no tokens)"));
    }
    let mut text = String::new();
    let (mut row, mut used) = (Vec::new(), 0);
    for cell in &cells {
        let next = cell.columns().min(columns);
        if used + 1 + next > columns && !row.is_empty() {
            text += &lines(&row, style);
            (row, used) = (Vec::new(), 0);
        }
        used += next + usize::from(!row.is_empty());
        row.push(cell);
    }
    text += &lines(&row, style);
    if judged.cut {
        text += &format!("{}\n", style.dim(&format!("(cut to {} tokens)", judged.tokens.len())));
    }
    text
}

/// Two lines: the tokens of a row and their numbers.
fn lines(row: &[&Cell], style: Style) -> String {
    let (mut words, mut numbers) = (String::new(), String::new());
    for (i, cell) in row.iter().enumerate() {
        words += &style.heat(cell.p, &cell.text);
        numbers += &style.dim(&cell.number);
        let Some(next) = row.get(i + 1) else { break };
        let gap = cell.columns() + 1 - columns_of(&cell.text);
        let fill = if next.continues { JOINER } else { ' ' };
        debug_assert_eq!(columns_of_char(fill), 1);
        words += &style.dim(&fill.to_string().repeat(gap));
        numbers += &" ".repeat(cell.columns() + 1 - cell.number.len());
    }
    format!("{words}\n{numbers}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(tokens: &[(&str, f32)]) -> Judged {
        let all = [&[("[CLS]", 0.1)], tokens, &[("[SEP]", 0.2)]].concat();
        Judged {
            ids: vec![0; all.len()],
            tokens: all.iter().map(|t| t.0.to_string()).collect(),
            p_replaced: all.iter().map(|t| t.1).collect(),
            cut: false,
        }
    }

    #[test]
    fn numbers_stand_under_their_tokens() {
        let plain = Style::plain();
        let sentence_of = |tokens: &[(&str, f32)], columns| sentence(&judged(tokens), plain, columns);
        let tokens = [("the", 0.031), ("cat", 0.872), ("##s", 0.604), ("中国", 0.5), (".", 0.997)];
        assert_eq!(sentence_of(&tokens, 80), "the cat·s   中国 .\n3   87* 60* 50   100*\n");
        assert_eq!(sentence_of(&tokens, 12), "the cat·s\n3   87* 60*\n中国 .\n50   100*\n");
        assert_eq!(sentence_of(&[], 80), "(no tokens)\n");
    }
}
