//! What would serve a short run better than what it was asked to learn.

use crate::config::Config;
use crate::objective::ObjectiveConfig;

/// Up to so many tokens of pre-training fakes that are drawn by how frequent words are teach an encoder more than those of a generator
/// that is trained beside it: found by `leyden compare` for `mini` after 7.3 million tokens, and for `tiny` after 4.6 million, though
/// not beyond doubt (README, "Compare at equal cost"). From where on the generator's teach more was not measured.
const SHORT: u64 = 10_000_000;

/// What a person who begins so short a run on a text of their own should know; nothing where there is nothing better known. The sample is
/// there to be looked at.
pub fn recommendation(config: &Config) -> Option<String> {
    let training = &config.training;
    let ObjectiveConfig::Electra(electra) = &config.objective else { return None };
    let tokens = training.steps.saturating_mul((training.batch * config.data.length) as u64);
    let sample = config.data.text.is_empty() && config.data.dataset.is_none();
    let known = !sample && electra.is_usual() && training.init_from.is_none() && training.hours.is_none();
    (known && tokens <= SHORT).then(|| {
        format!(
            "{:.1} million tokens are few: where a run was so short, fakes drawn by frequency taught an encoder that is to be fine-tuned more \
             (--set objective.replaced_by=unigram; leyden compare --objectives electra,electra:replaced_by=unigram tells on your text)",
            tokens as f64 / 1e6
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn short_runs_alone_are_told_what_serves_them_better() {
        let of_a_text = |name: &str| preset(name).unwrap().set("data.text=['book.txt']").unwrap();
        let tiny = of_a_text("tiny");
        let told = |config: &Config| recommendation(config).is_some();
        assert!(recommendation(&tiny).unwrap().contains("4.6 million tokens are few"));
        assert!(!told(&of_a_text("mini")) && told(&of_a_text("mini").set("training.steps=3000").unwrap()));
        assert!(!told(&preset("tiny").unwrap()));
        assert!(!told(&tiny.set("objective.replaced_by=unigram").unwrap()));
        assert!(!told(&tiny.set("training.hours=1.5").unwrap()) && !told(&tiny.with_objective("mlm").unwrap()));
    }
}
