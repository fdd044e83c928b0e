//! One token as a card: the word that was there, the word that is there, and the discriminator's verdict, if there is one.

use crate::probe::{Guess, Token};
use crate::window::look::Palette;
use crate::window::state::{Mark, mark};
use egui::{Color32, FontId, Response, Role, Sense, Stroke, StrokeKind, TextStyle, Ui, Vec2, WidgetInfo, vec2};

/// What stands where a word is hidden.
const HIDDEN: &str = "[MASK]";

/// How a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// As the generator sees it: hidden, or the word.
    Hidden,
    /// As the generator leaves it, without a verdict.
    Put,
    /// With its verdict.
    Judged,
    /// The word alone, as a question; whether it is picked.
    Asked { picked: bool },
    /// With its verdict; whether the class had picked it.
    Answered { picked: bool },
}

/// The token in words, for those who do not see it and for tests.
pub(super) fn describe(token: &Token, face: Face) -> String {
    let shown = &token.shown;
    if let Face::Asked { picked } = face {
        return if picked { format!("{shown}, picked") } else { shown.clone() };
    }
    if face == Face::Hidden && token.selected {
        return HIDDEN.into();
    }
    let Some(p_replaced) = token.p_replaced.filter(|_| face != Face::Hidden) else {
        let original = &token.original;
        return match mark(token) {
            Mark::Hit => format!("{shown}, guessed right: hit"),
            Mark::Miss => format!("{shown}, guessed for {original}: miss"),
            Mark::Open => format!("{shown}, guessed for the mask"),
            _ => shown.clone(),
        };
    };
    let who = match (token.edited, token.is_fake(), token.selected) {
        (true, true, _) => format!("{shown}, put in by you for {}", token.original),
        (_, true, _) => format!("{shown}, put in by the generator for {}", token.original),
        (_, false, true) => format!("{shown}, guessed right by the generator"),
        _ => shown.clone(),
    };
    if face == Face::Put {
        return who;
    }
    let picked = if face == (Face::Answered { picked: true }) { ", picked by the class" } else { "" };
    format!("{who}: {:.0} % fake, {}{picked}", 100.0 * p_replaced, mark(token).name())
}

/// The word as people read it: a piece that goes on a word starts with a dot.
pub(super) fn word(token: &str) -> String {
    token.replacen("##", "·", 1)
}

/// Draws the card; a click is the caller's.
pub(super) fn show(ui: &mut Ui, token: &Token, face: Face, size: f32) -> Response {
    let palette = Palette::of(ui);
    let big = FontId::proportional(size);
    let small = TextStyle::Small.resolve(ui.style());
    let judged = !matches!(face, Face::Asked { .. } | Face::Hidden);
    let hidden = face == Face::Hidden && token.selected;
    let mark = mark(token);
    let verdict = match (judged, token.p_replaced) {
        (true, _) if face == Face::Put => String::new(),
        (true, Some(p)) => format!("{:.0} % {}", 100.0 * p, mark.sign()),
        (true, None) => mark.sign().into(),
        (false, _) => String::new(),
    };
    let above = match (judged, token.is_fake(), token.selected && mark != Mark::FalseAlarm) {
        (true, true, _) => word(&token.original),
        (true, false, true) => "=".into(),
        _ => String::new(),
    };
    let ink = ui.visuals().text_color();
    let layout = |ui: &Ui, text: String, font: &FontId, color| ui.painter().layout_no_wrap(text, font.clone(), color);
    let text = match face {
        Face::Hidden if hidden => HIDDEN.into(),
        Face::Hidden => word(&token.original),
        _ => word(&token.shown),
    };
    let shown = layout(ui, text, &big, ink);
    let above = layout(ui, above, &small, palette.generator());
    let below = layout(ui, verdict, &small, palette.mark(mark, ui));
    let inner = shown.size().x.max(above.size().x).max(below.size().x);
    let line = small.size + 4.0;
    let card = shown.size().y + 8.0;
    let lines = if judged { 2.0 * line } else { 0.0 };
    let (rect, response) = ui.allocate_exact_size(vec2(inner + 14.0, card + lines), Sense::click());
    response.widget_info(|| match face {
        Face::Asked { picked } => WidgetInfo::selected(Role::Button, true, picked, describe(token, face)),
        _ => WidgetInfo::labeled(Role::Button, true, describe(token, face)),
    });
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let top = if judged { line } else { 0.0 };
    let mut body = rect;
    body.min.y += top;
    body.max.y = body.min.y + card;
    let (fill, rim) = look(ui, token, face, palette, mark);
    let rim = if response.hovered() || response.has_focus() { Stroke::new(rim.width.max(1.5), ink) } else { rim };
    ui.painter().rect(body, 5.0, fill, rim, StrokeKind::Inside);
    let center =
        |galley: &egui::Galley, y: f32| egui::pos2(rect.center().x - galley.size().x / 2.0, y - galley.size().y / 2.0);
    // Of a fake; a wrong guess does not strike the word out that is right.
    let struck = judged && token.is_fake() && token.p_replaced.is_some();
    let at = center(&above, rect.top() + line / 2.0);
    if struck {
        let y = at.y + above.size().y / 2.0;
        ui.painter().hline(at.x..=at.x + above.size().x, y, Stroke::new(1.0, palette.generator()));
    }
    ui.painter().galley(at, above, ink);
    ui.painter().galley(center(&shown, body.center().y), shown, ink);
    ui.painter().galley(center(&below, rect.bottom() - line / 2.0), below, ink);
    response
}

