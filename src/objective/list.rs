//! The objectives there are.

use super::{Objective, electra, mlm};
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

macro_rules! objectives {
    ($($name:literal => $variant:ident($settings:ty)),+ $(,)?) => {
        /// An objective and its settings: `[objective]` of a run's settings, where `name` says which it is.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum ObjectiveConfig {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant($settings),
            )+
        }

        impl ObjectiveConfig {
            /// Their names.
            pub const NAMES: &[&str] = &[$($name),+];

            /// The one that is meant where none is named.
            pub const USUAL: &str = Self::NAMES[0];

            /// The objective of that name as it is without further settings; `None` if there is none.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant(<$settings>::default())),)+
                    _ => None,
                }
            }

            /// Its name.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// The objective, to be handed on.
            pub fn shared(&self) -> Arc<dyn Objective> {
                match self {
                    $(Self::$variant(objective) => Arc::new(objective.clone()),)+
                }
            }
        }

        impl Deref for ObjectiveConfig {
            type Target = dyn Objective;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$variant(objective) => objective,)+
                }
            }
        }

        impl DerefMut for ObjectiveConfig {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$variant(objective) => objective,)+
                }
            }
        }

        $(
            impl From<$settings> for ObjectiveConfig {
                fn from(objective: $settings) -> Self {
                    Self::$variant(objective)
                }
            }
        )+
    };
}

objectives! {
    "electra" => Electra(electra::Electra),
    "mlm" => MaskedLm(mlm::MaskedLm),
}
