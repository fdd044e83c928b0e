//! Dialogs over the page: closing, taking away, opening, pasting, keys.

use crate::numbers::counted;
use crate::window::app::{App, Dialog, Picking};
use crate::window::export::{ExportForm, What};
use crate::window::keys::KEYS;
use crate::window::look::Palette;
use crate::window::platform;
use crate::window::texts::EDITED;
use egui::{Button, Grid, Id, Key, Label, Modal, RichText, ScrollArea, TextEdit, Ui};
use std::path::PathBuf;

/// Draws the dialog there is.
pub(in crate::window) fn dialogs(ui: &mut Ui, app: &mut App) {
    let dialog = app.dialog.clone();
    if dialog == Dialog::None {
        return;
    }
    let modal = Modal::new(Id::unique("dialog")).show(ui.ctx(), |ui| {
        ui.set_width(460.0);
        match dialog {
            Dialog::None => {}
            Dialog::Closing => closing(ui, app),
            Dialog::Export(form) => export(ui, app, form),
            Dialog::Keys => keys(ui, app),
            Dialog::Open(path) => open(ui, app, path),
            Dialog::Paste => paste(ui, app),
        }
    });
    if modal.should_close() {
        app.dialog = Dialog::None;
    }
}

fn closing(ui: &mut Ui, app: &mut App) {
    ui.heading("Training is under way");
    ui.add_space(6.0);
    ui.label("Save a checkpoint and close? The run goes on from there another time.");
    ui.add_space(12.0);
    ui.horizontal(|ui| {
        if ui.button(RichText::new("Save and close").strong()).clicked() {
            app.save_and_close();
        }
        if ui.button("Keep training").clicked() {
            app.dialog = Dialog::None;
        }
        let tip = "What was learnt since the newest checkpoint is lost";
        if ui.button("Close without saving").on_hover_text(tip).clicked() {
            app.close_without_saving();
        }
    });
}

fn export(ui: &mut Ui, app: &mut App, mut form: ExportForm) {
    ui.heading("Take away");
    ui.add_space(6.0);
    for what in What::offered(&app.state) {
        if ui.radio(form.what == what, what.name()).clicked() {
            form.choose(what, &app.state);
        }
    }
    ui.add_space(6.0);
    let mut browse = false;
    if form.what != What::Run {
        ui.horizontal(|ui| {
            let label = ui.label("To");
            ui.add(TextEdit::singleline(&mut form.path).desired_width(320.0)).labelled_by(label.id);
            browse = platform::PATHS && ui.button("Browse…").clicked();
        });
    }
    if let Some(complaint) = &form.complaint {
        ui.label(RichText::new(complaint).color(Palette::of(ui).bad()));
    }
    ui.add_space(8.0);
    let mut next = Dialog::Export(form.clone());
    ui.horizontal(|ui| {
        let save = ui.button(RichText::new("Save").strong()).clicked();
        if save && form.what == What::Run {
            app.take_run_away();
            next = Dialog::None;
        } else if save {
            match form.write(&app.state) {
                Ok(path) => {
                    app.state.tell(false, &format!("wrote {}", path.display()));
                    next = Dialog::None;
                }
                Err(complaint) => {
                    form.complaint = Some(complaint);
                    next = Dialog::Export(form.clone());
                }
            }
        }
        if ui.button("Cancel").clicked() {
            next = Dialog::None;
        }
    });
    app.dialog = next;
    if browse {
        app.pick(Picking::Export, false);
    }
}

fn open(ui: &mut Ui, app: &mut App, mut path: String) {
    ui.heading("Open a run");
    ui.add_space(6.0);
    ui.label("Its folder, finished or not. The first is shown and can be gone on with; others are compared with it. Or the folder of a comparison.");
    ui.add_space(6.0);
    let (mut browse, mut go) = (false, false);
    ui.horizontal(|ui| {
        let label = ui.label("Folder");
        let field = TextEdit::singleline(&mut path).desired_width(290.0).hint_text("runs/tiny");
        let field = ui.add(field).labelled_by(label.id);
        go = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        browse = ui.button("Browse…").clicked();
    });
    ui.add_space(8.0);
    let mut next = Dialog::Open(path.clone());
    ui.horizontal(|ui| {
        let some = !path.trim().is_empty();
        go |= ui.add_enabled(some, Button::new(RichText::new("Open").strong())).clicked();
        if go && some {
            app.open(PathBuf::from(path.trim()));
            next = Dialog::None;
        }
        if ui.button("Cancel").clicked() {
            next = Dialog::None;
        }
    });
    app.dialog = next;
    if browse {
        app.pick(Picking::Run, true);
    }
}

fn paste(ui: &mut Ui, app: &mut App) {
    ui.input_mut(|input| app.take_pasted(&mut input.events));
    ui.heading("Paste a text");
    ui.add_space(6.0);
    ui.label("Some pages of it at least; a paragraph a line, an empty line between documents.");
    ui.add_space(6.0);
    if app.pasted.text.len() > EDITED {
        let in_a_line = |letter: char| if letter.is_whitespace() { ' ' } else { letter };
        let beginning: String = app.pasted.text.chars().take(200).map(in_a_line).collect();
        ui.add(Label::new(RichText::new(beginning).weak()).truncate());
    } else {
        ScrollArea::vertical().max_height(220.0).show(ui, |ui| {
            let field = TextEdit::multiline(&mut app.pasted.text).desired_width(f32::INFINITY).desired_rows(10);
            let field = ui.add(field.hint_text("Ctrl V, or type"));
            field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::MultilineTextInput, true, "Text to train on"));
            if ui.memory(|memory| memory.focused().is_none()) {
                field.request_focus();
            }
        });
    }
    ui.label(RichText::new(counted(app.pasted.words(), "word")).weak());
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        let some = app.pasted.words() > 0;
        if ui.add_enabled(some, Button::new(RichText::new("Take it").strong())).clicked() {
            app.use_pasted();
        }
        if ui.add_enabled(!app.pasted.text.is_empty(), Button::new("Clear")).clicked() {
            app.pasted.text.clear();
        }
        if ui.button("Cancel").clicked() {
            app.dialog = Dialog::None;
        }
    });
}

fn keys(ui: &mut Ui, app: &mut App) {
    ui.heading("Keys");
    ui.add_space(6.0);
    Grid::new("keys").num_columns(2).spacing([20.0, 4.0]).show(ui, |ui| {
        for (key, what) in KEYS {
            ui.label(RichText::new(key).monospace().strong());
            ui.label(what);
            ui.end_row();
        }
    });
    ui.add_space(8.0);
    if ui.button("Close").clicked() {
        app.dialog = Dialog::None;
    }
}
