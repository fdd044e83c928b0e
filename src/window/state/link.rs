//! A link to the window: its address fills in the start page, so that a class begins with one click, or with none.

use super::{End, Form, Source, StartError};
use crate::corpus::Sample;

/// What may stand in a link.
const KEYS: &str = "sample, objective, preset, device, steps, minutes, seed, learning-rate, memory, set or start";

/// A start page that is filled in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Link {
    /// The fields.
    pub form: Form,
    /// Whether training starts at once.
    pub starts: bool,
}

impl Link {
    /// Of what stands behind the question mark of an address, key by key: `preset=mini&minutes=20&start`. `set` takes any setting, as
    /// in `set=model.layers=4`, and may be there several times.
    ///
    /// # Errors
    /// [`StartError::Link`] for another key, [`StartError::Field`] for a sample that is not there; other values are looked at when training starts.
    pub fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, StartError> {
        let mut link = Self::default();
        let form = &mut link.form;
        for (key, value) in pairs {
            match key.as_str() {
                "sample" => {
                    let named = Sample::ALL.into_iter().find(|sample| sample.title() == value);
                    let expected = "addresses or stories";
                    form.source =
                        Source::Sample(named.ok_or(StartError::Field { field: "sample", found: value, expected })?);
                }
                "objective" => form.objective = value,
                "preset" => form.preset = value,
                "device" => form.device = value,
                "steps" => (form.end, form.steps) = (End::Steps, value),
                "minutes" => (form.end, form.minutes) = (End::Minutes, value),
                "seed" => form.seed = value,
                "learning-rate" => form.learning_rate = value,
                "memory" => form.memory = value,
                "set" => form.settings.push(value),
                "start" => link.starts = true,
                _ => return Err(StartError::Link { key, expected: KEYS }),
            }
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Link, StartError> {
        Link::of(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())))
    }

    #[test]
    fn a_link_fills_in_the_form() {
        assert_eq!(of(&[]).unwrap(), Link::default());
        let link = of(&[
            ("preset", "mini"),
            ("steps", "20"),
            ("set", "model.layers=1"),
            ("set", "training.batch=4"),
            ("start", ""),
        ])
        .unwrap();
        let config = link.form.config().unwrap();
        assert!(link.starts);
        assert_eq!((config.preset.as_str(), config.training.steps), ("mini", 20));
        assert_eq!((config.model.layers, config.training.batch), (1, 4));
        let clock = of(&[("minutes", "30"), ("objective", "mlm"), ("seed", "9"), ("learning-rate", "1e-4")]).unwrap();
        let config = clock.form.config().unwrap();
        assert_eq!((config.training.hours, config.objective.name(), config.seed), (Some(0.5), "mlm", 9));
        assert!(!clock.starts && config.optimizer.learning_rate == 1e-4);
    }

    #[test]
    fn what_a_link_cannot_say_is_named() {
        let error = of(&[("layers", "3")]).unwrap_err().to_string();
        assert!(error.contains("\"layers\"") && error.contains("preset") && error.contains("set"), "{error}");
        let error = of(&[("set", "model.layer=3")]).unwrap().form.config().unwrap_err().to_string();
        assert!(error.contains("model.layer"), "{error}");
    }
}
