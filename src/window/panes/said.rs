//! What a fine-tuned network says, drawn: bars, tags on words, and an answer in its text.

use crate::task::Input;
use crate::task::features::Found;
use crate::window::look::Palette;
use crate::window::state::{NO_ANSWER, Shares, TextPane};
use crate::window::worker::Said;
use egui::text::LayoutJob;
use egui::{
    Align2, CornerRadius, FontId, Galley, Label, Role, Sense, Stroke, TextFormat, TextStyle, Ui, WidgetInfo, vec2,
};

/// Of a bar and its name.
const ROW: f32 = 20.0;
/// Letters of a word with a tag.
const SIZE: f32 = 18.0;
/// Between words.
const GAP: f32 = 6.0;

/// A row a share: its name, a bar, its probability; a line at the probability from which on it is said, if there is one.
pub(super) fn bars(ui: &mut Ui, shares: &Shares, line: Option<f32>) {
    let palette = Palette::of(ui);
    let body = TextStyle::Body.resolve(ui.style());
    let (ink, weak) = (ui.visuals().text_color(), ui.visuals().weak_text_color());
    let width = ui.available_width();
    let widest = |name: &str| ui.painter().layout_no_wrap(name.into(), body.clone(), ink).size().x;
    let names = shares.shown.iter().map(|share| widest(&share.name)).fold(40.0, f32::max).min(0.4 * width);
    let room = (width - names - 180.0).clamp(60.0, 460.0);
    ui.spacing_mut().item_spacing.y = 2.0;
    for share in &shares.shown {
        let (rect, response) = ui.allocate_exact_size(vec2(width, ROW), Sense::hover());
        let percent = format!("{:.1} %", 100.0 * share.p);
        let mark = if share.labelled { "labelled" } else { "" };
        let words = format!("{}: {percent}{}", share.name, if share.labelled { ", labelled" } else { "" });
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
        let mut job = LayoutJob::simple_singleline(share.name.clone(), body.clone(), ink);
        job.wrap = egui::text::TextWrapping::truncate_at_width(names);
        let name = ui.painter().layout_job(job);
        let cut = name.elided;
        let at = egui::pos2(rect.left(), rect.center().y - name.size().y / 2.0);
        ui.painter().galley(at, name, ink);
        let left = rect.left() + names + 12.0;
        let bar = egui::Rect::from_min_size(egui::pos2(left, rect.top() + 3.0), vec2(room, ROW - 6.0));
        ui.painter().rect_filled(bar, 3.0, palette.suspicion(0.0));
        let mut full = bar;
        full.set_width(room * share.p.clamp(0.0, 1.0));
        ui.painter().rect_filled(
            full,
            3.0,
            palette.discriminator().gamma_multiply(if share.said { 0.85 } else { 0.35 }),
        );
        if let Some(line) = line {
            ui.painter().vline(left + line * room, rect.y_range(), Stroke::new(1.5, weak));
        }
        let end = egui::pos2(bar.right() + 10.0, rect.center().y);
        let written = ui.painter().text(end, Align2::LEFT_CENTER, &percent, body.clone(), ink);
        let color = if share.said { palette.good() } else { palette.bad() };
        let behind = egui::pos2(written.right() + 10.0, rect.center().y);
        ui.painter().text(behind, Align2::LEFT_CENTER, mark, body.clone(), color);
        if cut {
            response.on_hover_text(&share.name);
        }
    }
    if shares.others > 0 {
        let rest = shares.rest.map_or(String::new(), |rest| format!(", {:.1} % together", 100.0 * rest));
        ui.label(egui::RichText::new(format!("and {} less likely{rest}", shares.others)).weak());
    }
}

/// Words with their tags: a span in one colour with its kind under it, what is tagged O plain, and a person's tag above where it is
/// another.
pub(super) fn tags(ui: &mut Ui, pane: &TextPane) {
    let words = pane.tagged();
    let mut kinds: Vec<&str> = Vec::new();
    for kind in pane.labels.iter().filter_map(|label| kind(label)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let goes_on = |at: usize| {
        let tag = words.get(at).map_or("O", |word| word.1);
        at > 0 && tag.starts_with("I-") && kind(words[at - 1].1) == kind(tag)
    };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, 6.0);
        for (at, &(word, tag, labelled)) in words.iter().enumerate() {
            let colour = kind(tag).and_then(|kind| kinds.iter().position(|one| *one == kind));
            tagged(ui, &Tagged { word, tag, labelled, colour, before: goes_on(at), behind: goes_on(at + 1) });
        }
    });
}

