//! How large a generator is beside the encoder that it works for.

use super::BadValue;
use crate::model::ModelConfig;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The size of a generator: `generator` in `[objective]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Generator {
    /// A fraction of the encoder's width, with as many layers; see [`Generator::sizes`].
    Fraction(f64),
    /// Sizes of its own.
    Sizes(GeneratorSizes),
}

/// Sizes of a generator's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorSizes {
    /// Width of the layers.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
}

impl Generator {
    /// The sizes beside an encoder of `encoder`'s. A fraction keeps the width of a head and rounds to whole heads; what is narrower
    /// than a head has one of its own width. The feed-forward part is as many times wider than the layers as the encoder's.
    pub fn sizes(&self, encoder: &ModelConfig) -> GeneratorSizes {
        let fraction = match *self {
            Self::Sizes(sizes) => return sizes,
            Self::Fraction(fraction) => fraction,
        };
        let ModelConfig { hidden, layers, heads, feed_forward, .. } = *encoder;
        let part = |whole: usize| (fraction * whole as f64).round().max(1.0) as usize;
        let width = hidden / heads.max(1);
        let (heads, narrow) = (part(heads), part(hidden));
        let hidden = if narrow < width { narrow } else { heads * width };
        let feed_forward = (feed_forward * hidden).div_ceil(encoder.hidden.max(1)).max(1);
        GeneratorSizes { hidden, layers, heads: if narrow < width { 1 } else { heads }, feed_forward }
    }

    /// A network of that size with the encoder's other settings.
    pub fn config(&self, encoder: &ModelConfig) -> ModelConfig {
        let GeneratorSizes { hidden, layers, heads, feed_forward } = self.sizes(encoder);
        ModelConfig { hidden, layers, heads, feed_forward, ..encoder.clone() }
    }

    /// Whether there can be such a network.
    ///
    /// # Errors
    /// [`BadValue`] names what cannot be.
    pub fn check(&self, encoder: &ModelConfig) -> Result<(), BadValue> {
        if let Self::Fraction(fraction) = self {
            let good = (1.0 / 64.0..=1.0).contains(fraction);
            return if good {
                Ok(())
            } else {
                Err(BadValue::new("objective.generator", fraction, "1/64 to 1, or sizes"))
            };
        }
        let GeneratorSizes { hidden, layers, heads, feed_forward } = self.sizes(encoder);
        for (key, size, most) in [
            ("objective.generator.hidden", hidden, 4_096),
            ("objective.generator.layers", layers, 4_096),
            ("objective.generator.heads", heads, 4_096),
            ("objective.generator.feed_forward", feed_forward, 1 << 20),
        ] {
            if size == 0 || size > most {
                return Err(BadValue::new(key, size, format!("1 to {most}")));
            }
        }
        if !hidden.is_multiple_of(heads) {
            let expected = format!("a divisor of objective.generator.hidden, {hidden}");
            return Err(BadValue::new("objective.generator.heads", heads, expected));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Generator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Generator;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a fraction of the width such as 0.25, or a table of hidden, layers, heads and feed_forward",
                )
            }

            fn visit_f64<E>(self, fraction: f64) -> Result<Generator, E> {
                Ok(Generator::Fraction(fraction))
            }

            fn visit_i64<E>(self, whole: i64) -> Result<Generator, E> {
                Ok(Generator::Fraction(whole as f64))
            }

            fn visit_u64<E>(self, whole: u64) -> Result<Generator, E> {
                Ok(Generator::Fraction(whole as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Generator, A::Error> {
                GeneratorSizes::deserialize(MapAccessDeserializer::new(map)).map(Generator::Sizes)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn fractions_are_the_papers_sizes() {
        let (small, base) = (preset("small").unwrap().model, preset("base").unwrap().model);
        let sizes = |encoder: &ModelConfig, fraction| {
            let GeneratorSizes { hidden, layers, heads, feed_forward } = Generator::Fraction(fraction).sizes(encoder);
            (hidden, layers, heads, feed_forward)
        };
        assert_eq!(sizes(&small, 0.25), (64, 12, 1, 256));
        assert_eq!(sizes(&small, 1.0), (256, 12, 4, 1024));
        assert_eq!(sizes(&small, 0.125), (32, 12, 1, 128));
        assert_eq!(sizes(&base, 1.0 / 3.0), (256, 12, 4, 1024));
        for fraction in [1.0 / 64.0, 0.05, 0.3, 0.7, 0.99] {
            let odd = ModelConfig { hidden: 60, heads: 3, feed_forward: 100, ..small.clone() };
            let generator = Generator::Fraction(fraction);
            generator.check(&odd).unwrap();
            Generator::Sizes(generator.sizes(&odd)).check(&odd).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let encoder = preset("small").unwrap().model;
        let sizes = GeneratorSizes { hidden: 64, layers: 1, heads: 3, feed_forward: 9 };
        for (generator, expected) in [
            (Generator::Fraction(0.0), "objective.generator is 0, expected 1/64 to 1"),
            (Generator::Fraction(f64::NAN), "objective.generator is NaN"),
            (Generator::Fraction(2.0), "objective.generator is 2"),
            (
                Generator::Sizes(sizes),
                "objective.generator.heads is 3, expected a divisor of objective.generator.hidden, 64",
            ),
            (Generator::Sizes(GeneratorSizes { heads: 0, ..sizes }), "heads is 0, expected 1 to 4096"),
        ] {
            let error = generator.check(&encoder).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
