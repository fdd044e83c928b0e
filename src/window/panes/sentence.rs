//! One sentence, token by token: the generator's fakes, the discriminator's verdicts, and a person's own fakes; or, without a
//! discriminator, the guesses for masked words, and a person's choice of them.

use super::token::{self, Face};
use crate::probe::{Sentence, Token};
use crate::window::app::App;
use crate::window::state::Guide;
use egui::{Key, Popup, PopupCloseBehavior, RichText, ScrollArea, TextEdit, Ui};

/// Letters of a token.
const SIZE: f32 = 18.0;

/// Draws the pane.
pub(super) fn show(ui: &mut Ui, app: &mut App) {
    ui.add_space(4.0);
    let asks = app.can_ask();
    ui.add_enabled_ui(asks, |ui| toolbar(ui, app));
    let Some(sentence) = app.state.sentence.answer.clone() else {
        ui.add_space(20.0);
        ui.vertical_centered(|ui| {
            ui.label(RichText::new("The sentence comes as soon as there are networks to ask…").weak())
        });
        return;
    };
    guide(ui, app);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        tokens(ui, app, &sentence);
        if app.state.sentence.guide.is_some_and(|guide| guide != Guide::Thinks) {
            return;
        }
        ui.add_space(4.0);
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(app.state.sentence.summary()).strong());
            ui.add_space(12.0);
            token::legend(ui, app.state.sentence.masked_lm);
        });
    });
}

/// What somebody who is new to it is shown, and the way on.
fn guide(ui: &mut Ui, app: &mut App) {
    let Some(guide) = app.state.sentence.guide else { return };
    ui.horizontal_wrapped(|ui| {
        let number = Guide::ALL.iter().position(|one| *one == guide).map_or(1, |at| at + 1);
        ui.label(RichText::new(format!("{number} of {}", Guide::ALL.len())).weak());
        ui.label(RichText::new(guide.says()).strong());
        if ui.button(if guide.next().is_some() { "And then?" } else { "I see" }).clicked() {
            app.state.sentence.explain();
        }
    });
}

fn toolbar(ui: &mut Ui, app: &mut App) {
    ui.horizontal(|ui| {
        let label = ui.label(RichText::new("Sentence").strong());
        let pane = &mut app.state.sentence;
        let some = !pane.sentences.is_empty();
        let mut changed = false;
        let buttons = 5.0 * 100.0;
        let field = TextEdit::singleline(&mut pane.typed).desired_width((ui.available_width() - buttons).max(160.0));
        let field = ui.add(field.hint_text("type a sentence, then Enter")).labelled_by(label.id);
        if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
            changed |= pane.take_typed();
        }
        let next = ui.add_enabled(some, egui::Button::new("Next"));
        if next.on_hover_text("Another sentence of the held-out text (N)").clicked() {
            pane.next_sentence();
            changed = true;
        }
        let masked_lm = pane.masked_lm;
        let words = |masked: &'static str, replaced: &'static str| if masked_lm { masked } else { replaced };
        let tip = words("Mask other words of it (R)", "Other words of it, other samples (R)");
        if ui.button("Draw again").on_hover_text(tip).clicked() {
            pane.draw_again();
            changed = true;
        }
        if masked_lm || !pane.lacks_fakes {
            let masks = ui.checkbox(&mut pane.request.masks, words("Mask words", "Generator"));
            let tip = words("Whether words are masked at random", "Whether the generator puts fakes in");
            changed |= masks.on_hover_text(tip).changed();
        }
        let tip = "What the generator sees, what it puts there, and what the discriminator thinks";
        if pane.explains() && pane.guide.is_none() && ui.button("Explain").on_hover_text(tip).clicked() {
            pane.explain();
            changed = true;
        }
        let restore = ui.add_enabled(pane.is_changed(), egui::Button::new("Restore"));
        let tip = words("Take your own choice of masked words back", "Take your own words back");
        if restore.on_hover_text(tip).clicked() {
            pane.restore();
            changed = true;
        }
        if changed {
            app.ask();
        }
    });
}

fn tokens(ui: &mut Ui, app: &mut App, sentence: &Sentence) {
    let (mut edit, mut open, mut toggled) = (None, false, None);
    let masked_lm = app.state.sentence.masked_lm;
    let face = match app.state.sentence.guide {
        Some(Guide::Sees) => Face::Hidden,
        Some(Guide::Puts) => Face::Put,
        Some(Guide::Thinks) | None => Face::Judged,
    };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(6.0, 4.0);
        for token in &sentence.tokens {
            let response = token::show(ui, token, face, SIZE);
            if masked_lm {
                if response.clicked() {
                    toggled = Some(token.position);
                }
                if !token.guesses.is_empty() {
                    response.on_hover_ui(|ui| token::guesses(ui, token));
                }
                continue;
            }
            let popup =
                Popup::from_toggle_button_response(&response).close_behavior(PopupCloseBehavior::CloseOnClickOutside);
            let word = popup.show(|ui| replace(ui, app, token)).and_then(|shown| shown.inner);
            open |= Popup::is_id_open(ui.ctx(), Popup::default_response_id(&response));
            if word.is_some() {
                Popup::close_id(ui.ctx(), Popup::default_response_id(&response));
                edit = word.map(|word| (token.position, word));
            }
            if !token.guesses.is_empty() || !token.candidates.is_empty() {
                response.on_hover_ui(|ui| token::guesses(ui, token));
            }
        }
    });
    if !open {
        app.state.sentence.editing = None;
    }
    if let Some(position) = toggled {
        app.state.sentence.toggle_mask(position);
        app.ask();
    }
    if let Some((position, word)) = edit {
        app.state.sentence.edit(position, &word);
        app.ask();
    }
}

/// What a click on a token opens: another word for it. The word that was chosen, once one is.
fn replace(ui: &mut Ui, app: &mut App, token: &Token) -> Option<String> {
    ui.set_min_width(210.0);
    let mut chosen = None;
    let own = token::word(&token.original);
    ui.label(RichText::new(format!("Another word for “{own}”")).strong());
    let pane = &mut app.state.sentence;
    let opened = pane.editing.as_ref().is_none_or(|(position, _)| *position != token.position);
    if opened {
        pane.editing = Some((token.position, String::new()));
    }
    if let Some((_, text)) = &mut pane.editing {
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(text).desired_width(120.0).hint_text("your fake");
            let field = ui.add(field);
            field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Your fake"));
            if opened {
                field.request_focus();
            }
            let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            if (ui.button("Put in").clicked() || enter) && !text.trim().is_empty() {
                chosen = Some(text.clone());
            }
        });
    }
    if !token.guesses.is_empty() {
        ui.separator();
        ui.label(RichText::new("The generator would put").weak());
        for guess in &token.guesses {
            let name = format!("{}  {:.1} %", token::word(&guess.token), 100.0 * guess.p);
            if ui.button(name).clicked() {
                chosen = Some(guess.token.clone());
            }
        }
    }
    if token.edited {
        ui.separator();
        if ui.button(format!("Back to “{own}”")).clicked() {
            chosen = Some(String::new());
        }
    }
    chosen
}
