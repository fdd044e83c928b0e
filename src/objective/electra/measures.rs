//! ELECTRA's measures: what is measured of a step, declared once. Everything that draws or stores loops over this.

use super::Electra;
use crate::measure::{Advice, Baseline, Better, Hue, Measure, Measures, Plot, Values};
use crate::objective::{Generator, Setting, words};

/// The measures of a run with these settings.
pub(super) fn measures(objective: &Electra, setting: &Setting) -> Measures {
    Measures::new(list(objective, setting))
}

/// The same, for who takes other ones.
pub(in crate::objective) fn list(objective: &Electra, setting: &Setting) -> Vec<Measure> {
    declared(Some(setting.vocabulary), Some(setting.unigram_entropy), Some((objective, setting)))
}

/// The measures of a run whose folder has no measures.json, as all had before there was another objective. Where nothing
/// says how many words there are, or how frequent, there is no such baseline.
pub fn before(vocabulary: Option<u64>, unigram_entropy: Option<f64>) -> Measures {
    Measures::new(declared(vocabulary, unigram_entropy, None))
}

/// Adds what a line of metrics of those runs leaves out and what follows from the rest of it: the joint loss and the
/// discriminator's baseline.
pub fn complete(values: &mut Values, objective: &Electra) {
    let weights = [objective.generator_weight, objective.discriminator_weight];
    if let Some(rate) = values.get("replaced_rate").filter(|rate| !rate.is_nan()) {
        values.set(BASE_RATE, entropy(rate));
    }
    if let (Some(generator), Some(discriminator)) = (values.get("generator_loss"), values.get("discriminator_loss")) {
        values.set("loss", joint(weights, generator, discriminator));
    }
}

/// The key of the discriminator's baseline.
pub const BASE_RATE: &str = "baseline.discriminator_loss.base_rate";

/// The discriminator's loss in nats if it always gave the replaced rate `p`.
pub fn entropy(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 { 0.0 } else { -p * p.ln() - (1.0 - p) * (1.0 - p).ln() }
}

/// What is minimised: the weighted sum of both losses.
pub fn joint(weights: [f32; 2], generator: f64, discriminator: f64) -> f64 {
    f64::from(weights[0]) * generator + f64::from(weights[1]) * discriminator
}

fn declared(
    vocabulary: Option<u64>,
    unigram_entropy: Option<f64>,
    known: Option<(&Electra, &Setting)>,
) -> Vec<Measure> {
    let base_rate = Baseline {
        at: None,
        follows: Some("replaced_rate".into()),
        ..Baseline::at("base_rate", "base rate", "always saying the replaced rate", 0.0)
    };
    let (first, second) = (Hue::First, Hue::Second);
    let (loss, share) = (Measure::loss, Measure::share);
    let tagged = |tag: &str, measure: Measure| Measure { tag: tag.into(), ..measure };
    vec![
        // Nats a selected token: masked language modelling.
        Measure {
            short: "generator".into(),
            plot: Plot::Main,
            hue: first,
            baselines: words::baselines(vocabulary, unigram_entropy),
            // Where nothing is guessed, or no more than how frequent words are, that is all that can be learnt.
            advice: known.filter(|(electra, _)| electra.replaced_by.is_usual()).map(|(_, s)| generator_advice(s)),
            ..tagged("loss/generator", loss("generator_loss", "Generator loss", "nats a masked token"))
        },
        // Nats a token, padding left out: replaced token detection.
        Measure {
            short: "discriminator".into(),
            digits: 4,
            plot: Plot::Main,
            hue: second,
            baselines: vec![base_rate],
            advice: known.map(|(objective, setting)| discriminator_advice(easier(objective), setting)),
            ..tagged("loss/discriminator", loss("discriminator_loss", "Discriminator loss", "nats a token"))
        },
        // The weighted sum of both, which is what is minimised.
        Measure { selects: true, ..tagged("loss/joint", loss("loss", "Joint loss", "nats, weighted")) },
        // Of the selected tokens, those whose most likely guess is the original.
        Measure { hue: first, tag: "accuracy/generator".into(), ..share("generator_accuracy", "Generator accuracy") },
        // Of the tokens that its loss is over, those that the discriminator judges rightly at a probability of 1/2.
        Measure {
            hue: second,
            tag: "accuracy/discriminator".into(),
            ..share("discriminator_accuracy", "Discriminator accuracy")
        },
        // Area under the receiver operating characteristic; no number without tokens of both kinds.
        Measure {
            short: "AUC".into(),
            hue: second,
            better: Better::Higher,
            tag: "discriminator/auc".into(),
            baselines: words::chance(),
            ..Measure::new("auc", "Discriminator AUC", "0.5 knows nothing")
        },
        // Of the tokens that the discriminator's loss is over, those that were replaced.
        Measure {
            hue: first,
            better: Better::Neither,
            tag: "discriminator/replaced_rate".into(),
            ..share("replaced_rate", "Replaced rate")
        },
        // Of the selected tokens, those whose sample is the original.
        Measure { hue: first, tag: "accuracy/sampled".into(), ..share("sampled_accuracy", "Sampled accuracy") },
        // Of the tokens that are called replaced, those that are; no number if none is called so.
        Measure { hue: second, tag: "discriminator/precision".into(), ..share("precision", "Discriminator precision") },
        // Of the replaced tokens, those that are called so; no number if there are none.
        Measure { hue: second, tag: "discriminator/recall".into(), ..share("recall", "Discriminator recall") },
    ]
}

