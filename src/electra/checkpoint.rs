//! Weights under the names of `transformers`, as safetensors, and its config.json.
//!
//! A checkpoint of one half holds the tied embeddings and that half's own parameters. Query, key and value are one
//! parameter here and three there.

mod published;

pub(crate) use published::is_wanted;
pub use published::{Element, Published, Stored, Tensors};

use super::config::EPSILONS;
use super::{Config, EncoderParameters, GeneratorConfig, Half, Model, ModelConfig, Norm, Weights, preset};
use crate::ops::{Activation, EPSILON};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

/// Why weights or a config.json cannot be used. The file's name is added by whoever read it.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a safetensors file, or a damaged one.
    #[error("not a readable safetensors file ({0}); expected the weights of a transformers ELECTRA")]
    Safetensors(String),
    /// Tensors that are not there.
    #[error("{count} tensors are missing, the first is {first}; expected an ELECTRA {half}")]
    Missing {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
        /// Which network was asked for.
        half: &'static str,
    },
    /// Tensors that do not belong there.
    #[error("{count} unexpected tensors, the first is {first}; expected an ELECTRA {half}")]
    Unexpected {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
        /// Which network was asked for.
        half: &'static str,
    },
    /// A tensor of another shape or type.
    #[error("{name} is {found}, expected {expected}")]
    Tensor {
        /// Its name.
        name: String,
        /// Its type and shape.
        found: String,
        /// What the config asks for.
        expected: String,
    },
    /// Two names of one tensor.
    #[error("{name} and {other} are the same tensor, expected one of them")]
    Twice {
        /// One name.
        name: String,
        /// The other.
        other: String,
    },
    /// An index of shards that does not fit them.
    #[error("{0}")]
    Index(String),
    /// Not a file of PyTorch's, or a damaged one.
    #[error("not a readable PyTorch file ({0}); expected the weights of a transformers ELECTRA")]
    Pickle(String),
    /// A config.json that cannot be used.
    #[error("config.json: {0}")]
    Config(String),
}

/// A tensor of a checkpoint and its place in a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in `transformers`.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// First element in a bank.
    pub offset: usize,
}

impl Entry {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What the generator's tied output matrix is called; newer versions of `transformers` leave it out.
pub(crate) const TIED: &str = "generator_lm_head.weight";
/// Tensors that older versions of `transformers` wrote and nobody reads.
const IGNORED: &str = "electra.embeddings.position_ids";

struct Lister<'a> {
    model: &'a Model,
    entries: Vec<Entry>,
}

impl Lister<'_> {
    fn push(&mut self, name: String, index: usize) {
        let p = &self.model.table.parameters()[index];
        self.entries.push(Entry { name, shape: p.shape.clone(), offset: p.offset });
    }

    fn linear(&mut self, name: &str, w: Weights) {
        self.push(format!("{name}.weight"), w.weight);
        self.push(format!("{name}.bias"), w.bias);
    }

    fn norm(&mut self, name: &str, n: Norm) {
        self.push(format!("{name}.weight"), n.gamma);
        self.push(format!("{name}.bias"), n.beta);
    }

    fn encoder(&mut self, p: &EncoderParameters) {
        if let Some(project) = p.project {
            self.linear("electra.embeddings_project", project);
        }
        for (i, layer) in p.layers.iter().enumerate() {
            let name = |part: &str| format!("electra.encoder.layer.{i}.{part}");
            for (index, kind) in [(layer.qkv.weight, "weight"), (layer.qkv.bias, "bias")] {
                let p = &self.model.table.parameters()[index];
                let (mut shape, offset) = (p.shape.clone(), p.offset);
                shape[0] /= 3;
                let len: usize = shape.iter().product();
                for (part, head) in ["query", "key", "value"].iter().enumerate() {
                    let name = name(&format!("attention.self.{head}.{kind}"));
                    self.entries.push(Entry { name, shape: shape.clone(), offset: offset + part * len });
                }
            }
            self.linear(&name("attention.output.dense"), layer.attention);
            self.norm(&name("attention.output.LayerNorm"), layer.attention_norm);
            self.linear(&name("intermediate.dense"), layer.intermediate);
            self.linear(&name("output.dense"), layer.output);
            self.norm(&name("output.LayerNorm"), layer.output_norm);
        }
    }
}

