//! What the keys do. They do nothing while somebody types.

use super::app::{App, Dialog};
use super::export::ExportForm;
use super::state::{Page, Phase};
use super::worker::Command;
use crate::history::Scale;
use egui::{Context, Key, Modifiers};

/// Every key and what it does, for the person.
pub(super) const KEYS: [(&str, &str); 17] = [
    ("Space", "pause or go on"),
    (".", "one step"),
    ("Ctrl S", "save now"),
    ("1 2 3 4", "start, run, compare, quiz"),
    ("N", "next sentence or text"),
    ("R", "draw other tokens of it"),
    ("L", "logarithmic losses"),
    ("X", "steps, tokens, time or FLOPs"),
    ("+ −", "smooth the curves more or less"),
    ("E", "take pictures or numbers away"),
    ("O", "open a run or a comparison"),
    ("P", "projector mode"),
    ("T", "light or dark"),
    ("← → Enter", "quiz: sentence back, next; answer"),
    ("Tab", "go through everything; Space or Enter presses it"),
    ("? or F1", "this list"),
    ("Ctrl Q", "close the window"),
];

/// Does what was pressed.
pub(super) fn handle(ctx: &Context, app: &mut App) {
    let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if app.dialog != Dialog::None {
        if pressed(Key::Escape) {
            app.dialog = Dialog::None;
        }
        return;
    }
    let with_command = |key| ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, key));
    if with_command(Key::S) {
        app.send(Command::Save);
    }
    if with_command(Key::Q) {
        ctx.send_viewport_cmd(egui::ViewportCommand::Close);
    }
    // A widget that has the focus takes the keys itself.
    if ctx.text_edit_focused() {
        return;
    }
    if ctx.memory(|memory| memory.focused().is_none()) {
        if pressed(Key::Space) {
            app.toggle_pause();
        }
        if app.state.page == Page::Quiz {
            quiz(ctx, app);
        }
    }
    if pressed(Key::Period) && matches!(app.state.phase, Phase::Training | Phase::Paused) {
        app.send(Command::Step);
    }
    for (key, page) in
        [(Key::Num1, Page::Start), (Key::Num2, Page::Run), (Key::Num3, Page::Compare), (Key::Num4, Page::Quiz)]
    {
        if pressed(key) && (page != Page::Quiz || app.state.offers_quiz()) {
            app.state.page = page;
        }
    }
    if pressed(Key::N) {
        app.state.next_text();
        app.ask();
    }
    if app.state.text.is_none() && pressed(Key::R) {
        app.state.sentence.draw_again();
        app.ask();
    }
    if pressed(Key::L) {
        let scale = &mut app.state.view.scale;
        *scale = if *scale == Scale::Log { Scale::Linear } else { Scale::Log };
    }
    if pressed(Key::X) {
        app.state.view.x = super::panes::next_axis(app.state.view.x);
    }
    if pressed(Key::Plus) || pressed(Key::Equals) {
        super::panes::smooth_more(app, 0.05);
    }
    if pressed(Key::Minus) {
        super::panes::smooth_more(app, -0.05);
    }
    if pressed(Key::E) {
        app.dialog = Dialog::Export(ExportForm::new(&app.state));
    }
    if pressed(Key::O) {
        app.ask_for_a_run();
    }
    if pressed(Key::P) {
        app.look.projector ^= true;
    }
    if pressed(Key::T) {
        super::panes::toggle_theme(ctx, app);
    }
    let shift = ctx.input_mut(|input| input.consume_key(Modifiers::SHIFT, Key::Questionmark));
    if shift || pressed(Key::Questionmark) || pressed(Key::F1) {
        app.dialog = Dialog::Keys;
    }
}

fn quiz(ctx: &Context, app: &mut App) {
    let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let Some(quiz) = &mut app.state.quiz else { return };
    if pressed(Key::Enter) {
        if quiz.is_revealed() { quiz.next() } else { quiz.reveal() }
    }
    if pressed(Key::ArrowRight) {
        quiz.next();
    }
    if pressed(Key::ArrowLeft) {
        quiz.back();
    }
}