fn look(ui: &Ui, token: &Token, face: Face, palette: Palette, mark: Mark) -> (Color32, Stroke) {
    match face {
        Face::Asked { picked: true } => (palette.suspicion(1.0), Stroke::new(2.5, palette.caution())),
        Face::Asked { picked: false } => (palette.suspicion(0.0), Stroke::new(1.0, ui.visuals().weak_text_color())),
        Face::Hidden | Face::Put => {
            let width = if token.selected { 2.0 } else { 0.0 };
            (palette.suspicion(0.0), Stroke::new(width, palette.generator()))
        }
        Face::Judged => {
            let width = if mark == Mark::Original { 0.0 } else { 2.0 };
            (palette.suspicion(token.p_replaced.unwrap_or_default()), Stroke::new(width, palette.mark(mark, ui)))
        }
        Face::Answered { picked } => {
            // What the class did is the rim: right, wrong, or not at all.
            let rim = match (picked, token.is_fake()) {
                (true, true) => Stroke::new(3.0, palette.good()),
                (true, false) => Stroke::new(3.0, palette.caution()),
                (false, true) => Stroke::new(3.0, palette.bad()),
                (false, false) => Stroke::NONE,
            };
            (palette.suspicion(token.p_replaced.unwrap_or_default()), rim)
        }
    }
}

/// The likeliest guesses for it, in a list.
pub(super) fn guesses(ui: &mut Ui, token: &Token) {
    let about = match (token.p_replaced, token.masked) {
        (None, _) => "The network's guesses for the masked word",
        (Some(_), true) => "The generator's guesses for the masked word",
        (Some(_), false) => "The generator's guesses; it saw the word",
    };
    // A guess that was put in, or the one that is right.
    let marked = if token.p_replaced.is_some() { &token.shown } else { &token.original };
    if !token.guesses.is_empty() {
        ui.label(about);
        list(ui, "guesses", &token.guesses, marked);
    }
    if !token.candidates.is_empty() {
        ui.label("Of these words, what the encoder takes it for");
        list(ui, "candidates", &token.candidates, &token.original);
    }
}

/// Words and their probabilities; one of them is marked.
fn list(ui: &mut Ui, name: &str, guesses: &[Guess], marked: &str) {
    egui::Grid::new(name).num_columns(2).spacing([16.0, 2.0]).show(ui, |ui| {
        for guess in guesses {
            let strong = guess.token == marked;
            let name = egui::RichText::new(word(&guess.token));
            ui.label(if strong { name.strong() } else { name });
            ui.label(format!("{:.1} %", 100.0 * guess.p));
            ui.end_row();
        }
    });
}

/// The key of colours and signs.
pub(super) fn legend(ui: &mut Ui, masked_lm: bool) {
    if masked_lm {
        rims(ui, &[(Mark::Hit, "= guessed"), (Mark::Miss, "another word guessed")]);
        ui.label(egui::RichText::new("Click a word to mask it or to show it.").small().weak());
        return;
    }
    let palette = Palette::of(ui);
    let small = TextStyle::Small.resolve(ui.style());
    let weak = ui.visuals().weak_text_color();
    ui.label(egui::RichText::new("original 0 %").font(small.clone()).weak());
    let (rect, response) = ui.allocate_exact_size(Vec2::new(90.0, 12.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "colour scale from 0 to 100 % fake"));
    for i in 0..30 {
        let mut part = rect;
        part.min.x = rect.left() + rect.width() * i as f32 / 30.0;
        part.max.x = rect.left() + rect.width() * (i + 1) as f32 / 30.0;
        ui.painter().rect_filled(part, 0.0, palette.suspicion(i as f32 / 29.0));
    }
    ui.painter().rect_stroke(rect, 0.0, Stroke::new(1.0, weak), StrokeKind::Outside);
    ui.label(egui::RichText::new("100 % fake").font(small).weak());
    rims(
        ui,
        &[
            (Mark::Hit, "fake, found"),
            (Mark::Miss, "fake, missed"),
            (Mark::FalseAlarm, "original, called fake"),
            (Mark::Restored, "= guessed right: original"),
        ],
    );
}

/// What the rims of cards mean.
fn rims(ui: &mut Ui, marks: &[(Mark, &str)]) {
    let palette = Palette::of(ui);
    let small = TextStyle::Small.resolve(ui.style());
    for &(mark, words) in marks {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(12.0), Sense::hover());
        ui.painter().rect_stroke(rect, 3.0, Stroke::new(2.0, palette.mark(mark, ui)), StrokeKind::Inside);
        ui.label(egui::RichText::new(words).font(small.clone()).weak());
    }
}