/// The tensors of one half's checkpoint.
pub fn entries(model: &Model, half: Half) -> Vec<Entry> {
    let mut list = Lister { model, entries: Vec::new() };
    let (embeddings, heads) = (model.embeddings, model.heads);
    list.push("electra.embeddings.word_embeddings.weight".into(), embeddings.word);
    list.push("electra.embeddings.position_embeddings.weight".into(), embeddings.position);
    list.push("electra.embeddings.token_type_embeddings.weight".into(), embeddings.types);
    list.norm("electra.embeddings.LayerNorm", embeddings.norm);
    match half {
        Half::Generator => {
            list.encoder(&model.generator);
            list.linear("generator_predictions.dense", heads.generator_dense);
            list.norm("generator_predictions.LayerNorm", heads.generator_norm);
            list.push("generator_lm_head.bias".into(), heads.generator_bias);
            list.push(TIED.into(), heads.generator_output);
        }
        Half::Discriminator => {
            list.encoder(&model.discriminator);
            list.linear("discriminator_predictions.dense", heads.discriminator_dense);
            list.linear("discriminator_predictions.dense_prediction", heads.discriminator_prediction);
        }
    }
    list.entries
}

/// One half's weights as the bytes of a safetensors file.
pub fn to_bytes(model: &Model, half: Half, bank: &[f32]) -> Result<Vec<u8>, CheckpointError> {
    let entries = entries(model, half);
    let error = |e: safetensors::SafeTensorError| CheckpointError::Safetensors(e.to_string());
    let view = |e: &Entry| {
        let data = bytemuck::cast_slice(&bank[e.offset..e.offset + e.len()]);
        Ok((e.name.clone(), TensorView::new(Dtype::F32, e.shape.clone(), data).map_err(error)?))
    };
    let views: Vec<(String, TensorView<'_>)> = entries.iter().map(view).collect::<Result<_, _>>()?;
    // `transformers` refuses a file that does not say which framework its layout follows.
    let about = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(views, Some(about)).map_err(error)
}

/// Reads one half's weights into `bank`. Every tensor must be there, in the shape the model has, and no other.
pub fn from_bytes(model: &Model, half: Half, bytes: &[u8], bank: &mut [f32]) -> Result<(), CheckpointError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| CheckpointError::Safetensors(e.to_string()))?;
    let entries = entries(model, half);
    let mut unexpected: BTreeSet<&str> = file.names().into_iter().filter(|&name| name != IGNORED).collect();
    let missing: Vec<&Entry> =
        entries.iter().filter(|e| !unexpected.remove(e.name.as_str()) && e.name != TIED).collect();
    let half = half.name();
    if let Some(first) = missing.first() {
        return Err(CheckpointError::Missing { count: missing.len(), first: first.name.clone(), half });
    }
    if let Some(&first) = unexpected.first() {
        return Err(CheckpointError::Unexpected { count: unexpected.len(), first: first.to_string(), half });
    }
    for entry in entries.iter().filter(|e| e.name != TIED) {
        let tensor = file.tensor(&entry.name).map_err(|e| CheckpointError::Safetensors(e.to_string()))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != entry.shape {
            return Err(CheckpointError::Tensor {
                name: entry.name.clone(),
                found: format!("{:?}{:?}", tensor.dtype(), tensor.shape()),
                expected: format!("F32{:?}", entry.shape),
            });
        }
        let window = &mut bank[entry.offset..entry.offset + entry.len()];
        for (to, from) in window.iter_mut().zip(tensor.data().as_chunks::<4>().0) {
            *to = f32::from_le_bytes(*from);
        }
        if let Some(found) = window.iter().find(|x| !x.is_finite()) {
            let (name, found) = (entry.name.clone(), format!("{found} somewhere"));
            return Err(CheckpointError::Tensor { name, found, expected: "finite numbers".into() });
        }
    }
    Ok(())
}

