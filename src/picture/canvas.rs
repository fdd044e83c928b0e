//! Lines, letters and marks, in pixels from the top left.

use crate::history::Point;
use svg::node::element as el;

/// The font of every label; the first is inside the program and makes the PNG.
const FONTS: &str = "DejaVu Sans, Verdana, sans-serif";
/// What a letter of that font takes of its size, at most on average.
const LETTER: f64 = 0.62;

/// A picture in the making.
pub(super) struct Canvas {
    document: svg::Document,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke<'a> {
    pub colour: &'a str,
    pub width: f64,
    pub opacity: f64,
    /// Lengths of a dash and a gap; none for a whole line.
    pub dashes: Option<(f64, f64)>,
}

impl<'a> Stroke<'a> {
    pub(super) fn new(colour: &'a str, width: f64) -> Self {
        Self { colour, width, opacity: 1.0, dashes: None }
    }

    fn set<E: svg::Node>(self, mut element: E) -> E {
        element.assign("stroke", self.colour);
        element.assign("stroke-width", round(self.width));
        if self.opacity < 1.0 {
            element.assign("stroke-opacity", self.opacity);
        }
        if let Some((dash, gap)) = self.dashes {
            element.assign("stroke-dasharray", format!("{} {}", round(dash), round(gap)));
        }
        element
    }
}

/// Which point of a text stands where it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let document = svg::Document::new()
            .set("width", width)
            .set("height", height)
            .set("viewBox", (0, 0, width, height))
            .set("font-family", FONTS)
            .add(el::Rectangle::new().set("width", width).set("height", height).set("fill", "#ffffff"));
        Self { document }
    }

    pub(super) fn finish(self) -> String {
        self.document.to_string()
    }

    fn add(&mut self, element: impl Into<Box<dyn svg::Node>>) {
        svg::Node::append(&mut self.document, element);
    }

    /// Declares a rectangle to which [`Canvas::curve`] is cut.
    pub(super) fn clip(&mut self, name: &str, (left, top): Point, (right, bottom): Point) {
        let inside = el::Rectangle::new()
            .set("x", round(left))
            .set("y", round(top))
            .set("width", round(right - left))
            .set("height", round(bottom - top));
        self.add(el::ClipPath::new().set("id", name).add(inside));
    }

    pub(super) fn line(&mut self, (x1, y1): Point, (x2, y2): Point, stroke: Stroke<'_>) {
        let line = el::Line::new().set("x1", round(x1)).set("y1", round(y1)).set("x2", round(x2)).set("y2", round(y2));
        self.add(stroke.set(line));
    }

    pub(super) fn curve(&mut self, points: &[Point], stroke: Stroke<'_>, clip: &str) {
        let points: Vec<String> = points.iter().map(|&(x, y)| format!("{},{}", round(x), round(y))).collect();
        let line = el::Polyline::new()
            .set("points", points.join(" "))
            .set("fill", "none")
            .set("stroke-linejoin", "round")
            .set("stroke-linecap", "round")
            .set("clip-path", format!("url(#{clip})"));
        self.add(stroke.set(line));
    }

    /// A faint area within this edge, cut to `clip` where there is one; nothing where there is no edge.
    pub(super) fn area(&mut self, edge: &[Point], fill: &str, clip: &str) {
        if edge.len() < 3 {
            return;
        }
        let points: Vec<String> = edge.iter().map(|&(x, y)| format!("{},{}", round(x), round(y))).collect();
        let mut area = el::Polygon::new().set("points", points.join(" ")).set("fill", fill).set("fill-opacity", 0.14);
        if !clip.is_empty() {
            area = area.set("clip-path", format!("url(#{clip})"));
        }
        self.add(area);
    }

    /// A rectangle with round corners, with a rim of this colour and width if there is one.
    pub(super) fn block(&mut self, (x, y): Point, (width, height): Point, fill: &str, rim: Option<(&str, f64)>) {
        let block = el::Rectangle::new()
            .set("x", round(x))
            .set("y", round(y))
            .set("width", round(width))
            .set("height", round(height))
            .set("rx", 8)
            .set("fill", fill);
        match rim {
            Some((colour, width)) => self.add(Stroke::new(colour, width).set(block)),
            None => self.add(block),
        }
    }

    /// A dot with a white rim, so that it is seen on its curve.
    pub(super) fn dot(&mut self, (x, y): Point, radius: f64, colour: &str) {
        let circle = el::Circle::new().set("cx", round(x)).set("cy", round(y)).set("r", round(radius));
        self.add(Stroke::new("#ffffff", radius * 0.4).set(circle.set("fill", colour)));
    }

    pub(super) fn cross(&mut self, (x, y): Point, radius: f64, colour: &str) {
        let stroke = Stroke::new(colour, radius * 0.55);
        self.line((x - radius, y - radius), (x + radius, y + radius), stroke);
        self.line((x - radius, y + radius), (x + radius, y - radius), stroke);
    }

    /// A line of text; `y` is the middle of its small letters.
    pub(super) fn text(&mut self, (x, y): Point, size: f64, anchor: Anchor, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let element = el::Text::new(text)
            .set("x", round(x))
            .set("y", round(y + 0.35 * size))
            .set("font-size", round(size))
            .set("fill", colour)
            .set("text-anchor", anchor);
        self.add(element);
    }
}

/// The width of a text, rather too large than too small.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * LETTER * size
}

/// `text` if it fits into `width`, else its beginning and end with an ellipsis between them.
pub(super) fn fitted(text: &str, size: f64, width: f64) -> String {
    let most = (width / (LETTER * size)) as usize;
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_string();
    }
    let kept = most.saturating_sub(1).max(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect()
}

/// Hundredths of a pixel are enough.
fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(fitted("tiny", 10.0, 100.0), "tiny");
        assert_eq!(fitted("a-very-long-name-1", 10.0, 62.0), "a-ver…me-1");
        assert_eq!(fitted("long", 10.0, 0.0), "l…");
    }
}
