//! What a comparison comes to, written: a table as text, Markdown and JSON, and pictures.

use crate::cli::Failure;
use crate::cli::style::Style;
use crate::cli::table::Table;
use crate::comparison::{Comparison, ComparisonError, Results};
use crate::history::{Scale, X};
use crate::picture::{ByValue, Figure, MOST_RUNS, PictureError, to_png};
use std::path::Path;

/// Where everything goes, and what it is about.
pub(super) struct Report<'a> {
    pub out: &'a Path,
    /// What is compared, in order.
    pub arms: Vec<&'a str>,
}

impl Report<'_> {
    /// Writes everything that results so far give; the table as text.
    pub(super) fn write(&self, results: &Results) -> Result<String, Failure> {
        let comparison = match Comparison::of(self.out, &self.arms, results) {
            Ok(comparison) => comparison,
            Err(ComparisonError::Empty { .. }) => return Ok(String::new()),
            Err(error) => return Err(Failure::work(error)),
        };
        let found = comparison.table();
        self.put("table.md", found.markdown().as_bytes())?;
        let json = serde_json::to_string_pretty(&found.json()).map_err(Failure::work)? + "\n";
        self.put("table.json", json.as_bytes())?;
        let cells = found.cells();
        let mut table = Table::new(&[&[false][..], &vec![true; cells[0].len() - 1]].concat());
        cells.into_iter().for_each(|row| table.row(row));
        let mut text = format!("\n{}\n", Style::stdout().bold("at the end of the budget, on held-out records"));
        table.lines().iter().for_each(|line| text += &format!("{line}\n"));
        text += &format!("{}\n", found.explained());
        let mut runs = comparison.curves();
        if runs.len() > MOST_RUNS {
            runs.truncate(MOST_RUNS);
            text += &format!("the picture has the first {MOST_RUNS} of them\n");
        }
        let height = (160 + 340 * comparison.judged.len() as u32).min(3_000);
        let figure = Figure { runs: &runs, x: X::Flops, scale: Scale::Linear, smoothing: None, size: (1_000, height) };
        self.picture("compare.png", figure.to_svg())?;
        let panels = comparison.by_value();
        if let Some(setting) = comparison.setting().filter(|_| !panels.is_empty()) {
            let height = (100 + 320 * panels.len() as u32).min(3_000);
            self.picture("values.png", ByValue { setting, panels: &panels, size: (900, height) }.to_svg())?;
        }
        let values = if panels.is_empty() { "" } else { ", values.png" };
        let place = self.out.display();
        text += &format!(
            "wrote {place}/table.md, table.json, compare.png{values}; leyden window {place} shows it, leyden plot {place} draws more\n"
        );
        Ok(text)
    }

    fn picture(&self, name: &str, svg: Result<String, PictureError>) -> Result<(), Failure> {
        let png = svg.and_then(|svg| to_png(&svg)).map_err(Failure::work)?;
        self.put(name, &png)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.out.join(name);
        crate::files::write(&path, bytes).map_err(|e| Failure::Work(format!("{}: {e}", path.display())))
    }
}