/// One half's config.json for `transformers`.
pub fn config_json(config: &Config, half: Half) -> String {
    let (m, g) = (&config.model, &config.generator);
    let (architecture, hidden, layers, heads, wide) = match half {
        Half::Generator => ("ElectraForMaskedLM", g.hidden, g.layers, g.heads, g.feed_forward),
        Half::Discriminator => ("ElectraForPreTraining", m.hidden, m.layers, m.heads, m.feed_forward),
    };
    let json = json!({
        "architectures": [architecture],
        "attention_probs_dropout_prob": decimal(m.attention_dropout),
        "embedding_size": m.embedding,
        "hidden_act": m.activation.name(),
        "hidden_dropout_prob": decimal(m.dropout),
        "hidden_size": hidden,
        "initializer_range": m.initializer_range,
        "intermediate_size": wide,
        "layer_norm_eps": m.layer_norm_epsilon,
        "max_position_embeddings": m.positions,
        "model_type": "electra",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": true,
        "type_vocab_size": m.types,
        "vocab_size": m.vocabulary,
    });
    format!("{json:#}\n")
}

/// .1 as people write it, not as 32 bits of it look in 64.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// What a `transformers` config.json describes.
#[derive(Debug, Clone)]
pub struct Described {
    /// The class that the weights are of, such as `ElectraForPreTraining`; older files do not say.
    pub architecture: Option<String>,
    /// Which half that class is; `None` for one that is neither, whose tensors decide.
    pub half: Option<Half>,
    /// Whether the word embeddings are meant to be the generator's output matrix too.
    pub tied: bool,
    /// Sizes, laid out for that half, or for a discriminator. The other half has no layers: a folder holds one network, and
    /// the tied embeddings are all that they share.
    pub config: Config,
}

impl Described {
    /// The sizes laid out for `half`.
    pub fn config_of(&self, half: Half) -> Config {
        if half == self.half.unwrap_or(Half::Discriminator) {
            return self.config.clone();
        }
        let (m, g) = (&self.config.model, &self.config.generator);
        let bare = GeneratorConfig { hidden: m.embedding, layers: 0, heads: 1, feed_forward: 0 };
        let [of_generator, of_discriminator] = match half {
            Half::Generator => {
                let (hidden, layers, heads, feed_forward) = (m.hidden, m.layers, m.heads, m.feed_forward);
                [GeneratorConfig { hidden, layers, heads, feed_forward }, bare]
            }
            Half::Discriminator => [bare, g.clone()],
        };
        let GeneratorConfig { hidden, layers, heads, feed_forward } = of_discriminator;
        let model = ModelConfig { hidden, layers, heads, feed_forward, ..m.clone() };
        Config { model, generator: of_generator, ..self.config.clone() }
    }
}

