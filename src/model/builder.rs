//! One walk through a network says all of its parameters: shape, first values, and their names in `transformers`.

use super::{Embeddings, Encoder, Layer, Linear, Model, ModelConfig, Network, Norm, PositionInitialization};
use crate::graph::{Initialization, ParameterTable};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a parameter, under the name that `transformers` gives them in a network. Most parameters are one part; query, key
/// and value are three of one. A parameter that two networks share is a part in both, and the word embeddings where they are
/// the output matrix too are two parts of one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The name in a checkpoint.
    pub name: String,
    /// Index of the parameter in the table.
    pub parameter: usize,
    /// Which rows of it, of the first dimension.
    pub rows: Range<usize>,
    /// What they are multiplied with in a checkpoint, a power of two.
    pub scale: f32,
}

/// What a network shares with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// Nothing.
    None,
    /// The embeddings and their layer norm.
    Embeddings,
    /// Those, the projection behind them and this many of the lowest layers.
    Layers(usize),
    /// Those and all layers: only the heads differ.
    All,
}

/// A parameter before it has a place: name, shape, whether it decays, how it starts.
type Spec = (String, Vec<usize>, bool, Initialization);

/// Lays out a model's parameters, in the order in which they are asked for.
#[derive(Debug, Default)]
pub struct Builder {
    specs: Vec<Spec>,
}

impl Builder {
    /// A network with parameters of its own, without a head.
    pub fn network(&mut self, name: &'static str, config: &ModelConfig) -> Network {
        self.encoder(name, config.clone(), None, 0)
    }

    /// A network, without a head, that shares parameters with `to`. What is shared has the sizes that it has there, whatever
    /// `config` says of them.
    pub fn tied(&mut self, name: &'static str, to: &Network, tie: Tie, config: &ModelConfig) -> Network {
        let shared = match tie {
            Tie::None => 0,
            Tie::Embeddings => 1,
            Tie::Layers(layers) => layers.saturating_add(2),
            Tie::All => usize::MAX,
        };
        let mut config = config.clone();
        if shared > 0 {
            let ModelConfig { vocabulary, positions, types, embedding, .. } = to.config;
            config = ModelConfig { vocabulary, positions, types, embedding, ..config };
        }
        if shared > 1 {
            let ModelConfig { hidden, heads, feed_forward, .. } = to.config;
            config = ModelConfig { hidden, heads, feed_forward, ..config };
        }
        if tie == Tie::All {
            config.layers = to.config.layers;
        }
        self.encoder(name, config, Some(to), shared)
    }

    /// The model of these networks, which this builder has made.
    pub fn finish(self, networks: Vec<Network>) -> Model {
        Model { table: Arc::new(ParameterTable::new(self.specs)), networks }
    }

    /// A network that has its lowest parts from `to`, as many as are `shared`: embeddings, projection, and the layers one by one.
    fn encoder(&mut self, name: &'static str, config: ModelConfig, to: Option<&Network>, shared: usize) -> Network {
        let ModelConfig { vocabulary, positions, types, embedding, hidden, layers, feed_forward, .. } = config;
        let normal = config.normal();
        let position = match config.position_initialization {
            PositionInitialization::Normal => normal,
            PositionInitialization::Sinusoidal => Initialization::Sinusoidal(config.initializer_range as f32),
        };
        let there = |part: usize| to.filter(|_| part < shared);
        let mut parts = Vec::new();
        let mut own =
            Parameters { network: name, shared: there(0), scale: 1.0, specs: &mut self.specs, parts: &mut parts };
        let mut table = |part: &str, rows, init| {
            own.parameter(&format!("electra.embeddings.{part}.weight"), &[rows, embedding], true, init)
        };
        let word = table("word_embeddings", vocabulary, normal);
        let position = table("position_embeddings", positions, position);
        let types = table("token_type_embeddings", types, normal);
        let embeddings =
            Embeddings { word, position, types, norm: own.norm("electra.embeddings.LayerNorm", embedding) };
        own.shared = there(1);
        let project = (embedding != hidden)
            .then(|| own.linear("electra.embeddings_project", hidden, embedding, Initialization::GlorotUniform));
        let layer = |i: usize| {
            own.shared = there(2 + i);
            let name = |part: &str| format!("electra.encoder.layer.{i}.{part}");
            Layer {
                qkv: own.linear(&name("attention.self.qkv"), 3 * hidden, hidden, normal),
                attention: own.linear(&name("attention.output.dense"), hidden, hidden, normal),
                attention_norm: own.norm(&name("attention.output.LayerNorm"), hidden),
                intermediate: own.linear(&name("intermediate.dense"), feed_forward, hidden, normal),
                output: own.linear(&name("output.dense"), hidden, feed_forward, normal),
                output_norm: own.norm(&name("output.LayerNorm"), hidden),
            }
        };
        let encoder = Encoder { project, layers: (0..layers).map(layer).collect() };
        Network { name, config, embeddings, encoder, heads: Vec::new(), own: Vec::new(), parts }
    }

