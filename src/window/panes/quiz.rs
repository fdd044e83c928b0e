//! Ten sentences with fakes: the class guesses, then the discriminator answers, and both are scored.

use super::token::{self, Face};
use crate::window::app::App;
use crate::window::look::Palette;
use crate::window::state::{Quiz, Score};
use egui::{Button, CentralPanel, RichText, ScrollArea, Ui};

/// Letters of a token: to be read from the last row.
const SIZE: f32 = 34.0;

/// Draws the page.
pub(in crate::window) fn quiz(ui: &mut Ui, app: &mut App) {
    CentralPanel::default().show(ui, |ui| match app.state.quiz.clone() {
        Some(quiz) => {
            ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| round(ui, app, &quiz));
        }
        None => invitation(ui, app),
    });
}

fn invitation(ui: &mut Ui, app: &mut App) {
    let ready = app.can_ask();
    ui.add_space(ui.available_height() * 0.25);
    ui.vertical_centered(|ui| {
        ui.heading("Can the class beat the discriminator?");
        ui.add_space(6.0);
        ui.label("Ten held-out sentences, some words replaced by the generator as it is now. Pick the fakes, then see the answer.");
        ui.add_space(12.0);
        let button = Button::new(RichText::new("Start the quiz").size(17.0)).min_size(egui::vec2(170.0, 40.0));
        if ui.add_enabled(ready, button).on_disabled_hover_text("Train or open a run first").clicked() {
            app.ask_quiz();
        }
    });
}

fn round(ui: &mut Ui, app: &mut App, quiz: &Quiz) {
    let Some(sentence) = quiz.sentence() else { return };
    let revealed = quiz.is_revealed();
    ui.add_space(10.0);
    ui.horizontal(|ui| {
        ui.heading(format!("Sentence {} of {}", quiz.current() + 1, quiz.len()));
        let fakes = sentence.tokens.iter().filter(|t| t.is_fake()).count();
        let words = match (revealed, fakes) {
            (true, _) => {
                "amber is what the discriminator suspects; the rim is the class: green found, red missed, amber wrong"
                    .to_string()
            }
            (false, 1) => "one word is fake: which?".to_string(),
            (false, n) => format!("{n} words are fake: which?"),
        };
        ui.label(RichText::new(words).weak());
    });
    ui.add_space(14.0);
    let mut toggled = None;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(8.0, 10.0);
        for (i, token) in sentence.tokens.iter().enumerate() {
            let picked = quiz.is_picked(i);
            let face = if revealed { Face::Answered { picked } } else { Face::Asked { picked } };
            let response = token::show(ui, token, face, SIZE);
            if response.clicked() {
                toggled = Some(i);
            }
            if revealed && !token.guesses.is_empty() {
                response.on_hover_ui(|ui| token::guesses(ui, token));
            }
        }
    });
    ui.add_space(16.0);
    let mut again = false;
    if let Some(quiz) = &mut app.state.quiz {
        if let Some(i) = toggled {
            quiz.toggle(i);
        }
        again = buttons(ui, quiz);
    }
    ui.add_space(16.0);
    scores(ui, quiz);
    if again {
        app.ask_quiz();
    }
}

fn buttons(ui: &mut Ui, quiz: &mut Quiz) -> bool {
    let size = egui::vec2(130.0, 36.0);
    let mut again = false;
    ui.horizontal(|ui| {
        if ui.add_enabled(quiz.current() > 0, Button::new("Back").min_size(size)).clicked() {
            quiz.back();
        }
        if ui.add_enabled(!quiz.is_revealed(), Button::new("Show the answer").min_size(size)).clicked() {
            quiz.reveal();
        }
        if ui.add_enabled(quiz.current() + 1 < quiz.len(), Button::new("Next sentence").min_size(size)).clicked() {
            quiz.next();
        }
        again = ui.add(Button::new("New quiz").min_size(size)).clicked();
    });
    again
}

fn scores(ui: &mut Ui, quiz: &Quiz) {
    let palette = Palette::of(ui);
    let (class, network) = quiz.scores();
    let round = quiz.round_scores();
    egui::Grid::new("scores").num_columns(4).spacing([26.0, 6.0]).show(ui, |ui| {
        for name in ["", "points", "fakes found", "false alarms"] {
            ui.label(RichText::new(name).weak());
        }
        ui.end_row();
        for (name, color, total, here) in [
            ("The class", ui.visuals().text_color(), class, round.map(|r| r.0)),
            ("The discriminator", palette.discriminator(), network, round.map(|r| r.1)),
        ] {
            ui.label(RichText::new(name).size(18.0).color(color).strong());
            let plus = here.map_or(String::new(), |score| format!("  ({:+} here)", score.points));
            ui.label(RichText::new(format!("{}{plus}", total.points)).size(18.0));
            ui.label(RichText::new(format!("{} of {}", total.found, total.fakes)).size(18.0));
            ui.label(RichText::new(total.false_alarms.to_string()).size(18.0));
            ui.end_row();
        }
    });
    ui.label(RichText::new("A fake found is a point, an original called fake costs one.").weak());
    if quiz.is_over() {
        ui.add_space(8.0);
        ui.heading(verdict(class, network));
    }
}

fn verdict(class: Score, network: Score) -> &'static str {
    match class.points.cmp(&network.points) {
        std::cmp::Ordering::Greater => "The class wins!",
        std::cmp::Ordering::Equal => "A draw!",
        std::cmp::Ordering::Less => "The discriminator wins!",
    }
}
