//! What a setting's values come to: a panel for each measure, the values side by side, over each the scores, their mean and spread.

use super::canvas::{Anchor, Canvas, Stroke, fitted};
use super::panel::{BASELINE, DOT, INK};
use super::{COLOURS, PictureError};
use crate::history::{Scale, ticks};
use crate::measure::mean_and_deviation;
use crate::numbers::fixed;

/// A measure of each value.
#[derive(Debug, Clone, PartialEq)]
pub struct ValuePanel {
    /// What is measured.
    pub title: String,
    /// The values by name, with their scores, at least one each.
    pub values: Vec<(String, Vec<f64>)>,
    /// What they are held against, with its name.
    pub level: Option<(String, f64)>,
}

/// What to draw.
#[derive(Debug)]
pub struct ByValue<'a> {
    /// The setting.
    pub setting: &'a str,
    /// At least one, of the same values.
    pub panels: &'a [ValuePanel],
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// Where a panel lies.
struct Place {
    top: f64,
    bottom: f64,
    left: f64,
    right: f64,
}

impl ByValue<'_> {
    /// The picture as an SVG file.
    ///
    /// # Errors
    /// [`PictureError::Runs`] where there is nothing to draw.
    pub fn to_svg(&self) -> Result<String, PictureError> {
        let drawn = |panel: &ValuePanel| panel.values.iter().all(|(_, scores)| scores.iter().any(|x| x.is_finite()));
        if self.panels.is_empty() || self.panels.iter().any(|panel| panel.values.is_empty() || !drawn(panel)) {
            return Err(PictureError::Runs { found: 0 });
        }
        let mut canvas = Canvas::new(self.size.0, self.size.1);
        let (width, height) = (f64::from(self.size.0), f64::from(self.size.1));
        let (left, right, footer) = (80.0, width - 170.0, height - 62.0);
        let each = (footer - 10.0) / self.panels.len() as f64;
        for (i, panel) in self.panels.iter().enumerate() {
            let top = 10.0 + i as f64 * each;
            panel.draw(&mut canvas, &Place { top: top + 44.0, bottom: top + each - 12.0, left, right });
        }
        let names = &self.panels[0].values;
        let column = (right - left) / names.len() as f64;
        for (i, (name, _)) in names.iter().enumerate() {
            let x = left + (i as f64 + 0.5) * column;
            canvas.text((x, footer + 12.0), 16.0, Anchor::Middle, INK, &fitted(name, 16.0, column));
        }
        canvas.text(((left + right) / 2.0, footer + 40.0), 18.0, Anchor::Middle, INK, self.setting);
        Ok(canvas.finish())
    }
}

impl ValuePanel {
    fn draw(&self, canvas: &mut Canvas, place: &Place) {
        let Place { top, bottom, left, right } = *place;
        let shown: Vec<(f64, f64, Vec<f64>)> = self
            .values
            .iter()
            .map(|(_, scores)| {
                let scores: Vec<f64> = scores.iter().copied().filter(|x| x.is_finite()).collect();
                let (mean, deviation) = mean_and_deviation(&scores);
                (mean, if deviation.is_finite() { deviation } else { 0.0 }, scores)
            })
            .collect();
        let level = self.level.as_ref().map(|(_, level)| *level).filter(|level| level.is_finite());
        let ends = shown.iter().flat_map(|(mean, spread, scores)| {
            [mean - spread, mean + spread].into_iter().chain(scores.iter().copied())
        });
        let (low, high) = ends.chain(level).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        let room = if high > low { 0.06 * (high - low) } else { 0.05 * high.abs().max(1.0) };
        let (low, high) = (low - room, high + room);
        let y = |value: f64| bottom - (value - low) / (high - low) * (bottom - top);

        canvas.text((left, top - 20.0), 19.0, Anchor::Start, INK, &self.title);
        let (values, digits) = ticks(low, high, ((bottom - top) / 42.0) as usize, Scale::Linear);
        for value in values {
            canvas.line((left, y(value)), (right, y(value)), Stroke::new("#dddddd", 1.0));
            canvas.text((left - 10.0, y(value)), 16.0, Anchor::End, INK, &fixed(value, digits));
        }
        canvas.line((left, bottom), (right, bottom), Stroke::new(INK, 1.5));
        canvas.line((left, top), (left, bottom), Stroke::new(INK, 1.5));
        if let (Some(level), Some((name, _))) = (level, &self.level) {
            let stroke = Stroke { dashes: Some((9.0, 5.0)), ..Stroke::new(BASELINE, 1.6) };
            canvas.line((left, y(level)), (right, y(level)), stroke);
            canvas.text((right + 10.0, y(level)), 15.0, Anchor::Start, INK, &fitted(name, 15.0, 150.0));
        }
        let column = (right - left) / shown.len() as f64;
        let x = |i: usize| left + (i as f64 + 0.5) * column;
        let colour = COLOURS[0];
        for (i, pair) in shown.windows(2).enumerate() {
            canvas.line((x(i), y(pair[0].0)), (x(i + 1), y(pair[1].0)), Stroke::new(colour, 2.4));
        }
        for (i, (mean, spread, scores)) in shown.iter().enumerate() {
            canvas.line((x(i), y(mean - spread)), (x(i), y(mean + spread)), Stroke::new(colour, 3.0));
            for &score in scores.iter().filter(|_| scores.len() > 1) {
                canvas.dot((x(i) + 14.0, y(score)), DOT * 0.6, COLOURS[5]);
            }
            canvas.dot((x(i), y(*mean)), DOT, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_side_by_side_with_their_spread() {
        let values = vec![("1/8".into(), vec![0.5, 0.6]), ("1/4".into(), vec![0.7]), ("1".into(), vec![0.4, f64::NAN])];
        let panel = ValuePanel { title: "order: Accuracy".into(), values, level: Some(("random weights".into(), 0.5)) };
        let figure = ByValue { setting: "generator", panels: &[panel.clone(), panel], size: (900, 700) };
        let svg = figure.to_svg().unwrap();
        for part in ["order: Accuracy", "\n1/8\n", "\n1/4\n", "\ngenerator\n", "\nrandom weights\n"] {
            assert!(svg.contains(part), "no {part:?} in {svg}");
        }
        assert!(!svg.contains("NaN"));
        let none = ValuePanel { title: String::new(), values: vec![("1".into(), vec![f64::NAN])], level: None };
        assert!(ByValue { setting: "generator", panels: &[none], size: (900, 700) }.to_svg().is_err());
    }
}
