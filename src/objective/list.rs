//! The objectives there are.

use super::{Objective, adversarial, all_tokens, electra, mc_bert, mlm, replace_mlm, teams, two_stage, xlnet};
use crate::task::TaskKind;
use crate::task::objective::{Answering, Classification, Tagging};
use crate::task::score::answers::Version;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

macro_rules! objectives {
    (
        pre-training: { $($name:literal => $variant:ident($settings:ty)),+ $(,)? },
        fine-tuning: { $($task:literal => $task_variant:ident($task_settings:ty)),+ $(,)? } $(,)?
    ) => {
        /// An objective and its settings: `[objective]` of a run's settings, where `name` says which it is.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum ObjectiveConfig {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant($settings),
            )+
            $(
                #[doc = concat!("`", $task, "`")]
                #[serde(rename = $task)]
                $task_variant($task_settings),
            )+
        }

        impl ObjectiveConfig {
            /// The names of those that learn from text alone.
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
                    $(Self::$task_variant(_) => $task,)+
                }
            }

            /// The objective, to be handed on.
            pub fn shared(&self) -> Arc<dyn Objective> {
                match self {
                    $(Self::$variant(objective) => Arc::new(objective.clone()),)+
                    $(Self::$task_variant(objective) => Arc::new(objective.clone()),)+
                }
            }
        }

        impl Deref for ObjectiveConfig {
            type Target = dyn Objective;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$variant(objective) => objective,)+
                    $(Self::$task_variant(objective) => objective,)+
                }
            }
        }

        impl DerefMut for ObjectiveConfig {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$variant(objective) => objective,)+
                    $(Self::$task_variant(objective) => objective,)+
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

        $(
            impl From<$task_settings> for ObjectiveConfig {
                fn from(objective: $task_settings) -> Self {
                    Self::$task_variant(objective)
                }
            }
        )+
    };
}

impl ObjectiveConfig {
    /// What its network is asked of a record, where it learns from labelled ones.
    pub fn task_kind(&self) -> Option<TaskKind> {
        match self {
            Self::Classification(objective) => Some(TaskKind::Classification(objective.problem)),
            Self::Tagging(_) => Some(TaskKind::Tagging),
            Self::Answering(Answering { unanswerable: false, .. }) => Some(TaskKind::Answering(Version::One)),
            Self::Answering(_) => Some(TaskKind::Answering(Version::Two)),
            Self::Electra(_)
            | Self::MaskedLm(_)
            | Self::ReplaceMlm(_)
            | Self::AllTokens(_)
            | Self::TwoStage(_)
            | Self::Adversarial(_)
            | Self::McBert(_)
            | Self::Teams(_)
            | Self::Xlnet(_) => None,
        }
    }

    /// What its network's classes, labels or tags are called, where it has some.
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Classification(objective) => &objective.labels,
            Self::Tagging(objective) => &objective.labels,
            Self::Answering(_)
            | Self::Electra(_)
            | Self::MaskedLm(_)
            | Self::ReplaceMlm(_)
            | Self::AllTokens(_)
            | Self::TwoStage(_)
            | Self::Adversarial(_)
            | Self::McBert(_)
            | Self::Teams(_)
            | Self::Xlnet(_) => &[],
        }
    }
}

objectives! {
    pre-training: {
        "electra" => Electra(electra::Electra),
        "mlm" => MaskedLm(mlm::MaskedLm),
        "replace-mlm" => ReplaceMlm(replace_mlm::ReplaceMlm),
        "all-tokens" => AllTokens(all_tokens::AllTokens),
        "two-stage" => TwoStage(two_stage::TwoStage),
        "adversarial" => Adversarial(adversarial::Adversarial),
        "mc-bert" => McBert(mc_bert::McBert),
        "teams" => Teams(teams::Teams),
        "xlnet" => Xlnet(xlnet::Xlnet),
    },
    fine-tuning: {
        "classification" => Classification(Classification),
        "tagging" => Tagging(Tagging),
        "answering" => Answering(Answering),
    },
}