    /// Puts a linear layer on `network` that an objective has for itself, `width` to `out`: [out, width] and `[out]`, `name` in the table
    /// behind the network's. No class of `transformers` has it, so it is in no folder: a checkpoint keeps it beside them.
    pub fn own_linear(&mut self, network: &mut Network, name: &'static str, width: usize, out: usize) {
        let mut parameter = |kind: &str, shape: Vec<usize>, decay, init| {
            self.specs.push((format!("{}.{name}.{kind}", network.name), shape, decay, init));
            self.specs.len() - 1
        };
        let weight = parameter("weight", vec![out, width], true, Initialization::GlorotUniform);
        let bias = parameter("bias", vec![out], false, Initialization::Zeros);
        network.own.push((name, Linear { weight, bias }));
    }

    /// Where a head's parameters are added.
    pub(super) fn head<'a>(&'a mut self, network: &'a mut Network) -> Parameters<'a> {
        Parameters {
            network: network.name,
            shared: None,
            scale: 1.0,
            specs: &mut self.specs,
            parts: &mut network.parts,
        }
    }
}

impl ModelConfig {
    /// How embeddings and layer weights start.
    pub(super) fn normal(&self) -> Initialization {
        Initialization::TruncatedNormal(self.initializer_range as f32)
    }
}

/// A network's parameters while they are added. A name is that of `transformers`; in the table the network's stands before it,
/// of what is shared the first one's.
pub(super) struct Parameters<'a> {
    network: &'static str,
    /// The network that has those that are asked for now.
    shared: Option<&'a Network>,
    /// Of those that are asked for now, what they are multiplied with in a checkpoint.
    pub scale: f32,
    specs: &'a mut Vec<Spec>,
    parts: &'a mut Vec<Part>,
}

impl Parameters<'_> {
    /// The index of a parameter. Of a `name` with `qkv` in it, query, key and value have a third of the rows each.
    pub fn parameter(&mut self, name: &str, shape: &[usize], decay: bool, init: Initialization) -> usize {
        let names = match name.contains(".qkv.") {
            true => ["query", "key", "value"].map(|part| name.replace("qkv", part)).to_vec(),
            false => vec![name.to_string()],
        };
        let there = self.shared.and_then(|to| to.parts.iter().find(|part| part.name == names[0]));
        let parameter = there.map_or(self.specs.len(), |part| part.parameter);
        if there.is_none() {
            self.specs.push((format!("{}.{name}", self.network), shape.to_vec(), decay, init));
        }
        let rows = shape[0] / names.len();
        let scale = self.scale;
        let part = |(i, name)| Part { name, parameter, rows: i * rows..(i + 1) * rows, scale };
        self.parts.extend(names.into_iter().enumerate().map(part));
        parameter
    }

    /// What is there already under a second name.
    pub fn alias(&mut self, name: &str, parameter: usize) {
        let rows = 0..self.specs[parameter].1[0];
        self.parts.push(Part { name: name.into(), parameter, rows, scale: self.scale });
    }

    /// A linear layer: [out, in] and `[out]`.
    pub fn linear(&mut self, name: &str, out: usize, width: usize, init: Initialization) -> Linear {
        let weight = self.parameter(&format!("{name}.weight"), &[out, width], true, init);
        Linear { weight, bias: self.parameter(&format!("{name}.bias"), &[out], false, Initialization::Zeros) }
    }

    /// A layer norm over `width`.
    pub fn norm(&mut self, name: &str, width: usize) -> Norm {
        let mut vector = |kind: &str, init| self.parameter(&format!("{name}.{kind}"), &[width], false, init);
        Norm { gamma: vector("weight", Initialization::Ones), beta: vector("bias", Initialization::Zeros) }
    }
}
