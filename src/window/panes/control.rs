//! What controls a run, and what is known of it.

use crate::config::Config;
use crate::numbers::{bytes, duration, flop, grouped};
use crate::session::Extension;
use crate::window::app::App;
use crate::window::look::Palette;
use crate::window::state::{AppState, Phase, Track, paper_days};
use crate::window::worker::{Begun, Command};
use egui::{Button, Grid, ProgressBar, RichText, Ui};
use std::path::PathBuf;

/// Operations of one family: what a person calls it, and the ops.
const FAMILIES: [(&str, &[&str]); 6] = [
    ("Matrix products", &["linear", "linear_input_gradient", "linear_weight_gradient", "parameter_gradients"]),
    ("Attention", &["attention", "attention_backward"]),
    ("Vocabulary head", &["vocabulary_nll", "vocabulary_nll_backward"]),
    ("Norms and activations", &["layer_norm", "layer_norm_backward", "activation_backward", "dropout", "add"]),
    ("Optimizer", &["adamw", "global_norm", "accumulate"]),
    ("Embeddings", &["embedding", "word_gradient", "position_gradient", "gather_rows", "gather_rows_backward"]),
];

/// Draws the pane.
pub(super) fn show(ui: &mut Ui, app: &mut App) {
    ui.add_space(6.0);
    buttons(ui, app);
    ui.add_space(6.0);
    progress(ui, &app.state);
    ui.separator();
    facts(ui, &app.state);
    ui.separator();
    shares(ui, &app.state);
}

fn buttons(ui: &mut Ui, app: &mut App) {
    let phase = app.state.phase.clone();
    let (training, paused) = (phase == Phase::Training, phase == Phase::Paused);
    let width = (ui.available_width() - ui.spacing().item_spacing.x) / 2.0;
    let size = egui::vec2(width, 32.0);
    let command = |ui: &mut Ui, app: &mut App, enabled, name: &str, tip: &str, command| {
        let response = ui.add_enabled(enabled, Button::new(name).min_size(size));
        if response.on_hover_text(tip).clicked() {
            app.send(command);
        }
    };
    ui.horizontal(|ui| {
        match paused {
            true => command(ui, app, true, "Resume", "Go on (Space)", Command::Resume),
            false => command(ui, app, training, "Pause", "Wait between two steps (Space)", Command::Pause),
        }
        command(ui, app, training || paused, "One step", "Take one step and wait (.)", Command::Step);
    });
    ui.horizontal(|ui| {
        command(ui, app, training || paused, "Save now", "Write a checkpoint (Ctrl S)", Command::Save);
        let stoppable = training || paused || matches!(phase, Phase::Preparing { .. });
        command(ui, app, stoppable, "Stop", "Save and end; the run goes on from there another time", Command::Stop);
    });
    match phase {
        Phase::Done(ending) if !ending.complete => going_on(ui, app, size, None),
        Phase::Failed(_) if app.state.folder().is_some() => going_on(ui, app, size, None),
        Phase::Looking | Phase::Done(_) => {
            // A run may have ended early, since it got no better.
            let ended = matches!(phase, Phase::Done(_));
            let longer = app.state.begun.as_ref().and_then(|begun| longer(begun, app.state.run.as_ref(), ended));
            going_on(ui, app, size, longer);
        }
        _ => {}
    }
}

/// Another end where the run is at its end: half as long again.
fn longer(begun: &Begun, run: Option<&Track>, ended: bool) -> Option<Extension> {
    let t = &begun.config.training;
    let run = run?;
    let seconds = run.intervals.last().map_or(0.0, |m| m.seconds);
    match t.hours {
        Some(hours) => (ended || seconds >= 3_600.0 * hours * 0.999).then_some(Extension::Hours(hours * 1.5)),
        None => (ended || run.step() >= t.steps).then_some(Extension::Steps(t.steps + t.steps / 2)),
    }
}

fn going_on(ui: &mut Ui, app: &mut App, size: egui::Vec2, longer: Option<Extension>) {
    let (name, tip) = match longer {
        None => ("Go on training".to_string(), "From the newest checkpoint"),
        Some(Extension::Steps(steps)) => {
            (format!("Go on to {} steps", grouped(steps)), "The learning rate rises again and falls to 0 there")
        }
        Some(Extension::Hours(hours)) => {
            (format!("Go on to {:.1} min", 60.0 * hours), "The learning rate rises again and falls to 0 there")
        }
    };
    let wide = egui::vec2(ui.available_width(), size.y);
    if ui.add(Button::new(name).min_size(wide)).on_hover_text(tip).clicked() {
        app.go_on(longer);
    }
}

fn progress(ui: &mut Ui, state: &AppState) {
    let Some(begun) = &state.begun else { return };
    if begun.device.is_none() {
        let step = state.run.as_ref().map_or(0, |run| run.step());
        ui.label(format!("{} steps done", grouped(step)));
        return;
    }
    let t = &begun.config.training;
    ui.add(ProgressBar::new(state.at.progress as f32).show_percentage().desired_width(ui.available_width()));
    let of = match t.hours {
        Some(hours) => {
            format!("step {}, {} of {}", grouped(state.at.step), duration(state.at.seconds), duration(3_600.0 * hours))
        }
        None => format!("step {} of {}", grouped(state.at.step), grouped(t.steps)),
    };
    ui.label(of);
    if let (Some(left), true) = (state.pace.left(), state.phase.is_busy()) {
        ui.label(RichText::new(format!("{} left", duration(left))).weak());
    }
}

