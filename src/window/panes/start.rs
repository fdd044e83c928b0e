//! The start page: what to train on, how large, on what, and until when.

use super::runs;
use crate::config::{Config, PRESETS, Precision, preset};
use crate::corpus::Sample;
use crate::dataset::Phase as Preparing;
use crate::graph::Recompute;
use crate::model::Builder;
use crate::objective::ObjectiveConfig;
use crate::window::app::{App, Dialog, Picking};
use crate::window::look::Palette;
use crate::window::platform;
use crate::window::state::{End, Form, Source};
use egui::{CentralPanel, ComboBox, Grid, RichText, ScrollArea, TextEdit, Ui};

/// What a preset is for.
fn about(preset: &str) -> &'static str {
    match preset {
        "tiny" => "minutes on a laptop's CPU: to see it happen",
        "mini" => "an evening, or a small text",
        "small" => "the paper's ELECTRA-Small: days on a laptop GPU",
        "small++" => "the released Small: longer input, four times the steps",
        "base" => "the paper's ELECTRA-Base: for a large GPU",
        _ => "",
    }
}

/// What is being done to a dataset.
pub(super) fn phase_name(phase: Preparing) -> &'static str {
    match phase {
        Preparing::Counting => "reading the words",
        Preparing::Learning => "learning a vocabulary",
        Preparing::Writing => "writing examples",
    }
}

/// Draws the page.
pub(in crate::window) fn start(ui: &mut Ui, app: &mut App) {
    CentralPanel::default().show(ui, |ui| {
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            let width = ui.available_width().min(760.0);
            let margin = (ui.available_width() - width) / 2.0;
            ui.horizontal(|ui| {
                ui.add_space(margin);
                ui.vertical(|ui| {
                    ui.set_width(width);
                    page(ui, app);
                });
            });
        });
    });
}

fn page(ui: &mut Ui, app: &mut App) {
    app.look_for_adapters();
    let adapters = app.adapters.clone();
    let adapters = adapters.get();
    ui.add_space(18.0);
    let form = &app.state.form;
    let objective = ObjectiveConfig::named(&form.objective);
    ui.heading(heading(form));
    ui.add_space(2.0);
    ui.label(RichText::new(objective.as_ref().map_or("", |objective| objective.about())).weak());
    ui.add_space(14.0);
    Grid::new("form").num_columns(2).spacing([18.0, 12.0]).show(ui, |ui| {
        text(ui, app);
        ui.end_row();
        let form = &mut app.state.form;
        let label = ui.label("Objective");
        let title = objective.as_ref().map_or("", |objective| objective.title());
        let combo = ComboBox::from_id_salt("objective").selected_text(title).width(160.0).show_ui(ui, |ui| {
            for objective in ObjectiveConfig::NAMES.iter().filter_map(|name| ObjectiveConfig::named(name)) {
                let name = objective.name().to_string();
                ui.selectable_value(&mut form.objective, name, objective.title()).on_hover_text(objective.about());
            }
        });
        combo.response.labelled_by(label.id);
        ui.end_row();
        let label = ui.label("Model");
        ui.vertical(|ui| {
            let combo = ComboBox::from_id_salt("preset").selected_text(form.preset.clone()).width(160.0);
            let combo = combo.show_ui(ui, |ui| {
                for preset in PRESETS {
                    ui.selectable_value(&mut form.preset, preset.to_string(), preset).on_hover_text(about(preset));
                }
            });
            combo.response.labelled_by(label.id);
            ui.label(RichText::new(about(&form.preset)).weak());
        });
        ui.end_row();
        let label = ui.label("Device");
        ui.vertical(|ui| {
            let mut names = vec![("auto".to_string(), "auto: the best GPU, else the CPU".to_string())];
            names.push(("cpu".into(), "cpu".into()));
            names.extend(adapters.into_iter().flatten().map(|name| (name.clone(), name.clone())));
            let shown = names.iter().find(|(name, _)| *name == form.device).map_or(&form.device, |(_, words)| words);
            let combo = ComboBox::from_id_salt("device").selected_text(shown).width(300.0).show_ui(ui, |ui| {
                for (name, words) in &names {
                    ui.selectable_value(&mut form.device, name.clone(), words);
                }
            });
            combo.response.labelled_by(label.id);
        });
        ui.end_row();
        ui.label("Until");
        end(ui, form);
        ui.end_row();
        ui.label("More");
        ui.collapsing("Seed, learning rate, precision, memory, folder", |ui| {
            Grid::new("more").num_columns(3).spacing([14.0, 8.0]).show(ui, |ui| {
                for (name, field, hint) in [
                    ("Seed", &mut form.seed, "decides weights, batches, masks and samples"),
                    ("Learning rate", &mut form.learning_rate, "the preset's if empty"),
                    ("Memory", &mut form.memory, "as in 2GB; what the device has if empty"),
                    ("Folder", &mut form.folder, "for the run's files; runs/ and the model's name if empty"),
                ]
                .into_iter()
                .filter(|(name, ..)| platform::PATHS || *name != "Folder")
                {
                    let label = ui.label(name);
                    ui.add(TextEdit::singleline(field).desired_width(110.0)).labelled_by(label.id);
                    ui.label(RichText::new(hint).weak());
                    ui.end_row();
                }
                storage(ui, form);
                ui.label("Vocabulary");
                ui.vertical(|ui| {
                    ui.checkbox(&mut form.cased, "keep case");
                    ui.checkbox(&mut form.strip_accents, "drop accents");
                });
                ui.label(
                    RichText::new("where it is learnt from the text; in many scripts the marks are vowels").weak(),
                );
                ui.end_row();
            });
        });
        ui.end_row();
    });
    ui.add_space(16.0);
    let busy = app.state.phase.is_busy();
    ui.horizontal(|ui| {
        let words = RichText::new("Start training").size(17.0).strong();
        let button = egui::Button::new(words.color(ui.visuals().selection.stroke.color))
            .fill(ui.visuals().selection.bg_fill)
            .min_size(egui::vec2(170.0, 40.0));
        let response = ui.add_enabled(!busy, button);
        if response.on_disabled_hover_text("A run is under way; stop it first").clicked() {
            app.start();
        }
        if ui.button("Open a run…").clicked() {
            app.ask_for_a_run();
        }
    });
    if let Some(complaint) = &app.complaint {
        ui.add_space(8.0);
        ui.label(RichText::new(complaint).color(Palette::of(ui).bad()));
    }
    runs::show(ui, app);
}

