//! A checkpoint of leyden in burn: says of each token of a sentence whether it was replaced, trains on for a few steps with
//! burn's autodiff, says it again, and saves the discriminator for `transformers`.
//!
//! ```text
//! cargo run --release --features burn --example fine_tune -- RUN "The cat drank the piano." [DEVICE [FOLDER]]
//! ```
//!
//! RUN is a run's folder or one of its `checkpoints/step-N`, DEVICE a part of a GPU's name as `leyden devices` prints it,
//! FOLDER where to save.

use burn::module::Module as _;
use burn::tensor::{Device, activation};
use leyden::batch::{Batches, MaskedText, Masking};
use leyden::burn::{Batch, Discriminator, Electra, Optimizer, Tokens};
use leyden::config::OptimizerConfig;
use leyden::corpus::{ExampleOptions, SAMPLE, Tokenizer, build, documents};
use leyden::gpu::{Choice, choose};
use leyden::model::Architecture;
use leyden::model::Model;
use leyden::transformers::{Pretrained, config_json, to_bytes};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

const STEPS: u64 = 20;
const BATCH: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, sentence) = match arguments.as_slice() {
        [folder, sentence, ..] => (Path::new(folder), sentence),
        _ => return Err("expected a run's folder and a sentence".into()),
    };

    // Where to compute: here on a GPU that leyden has found. Any other device of burn does as well.
    let choice = arguments.get(2).map_or(Choice::Auto, |name| Choice::Named(name.clone()));
    let adapter = choose(&choice)?.ok_or("no GPU found; name a device, llvmpipe for Mesa's software driver")?;
    let device = leyden::burn::device(&adapter)?.autodiff();

    let (mut electra, config) = Electra::load(folder, &device)?;
    let tokenizer = Pretrained::load(folder, Architecture::PreTraining)?.tokenizer;
    println!("{} parameters on {}\n", electra.num_params(), adapter.info());
    judge(&electra.discriminator, &tokenizer, sentence)?;

    // Continued pre-training on the sample text. To fine-tune on a task, put a head on `Discriminator::encode`.
    let length = config.model.positions.min(64);
    let options = ExampleOptions { length, ..ExampleOptions::default() };
    let corpus = build(&documents(&SAMPLE[..SAMPLE.floor_char_boundary(200_000)]), &tokenizer, &options)?;
    let source = MaskedText::new(Arc::new(corpus.training), &tokenizer, Masking::default());
    let batches = Batches::new(Arc::new(source), BATCH, 1);
    let settings = OptimizerConfig { learning_rate: 1e-4, ..config.optimizer.clone() };
    let mut optimizer = Optimizer::new(&settings, &electra);
    println!("\nstep  generator's loss  discriminator's loss");
    for step in 0..STEPS {
        let out = electra.forward(&Batch::new(&batches.batch(step), &device), None);
        electra = optimizer.step(settings.learning_rate, electra, &out.loss);
        let [generator, discriminator] =
            [out.generator_loss, out.discriminator_loss].map(|loss| loss.into_scalar::<f32>());
        println!("{:>4}  {generator:>16.3}  {discriminator:>20.3}", step + 1);
    }
    println!();
    judge(&electra.discriminator, &tokenizer, sentence)?;

    if let Some(to) = arguments.get(3) {
        let (to, model) = (Path::new(to), Model::new(&config));
        let bank = electra.to_bank(&model)?;
        tokenizer.save(to, config.model.positions)?;
        let network = model.network("discriminator")?;
        std::fs::write(to.join("config.json"), config_json(network))?;
        std::fs::write(to.join("model.safetensors"), to_bytes(&model, network, &bank)?)?;
        println!("\nsaved to {}", to.display());
    }
    Ok(())
}

/// Prints the probability that each token was replaced.
fn judge(discriminator: &Discriminator, tokenizer: &Tokenizer, sentence: &str) -> Result<(), Box<dyn Error>> {
    // Without autodiff: no dropout.
    let discriminator = discriminator.valid();
    let device: Device = discriminator.dense.weight.device();
    let ids = tokenizer.encode_with_special(sentence, discriminator.embeddings.position.weight.dims()[0])?;
    let logits = discriminator.forward(&Tokens::sentence(&ids, &device));
    let probabilities: Vec<f32> = activation::sigmoid(logits).try_into_vec_as()?;
    for (id, p) in ids.iter().zip(probabilities) {
        let verdict = if p > 0.5 { "replaced" } else { "" };
        println!("{:<16} {:>5.1} %  {verdict}", tokenizer.token(*id).unwrap_or_default(), p * 100.0);
    }
    Ok(())
}