/// A word, as it is drawn.
struct Tagged<'a> {
    word: &'a str,
    tag: &'a str,
    labelled: Option<&'a str>,
    /// Of its kind, by its place among them.
    colour: Option<usize>,
    /// Whether it is of one span with the word before it, and with the one behind it.
    before: bool,
    behind: bool,
}

/// The kind of span that a tag is of, or the tag itself where tags are no spans; `None` outside.
fn kind(tag: &str) -> Option<&str> {
    (tag != "O").then(|| tag.strip_prefix("B-").or_else(|| tag.strip_prefix("I-")).unwrap_or(tag))
}

fn tagged(ui: &mut Ui, t: &Tagged<'_>) {
    let palette = Palette::of(ui);
    let small = TextStyle::Small.resolve(ui.style());
    let ink = ui.visuals().text_color();
    let layout = |text: &str, font: &FontId, color| ui.painter().layout_no_wrap(text.into(), font.clone(), color);
    let color = t.colour.map_or(ink, |colour| palette.run(colour));
    let name = if t.before { "" } else { kind(t.tag).unwrap_or_default() };
    let shown = layout(t.word, &FontId::proportional(SIZE), ink);
    let below = layout(name, &small, color);
    let above = layout(t.labelled.unwrap_or_default(), &small, palette.bad());
    let inner = shown.size().x.max(below.size().x).max(above.size().x);
    let (line, card) = (small.size + 4.0, shown.size().y + 6.0);
    // On whole points, so that the parts of a span meet.
    let (rect, response) = ui.allocate_exact_size(vec2((inner + 8.0).ceil(), card + 2.0 * line), Sense::hover());
    let words = match t.labelled {
        Some(other) => format!("{}: {}, labelled {other}", t.word, t.tag),
        None => format!("{}: {}", t.word, t.tag),
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
    let mut body = rect;
    body.min.y += line;
    body.max.y = body.min.y + card;
    let first = rect.left() <= ui.max_rect().left() + GAP;
    if t.before && !first {
        body.min.x -= GAP;
    }
    if t.colour.is_some() {
        let round = |joined: bool| if joined { 0 } else { 4 };
        let (left, right) = (round(t.before), round(t.behind));
        let corners = CornerRadius { nw: left, sw: left, ne: right, se: right };
        ui.painter().rect_filled(body, corners, color.gamma_multiply(0.22));
    }
    let top = |galley: &Galley, y: f32| egui::pos2(rect.center().x - galley.size().x / 2.0, y - galley.size().y / 2.0);
    ui.painter().galley(top(&above, rect.top() + line / 2.0), above, ink);
    ui.painter().galley(top(&shown, body.center().y), shown, ink);
    ui.painter().galley(top(&below, rect.bottom() - line / 2.0), below, ink);
    response.on_hover_text(words);
}

/// The text with the answer marked in it, and the best answers beside it.
pub(super) fn answer(ui: &mut Ui, said: &Said, found: &Found, shares: &Shares) {
    let Input::Question { context, .. } = &said.input else { return };
    let marked = found.said();
    let palette = Palette::of(ui);
    let plain = TextFormat::simple(TextStyle::Body.resolve(ui.style()), ui.visuals().text_color());
    let mark = TextFormat { background: palette.suspicion(1.0), ..plain.clone() };
    let bytes = marked.map_or(0..0, |best| best.bytes.clone());
    let mut job = LayoutJob::default();
    for (range, format) in [(0..bytes.start, &plain), (bytes.clone(), &mark), (bytes.end..context.len(), &plain)] {
        job.append(context.get(range).unwrap_or_default(), 0.0, format.clone());
    }
    let words = format!("{context} Answer: {}", marked.map_or(NO_ANSWER, |best| &best.text));
    ui.columns(2, |columns| {
        let [left, right] = columns else { return };
        // A column would stretch its lines to its width.
        left.vertical(|ui| {
            ui.set_max_width(ui.available_width() - 14.0);
            let text = ui.add(Label::new(job).wrap());
            text.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
        });
        bars(right, shares, None);
    });
}