/// What a `transformers` config.json describes. A key that is there must be of its type; one that is not there has the
/// value that `transformers` gives it.
///
/// # Errors
/// [`CheckpointError::Config`].
pub fn read_config_json(text: &str) -> Result<Described, CheckpointError> {
    let bad = |what: String| CheckpointError::Config(what);
    let json: Value = serde_json::from_str(text).map_err(|e| bad(format!("not JSON ({e})")))?;
    let kind = match &json["model_type"] {
        Value::Null => "nothing".to_string(),
        Value::String(kind) => kind.clone(),
        other => brief(other),
    };
    if kind != "electra" {
        return Err(bad(format!("model_type is {kind}, expected electra")));
    }
    if let Some(found) = json["position_embedding_type"].as_str().filter(|&found| found != "absolute") {
        return Err(bad(format!("position_embedding_type is {found}, expected absolute")));
    }
    if let Some(found) = json.get("position_embedding_type").filter(|found| !found.is_string()) {
        return Err(bad(format!("position_embedding_type is {}, expected \"absolute\"", brief(found))));
    }
    let (activation, layer_norm_epsilon) = (read_activation(&json)?, read_epsilon(&json)?);
    // The defaults are those of `transformers`' ElectraConfig, which leaves them out.
    let size = |key: &str, default: usize| match json.get(key) {
        None => Ok(default),
        Some(value) => match value.as_u64().filter(|&n| n > 0 && n < 1 << 24) {
            Some(n) => Ok(n as usize),
            None => Err(bad(format!("{key} is {}, expected a whole number from 1 to 16,777,215", brief(value)))),
        },
    };
    let number = |key: &str, default: f64, below: f64| match json.get(key) {
        None => Ok(default),
        Some(value) => value
            .as_f64()
            .filter(|&x| (0.0..below).contains(&x))
            .ok_or_else(|| bad(format!("{key} is {}, expected a number from 0 to below {below}", brief(value)))),
    };
    let fraction = |key: &str| number(key, 0.1, 1.0).map(|x| x as f32);
    let flag = |key: &str, default: bool| match json.get(key) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| bad(format!("{key} is {}, expected true or false", brief(value)))),
    };
    for key in ["is_decoder", "add_cross_attention"] {
        if flag(key, false)? {
            return Err(bad(format!("{key} is true, expected an encoder: tokens that see both sides")));
        }
    }
    let (hidden, layers) = (size("hidden_size", 256)?, size("num_hidden_layers", 12)?);
    let (heads, feed_forward) = (size("num_attention_heads", 4)?, size("intermediate_size", 1024)?);
    if !hidden.is_multiple_of(heads) {
        return Err(bad(format!("num_attention_heads is {heads}, expected a divisor of hidden_size, {hidden}")));
    }
    let embedding = size("embedding_size", 128)?;
    let base = preset("small").map_err(|e| bad(e.to_string()))?;
    let mut config = Config {
        preset: "transformers".into(),
        model: ModelConfig {
            vocabulary: size("vocab_size", 30_522)?,
            positions: size("max_position_embeddings", 512)?,
            types: size("type_vocab_size", 2)?,
            embedding,
            hidden: embedding,
            layers: 0,
            heads: 1,
            feed_forward: 0,
            dropout: fraction("hidden_dropout_prob")?,
            attention_dropout: fraction("attention_probs_dropout_prob")?,
            initializer_range: number("initializer_range", 0.02, 1e3)?,
            activation,
            layer_norm_epsilon,
            ..base.model
        },
        generator: GeneratorConfig { hidden: embedding, layers: 0, heads: 1, feed_forward: 0 },
        ..base
    };
    let architecture = architecture(&json).map_err(bad)?;
    let half = match architecture.as_deref() {
        Some(name) if name.contains("MaskedLM") => Some(Half::Generator),
        Some(name) if name.contains("PreTraining") => Some(Half::Discriminator),
        _ => None,
    };
    match half {
        Some(Half::Generator) => config.generator = GeneratorConfig { hidden, layers, heads, feed_forward },
        _ => config.model = ModelConfig { hidden, layers, heads, feed_forward, ..config.model },
    }
    config.data.length = config.model.positions;
    Ok(Described { architecture, half, tied: flag("tie_word_embeddings", true)?, config })
}

