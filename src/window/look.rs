//! Colours and sizes: light, dark, and large for a projector. The networks' and marks' colours are Okabe and Ito's (2008),
//! which stay apart for the colour-blind; signs and words go with them everywhere.

use super::state::Mark;
use egui::{Color32, Context, FontId, TextStyle, Theme, ThemePreference, Ui};

/// How the window looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    /// Large type and high contrast.
    pub projector: bool,
    /// Light, dark, or what the desktop has.
    pub theme: ThemePreference,
}

impl Default for Look {
    fn default() -> Self {
        Self { projector: false, theme: ThemePreference::System }
    }
}

/// How much larger everything is on a projector.
const PROJECTOR_ZOOM: f32 = 1.4;

impl Look {
    /// Gives the window this look.
    pub(super) fn apply(self, ctx: &Context) {
        ctx.set_theme(self.theme);
        ctx.set_zoom_factor(if self.projector { PROJECTOR_ZOOM } else { 1.0 });
        for theme in [Theme::Light, Theme::Dark] {
            ctx.style_mut_of(theme, |style| {
                style.spacing.item_spacing = egui::vec2(8.0, 6.0);
                style.spacing.button_padding = egui::vec2(10.0, 5.0);
                style.spacing.interact_size.y = 26.0;
                for (text, size) in [
                    (TextStyle::Small, 12.0),
                    (TextStyle::Body, 14.0),
                    (TextStyle::Button, 14.0),
                    (TextStyle::Monospace, 13.5),
                    (TextStyle::Heading, 20.0),
                ] {
                    style.text_styles.insert(text.clone(), FontId::new(size, family(&text)));
                }
                let dark = theme == Theme::Dark;
                let v = &mut style.visuals;
                let (back, ink) = match (dark, self.projector) {
                    (true, false) => (Color32::from_rgb(24, 26, 31), Color32::from_rgb(222, 225, 230)),
                    (true, true) => (Color32::BLACK, Color32::WHITE),
                    (false, false) => (Color32::from_rgb(250, 250, 248), Color32::from_rgb(34, 36, 40)),
                    (false, true) => (Color32::WHITE, Color32::BLACK),
                };
                v.panel_fill = back;
                v.window_fill = back;
                v.override_text_color = Some(ink);
                v.extreme_bg_color = Palette { dark }.back();
                // Small print is still to be read: at least 4.5 to 1 on the panels.
                v.weak_text_color =
                    Some(if dark { Color32::from_rgb(165, 170, 178) } else { Color32::from_rgb(92, 95, 102) });
            });
        }
    }
}

fn family(text: &TextStyle) -> egui::FontFamily {
    if *text == TextStyle::Monospace { egui::FontFamily::Monospace } else { egui::FontFamily::Proportional }
}

/// Red, green, blue.
type Rgb = (u8, u8, u8);

/// Colours of the theme that is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    dark: bool,
}

impl Palette {
    /// That of `ui`.
    pub(super) fn of(ui: &Ui) -> Self {
        Self { dark: ui.visuals().dark_mode }
    }

    fn pick(self, light: Rgb, dark: Rgb) -> Color32 {
        let (r, g, b) = if self.dark { dark } else { light };
        Color32::from_rgb(r, g, b)
    }

    /// The generator's.
    pub(super) fn generator(self) -> Color32 {
        self.pick((190, 75, 0), (240, 150, 70))
    }

    /// The discriminator's.
    pub(super) fn discriminator(self) -> Color32 {
        self.pick((0, 98, 155), (100, 180, 235))
    }

    /// Of run `i` among several.
    pub(super) fn run(self, i: usize) -> Color32 {
        const RUNS: [(Rgb, Rgb); 7] = [
            ((0, 98, 155), (100, 180, 235)),
            ((190, 75, 0), (240, 150, 70)),
            ((0, 125, 90), (60, 205, 160)),
            ((165, 80, 130), (225, 150, 195)),
            ((150, 105, 0), (230, 190, 60)),
            ((90, 90, 200), (150, 150, 250)),
            ((60, 60, 60), (220, 220, 220)),
        ];
        let (light, dark) = RUNS[i % RUNS.len()];
        self.pick(light, dark)
    }

    /// Lines that a loss is held against.
    pub(super) fn baseline(self) -> Color32 {
        self.pick((95, 95, 100), (165, 168, 175))
    }

    /// What plots are drawn on.
    pub(super) fn back(self) -> Color32 {
        self.pick((255, 255, 255), (16, 17, 21))
    }

    /// A plot's grid.
    pub(super) fn grid(self) -> Color32 {
        self.pick((205, 207, 210), (62, 66, 74))
    }

    /// Bad news.
    pub(super) fn bad(self) -> Color32 {
        self.pick((180, 20, 30), (255, 120, 120))
    }

    /// Good news.
    pub(super) fn good(self) -> Color32 {
        self.pick((0, 115, 80), (70, 210, 165))
    }

    /// What is neither.
    pub(super) fn caution(self) -> Color32 {
        self.pick((140, 95, 0), (235, 190, 70))
    }

    /// A token's background: from the panel's own to a full amber as the discriminator is surer that it is a fake.
    pub(super) fn suspicion(self, p: f32) -> Color32 {
        let (calm, sure) = match self.dark {
            true => ((38.0, 41.0, 48.0), (150.0, 92.0, 0.0)),
            false => ((238.0, 239.0, 240.0), (255.0, 196.0, 92.0)),
        };
        let mix = |a: f32, b: f32| (a + (b - a) * p.clamp(0.0, 1.0)) as u8;
        Color32::from_rgb(mix(calm.0, sure.0), mix(calm.1, sure.1), mix(calm.2, sure.2))
    }

    /// A mark's.
    pub(super) fn mark(self, mark: Mark, ui: &Ui) -> Color32 {
        match mark {
            Mark::Hit => self.good(),
            Mark::Miss => self.bad(),
            Mark::FalseAlarm => self.caution(),
            Mark::Restored | Mark::Open => self.generator(),
            Mark::Original => ui.visuals().weak_text_color(),
        }
    }
}