/// What is trained, in words.
fn heading(form: &Form) -> String {
    // Their names are the same in every size, and this is drawn often: of the smallest.
    let config = preset(PRESETS[0]).and_then(|config| config.with_objective(&form.objective));
    let named = |config: Config| config.objective.networks(&mut Builder::default(), &config.model);
    let networks = config.map_or_else(|_| Vec::new(), named);
    let article = |name: &str| if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let names: Vec<String> =
        networks.iter().map(|network| format!("{} {}", article(network.name), network.name)).collect();
    let (last, others) = names.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
    let others = if others.is_empty() { String::new() } else { format!("{} and ", others.join(", ")) };
    format!("Train {others}{last} on your text")
}

/// What activations are stored in, and whether they are kept.
fn storage(ui: &mut Ui, form: &mut Form) {
    let precisions = [
        (Precision::Auto, "auto", "whatever is fastest of what learns the same"),
        (Precision::F32, "f32", "32 bits, on every device"),
        (
            Precision::Mixed,
            "mixed",
            "16 bits: half the memory on a GPU with f16; faster products on a CPU with AMX or AVX512-BF16",
        ),
    ];
    choice(ui, "Precision", &mut form.precision, &precisions);
    let again = [
        (None, "auto", "keep what there is room for"),
        (Some(Recompute::Off), "off", "keep all that the backward pass needs"),
        (Some(Recompute::Selective), "selective", "compute what is quickly computed again: much less memory"),
        (Some(Recompute::Full), "full", "compute every layer again: the least memory"),
    ];
    choice(ui, "Recompute", &mut form.recompute, &again);
}

/// A row of a field that takes one of some values: a name, and what it means.
fn choice<T: Copy + PartialEq>(ui: &mut Ui, name: &str, value: &mut T, values: &[(T, &str, &str)]) {
    let label = ui.label(name);
    let (_, shown, about) = values.iter().find(|(one, ..)| one == value).copied().unwrap_or(values[0]);
    let combo = ComboBox::from_id_salt(name).selected_text(shown).width(110.0).show_ui(ui, |ui| {
        for (one, name, about) in values {
            ui.selectable_value(value, *one, *name).on_hover_text(*about);
        }
    });
    combo.response.labelled_by(label.id);
    ui.label(RichText::new(about).weak());
    ui.end_row();
}

fn text(ui: &mut Ui, app: &mut App) {
    ui.label("Text");
    ui.vertical(|ui| {
        ui.label(RichText::new(app.state.form.source.describe()).strong());
        if platform::PATHS {
            let field = TextEdit::singleline(&mut app.typed_text).desired_width(420.0);
            let field = ui.add(field.hint_text("a file or folder, then Enter; or choose it below"));
            field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path of the text"));
            if field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter)) {
                let typed = app.typed_text.trim();
                app.state.form.source = Source::of((!typed.is_empty()).then(|| typed.into()).into_iter().collect());
            }
        }
        ui.horizontal(|ui| {
            if ui.button("Files…").clicked() {
                app.pick(Picking::Text, false);
            }
            if platform::PATHS && ui.button("Folder…").clicked() {
                app.pick(Picking::Text, true);
            }
            if ui.button("Paste…").clicked() {
                app.dialog = Dialog::Paste;
            }
            for sample in Sample::ALL {
                let source = Source::Sample(sample);
                let other = app.state.form.source != source;
                let words = format!("Sample: {}", sample.title());
                if ui.add_enabled(other, egui::Button::new(words)).on_hover_text(sample.about()).clicked() {
                    app.state.form.source = source;
                }
            }
        });
        let how = match platform::PATHS {
            true => {
                "or drop files, folders or a dataset on this window: .txt, .jsonl, .parquet; a paragraph a line, an empty line \
                 between documents"
            }
            false => {
                "or drop files on this page: .txt, .jsonl, .csv, .parquet; a paragraph a line, an empty line between documents. They stay \
                 on this machine"
            }
        };
        ui.label(RichText::new(how).weak());
    });
}

fn end(ui: &mut Ui, form: &mut Form) {
    ui.vertical(|ui| {
        ui.radio_value(&mut form.end, End::Preset, "the model's usual number of steps");
        ui.horizontal(|ui| {
            let radio = ui.radio_value(&mut form.end, End::Steps, "a number of steps");
            let field = TextEdit::singleline(&mut form.steps).desired_width(90.0).hint_text("4,500");
            if ui.add(field).labelled_by(radio.id).changed() {
                form.end = End::Steps;
            }
        });
        ui.horizontal(|ui| {
            let radio = ui.radio_value(&mut form.end, End::Minutes, "class ends in so many minutes");
            let field = TextEdit::singleline(&mut form.minutes).desired_width(60.0);
            if ui.add(field).labelled_by(radio.id).changed() {
                form.end = End::Minutes;
            }
        });
    });
}
