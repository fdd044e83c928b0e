//! The config.json of `transformers` and a network's settings.

use super::CheckpointError;
use crate::math::Activation;
use crate::model::{Architecture, EPSILONS, Head, ModelConfig, Network, PositionInitialization, Problem};
use crate::numbers::counted;
use crate::ops::EPSILON;
use serde_json::{Map, Value, json};

/// A network's config.json for `transformers`. The labels of a classifier are in it.
pub fn config_json(network: &Network) -> String {
    let c = &network.config;
    let architecture = network.heads.first().map_or("ElectraModel", |head| head.architecture().name());
    let mut json = json!({
        "architectures": [architecture],
        "attention_probs_dropout_prob": decimal(c.attention_dropout),
        "embedding_size": c.embedding,
        "hidden_act": c.activation.name(),
        "hidden_dropout_prob": decimal(c.dropout),
        "hidden_size": c.hidden,
        "initializer_range": c.initializer_range,
        "intermediate_size": c.feed_forward,
        "layer_norm_eps": c.layer_norm_epsilon,
        "max_position_embeddings": c.positions,
        "model_type": "electra",
        "num_attention_heads": c.heads,
        "num_hidden_layers": c.layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": !network.has_own_output(),
        "type_vocab_size": c.types,
        "vocab_size": c.vocabulary,
    });
    let (labels, problem) = match network.heads.first() {
        Some(Head::SequenceClassification(head)) => (&head.labels[..], Some(head.problem)),
        Some(Head::TokenClassification(head)) => (&head.labels[..], None),
        _ => (&[][..], None),
    };
    if !labels.is_empty() {
        let ids = || labels.iter().enumerate();
        json["id2label"] = ids().map(|(i, label)| (i.to_string(), json!(label))).collect::<Map<_, _>>().into();
        json["label2id"] = ids().map(|(i, label)| (label.clone(), json!(i))).collect::<Map<_, _>>().into();
    }
    if let Some(problem) = problem {
        json["problem_type"] = problem.name().into();
    }
    // Keys of ours, which `transformers` keeps.
    if let Some(Head::MaskedLm(head)) = network.heads.first()
        && !head.attends_to_masks
    {
        json[ATTENDS_TO_MASKS] = false.into();
    }
    if let Some(Head::QuestionAnswering(head)) = network.heads.first()
        && let Some(threshold) = head.null_threshold
    {
        json[NULL_THRESHOLD] = threshold.into();
    }
    format!("{json:#}\n")
}

const ATTENDS_TO_MASKS: &str = "attends_to_masks";
const NULL_THRESHOLD: &str = "null_threshold";

/// How much must speak for saying nothing, in a config.json of a network that was trained to say nothing where there is no answer.
///
/// # Errors
/// [`CheckpointError::Config`] for one that is no number.
pub(super) fn read_null_threshold(text: &str) -> Result<Option<f64>, CheckpointError> {
    let json: Value = serde_json::from_str(text).map_err(|e| CheckpointError::Config(format!("not JSON ({e})")))?;
    match json.get(NULL_THRESHOLD) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| CheckpointError::Config(format!("{NULL_THRESHOLD} is {}, expected a number", brief(value)))),
    }
}

/// Whether masked tokens are among those that a network of this config.json attends to; they are where nothing is said.
///
/// # Errors
/// [`CheckpointError::Config`] for what is neither true nor false.
pub(super) fn read_attends_to_masks(text: &str) -> Result<bool, CheckpointError> {
    let json: Value = serde_json::from_str(text).map_err(|e| CheckpointError::Config(format!("not JSON ({e})")))?;
    match json.get(ATTENDS_TO_MASKS) {
        None | Some(Value::Null) => Ok(true),
        Some(value) => value.as_bool().ok_or_else(|| {
            CheckpointError::Config(format!("{ATTENDS_TO_MASKS} is {}, expected true or false", brief(value)))
        }),
    }
}

/// .1 as people write it, not as 32 bits of it look in 64.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// What a `transformers` config.json describes.
#[derive(Debug, Clone)]
pub struct Described {
    /// The class that the weights are of, such as `ElectraForPreTraining`; older files do not say.
    pub class: Option<String>,
    /// Which that is, if it is one that is known here; else the tensors decide.
    pub architecture: Option<Architecture>,
    /// Whether the word embeddings are meant to be the output matrix too.
    pub tied: bool,
    /// Sizes and settings.
    pub config: ModelConfig,
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
    let config = ModelConfig {
        vocabulary: size("vocab_size", 30_522)?,
        positions: size("max_position_embeddings", 512)?,
        types: size("type_vocab_size", 2)?,
        embedding: size("embedding_size", 128)?,
        hidden,
        layers,
        heads,
        feed_forward,
        dropout: fraction("hidden_dropout_prob")?,
        attention_dropout: fraction("attention_probs_dropout_prob")?,
        initializer_range: number("initializer_range", 0.02, 1e3)?,
        position_initialization: PositionInitialization::Normal,
        activation,
        layer_norm_epsilon,
    };
    let class = class(&json).map_err(bad)?;
    let architecture = match class.as_deref() {
        Some(name) if name.contains("MaskedLM") => Some(Architecture::MaskedLm),
        Some(name) if name.contains("PreTraining") => Some(Architecture::PreTraining),
        Some(name) => Architecture::FINE_TUNED.into_iter().find(|known| name.ends_with(known.name())),
        None => None,
    };
    Ok(Described { class, architecture, tied: flag("tie_word_embeddings", true)?, config })
}

