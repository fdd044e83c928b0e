//! Settings from TOML: a file or a flag over others, and what runs of before wrote.

use super::{Config, ConfigError, preset};
use crate::objective::{Generator, ObjectiveConfig};
use toml::{Table, Value};

impl Config {
    /// Reads a TOML text that may set any key of `base`; the others keep their value, but where `objective.name` is another
    /// than the base's, the objective has its own defaults first. `place` names the text in errors. Whether the numbers go
    /// together is for [`Config::check`] to say, once all of them are set.
    pub fn merge(base: &Config, text: &str, place: &str) -> Result<Config, ConfigError> {
        let error = |e: &dyn std::fmt::Display| unusable(place, e);
        let mut over: Table = text.parse().map_err(|e: toml::de::Error| error(&e.message()))?;
        of_before(&mut over).map_err(|e| error(&e))?;
        let mut base = base.clone();
        if let Some(name) = name(&over).filter(|name| *name != base.objective.name()) {
            base = base.with_objective(name).map_err(|e| error(&e))?;
        }
        // One size over a fraction changes the sizes that it gives.
        let sizes = over.get("objective").and_then(|objective| objective.get("generator")).is_some_and(Value::is_table);
        let encoder = base.model.clone();
        if let Some(generator) = base.objective.generator_mut().filter(|_| sizes) {
            *generator = Generator::Sizes(generator.sizes(&encoder));
        }
        let mut all = Table::try_from(&base).map_err(|e| error(&e))?;
        // A whole [data] without the key is of a run that was begun before there was one.
        let data = over.get("data").and_then(Value::as_table);
        let whole = |data: &Table| ["length", "held_out", "cased"].iter().all(|key| data.contains_key(*key));
        if let (true, Some(Value::Table(base))) = (data.is_some_and(whole), all.get_mut("data")) {
            base.remove("strip_accents");
        }
        overlay(&mut all, over);
        all.try_into().map_err(|e: toml::de::Error| error(&e.message()))
    }

    /// Sets one key, written `section.key=value`, as a flag does. A value is TOML's, or a word without quotes, or a fraction as in 1/4.
    pub fn set(&self, assignment: &str) -> Result<Config, ConfigError> {
        let place = format!("--set {assignment}");
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(ConfigError::Toml { place, reason: "expected KEY=VALUE, as in model.layers=4".into() });
        };
        let (key, value) = (key.trim(), value.trim());
        let plain = format!("{key} = {value}");
        let text = if plain.parse::<Table>().is_ok() { plain } else { format!("{key} = {}", in_toml(value)) };
        Self::merge(self, &text, &place)
    }

    /// The same with another objective, as its preset or else the objective itself has it without further settings. A generator that
    /// it has is as large as the preset's.
    ///
    /// # Errors
    /// [`ConfigError::Objective`] where there is none of that name.
    pub fn with_objective(&self, name: &str) -> Result<Config, ConfigError> {
        let preset = preset(&self.preset).ok().map(|preset| preset.objective);
        let objective = match preset {
            Some(preset) if preset.name() == name => Some(preset),
            preset => ObjectiveConfig::named(name).map(|mut objective| {
                let usual = preset.and_then(|mut preset| preset.generator_mut().copied());
                if let (Some(generator), Some(usual)) = (objective.generator_mut(), usual) {
                    *generator = usual;
                }
                objective
            }),
        };
        let objective = objective.ok_or_else(|| ConfigError::Objective { found: name.into() })?;
        Ok(Self { objective, ..self.clone() })
    }

    /// Parses a complete configuration, as [`Config::to_toml`] wrote it.
    pub fn from_toml(text: &str, place: &str) -> Result<Config, ConfigError> {
        let error = |e: toml::de::Error| unusable(place, &e.message());
        let mut all: Table = text.parse().map_err(error)?;
        of_before(&mut all).map_err(|e| unusable(place, &e))?;
        let config: Config = all.try_into().map_err(error)?;
        config.check()?;
        Ok(config)
    }
}

/// What is no TOML, as TOML has it: a fraction as a number, as .5 too, anything else as a word.
fn in_toml(value: &str) -> String {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
    let fraction = value.split_once('/').and_then(|(above, below)| Some(number(above)? / number(below)?));
    match fraction.or_else(|| number(value)).filter(|x| x.is_finite()) {
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => format!("{whole}"),
        Some(number) => format!("{number:?}"),
        None => Value::String(value.into()).to_string(),
    }
}

