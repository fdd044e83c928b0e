//! A network's folder: where it is in a run, and what is in it.

use super::config_json::{Described, read_attends_to_masks, read_config_json, read_labels, read_null_threshold};
use super::published::Published;
use super::tensors::{Other, SAFETENSORS, Weights};
use super::{CheckpointError, FolderError};
use crate::corpus::Tokenizer;
use crate::model::{Architecture, Builder, ClassifierKind, Model, ModelConfig, Network, TIED};
use crate::run;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";

/// A network as it lies in its folder.
#[derive(Debug, Clone)]
pub struct Pretrained {
    /// The folder that it was found in.
    pub folder: PathBuf,
    /// The network alone: where each of its parameters is. An encoder alone has no head.
    pub model: Model,
    /// The weights: a bank, laid out as [`Model::table`] says.
    pub weights: Vec<f32>,
    /// What a person should know of how it was read, a line each.
    pub notes: Vec<String>,
    /// The tokenizer it was trained with.
    pub tokenizer: Tokenizer,
    /// The folder of that tokenizer.
    pub home: PathBuf,
}

impl Pretrained {
    /// Loads a network of a run (`generator/`, `encoder/` or `discriminator/`, else that of the newest `checkpoints/step-N/`)
    /// or of a folder that `transformers` saved. A run's tokenizer may lie in the run's own folder.
    ///
    /// # Errors
    /// [`FolderError`], for everything that can be wrong with the files.
    pub fn load(path: &Path, architecture: Architecture) -> Result<Self, FolderError> {
        Self::open(find(path, architecture)?, path, Wanted { heads: &[architecture], alone: false })
    }

    /// The encoder alone, as a discriminator without its head, of a folder whatever head it has, or none. Of a run it is what one
    /// keeps: `encoder/` where there is one, else that of the discriminator, of the masked language model, or of what was fine-tuned.
    ///
    /// # Errors
    /// As [`Pretrained::load`].
    pub fn load_encoder(path: &Path) -> Result<Self, FolderError> {
        let [first, others @ ..] = [Architecture::PreTraining, Architecture::MaskedLm, Architecture::FINE_TUNED[0]];
        let named = |folder: &PathBuf| folder != path && folder.ends_with("encoder");
        let kept = find(path, Architecture::MaskedLm).ok().filter(named);
        let folder = kept.map_or_else(|| find(path, first), Ok).or_else(|error| match error {
            FolderError::NoModel { .. } => others.iter().find_map(|&other| find(path, other).ok()).ok_or(error),
            error => Err(error),
        })?;
        Self::open(folder, path, Wanted { heads: &[first], alone: true })
    }

    /// Loads what was fine-tuned, whichever of [`Architecture::FINE_TUNED`] it is: its head is the network's first. It lies in a
    /// run's `model/`, else in that of the newest `checkpoints/step-N/`, or in a folder that `transformers` saved.
    ///
    /// # Errors
    /// As [`Pretrained::load`], and [`FolderError::NotFineTuned`].
    pub fn load_fine_tuned(path: &Path) -> Result<Self, FolderError> {
        let folder = find(path, Architecture::FINE_TUNED[0])?;
        Self::open(folder, path, Wanted { heads: &Architecture::FINE_TUNED, alone: false })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.model.networks[0]
    }

    /// The step of the checkpoint that it is of, where its folder's name says so.
    pub fn step(&self) -> Option<u64> {
        self.folder.parent()?.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
    }