/// The first of `architectures`, which may be null or empty in a file that was never saved with weights.
fn class(json: &Value) -> Result<Option<String>, String> {
    let found = &json["architectures"];
    let names = match found {
        Value::Null => return Ok(None),
        Value::Array(names) => names.iter().map(|name| name.as_str()).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let names = names.ok_or_else(|| format!("architectures is {}, expected a list of names", brief(found)))?;
    Ok(names.first().map(|name| name.to_string()))
}

/// What a classifier's config.json says of its outputs, of which there are so many: what is asked, and their names; where it does
/// not name them, as `transformers` names them then.
///
/// # Errors
/// [`CheckpointError::Config`].
pub(super) fn read_labels(text: &str, outputs: usize) -> Result<(Problem, Vec<String>), CheckpointError> {
    let bad = |what: String| CheckpointError::Config(what);
    let json: Value = serde_json::from_str(text).map_err(|e| bad(format!("not JSON ({e})")))?;
    let labels = match &json["id2label"] {
        Value::Null => (0..outputs).map(|i| format!("LABEL_{i}")).collect(),
        Value::Object(names) if names.len() != outputs => {
            let [found, expected] =
                [(names.len(), "label"), (outputs, "output")].map(|(n, what)| counted(n as u64, what));
            return Err(bad(format!(
                "id2label has {found}, but the weights have {expected}; expected a label for each"
            )));
        }
        Value::Object(names) => {
            let name = |i: usize| match names.get(&i.to_string()) {
                Some(Value::String(name)) => Ok(name.clone()),
                found => {
                    let found = found.map_or("nothing".into(), brief);
                    Err(bad(format!("id2label has {found} for {i}, expected a name")))
                }
            };
            (0..outputs).map(name).collect::<Result<Vec<_>, _>>()?
        }
        other => return Err(bad(format!("id2label is {}, expected a name for each number from 0", brief(other)))),
    };
    let problem = match &json["problem_type"] {
        Value::Null if labels.len() == 1 => Problem::Regression,
        Value::Null => Problem::SingleLabel,
        found => Problem::ALL.into_iter().find(|problem| found == problem.name()).ok_or_else(|| {
            let possible = Problem::ALL.map(Problem::name).join(", ");
            bad(format!("problem_type is {}, expected one of {possible}", brief(found)))
        })?,
    };
    Ok((problem, labels))
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
    use crate::config::preset;
    use crate::model::{Head, Model};

    #[test]
    fn labels_are_read_as_transformers_reads_them() {
        let read = |outputs, json: Value| read_labels(&json.to_string(), outputs).map_err(|error| error.to_string());
        let three = ["LABEL_0", "LABEL_1", "LABEL_2"].map(String::from).to_vec();
        assert_eq!(read(3, json!({})), Ok((Problem::SingleLabel, three)));
        let one = json!({"id2label": {"0": "stars"}});
        assert_eq!(read(1, one), Ok((Problem::Regression, vec!["stars".into()])));
        let several = json!({"id2label": {"1": "b", "0": "a"}, "problem_type": "multi_label_classification"});
        assert_eq!(read(2, several), Ok((Problem::MultiLabel, vec!["a".into(), "b".into()])));
        for (json, expected) in [
            (json!({"id2label": {"0": "a", "2": "b"}}), "id2label has nothing for 1, expected a name"),
            (json!({"id2label": {"0": "a", "1": 7}}), "id2label has 7 for 1, expected a name"),
            (json!({"id2label": {"0": "a"}}), "id2label has 1 label, but the weights have 2 outputs"),
            (json!({"id2label": ["a"]}), "id2label is [\"a\"], expected"),
            (json!({"problem_type": "ranking"}), "problem_type is \"ranking\", expected one of regression"),
        ] {
            let error = read(2, json).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn config_json_says_what_the_model_is() {
        let config = preset("tiny").unwrap();
        for network in &Model::new(&config).networks {
            let found = read_config_json(&config_json(network)).unwrap();
            assert_eq!(found.architecture, network.heads.first().map(Head::architecture));
            let position_initialization = network.config.position_initialization;
            assert_eq!(ModelConfig { position_initialization, ..found.config }, network.config);
        }
        for activation in Activation::ALL {
            for epsilon in [1e-12, 1e-5, 1e-7, 0.1] {
                let mut config = config.clone();
                (config.model.activation, config.model.layer_norm_epsilon) = (activation, epsilon);
                let text = config_json(Model::new(&config).network("discriminator").unwrap());
                let json: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json["hidden_act"], activation.name());
                assert_eq!(json["layer_norm_eps"].as_f64(), Some(epsilon));
                let read = read_config_json(&text).unwrap().config;
                assert_eq!((read.activation, read.layer_norm_epsilon), (activation, epsilon));
            }
        }
        assert!(read_config_json("{}").unwrap_err().to_string().contains("model_type"));
        assert!(read_config_json("{\"model_type\":\"electra\",\"hidden_size\":7}").is_err());
        let read =
            |key: &str, value: Value| read_config_json(&json!({"model_type": "electra", key: value}).to_string());
        assert_eq!(read("hidden_act", "gelu_fast".into()).unwrap().config.activation, Activation::GeluNew);
        assert_eq!(read("layer_norm_eps", Value::Null).unwrap().config.layer_norm_epsilon, 1e-12);
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