fn generator_advice(setting: &Setting) -> Advice {
    let Setting { learning_rate, clip_norm, .. } = setting;
    let clipped = format!(
        "Its gradients may be drowned by the discriminator's: try a larger optimizer.clip_norm (now {clip_norm}) or \
         another --learning-rate (now {learning_rate})"
    );
    words::advice("the generator", clipped, setting)
}

/// What would be easier to find than the words of this generator; none where there is none.
fn easier(objective: &Electra) -> Option<String> {
    let smaller = || match objective.generator {
        Generator::Sizes(sizes) => format!("a smaller objective.generator.hidden (now {})", sizes.hidden),
        Generator::Fraction(fraction) => format!("a smaller objective.generator (now {fraction})"),
    };
    let has = objective.replaced_by.has_generator();
    has.then(|| format!("{}, fakes drawn by frequency (electra with objective.replaced_by=unigram)", smaller()))
}

/// What to say where a discriminator tells nothing; `easier` are settings of which fakes would be easier to find, where there are such.
pub(in crate::objective) fn discriminator_advice(easier: Option<String>, setting: &Setting) -> Advice {
    let easier = easier.map(|easier| format!("{easier} or ")).unwrap_or_default();
    let attempt = format!(
        "The generator may be too strong for it so far, or the text too small: try more steps, {easier}another \
         --learning-rate (now {})",
        setting.learning_rate
    );
    Advice {
        stuck: "the discriminator tells no fake from an original: loss".into(),
        given: vec!["always saying the replaced rate gives"],
        where_clipped: attempt.clone(),
        attempt,
        guessing: std::f64::consts::LN_2,
        far: 5.0,
    }
}

/// What held-out text measured before training and after it says of both networks.
pub fn in_words(before: &Values, after: &Values) -> String {
    let percent = |of: &Values| format!("{:.1} %", 100.0 * of.get("generator_accuracy").unwrap_or(0.0));
    format!(
        "the generator guesses {} of the masked words ({} before training);\n          {}",
        percent(after),
        percent(before),
        judged_in_words(after, "its")
    )
}

/// What it says of a discriminator; `whose` the fakes are.
pub(super) fn judged_in_words(after: &Values, whose: &str) -> String {
    let or_none =
        |name: &str| after.get(name).filter(|x| !x.is_nan()).map_or("none".into(), |x| format!("{:.1} %", 100.0 * x));
    format!(
        "the discriminator finds {} of {whose} fakes, and is right in {} of the cases where it cries fake",
        or_none("recall"),
        or_none("precision"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn baselines_are_what_is_known() {
        let levels = |m: &Measures| -> Vec<f64> {
            m.get("generator_loss").unwrap().baselines.iter().filter_map(|b| b.at).collect()
        };
        assert_eq!(levels(&before(Some(2048), Some(5.5))), [2048f64.ln(), 5.5]);
        assert_eq!(levels(&before(None, Some(f64::NAN))), [0.0; 0]);
        let config = preset("tiny").unwrap();
        assert_eq!(levels(&config.measures(5.5)), levels(&before(Some(config.model.vocabulary as u64), Some(5.5))));
        assert!((entropy(0.5) - 2f64.ln()).abs() < 1e-12);
        assert_eq!((entropy(0.0), entropy(1.0)), (0.0, 0.0));
    }

    #[test]
    fn a_line_of_before_is_completed() {
        let mut values = Values::from([("generator_loss", 5.0), ("discriminator_loss", 0.25), ("replaced_rate", 0.5)]);
        complete(&mut values, &Electra::default());
        assert_eq!(values.get("loss"), Some(17.5));
        assert_eq!(values.get(BASE_RATE), Some(entropy(0.5)));
        let mut other = Values::from([("hits", 0.5)]);
        complete(&mut other, &Electra::default());
        assert_eq!(other, Values::from([("hits", 0.5)]));
    }
}
