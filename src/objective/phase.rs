//! Training in phases, one behind the other.

/// A part of training: what is trained in it, and how it begins. The page is built for a phase ([`Mode::phase`](super::Mode)).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// What it is called.
    pub name: &'static str,
    /// Of the whole schedule, as a share; those of all phases are 1 together.
    pub share: f64,
    /// The networks that are trained; all if `None`. What one of them shares with a network that is not is trained too. What is
    /// not trained stays as it is, moments and all, and has no backward pass.
    pub trains: Option<&'static [&'static str]>,
    /// A network that begins the phase as a copy of another one, as far as both have parameters of one name and shape:
    /// (from, to). The moments of what is copied are 0 then.
    pub copies: Option<(&'static str, &'static str)>,
    /// Whether warm-up and decay of the learning rate are this phase's alone; else they go on from the phase before.
    pub restarts_schedule: bool,
}

impl Phase {
    /// All of training, for an objective without phases.
    pub const WHOLE: Self = Self { name: "training", share: 1.0, trains: None, copies: None, restarts_schedule: false };
}
