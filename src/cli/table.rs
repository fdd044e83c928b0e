//! Columns of text.

/// Rows of cells, aligned by the widest cell of each column.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// An empty table; `right` says which columns are aligned to the right.
    pub(crate) fn new(right: &[bool]) -> Self {
        Self { rows: Vec::new(), right: right.to_vec() }
    }

    /// Adds a row.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows as lines, two spaces between columns and none at the end.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |c: usize| self.rows.iter().filter_map(|row| row.get(c)).map(|cell| columns_of(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or_default()).collect();
        let line = |row: &Vec<String>| {
            let mut text = String::new();
            for (c, cell) in row.iter().enumerate() {
                let space = " ".repeat(widths[c].saturating_sub(columns_of(cell)));
                let right = self.right.get(c).copied().unwrap_or_default();
                text += if c > 0 { "  " } else { "" };
                text += &if right { space + cell } else { cell.clone() + &space };
            }
            text.trim_end().to_string()
        };
        self.rows.iter().map(line).collect()
    }
}

/// Columns of a terminal that a text takes: two for Chinese, Japanese and Korean characters and pictures, none for
/// marks that stand over another.
pub(crate) fn columns_of(text: &str) -> usize {
    text.chars().map(columns_of_char).sum()
}

/// As [`columns_of`] for one character.
pub(crate) fn columns_of_char(character: char) -> usize {
    match character as u32 {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[false, true]);
        table.row(["a", "1"]);
        table.row(["中国", "1,000"]);
        table.row(["last", ""]);
        assert_eq!(table.lines(), ["a         1", "中国  1,000", "last"]);
    }
}
