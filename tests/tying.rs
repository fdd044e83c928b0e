//! Networks that share parameters: how many there are, whose gradients they get, and what is in whose folder.

mod common;

use common::Seeded;
use leyden::config::preset;
use leyden::corpus::{SAMPLE, Tokenizer, VocabularyOptions};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, DType, Graph, GraphError, Tensor};
use leyden::model::{Architecture, Builder, Encoded, Model, ModelConfig, Network, Tie};
use leyden::op::StepState;
use leyden::ops;
use leyden::plan::{Engine, Plan, Target};
use leyden::transformers::{Entry, Pretrained, config_json, entries, from_bytes, to_bytes};
use safetensors::SafeTensors;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

const TIES: [Tie; 4] = [Tie::None, Tie::Embeddings, Tie::Layers(2), Tie::All];
const EXAMPLES: usize = 3;
const LENGTH: usize = 5;

fn sizes(layers: usize) -> ModelConfig {
    ModelConfig {
        vocabulary: 40,
        positions: 9,
        embedding: 6,
        hidden: 8,
        layers,
        heads: 2,
        feed_forward: 12,
        ..preset("small").unwrap().model
    }
}

/// A lower network of three layers and an upper one of `layers`, both of which tell replaced tokens; the lower one guesses
/// words too.
fn model(tie: Tie, layers: usize) -> Model {
    let mut b = Builder::default();
    let mut lower = b.network("lower", &sizes(3));
    let mut upper = b.tied("upper", &lower, tie, &sizes(layers));
    b.masked_lm(&mut lower, true);
    b.replaced_tokens(&mut lower);
    b.replaced_tokens(&mut upper);
    b.finish(vec![lower, upper])
}

#[test]
fn what_is_shared_is_there_once() {
    let ModelConfig { vocabulary, positions, types, embedding: e, hidden: h, feed_forward: f, .. } = sizes(1);
    let embeddings = (vocabulary + positions + types + 2) * e;
    let project = h * e + h;
    let layer = 3 * h * h + 3 * h + h * h + h + 2 * h + (f * h + f) + (h * f + h) + 2 * h;
    let none = model(Tie::None, 4).table.count();
    let heads = (e * h + e) + 2 * e + vocabulary + 2 * (h * h + h + h + 1);
    assert_eq!(none, 2 * (embeddings + project) + 7 * layer + heads);
    for (tie, shared, layers) in [
        (Tie::Embeddings, embeddings, 4),
        (Tie::Layers(0), embeddings + project, 4),
        (Tie::Layers(2), embeddings + project + 2 * layer, 4),
        // There are no more of them.
        (Tie::Layers(9), embeddings + project + 3 * layer, 4),
        // The upper network then has three layers too.
        (Tie::All, embeddings + project + 4 * layer, 3),
    ] {
        let model = model(tie, 4);
        assert_eq!(model.table.count(), none - shared, "{tie:?}");
        assert_eq!(model.network("upper").unwrap().encoder.layers.len(), layers);
        let names: BTreeSet<&str> = model.table.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.len(), model.table.parameters().len(), "{tie:?}: two parameters of one name");
    }
    // Where sizes differ, what is shared decides.
    let mut b = Builder::default();
    let lower = b.network("lower", &sizes(3));
    let wide = ModelConfig { vocabulary: 99, embedding: 16, hidden: 32, feed_forward: 64, ..sizes(2) };
    let upper = b.tied("upper", &lower, Tie::Embeddings, &wide);
    assert_eq!((upper.config.vocabulary, upper.config.embedding, upper.config.hidden), (40, 6, 32));
    let upper = b.tied("upper", &lower, Tie::Layers(1), &wide);
    assert_eq!(upper.config, sizes(2));
    assert_eq!(upper.encoder.layers[0], lower.encoder.layers[0]);
    assert_ne!(upper.encoder.layers[1], lower.encoder.layers[1]);
}

/// How well each network tells replaced tokens, one three times as important as the other.
fn graph(model: &Model) -> Result<(Graph, Tensor, [Tensor; 6]), GraphError> {
    let mut g = Graph::new(model.table.clone());
    let shape = [EXAMPLES, LENGTH];
    let [first, second, types, labels] =
        ["first", "second", "types", "labels"].map(|name| g.input(name, DType::U32, &shape));
    let lengths = g.input("lengths", DType::U32, &[EXAMPLES]);
    let count = g.input("count", DType::F32, &[1]);
    let c = Encoded { types, visible: lengths, dropout: false };
    let mut loss = |name: &str, ids: Tensor| {
        let network = model.network(name)?;
        let hidden = network.encode(&mut g, ids, c)?;
        let logits = network.replaced_tokens()?.logits(&mut g, hidden)?;
        let nll = ops::binary_nll(&mut g, logits, labels)?;
        let weights = ops::length_mask(&mut g, lengths, LENGTH)?;
        ops::weighted_mean(&mut g, nll, weights, count)
    };
    let terms = [(1.0, loss("lower", first)?), (3.0, loss("upper", second)?)];
    let loss = ops::weighted_sum(&mut g, &terms)?;
    g.backward(loss, |_| true)?;
    Ok((g, loss, [first, second, types, labels, lengths, count]))
}

