//! A run that nobody trains: its networks are loaded and asked.

use super::networks::Networks;
use super::question::TEXTS;
use super::{Begun, Command, Demonstrates, Example, Heard, Inbox, News, Outbox};
use crate::config::Config;
use crate::corpus::Tokenizer;
use crate::measure::Measure;
use crate::model::Model;
use crate::numbers::fixed;
use crate::run::Run;
use crate::session::{Adaptation, held_out_records};
use crate::transformers::Pretrained;
use crate::window::state::Track;
use std::path::Path;
use std::sync::Arc;
use web_time::Duration;

/// Networks, as they are asked.
struct Loaded {
    networks: Networks,
    step: u64,
    parameters: usize,
    demonstrates: Demonstrates,
}

/// Loads a run's networks and answers questions until the window is done with it: of a run that was fine-tuned its best checkpoint,
/// else the newest.
pub(super) async fn look(folder: &Path, inbox: &Inbox, outbox: &Outbox) -> Result<(), String> {
    let found = Run::config(folder).map_err(|e| e.to_string())?;
    let config = found.ok_or_else(|| format!("{} holds no run", folder.display()))?;
    let recorded = Track::read(folder).ok();
    let loaded = match config.is_fine_tuning() {
        true => fine_tuned(folder, &config, recorded.as_ref(), outbox)?,
        false => pre_trained(folder, &config)?,
    };
    let Loaded { mut networks, step, parameters, demonstrates } = loaded;
    let begun = Begun {
        folder: folder.into(),
        device: None,
        text: String::new(),
        measures: None,
        parameters: parameters as u64,
        micro_batches: None,
        memory: 0,
        flops_by_op: Vec::new(),
        step,
        saved: Run::newest_step(folder),
        recorded,
        demonstrates,
        config,
    };
    outbox.tell(News::Begun(Box::new(begun)));
    loop {
        match inbox.next(Duration::from_secs(60)).await {
            Heard::Command(Command::Stop) | Heard::Gone => return Ok(()),
            Heard::Command(Command::Ask(question)) => networks.ask(&question, step, outbox),
            Heard::Command(Command::Quiz(requests)) => networks.quiz(&requests, outbox),
            Heard::Command(Command::Pause | Command::Resume | Command::Step | Command::Save) | Heard::Nothing => {}
        }
    }
}

fn pre_trained(folder: &Path, config: &Config) -> Result<Loaded, String> {
    let saved = Adaptation::load(folder, &config.objective).map_err(|e| e.to_string())?;
    let model = Model::new(config);
    let tokenizer = Tokenizer::load_saved(folder).map_err(|e| e.to_string())?;
    let mut fitting = config.clone();
    saved.resize(&mut fitting);
    if Model::new(&fitting).table != model.table {
        return Err(format!("{}: its checkpoints are of another model than config.toml says", folder.display()));
    }
    let mut networks = Networks::new(model.clone(), &config.objective, &tokenizer);
    networks.set_weights(&saved.weights(config, &model))?;
    Ok(Loaded {
        networks,
        step: saved.step().unwrap_or_default(),
        parameters: model.table.count(),
        demonstrates: Demonstrates::sentences(config, sentences(folder, &tokenizer)),
    })
}

fn fine_tuned(folder: &Path, config: &Config, recorded: Option<&Track>, outbox: &Outbox) -> Result<Loaded, String> {
    let best = Best::load(folder, config, recorded.and_then(|track| track.measures.selecting()))?;
    outbox.tell(News::Note("reading the labelled data…".into()));
    // Its file may have been moved; texts can be typed all the same.
    let examples = held_out_records(config).map_or_else(|_| Vec::new(), |records| Example::all(&records));
    let Best { networks, step, parameters, chosen } = best;
    Ok(Loaded { networks, step, parameters, demonstrates: Demonstrates::Texts { examples, chosen: Some(chosen) } })
}

/// The checkpoint of a fine-tuned run that answers once nobody trains it: the best, or the newest where nothing was measured.
pub(super) struct Best {
    pub(super) networks: Networks,
    pub(super) step: u64,
    parameters: usize,
    /// Why it is this one, in words.
    pub(super) chosen: String,
}

impl Best {
    /// Of the run in `folder`, whose checkpoints are chosen by `measure`.
    pub(super) fn load(folder: &Path, config: &Config, measure: Option<&Arc<Measure>>) -> Result<Self, String> {
        let found = Pretrained::load_fine_tuned(folder).map_err(|e| e.to_string())?;
        let step = found.step().unwrap_or_default();
        let chosen = match (Run::best_of(folder).filter(|(_, best, _)| *best == step), measure) {
            (Some((.., value)), Some(m)) => format!("the best {}: {}", m.short, fixed(value, m.digits.into())),
            _ => "the newest".into(),
        };
        let mut networks = Networks::new(found.model.clone(), &config.objective, &found.tokenizer);
        networks.set_weights(&found.weights)?;
        Ok(Self { networks, step, parameters: found.model.table.count(), chosen })
    }
}

/// Sentences that the run has kept in samples.jsonl.
fn sentences(folder: &Path, tokenizer: &Tokenizer) -> Vec<String> {
    let text = crate::fs::read_to_string(folder.join("samples.jsonl")).unwrap_or_default();
    let sentence = |line: &str| -> Option<String> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let tokens = line.get("original")?.as_array()?;
        let inner = tokens.get(1..tokens.len().checked_sub(1)?)?;
        let ids: Vec<u32> = inner.iter().filter_map(|token| tokenizer.id(token.as_str()?)).collect();
        tokenizer.decode(&ids).ok().filter(|text| !text.is_empty())
    };
    let mut found: Vec<String> = Vec::new();
    for text in text.lines().rev().filter_map(sentence) {
        if found.len() < TEXTS && !found.contains(&text) {
            found.push(text);
        }
    }
    if found.is_empty() {
        found.push("the people of the united states want peace .".into());
    }
    found
}