fn facts(ui: &mut Ui, state: &AppState) {
    let Some(begun) = &state.begun else { return };
    let (c, run) = (&begun.config, state.run.as_ref());
    let last = run.and_then(|run| run.intervals.last());
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(device) = &begun.device {
        rows.push(("Device", device.clone()));
        rows.push(("Memory", bytes(begun.memory)));
    }
    let parameters = format!("{} parameters", grouped(begun.parameters));
    if c.is_fine_tuning() {
        rows.push(("Task", c.in_words()));
        rows.push(("Model", format!("{parameters}{}", begins(c))));
    } else {
        rows.push(("Model", format!("{}, {parameters}", c.run_name())));
    }
    let parts = begun.micro_batches.filter(|split| split.count > 1);
    let parts = parts.map_or(String::new(), |split| format!(", in {} parts", split.count));
    // Of labelled texts, batches are as long as the longest in them.
    let of = if c.is_fine_tuning() { " up to" } else { "" };
    rows.push(("Batch", format!("{} ×{of} {} tokens{parts}", c.training.batch, c.data.length)));
    if !begun.text.is_empty() {
        rows.push((if c.is_fine_tuning() { "Data" } else { "Text" }, begun.text.clone()));
    }
    rows.push(("Seed", c.seed.to_string()));
    let precision = c.training.precision.in_words();
    if !precision.is_empty() {
        rows.push(("Precision", precision.trim_start_matches(" in ").into()));
    }
    if let Some(last) = last {
        rows.push(("Learning rate", format!("{:.3e}", last.learning_rate)));
        rows.push(("Speed", format!("{} tokens/s", grouped(last.tokens_per_second.max(0.0) as u64))));
        if last.flops.is_finite() {
            // The paper's days are those of pre-training.
            let share = match c.is_fine_tuning() {
                true => String::new(),
                false => format!(": {}", of_paper(paper_days(last.flops))),
            };
            rows.push(("Work done", format!("{}{share}", flop(last.flops as u64))));
        }
    }
    for (i, value) in run.iter().flat_map(|run| run.held_out_values()).enumerate() {
        rows.push((if i == 0 { "Held out" } else { "" }, value));
    }
    if let Some(saved) = state.saved {
        rows.push(("Saved", format!("at step {}", grouped(saved))));
    }
    let label = 92.0;
    let wide = (ui.available_width() - label - 12.0).max(80.0);
    Grid::new("facts").num_columns(2).spacing([8.0, 4.0]).min_col_width(label).show(ui, |ui| {
        for (name, value) in rows {
            ui.label(RichText::new(name).weak());
            ui.scope(|ui| {
                ui.set_max_width(wide);
                ui.add(egui::Label::new(value).wrap());
            });
            ui.end_row();
        }
    });
}

/// What a network that is fine-tuned begins as, in words.
fn begins(config: &Config) -> String {
    let name = |folder: &PathBuf| folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let begins = config.training.init_from.as_ref().map(name);
    match (begins, config.task.as_ref().is_some_and(|task| task.from_scratch)) {
        (Some(name), true) => format!(", as large as {name}, from random weights"),
        (Some(name), false) => format!(", from {name}"),
        (None, _) => String::new(),
    }
}

/// A share of the paper's four V100-days, in words.
pub(super) fn of_paper(days: f64) -> String {
    let share = days / 4.0;
    match share {
        s if s >= 0.001 => format!("{:.1} % of the paper's 4 V100-days", 100.0 * s),
        s if s > 0.0 => {
            let parts = 1.0 / s;
            let round = 10f64.powf(parts.log10().floor() - 1.0).max(1.0);
            format!("one part in {} of the paper's 4 V100-days", grouped(((parts / round).round() * round) as u64))
        }
        _ => "nothing yet of the paper's 4 V100-days".into(),
    }
}

/// Where a step's time goes, by family of operations.
fn shares(ui: &mut Ui, state: &AppState) {
    // An engine that does not take the time of every operation has at least the plan's count of its work.
    let flops = state.begun.iter().flat_map(|begun| &begun.flops_by_op).map(|(op, flops)| (op.clone(), *flops as f64));
    let (parts, title) = match state.times.is_empty() {
        true => (flops.collect(), "Where the operations go (computed)"),
        false => (state.times.clone(), "Where the time goes"),
    };
    let total: f64 = parts.iter().map(|(_, part)| part).sum();
    if total <= 0.0 {
        return;
    }
    ui.label(RichText::new(title).weak());
    let of = |ops: &[&str]| -> f64 { parts.iter().filter(|(op, _)| ops.contains(&op.as_str())).map(|(_, s)| s).sum() };
    let mut shares: Vec<(&str, f64)> = FAMILIES.iter().map(|(name, ops)| (*name, of(ops) / total)).collect();
    let known: f64 = shares.iter().map(|(_, share)| share).sum();
    shares.push(("Other", (1.0 - known).max(0.0)));
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let color = Palette::of(ui).discriminator();
    for (name, share) in shares.into_iter().filter(|(_, share)| *share >= 0.005) {
        let text = format!("{name}  {:.0} %", 100.0 * share);
        let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 20.0), egui::Sense::hover());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &text));
        let mut bar = rect.shrink2(egui::vec2(0.0, 1.0));
        bar.set_width(rect.width() * share as f32);
        ui.painter().rect_filled(bar, 3.0, color.gamma_multiply(0.35));
        let font = egui::TextStyle::Small.resolve(ui.style());
        let at = rect.left_center() + egui::vec2(6.0, 0.0);
        ui.painter().text(at, egui::Align2::LEFT_CENTER, text, font, ui.visuals().text_color());
    }
}
