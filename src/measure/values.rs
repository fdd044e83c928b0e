//! What was measured, by name.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Numbers by name, in an order. One that is not there was not measured; one that is no number is NaN, and null in JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values(Vec<(Arc<str>, f64)>);

impl Values {
    /// Adds a number, or gives it another value.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// A number; `None` if it was not measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| &**known == name).map(|(_, value)| *value)
    }

    /// A number; NaN if it was not measured.
    pub fn or_nan(&self, name: &str) -> f64 {
        self.get(name).unwrap_or(f64::NAN)
    }

    /// Every name and number in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, f64)> {
        self.0.iter().map(|(name, value)| (name, *value))
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, f64)> for Values {
    fn from_iter<I: IntoIterator<Item = (N, f64)>>(values: I) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl<const N: usize> From<[(&str, f64); N]> for Values {
    fn from(values: [(&str, f64); N]) -> Self {
        values.into_iter().collect()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, value)))
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> serde::de::Visitor<'de> for Map {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("numbers by name")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, f64>()? {
                    values.push((name.into(), value));
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_map(Map)
    }
}