/// The first of `architectures`, which may be null or empty in a file that was never saved with weights.
fn architecture(json: &Value) -> Result<Option<String>, String> {
    let found = &json["architectures"];
    let names = match found {
        Value::Null => return Ok(None),
        Value::Array(names) => names.iter().map(|name| name.as_str()).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let names = names.ok_or_else(|| format!("architectures is {}, expected a list of names", brief(found)))?;
    Ok(names.first().map(|name| name.to_string()))
}

/// A value as a message shows it.
fn brief(value: &Value) -> String {
    crate::numbers::shortened(&value.to_string(), 40)
}

/// What config.json calls hidden_act.
fn read_activation(json: &Value) -> Result<Activation, CheckpointError> {
    let found = match &json["hidden_act"] {
        Value::Null => Some(Activation::Gelu),
        value => value.as_str().and_then(Activation::named),
    };
    found.ok_or_else(|| {
        let possible = Activation::ALL.map(Activation::name).join(", ");
        CheckpointError::Config(format!(
            "hidden_act is {:.40}, expected one of {possible}",
            json["hidden_act"].to_string()
        ))
    })
}

/// What config.json calls layer_norm_eps.
fn read_epsilon(json: &Value) -> Result<f64, CheckpointError> {
    let found = match &json["layer_norm_eps"] {
        Value::Null => Some(EPSILON),
        value => value.as_f64().filter(|epsilon| EPSILONS.contains(epsilon)),
    };
    found.ok_or_else(|| {
        let found = json["layer_norm_eps"].to_string();
        CheckpointError::Config(format!("layer_norm_eps is {found:.40}, expected a number from 1e-30 to 1"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small_model() -> (Config, Model) {
        let mut config = preset("tiny").unwrap();
        config.model.vocabulary = 50;
        let model = Model::new(&config);
        (config, model)
    }

    #[test]
    fn both_halves_come_back_whole() {
        let (_, model) = small_model();
        let bank = model.initial(5);
        let mut back = vec![0.0; bank.len()];
        for half in [Half::Generator, Half::Discriminator] {
            let bytes = to_bytes(&model, half, &bank).unwrap();
            from_bytes(&model, half, &bytes, &mut back).unwrap();
        }
        assert_eq!(back, bank);
    }

    #[test]
    fn refuses_what_does_not_belong() {
        let (_, model) = small_model();
        let mut bank = model.initial(5);
        let bytes = to_bytes(&model, Half::Generator, &bank).unwrap();
        let error = from_bytes(&model, Half::Discriminator, &bytes, &mut bank).unwrap_err().to_string();
        assert!(error.contains("missing") && error.contains("discriminator"), "{error}");
        let error = from_bytes(&model, Half::Generator, &bytes[..100], &mut bank).unwrap_err().to_string();
        assert!(error.contains("safetensors"), "{error}");
        let (mut config, _) = small_model();
        config.model.vocabulary = 51;
        let other = Model::new(&config);
        let error = from_bytes(&other, Half::Generator, &bytes, &mut other.initial(1)).unwrap_err().to_string();
        assert!(error.contains("word_embeddings") && error.contains("[51, 64]"), "{error}");
    }

    #[test]
    fn config_json_says_what_the_model_is() {
        let (config, _) = small_model();
        for half in [Half::Generator, Half::Discriminator] {
            let found = read_config_json(&config_json(&config, half)).unwrap();
            assert_eq!(found.half, Some(half));
            let read = found.config_of(half);
            assert_eq!(read.model.embedding, config.model.embedding);
            assert_eq!(read.model.dropout, config.model.dropout);
        }
        for activation in Activation::ALL {
            for epsilon in [1e-12, 1e-5, 1e-7, 0.1] {
                let (mut config, _) = small_model();
                (config.model.activation, config.model.layer_norm_epsilon) = (activation, epsilon);
                let text = config_json(&config, Half::Discriminator);
                let json: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json["hidden_act"], activation.name());
                assert_eq!(json["layer_norm_eps"].as_f64(), Some(epsilon));
                let read = read_config_json(&text).unwrap().config.model;
                assert_eq!((read.activation, read.layer_norm_epsilon), (activation, epsilon));
            }
        }
        assert!(read_config_json("{}").unwrap_err().to_string().contains("model_type"));
        assert!(read_config_json("{\"model_type\":\"electra\",\"hidden_size\":7}").is_err());
        let read =
            |key: &str, value: Value| read_config_json(&json!({"model_type": "electra", key: value}).to_string());
        assert_eq!(read("hidden_act", "gelu_fast".into()).unwrap().config.model.activation, Activation::GeluNew);
        assert_eq!(read("layer_norm_eps", Value::Null).unwrap().config.model.layer_norm_epsilon, 1e-12);
        for (key, value, expected) in [
            ("hidden_act", json!("silu"), "hidden_act is \"silu\", expected one of gelu, gelu_new, relu"),
            ("hidden_act", json!(["relu"]), "hidden_act is [\"relu\"], expected one of"),
            ("hidden_act", json!("x".repeat(9_000)), "hidden_act is"),
            ("layer_norm_eps", json!("1e-5"), "layer_norm_eps is \"1e-5\", expected a number from 1e-30 to 1"),
            ("layer_norm_eps", json!(0.0), "layer_norm_eps is 0.0, expected"),
            ("layer_norm_eps", json!(-1e-5), "layer_norm_eps is -0.00001, expected"),
        ] {
            let error = read(key, value).unwrap_err().to_string();
            assert!(error.contains(expected) && error.len() < 300, "{error}");
        }
    }
}
