//! What is compared: objectives by name with settings of their own, or one setting at several values.

use crate::cli::Failure;
use crate::config::{Config, ConfigError};
use std::path::PathBuf;

/// One of what is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arm {
    /// As the person wrote it, as in `electra:over=selected`.
    pub name: String,
    /// Its settings.
    pub config: Config,
}

impl Arm {
    /// A folder's name for it.
    pub(super) fn folder(&self) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c) { c } else { '-' };
        self.name.chars().map(plain).collect::<String>().into()
    }
}

/// `--objectives electra,mlm,electra:over=selected`: names, each with settings behind colons.
pub(super) fn objectives(list: &str, base: &Config) -> Result<Vec<Arm>, Failure> {
    let arm = |text: &str| {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        // What the objective of all the others has been set to holds for itself.
        let config = if name == base.objective.name() { Ok(base.clone()) } else { base.with_objective(name) };
        let config = config.map_err(|error| match error {
            error @ ConfigError::Objective { .. } => Failure::Input(format!("--objectives: {error}")),
            error => Failure::input(error),
        })?;
        let place = format!("--objectives {text}");
        let config = parts.try_fold(config, |config, setting| match setting.split_once('=') {
            Some((key, value)) => set(&config, key, value, &place),
            None => Err(Failure::Input(format!("{place}: expected KEY=VALUE behind a colon"))),
        })?;
        Ok(Arm { name: text.into(), config: checked(config, &place)? })
    };
    different(split(list).map(arm).collect::<Result<_, Failure>>()?, "--objectives")
}

/// `--vary generator=1/8,1/4,1/2`: a setting at several values. Networks can share all of their layers only where both have one
/// size, so `tying` is varied at a generator of the encoder's.
pub(super) fn vary(what: &str, base: &Config) -> Result<Vec<Arm>, Failure> {
    let Some((key, values)) = what.split_once('=') else {
        return Err(Failure::Input(format!("--vary {what}: expected KEY=VALUE,VALUE, as in generator=1/8,1/4,1/2")));
    };
    let place = format!("--vary {what}");
    let key = key.trim().trim_start_matches("objective.");
    let base = if key == "tying" { set(base, "generator", "1", &place)? } else { base.clone() };
    let arm = |value: &str| {
        let config = checked(set(&base, key, value, &place)?, &place)?;
        Ok(Arm { name: format!("{key}={value}"), config })
    };
    different(split(values).map(arm).collect::<Result<_, Failure>>()?, "--vary")
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn different(arms: Vec<Arm>, flag: &str) -> Result<Vec<Arm>, Failure> {
    if arms.is_empty() {
        return Err(Failure::Input(format!("{flag}: nothing to compare")));
    }
    for (i, arm) in arms.iter().enumerate() {
        if let Some(other) = arms[..i].iter().find(|other| other.folder() == arm.folder()) {
            return Err(Failure::Input(format!("{flag}: {} and {} are one", other.name, arm.name)));
        }
    }
    Ok(arms)
}

/// Sets `key`, of the objective unless it names another section.
fn set(config: &Config, key: &str, value: &str, place: &str) -> Result<Config, Failure> {
    let key = key.trim();
    let section = key.split('.').next().unwrap_or_default();
    if ["seed", "preset", "training", "data", "task", "name"].contains(&section) || key == "objective.name" {
        return Err(Failure::Input(format!(
            "{place}: {key} is not compared; expected a setting of the objective, model. or optimizer."
        )));
    }
    let whole = ["objective", "model", "optimizer"].contains(&section) && key.contains('.');
    let path = if whole { key.to_string() } else { format!("objective.{key}") };
    let config = config.set(&format!("{path}={}", value.trim()));
    config.map_err(|error| Failure::Input(format!("{place}: {error}")))
}

/// Whether its settings go together.
fn checked(config: Config, place: &str) -> Result<Config, Failure> {
    config.check().map_err(|error| Failure::Input(format!("{place}: {error}")))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::objective::Generator;

    fn refused(arms: Result<Vec<Arm>, Failure>) -> String {
        match arms {
            Err(Failure::Input(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn objectives_have_settings_of_their_own() {
        let base = preset("tiny").unwrap();
        let arms = objectives("electra, mlm,electra:over=selected:discriminator_weight=25", &base).unwrap();
        let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["electra", "mlm", "electra:over=selected:discriminator_weight=25"]);
        assert_eq!(arms[2].folder(), PathBuf::from("electra-over-selected-discriminator_weight-25"));
        assert_eq!(arms[0].config, base);
        assert_eq!(arms[1].config, base.with_objective("mlm").unwrap());
        objectives("electra:tying=all:generator=1,electra:model.hidden=96:model.heads=3", &base).unwrap();
        let masked = base.set("objective.masked_fraction=0.3").unwrap();
        assert_eq!(objectives("electra,mlm", &masked).unwrap()[0].config, masked);
        let set = base.set("objective.over='selected'").unwrap().set("objective.discriminator_weight=25").unwrap();
        assert_eq!(arms[2].config, set);
        for (list, expected) in [
            ("electra,bert", "no objective \"bert\""),
            ("electra:over", "expected KEY=VALUE behind a colon"),
            ("electra:over=some", "unknown variant `some`"),
            ("electra,electra", "electra and electra are one"),
            (",", "nothing to compare"),
            ("electra:training.steps=4", "training.steps is not compared"),
            ("electra:tying=all", "objective.tying is all"),
            ("electra:seed=4", "seed is not compared"),
        ] {
            let error = refused(objectives(list, &base));
            assert!(error.contains(expected), "{list}: {error}");
        }
    }

    #[test]
    fn a_setting_is_varied() {
        let base = preset("tiny").unwrap();
        let generators = |what: &str| -> Vec<f64> {
            let arms = vary(what, &base).unwrap();
            let generator = |mut arm: Arm| match arm.config.objective.generator_mut() {
                Some(Generator::Fraction(fraction)) => *fraction,
                other => panic!("{other:?}"),
            };
            arms.into_iter().map(generator).collect()
        };
        assert_eq!(generators("generator=1/8,.25,0.5,1"), [0.125, 0.25, 0.5, 1.0]);
        assert_eq!(generators("tying=none,embeddings,all"), [1.0; 3]);
        assert_eq!(generators("objective.tying=none,all"), [1.0; 2]);
        let rates = vary("optimizer.learning_rate=1e-3,2e-3", &base).unwrap();
        assert_eq!(rates[1].config.optimizer.learning_rate, 2e-3);
        assert_eq!(refused(vary("generator", &base)).split(": ").next(), Some("--vary generator"));
        assert!(refused(vary("generator=2", &base)).contains("objective.generator is 2"));
    }
}
