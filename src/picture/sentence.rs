//! One sentence as a picture: the text, what a network put in, and the discriminator's verdict on every token, if there is one.

use super::canvas::{Anchor, Canvas, width_of};
use crate::numbers::grouped;
use crate::probe::{Mark, Sentence, Token, mark};

const INK: &str = "#222222";
const WEAK: &str = "#595959";
const GOOD: &str = "#007350";
const BAD: &str = "#b4141e";
const CAUTION: &str = "#8c5f00";
const GENERATOR: &str = "#be4b00";

const WIDTH: f64 = 1_600.0;
const MARGIN: f64 = 40.0;
/// Letters of the tokens and of what is written around them.
const LETTERS: f64 = 26.0;
const SMALL: f64 = 17.0;
const GAP: f64 = 12.0;
const ROW: f64 = 132.0;
const CARD: f64 = 60.0;

/// Draws `sentence` as an SVG; `step` is the step of the weights that answered.
pub fn sentence(sentence: &Sentence, step: Option<u64>) -> String {
    let mut places = Vec::new();
    let (mut x, mut row) = (MARGIN, 0);
    for token in &sentence.tokens {
        let width = card_width(token);
        if x + width > WIDTH - MARGIN && x > MARGIN {
            (x, row) = (MARGIN, row + 1);
        }
        places.push((x, row, width));
        x += width + GAP;
    }
    let top = 84.0;
    let height = top + (row + 1) as f64 * ROW + 50.0;
    let mut canvas = Canvas::new(WIDTH as u32, height as u32);
    let title =
        step.map_or_else(|| "One sentence".to_string(), |step| format!("One sentence after {} steps", grouped(step)));
    canvas.text((MARGIN, 40.0), LETTERS, Anchor::Start, INK, &title);
    for (token, &(x, row, width)) in sentence.tokens.iter().zip(&places) {
        card(&mut canvas, token, x, top + row as f64 * ROW, width);
    }
    let legend = match sentence.tokens.iter().all(|token| token.p_replaced.is_some()) {
        true => {
            "above: the word in the text, where the generator put another (= where it hit the word) · below: the \
             discriminator's probability that the token was replaced"
        }
        false => {
            "the network's likeliest guess for each masked word · above: the word in the text (= where the guess is the word)"
        }
    };
    canvas.text((MARGIN, height - 28.0), SMALL, Anchor::Start, WEAK, legend);
    canvas.finish()
}

fn card_width(token: &Token) -> f64 {
    let shown = width_of(&token.shown, LETTERS);
    let others = [above(token), below(token).0].into_iter().map(|text| width_of(&text, SMALL));
    others.fold(shown + 24.0, |width, other| width.max(other + 8.0))
}

fn above(token: &Token) -> String {
    match (token.is_fake(), token.selected) {
        (true, _) => token.original.clone(),
        (false, true) => "=".into(),
        (false, false) => String::new(),
    }
}

fn below(token: &Token) -> (String, &'static str) {
    let percent = token.p_replaced.map_or_else(String::new, |p| format!("{:.0} % ", 100.0 * p));
    let mark = mark(token);
    let colour = match mark {
        Mark::Hit => GOOD,
        Mark::Miss => BAD,
        Mark::FalseAlarm => CAUTION,
        Mark::Original | Mark::Restored => WEAK,
        Mark::Open => GENERATOR,
    };
    let words = if mark == Mark::Restored { percent } else { percent + mark.sign() };
    (words.trim_end().into(), colour)
}

fn card(canvas: &mut Canvas, token: &Token, x: f64, y: f64, width: f64) {
    let (verdict, colour) = below(token);
    let middle = x + width / 2.0;
    let p = token.p_replaced.map_or(0.0, |p| f64::from(p.clamp(0.0, 1.0)));
    let mix = |a: f64, b: f64| (a + (b - a) * p).round() as u8;
    let back = format!("#{:02x}{:02x}{:02x}", mix(238.0, 255.0), mix(239.0, 196.0), mix(240.0, 92.0));
    let rim = !matches!(mark(token), Mark::Original | Mark::Restored);
    let rim = rim.then_some((colour, 3.0));
    canvas.text((middle, y + 12.0), SMALL, Anchor::Middle, GENERATOR, &above(token));
    canvas.block((x, y + 28.0), (width, CARD - 8.0), &back, rim);
    canvas.text((middle, y + 28.0 + (CARD - 8.0) / 2.0), LETTERS, Anchor::Middle, INK, &token.shown);
    canvas.text((middle, y + 28.0 + CARD + 8.0), SMALL, Anchor::Middle, colour, &verdict);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_have_no_percentages() {
        let token = |original: &str, shown: &str, p_replaced| Token {
            position: 1,
            original: original.into(),
            shown: shown.into(),
            selected: true,
            masked: true,
            edited: false,
            guesses: Vec::new(),
            p_replaced,
            candidates: Vec::new(),
        };
        let svg = |p| {
            let tokens = vec![token("peace", "war", p), token("now", "now", p)];
            sentence(&Sentence { tokens, cut: false }, Some(4))
        };
        let (judged, guessed) = (svg(Some(0.75)), svg(None));
        for words in ["75 % hit", "75 % false", "discriminator"] {
            assert!(judged.contains(words) && !guessed.contains(words), "{words}");
        }
        assert!(guessed.contains("miss") && guessed.contains("hit") && !guessed.contains('%'), "{guessed}");
    }
}