fn gradients(model: &Model, weights: &[f32]) -> Vec<f64> {
    let (g, loss, inputs) = graph(model).unwrap();
    let mut engine = CpuEngine::<f64>::new(model.table.len());
    let program = engine.load(Plan::new(Arc::new(g), &[loss], Target::Cpu)).unwrap();
    engine.write_bank(Bank::Parameters, weights).unwrap();
    let mut random = Seeded::new(2);
    for (tensor, below) in inputs[..4].iter().zip([40, 40, 2, 2]) {
        let words: Vec<u32> = (0..EXAMPLES * LENGTH).map(|_| random.below(below)).collect();
        engine.write(program, *tensor, &words);
    }
    engine.write(program, inputs[4], &[5, 3, 4]);
    engine.write(program, inputs[5], &[12f32.to_bits()]);
    engine.submit(program, &StepState::default(), false).unwrap();
    engine.bank(Bank::Gradients).clone()
}

/// By network and name, where a tensor is; none twice in a network.
fn places(model: &Model) -> HashMap<(&'static str, String), Range<usize>> {
    let of = |network: &Network| {
        let name = network.name;
        let entries = entries(model, network).into_iter().filter(|entry| !entry.alias);
        let place = |e: Entry| ((name, e.name.clone()), e.range());
        entries.map(place).collect::<Vec<_>>()
    };
    model.networks.iter().flat_map(of).collect()
}

#[test]
fn gradients_of_what_is_shared_add_up() {
    for tie in TIES {
        let tied = model(tie, 4);
        let untied = model(Tie::None, tied.network("upper").unwrap().encoder.layers.len());
        let mut weights = tied.initial(3);
        let mut random = Seeded::new(4);
        weights.iter_mut().for_each(|x| *x += 0.1 * random.real() as f32);
        // The same numbers, in two copies where they are shared.
        let (ours, theirs) = (places(&tied), places(&untied));
        assert_eq!(ours.len(), theirs.len());
        let mut copies = vec![0.0; untied.table.len()];
        for (key, place) in &ours {
            copies[theirs[key].clone()].copy_from_slice(&weights[place.clone()]);
        }
        let (found, parts) = (gradients(&tied, &weights), gradients(&untied, &copies));
        let mut expected = vec![0.0; tied.table.len()];
        for (key, place) in &ours {
            for (to, from) in place.clone().zip(theirs[key].clone()) {
                expected[to] += parts[from];
            }
        }
        let most = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let off = found.iter().zip(&expected).fold(0.0f64, |most, (f, x)| most.max((f - x).abs()));
        assert!(most > 1e-3 && off < 1e-9 * most, "{tie:?}: off by {off} of {most}");
    }
}

#[test]
fn every_folder_holds_what_is_shared() {
    for tie in TIES {
        let model = model(tie, 4);
        let bank = model.initial(5);
        let mut back = vec![0.0; bank.len()];
        for network in &model.networks {
            let bytes = to_bytes(&model, network, &bank).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let word = file.tensor("electra.embeddings.word_embeddings.weight").unwrap();
            let word: Vec<f32> = word.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
            assert_eq!(word, bank[model.table.parameters()[network.embeddings.word].range()]);
            let layers = network.encoder.layers.len();
            assert!(file.tensor(&format!("electra.encoder.layer.{}.output.dense.bias", layers - 1)).is_ok());
            from_bytes(&model, network, bytes, &mut back).unwrap();
        }
        assert_eq!(back, bank, "{tie:?}");
    }
}

fn save(folder: &Path, model: &Model, network: &Network, bank: &[f32], tokenizer: &Tokenizer) {
    tokenizer.save(folder, network.config.positions).unwrap();
    std::fs::write(folder.join("config.json"), config_json(network)).unwrap();
    std::fs::write(folder.join("model.safetensors"), to_bytes(model, network, bank).unwrap()).unwrap();
}

#[test]
fn a_folder_of_each_architecture_comes_back_as_it_was() {
    let options = VocabularyOptions { size: 100, ..VocabularyOptions::default() };
    let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
    let sizes = ModelConfig { vocabulary: tokenizer.size(), ..sizes(2) };
    for (architecture, tied) in [
        (Some(Architecture::MaskedLm), true),
        (Some(Architecture::MaskedLm), false),
        (Some(Architecture::PreTraining), true),
        (None, true),
    ] {
        let mut b = Builder::default();
        let mut network = b.network(architecture.unwrap_or(Architecture::PreTraining).network(), &sizes);
        match architecture {
            Some(Architecture::MaskedLm) => b.masked_lm(&mut network, tied),
            Some(_) => b.replaced_tokens(&mut network),
            None => {}
        }
        let model = b.finish(vec![network]);
        let bank = model.initial(6);
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), &model, &model.networks[0], &bank, &tokenizer);
        let found = match architecture {
            Some(architecture) => Pretrained::load(folder.path(), architecture).unwrap(),
            None => Pretrained::load_encoder(folder.path()).unwrap(),
        };
        assert_eq!((&found.model, &found.weights), (&model, &bank));
        let again = tempfile::tempdir().unwrap();
        save(again.path(), &found.model, found.network(), &found.weights, &found.tokenizer);
        for file in ["config.json", "model.safetensors"] {
            let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
            assert!(read(folder.path()) == read(again.path()), "{architecture:?}: {file} is another");
        }
        assert_eq!(found.notes.is_empty(), architecture.is_some(), "{:?}", found.notes);
    }
}
