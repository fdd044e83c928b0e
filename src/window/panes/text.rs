//! A text and what a fine-tuned network says of it.

use super::said;
use crate::task::Prediction;
use crate::window::app::App;
use crate::window::look::Palette;
use crate::window::state::TextPane;
use egui::{Button, Key, RichText, ScrollArea, TextEdit, Ui};

/// Room for the buttons behind the first field.
const BUTTONS: f32 = 114.0;
/// Room for a field's name where there are two.
const NAME: f32 = 84.0;

/// Draws the pane.
pub(super) fn show(ui: &mut Ui, app: &mut App) {
    ui.add_space(4.0);
    let asks = app.can_ask();
    let Some(pane) = &mut app.state.text else { return };
    if ui.add_enabled_ui(asks, |ui| typing(ui, pane)).inner {
        app.ask();
    }
    ui.add_space(2.0);
    let Some(pane) = &app.state.text else { return };
    if pane.question().is_none() {
        ui.add_space(20.0);
        let words = "Its held-out texts are not at hand: type one, and see what the network says of it.";
        ui.vertical_centered(|ui| ui.label(RichText::new(words).weak()));
        return;
    }
    summary(ui, pane);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| answer(ui, pane));
}

/// The fields; whether there is something to be asked.
fn typing(ui: &mut Ui, pane: &mut TextPane) -> bool {
    let (mut enter, mut next) = (false, false);
    let fields = pane.fields.names();
    for (i, (name, hint)) in fields.iter().enumerate() {
        ui.horizontal(|ui| {
            let label = ui.label(RichText::new(*name).strong());
            if fields.len() > 1 {
                ui.add_space((NAME - label.rect.width()).max(0.0));
            }
            let buttons = if i == 0 { BUTTONS } else { 4.0 };
            let width = (ui.available_width() - buttons).max(160.0);
            let field = TextEdit::singleline(&mut pane.typed[i]).desired_width(width).hint_text(*hint);
            let field = ui.add(field).labelled_by(label.id);
            enter |= field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            if i == 0 {
                enter |= ui.button("Ask").on_hover_text("What the network says of it (Enter)").clicked();
                let some = !pane.examples.is_empty();
                let response = ui.add_enabled(some, Button::new("Next"));
                let response = response.on_disabled_hover_text("Its labelled file is not where it was");
                next = response.on_hover_text("Another of the held-out texts (N)").clicked();
            }
        });
    }
    if next {
        pane.next_text();
    }
    next || enter && pane.take_typed()
}

/// What is said in a line, and by which weights.
fn summary(ui: &mut Ui, pane: &TextPane) {
    let palette = Palette::of(ui);
    ui.horizontal_wrapped(|ui| {
        let (words, right) = pane.summary();
        let number = pane.answer.as_ref().is_some_and(|said| matches!(said.prediction, Prediction::Values(_)));
        let text = RichText::new(words).strong();
        ui.label(if number { text.size(24.0) } else { text.size(16.0) });
        match right {
            Some(true) => {
                ui.label(RichText::new("right").color(palette.good()).strong());
            }
            Some(false) => {
                ui.label(RichText::new("not as labelled").color(palette.bad()).strong());
            }
            None => {}
        }
        if pane.answer.is_some() {
            ui.label(RichText::new(pane.about()).weak());
        }
    });
    for remark in pane.answer.iter().flat_map(|said| &said.remarks) {
        ui.label(RichText::new(remark).color(palette.caution()));
    }
}

fn answer(ui: &mut Ui, pane: &TextPane) {
    let Some(answer) = &pane.answer else { return };
    match &answer.prediction {
        Prediction::Class(_) => said::bars(ui, &pane.shares(), None),
        Prediction::Labels(_) => said::bars(ui, &pane.shares(), Some(0.5)),
        Prediction::Tags(_) => said::tags(ui, pane),
        Prediction::Answer(found) => said::answer(ui, answer, found, &pane.shares()),
        Prediction::Values(_) | Prediction::None => {}
    }
}