    /// What is in `folder`, which was found in `path`.
    fn open(folder: PathBuf, path: &Path, wanted: Wanted<'_>) -> Result<Self, FolderError> {
        let file = folder.join(CONFIG);
        let text = crate::fs::read_to_string(&file).map_err(|source| FolderError::Read { path: file, source })?;
        let misfit = |source| FolderError::Checkpoint { path: folder.clone(), source };
        let described = read_config_json(&text).map_err(misfit)?;
        if described.config.positions < 2 {
            return Err(FolderError::Positions { path: folder, found: described.config.positions });
        }
        // A name settles it before anything large is read.
        wanted.check_name(&folder, &described)?;
        let files = Weights::open(&folder)?;
        let misfit = |source| FolderError::Checkpoint { path: files.path.clone(), source };
        let published = Published::new(&files).map_err(misfit)?;
        let found = wanted.head(&folder, &described, &published)?;
        let architecture = found.unwrap_or(wanted.architecture());
        check_size(&files, &described.config)?;
        let own_output = architecture == Architecture::MaskedLm && published.has_own_output().map_err(misfit)?;
        let mut b = Builder::default();
        let mut network = b.network(name_of(&folder, architecture), &described.config);
        match found {
            None => {}
            Some(Architecture::MaskedLm) => {
                b.masked_lm(&mut network, described.tied && !own_output);
                if !read_attends_to_masks(&text).map_err(misfit)? {
                    network.hide_masks();
                }
            }
            Some(Architecture::PreTraining) => b.replaced_tokens(&mut network),
            Some(fine_tuned) => put_head(&mut b, &mut network, fine_tuned, &text, &published).map_err(misfit)?,
        }
        let model = b.finish(vec![network]);
        let mut weights = vec![0.0; model.table.len()];
        let left = published.read(&model, &model.networks[0], &mut weights).map_err(misfit)?;
        let mut notes = Vec::new();
        if own_output && described.tied {
            notes.push(format!(
                "{}: the output matrix {TIED} is not the word embeddings, although config.json has \
                 tie_word_embeddings; it is taken as it is, as transformers does",
                folder.display()
            ));
        }
        match (found, left.first()) {
            // An encoder that was pre-trained as one is asked for.
            (None, _) if Architecture::PRE_TRAINED.iter().any(|&head| published.has_head(head)) => {}
            (None, _) => {
                let what = without_head(&described, &published);
                notes.push(format!("{} is {what}; only its encoder is taken", folder.display()));
            }
            (Some(_), Some(first)) => notes.push(format!(
                "{}: {} of its tensors, such as {first}, {} no part of an {} with this config.json and left out",
                folder.display(),
                left.len(),
                if left.len() == 1 { "is" } else { "are" },
                architecture.name()
            )),
            (Some(_), None) => {}
        }
        let has_tokenizer =
            |f: &&Path| crate::fs::is_file(&f.join("tokenizer.json")) || crate::fs::is_file(&f.join("vocab.txt"));
        let home = [&folder, path].into_iter().find(has_tokenizer).unwrap_or(&folder);
        let home = home.to_path_buf();
        let tokenizer = Tokenizer::load(&home)?;
        if tokenizer.size() > described.config.vocabulary {
            let (tokenizer, model) = (tokenizer.size(), described.config.vocabulary);
            return Err(FolderError::Vocabulary { path: home, tokenizer, model });
        }
        Ok(Self { folder, model, weights, notes, tokenizer, home })
    }
}

/// The network's name: its folder's, where that is one that networks of its kind have.
fn name_of(folder: &Path, architecture: Architecture) -> &'static str {
    let known = architecture.folders().iter().find(|name| folder.ends_with(name));
    known.map_or(architecture.network(), |name| *name)
}

/// What a folder is asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    /// The heads that will do: of pre-training one, of fine-tuning one or more.
    heads: &'a [Architecture],
    /// Whether the encoder alone is wanted, whatever is on it.
    alone: bool,
}

impl Wanted<'_> {
    /// What the folder is looked for as.
    fn architecture(&self) -> Architecture {
        self.heads[0]
    }

    fn is_fine_tuned(&self) -> bool {
        Architecture::FINE_TUNED.contains(&self.architecture())
    }

    fn other_network(&self, folder: &Path) -> FolderError {
        let expected = self.architecture();
        let other = folder.parent().and_then(|parent| inside(parent, expected));
        FolderError::OtherNetwork { path: folder.into(), expected, other: other.filter(|other| other != folder) }
    }

    /// Whether config.json says that it is something else.
    fn check_name(&self, folder: &Path, described: &Described) -> Result<(), FolderError> {
        let other = described.architecture.filter(|found| !self.alone && !self.heads.contains(found));
        let Some(found) = other else { return Ok(()) };
        match (self.is_fine_tuned(), Architecture::PRE_TRAINED.contains(&found)) {
            (false, true) => Err(self.other_network(folder)),
            // An encoder under another head.
            (false, false) => Ok(()),
            (true, true) => {
                Err(FolderError::NotFineTuned { path: folder.into(), what: format!("an {}", found.name()) })
            }
            (true, false) => Err(FolderError::NotFineTuned { path: folder.into(), what: another_task(found.name()) }),
        }
    }

    /// Which of the heads it has; `None` where the encoder alone is wanted.
    fn head(
        &self,
        folder: &Path,
        described: &Described,
        published: &Published<'_>,
    ) -> Result<Option<Architecture>, FolderError> {
        if self.alone {
            return Ok(None);
        }
        let named = described.architecture.filter(|found| self.heads.contains(found));
        if let Some(found) = named.or_else(|| self.heads.iter().copied().find(|&head| published.has_head(head))) {
            return Ok(Some(found));
        }
        let other = Architecture::PRE_TRAINED.into_iter().find(|&other| published.has_head(other));
        let path = folder.to_path_buf();
        match (self.is_fine_tuned(), other) {
            (false, Some(_)) => Err(self.other_network(folder)),
            (true, Some(other)) => Err(FolderError::NotFineTuned { path, what: format!("an {}", other.name()) }),
            (true, None) => Err(FolderError::NotFineTuned { path, what: without_head(described, published) }),
            (false, None) => {
                let (what, expected) = (without_head(described, published), self.architecture());
                Err(FolderError::Encoder { path, what, expected })
            }
        }
    }
}

