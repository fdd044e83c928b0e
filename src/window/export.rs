//! What one may take away: pictures of the losses and of the sentence, and the numbers.

use super::platform;
use super::state::{AppState, Track};
use crate::history::Recorded;
use crate::picture::{self, Figure, MOST_RUNS, to_png};
use std::path::{Path, PathBuf};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The losses of every run that is open.
    Losses,
    /// The sentence with its fakes and verdicts.
    Sentence,
    /// Every measure at every interval.
    Metrics,
    /// All of the run, where there is no folder that it lies in.
    Run,
}

impl What {
    /// What there is to be taken away: a network that was fine-tuned has no sentence with fakes.
    pub(super) fn offered(state: &AppState) -> Vec<Self> {
        let all = [Self::Losses, Self::Sentence, Self::Metrics, Self::Run].into_iter();
        let offered = |what: &Self| match what {
            Self::Losses | Self::Metrics => true,
            Self::Sentence => state.text.is_none(),
            Self::Run => !platform::PATHS,
        };
        all.filter(offered).collect()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Losses => "Losses as a picture (.png or .svg)",
            Self::Sentence => "Sentence as a picture (.png or .svg)",
            Self::Metrics => "Metrics as a table (.csv)",
            Self::Run => "The whole run, for leyden on a desktop and for transformers (.zip)",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Losses => "losses.png",
            Self::Sentence => "sentence.png",
            Self::Metrics => "metrics.csv",
            Self::Run => "run.zip",
        }
    }
}

/// The export dialog's fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ExportForm {
    pub what: What,
    pub path: String,
    /// Why it could not be written.
    pub complaint: Option<String>,
}

impl ExportForm {
    /// Into the folder of the run that is shown.
    pub(super) fn new(state: &AppState) -> Self {
        let what = What::Losses;
        Self { what, path: place(state, what), complaint: None }
    }

    /// Chooses what is written; the path follows.
    pub(super) fn choose(&mut self, what: What, state: &AppState) {
        let folder = Path::new(&self.path).parent().map(Path::to_path_buf);
        self.path = folder.map_or_else(|| place(state, what), |f| f.join(what.file()).display().to_string());
        self.what = what;
        self.complaint = None;
    }

    /// Writes it; where it is then.
    ///
    /// # Errors
    /// One line for the person.
    pub(super) fn write(&self, state: &AppState) -> Result<PathBuf, String> {
        let path = PathBuf::from(self.path.trim());
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let bytes = match (self.what, ending.as_str()) {
            (What::Losses, "png" | "svg") => picture(losses(state)?, &ending)?,
            (What::Sentence, "png" | "svg") => picture(sentence(state)?, &ending)?,
            (What::Metrics, "csv") => {
                let run = state.tracks().next().ok_or("no run is open")?;
                if run.intervals.is_empty() && run.held_out.is_empty() {
                    return Err("nothing was measured yet".into());
                }
                run.to_csv().into_bytes()
            }
            (What::Metrics, _) => return Err(format!("{}: expected a name that ends in .csv", path.display())),
            _ => return Err(format!("{}: expected a name that ends in .png or .svg", path.display())),
        };
        platform::take_away(&path, &bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        Ok(path)
    }
}

fn place(state: &AppState, what: What) -> String {
    if !platform::PATHS {
        return what.file().into();
    }
    let folder = state.tracks().next().map(|track| track.folder.clone()).unwrap_or_default();
    folder.join(what.file()).display().to_string()
}

fn picture(svg: String, ending: &str) -> Result<Vec<u8>, String> {
    if ending == "svg" { Ok(svg.into_bytes()) } else { to_png(&svg).map_err(|e| e.to_string()) }
}

fn losses(state: &AppState) -> Result<String, String> {
    let runs: Vec<(String, Recorded)> =
        state.names().into_iter().zip(state.tracks().map(Track::recorded)).take(MOST_RUNS).collect();
    if runs.is_empty() {
        return Err("no run is open".into());
    }
    let view = state.view;
    let figure = Figure { runs: &runs, x: view.x, scale: view.scale, smoothing: view.smoothing, size: (1600, 1000) };
    figure.to_svg().map_err(|e| e.to_string())
}

fn sentence(state: &AppState) -> Result<String, String> {
    let sentence = state.sentence.answer.as_ref().ok_or("no sentence was shown yet")?;
    if sentence.tokens.is_empty() {
        return Err("the sentence has no tokens".into());
    }
    Ok(picture::sentence(sentence, Some(state.sentence.step)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::tests::invented;
    use crate::probe::{Sentence, Token};

    #[test]
    fn everything_is_written_where_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("measures.json"), invented().to_json().unwrap()).unwrap();
        std::fs::write(run.join("metrics.jsonl"), "{\"step\":1,\"hits\":0.5,\"cost\":0.3}\n").unwrap();
        let mut state = AppState::default();
        let mut form = ExportForm::new(&state);
        assert!(form.write(&state).unwrap_err().contains("no run"));
        state.open(Track::read(&run));
        form = ExportForm::new(&state);
        assert_eq!(form.path, run.join("losses.png").display().to_string());
        let path = form.write(&state).unwrap();
        assert!(std::fs::read(path).unwrap().starts_with(b"\x89PNG"));
        form.choose(What::Metrics, &state);
        assert!(std::fs::read_to_string(form.write(&state).unwrap()).unwrap().starts_with("text,step"));
        form.choose(What::Sentence, &state);
        assert!(form.write(&state).unwrap_err().contains("no sentence"));
        state.sentence.answer = Some(Sentence::default());
        assert!(form.write(&state).unwrap_err().contains("no tokens"));
        let token = Token {
            position: 1,
            original: "peace".into(),
            shown: "w<r".into(),
            selected: true,
            masked: true,
            edited: false,
            guesses: Vec::new(),
            p_replaced: Some(0.9),
            candidates: Vec::new(),
        };
        state.sentence.answer = Some(Sentence { tokens: vec![token], cut: false });
        assert!(std::fs::read(form.write(&state).unwrap()).unwrap().starts_with(b"\x89PNG"));
        form.path = run.join("x.gif").display().to_string();
        assert!(form.write(&state).unwrap_err().contains(".svg"));
        form.path = run.join("none").join("x.svg").display().to_string();
        assert!(form.write(&state).unwrap_err().contains("cannot write"));
    }
}