fn unusable(place: &str, reason: &dyn std::fmt::Display) -> ConfigError {
    let reason = reason.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    ConfigError::Toml { place: place.into(), reason }
}

/// The objective that a text names.
fn name(settings: &Table) -> Option<&str> {
    settings.get("objective")?.get("name")?.as_str()
}

/// Before there was another objective than ELECTRA, it had no name, and its generator was a section of its own.
fn of_before(settings: &mut Table) -> Result<(), String> {
    let generator = settings.remove("generator");
    let objective = match settings.get_mut("objective") {
        Some(Value::Table(objective)) => objective,
        Some(other) => return Err(format!("objective is {other}, expected a table with its name and settings")),
        None if generator.is_none() => return Ok(()),
        None => match settings.entry("objective").or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(objective) => objective,
            _ => return Ok(()),
        },
    };
    let whole = ["masked_fraction", "mask_probability", "generator_weight", "discriminator_weight"];
    if whole.iter().all(|key| objective.contains_key(*key)) {
        objective.entry("name").or_insert_with(|| "electra".into());
    }
    match generator {
        Some(_) if objective.contains_key("generator") => {
            Err("generator and objective.generator are both set, expected one of them".into())
        }
        Some(generator) => {
            objective.insert("generator".into(), generator);
            Ok(())
        }
        None => Ok(()),
    }
}

fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => overlay(inner, over),
            // 1 where a number with a point stood is meant as 1.0.
            (Some(Value::Float(f)), Value::Integer(i)) => *f = i as f64,
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::objective::GeneratorSizes;
    use crate::objective::electra::Over;
    use crate::objective::mlm::MaskedLm;

    #[test]
    fn a_value_needs_no_quotes() {
        let base = preset("tiny").unwrap();
        let selected = base.set("objective.over=selected").unwrap();
        assert_eq!(selected.objective.electra().unwrap().over, Over::Selected);
        assert_eq!(selected, base.set("objective.over='selected'").unwrap());
        for (text, fraction) in [("1/4", 0.25), (".5", 0.5), ("0.125", 0.125), ("1", 1.0)] {
            let mut config = base.set(&format!("objective.generator={text}")).unwrap();
            assert_eq!(config.objective.generator_mut(), Some(&mut Generator::Fraction(fraction)), "{text}");
        }
        let error = base.set("model.layers=many").unwrap_err().to_string();
        assert!(error.contains("--set model.layers=many") && error.contains("\"many\""), "{error}");
        assert!(base.set("objective.generator=1/0").is_err());
    }

    #[test]
    fn merges_known_keys_and_refuses_others() {
        let base = preset("small").unwrap();
        let merged = Config::merge(&base, "seed = 9\n[model]\nlayers = 3\ndropout = 0", "test").unwrap();
        assert_eq!((merged.seed, merged.model.layers, merged.model.dropout), (9, 3, 0.0));
        assert_eq!(merged.model.hidden, base.model.hidden);
        let error = Config::merge(&base, "[model]\nlayer = 3", "my.toml").unwrap_err().to_string();
        assert!(error.contains("my.toml") && error.contains("layer"), "{error}");
        let odd = base.set("model.heads=3").unwrap();
        assert!(odd.check().unwrap_err().to_string().contains("divisor"));
        odd.set("model.hidden=96").unwrap().check().unwrap();
        assert!(base.set("model.heads").is_err());
        assert!(base.set("optimizer.learning_rate=nan").unwrap().check().is_err());
    }

    #[test]
    fn accents_mean_what_they_meant() {
        let base = preset("small").unwrap();
        assert!(!base.data.strips_accents());
        let set = |text: &str| Config::merge(&base, text, "test").unwrap().data.strips_accents();
        assert!(!set("[data]\ncased = false"));
        assert!(set("[data]\nstrip_accents = true"));
        // As older programs wrote it.
        assert!(set("[data]\nlength = 128\nheld_out = 0.05\ncased = false\ntext = []"));
        assert!(!set("[data]\nlength = 128\nheld_out = 0.05\ncased = true\ntext = []"));
        let old = base.to_toml().replace("strip_accents = false\n", "");
        let old = Config::from_toml(&old, "test").unwrap();
        assert!(old.data.strips_accents());
        assert!(!old.to_toml().contains("strip_accents"));
    }

    fn generator(config: &Config) -> Generator {
        *config.clone().objective.generator_mut().unwrap()
    }

    #[test]
    fn another_objective_has_its_own_defaults() {
        let base = preset("small").unwrap();
        let merge = |base: &Config, text: &str| Config::merge(base, text, "test").unwrap();
        let mlm = merge(&base, "[objective]\nname = 'mlm'");
        assert_eq!(mlm.objective, MaskedLm::default().into());
        let some = merge(&base, "[objective]\nname = 'mlm'\nmask_probability = 0.85\nrandom_probability = 0");
        let expected = MaskedLm { mask_probability: 0.85, random_probability: 0.0, ..MaskedLm::default() };
        assert_eq!(some.objective, expected.into());
        // The same name keeps what was set.
        assert_eq!(merge(&some, "[objective]\nname = 'mlm'"), some);
        assert_eq!(merge(&merge(&some, "seed = 3"), "seed = 1"), some);
        // Back to the preset's.
        assert_eq!(merge(&some, "[objective]\nname = 'electra'"), base);
        let tiny = preset("tiny").unwrap();
        assert_eq!(merge(&merge(&tiny, "objective.name = 'mlm'"), "objective.name = 'electra'"), tiny);
        for (text, expected) in [
            ("[objective]\nname = 'bert'", "test: no objective \"bert\"; there are electra, mlm"),
            ("[objective]\nname = 'mlm'\ngenerator_weight = 1", "unknown field `generator_weight`, expected one of"),
            ("[objective]\nname = 3", "test: "),
            ("objective = 'mlm'", "test: objective is \"mlm\", expected a table with its name and settings"),
            ("generator = 0.5\nobjective.generator = 0.25", "test: generator and objective.generator are both set"),
        ] {
            let error = Config::merge(&base, text, "test").unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
        let round = Config::from_toml(&some.to_toml(), "test").unwrap();
        assert_eq!(round, some);
    }

    #[test]
    fn a_generator_is_a_fraction_or_sizes() {
        let base = preset("small").unwrap();
        let set = |text: &str| base.set(text).unwrap();
        assert_eq!(generator(&set("objective.generator=0.25")), Generator::Fraction(0.25));
        assert_eq!(generator(&set("objective.generator=1")), Generator::Fraction(1.0));
        let layers = generator(&set("objective.generator.layers=3")).sizes(&base.model);
        assert_eq!(layers, GeneratorSizes { hidden: 64, layers: 3, heads: 1, feed_forward: 256 });
        // One size over a fraction changes what the fraction gives.
        let mut fraction = set("objective.generator=0.5").set("objective.generator.layers=3").unwrap();
        assert_eq!(
            generator(&fraction).sizes(&base.model),
            GeneratorSizes { hidden: 128, layers: 3, heads: 2, feed_forward: 512 }
        );
        fraction.objective = set("objective.generator=0.25").objective;
        assert_eq!(Config::from_toml(&fraction.to_toml(), "test").unwrap(), fraction);
        for (text, expected) in [
            ("objective.generator='big'", "a fraction of the width such as 0.25"),
            ("objective.generator.layer=3", "unknown field `layer`, expected one of"),
        ] {
            let error = base.set(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(set("objective.generator=0").check().is_err());
        assert_eq!(Model::new(&set("objective.generator=0.25")).table, Model::new(&base).table);
    }

    /// As config.toml and flags had it before there was another objective.
    #[test]
    fn a_generator_beside_the_objective_means_what_it_meant() {
        let base = preset("tiny").unwrap();
        assert_eq!(base.set("generator.layers=3").unwrap(), base.set("objective.generator.layers=3").unwrap());
        let new = base.to_toml();
        let (start, end) = (new.find("[objective]").unwrap(), new.find("[data]").unwrap());
        let old = "[generator]\nhidden = 8\nlayers = 1\nheads = 1\nfeed_forward = 16\n\n[objective]\nmasked_fraction = 0.15\n\
                   mask_probability = 0.85\ngenerator_weight = 1.0\ndiscriminator_weight = 50.0\n\n";
        let old = [&new[..start], old, &new[end..]].concat();
        assert_eq!(Config::from_toml(&old, "test").unwrap(), base);
        assert_eq!(Config::merge(&preset("small").unwrap(), &old, "test").unwrap(), base);
        // It is ELECTRA's, whatever was meant before.
        assert_eq!(Config::merge(&base.with_objective("mlm").unwrap(), &old, "test").unwrap(), base);
        let error = base.with_objective("mlm").unwrap().set("generator.layers=3").unwrap_err().to_string();
        assert!(error.contains("unknown field `generator`"), "{error}");
    }
}