/// Puts a head that comes of fine-tuning on `network`, with the labels of its config.json, `text`.
fn put_head(
    b: &mut Builder,
    network: &mut Network,
    architecture: Architecture,
    text: &str,
    published: &Published<'_>,
) -> Result<(), CheckpointError> {
    let labels = |output: &str| read_labels(text, published.rows(output, architecture.network())?);
    match architecture {
        Architecture::SequenceClassification => {
            let (problem, labels) = labels("classifier.out_proj.weight")?;
            b.sequence_classification(network, ClassifierKind::Dense, problem, labels);
        }
        Architecture::LinearClassification => {
            let (problem, labels) = labels("linear_classifier.weight")?;
            b.sequence_classification(network, ClassifierKind::Linear, problem, labels);
        }
        Architecture::TokenClassification => b.token_classification(network, labels("classifier.weight")?.1),
        Architecture::QuestionAnswering => b.question_answering(network, read_null_threshold(text)?),
        Architecture::MaskedLm | Architecture::PreTraining => {}
    }
    Ok(())
}

/// What a folder is that has no head of ELECTRA's pre-training.
fn without_head(described: &Described, published: &Published<'_>) -> String {
    match (described.class.as_deref(), published.foreign()) {
        (Some("ElectraModel"), _) | (None, None) => "an encoder alone (ElectraModel)".into(),
        (Some(name), _) => another_task(name),
        (None, Some(tensor)) => format!("an encoder with another head (the tensor {tensor})"),
    }
}

fn another_task(class: &str) -> String {
    format!("fine-tuned for another task ({class:.60})")
}

/// The folder that holds the network.
fn find(path: &Path, architecture: Architecture) -> Result<PathBuf, FolderError> {
    if !crate::fs::is_there(path) {
        return Err(FolderError::Missing { path: path.into(), network: architecture });
    }
    if crate::fs::is_file(&path.join(CONFIG)) {
        return Ok(path.into());
    }
    // Of runs with several seeds, the best.
    if let Some(best) = run::best_seed(path) {
        return find(&best, architecture);
    }
    let in_run = |architecture| {
        // What was fine-tuned is worth what it was on held-out texts; what is pre-trained, what it learnt last.
        let best = || run::Run::best_of(path).filter(|_| Architecture::FINE_TUNED.contains(&architecture));
        let best = || best().and_then(|(folder, ..)| inside(&folder, architecture));
        inside(path, architecture).or_else(best).or_else(|| newest(&path.join(run::CHECKPOINTS), architecture))
    };
    in_run(architecture).ok_or_else(|| {
        // A folder with weights but without sizes is a model that lost a file.
        let other = Other::find(path);
        match crate::fs::is_file(&path.join(SAFETENSORS)) {
            _ if other != Other::None => FolderError::NoWeights { path: path.into(), other },
            true => FolderError::Read { path: path.join(CONFIG), source: std::io::ErrorKind::NotFound.into() },
            false => {
                let other = Architecture::PRE_TRAINED.into_iter().find_map(in_run);
                FolderError::NoModel { path: path.into(), network: architecture, other }
            }
        }
    })
}

/// The folder in `parent` of a network with that head.
fn inside(parent: &Path, architecture: Architecture) -> Option<PathBuf> {
    let folders = architecture.folders().iter().map(|name| parent.join(name));
    folders.into_iter().find(|folder| crate::fs::is_file(&folder.join(CONFIG)))
}

/// That network of the checkpoint with the highest step.
fn newest(checkpoints: &Path, architecture: Architecture) -> Option<PathBuf> {
    let steps = crate::fs::read_dir(checkpoints).ok()?.flatten().filter_map(|entry| {
        let step: u64 = entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok()?;
        Some((step, inside(&entry.path(), architecture)?))
    });
    steps.max_by_key(|&(step, _)| step).map(|(_, folder)| folder)
}

/// Sizes far beyond the files' are refused before memory is asked for.
fn check_size(files: &Weights, c: &ModelConfig) -> Result<(), FolderError> {
    let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
    let layer = product(c.hidden, c.hidden).saturating_mul(4).saturating_add(product(2 * c.hidden, c.feed_forward));
    let tables = [c.vocabulary, c.positions, c.types].map(|rows| product(rows, c.embedding));
    let elements = tables.into_iter().fold(layer.saturating_mul(c.layers as u64), u64::saturating_add);
    let expected = elements.saturating_mul(2);
    match files.size < expected {
        true => Err(FolderError::Size { path: files.path.clone(), found: files.size, expected }),
        false => Ok(()),
    }
}
