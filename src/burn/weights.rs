//! Parameters between a bank and a module: by name, a linear layer's weight turned, since burn keeps it as [in, out].

use super::BurnError;
use super::names::name;
use crate::model::{Architecture, Head, Model, Network};
use crate::transformers::{Entry, entries};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use std::collections::HashMap;

/// Where a walk through a network's module is, and what the table says of its parameters.
struct Walk {
    architecture: Architecture,
    path: Vec<String>,
    /// By name; a parameter that was met is taken out.
    left: HashMap<String, Entry>,
    error: Option<BurnError>,
}

impl Walk {
    fn new(model: &Model, network: &Network) -> Self {
        let architecture = network.heads.first().map_or(Architecture::PreTraining, Head::architecture);
        // The generator's embeddings, and its output matrix which is one of them, belong to the discriminator's module.
        let here = |e: &Entry| architecture == Architecture::PreTraining || !is_shared(&e.name);
        let entries = entries(model, network).into_iter().filter(here);
        Self { architecture, path: Vec::new(), left: entries.map(|e| (e.name.clone(), e)).collect(), error: None }
    }

    /// The entry of the parameter here, which has `dims`, and whether it is turned.
    fn meet(&mut self, dims: &[usize]) -> Option<(Entry, bool)> {
        let found = name(self.architecture, &self.path).and_then(|name| self.left.remove(&name));
        let Some(entry) = found else {
            let (name, expected) = (self.path.join("."), "nothing".to_string());
            self.error.get_or_insert(BurnError::Parameter { name, found: format!("{dims:?}"), expected });
            return None;
        };
        let turned = dims.len() == 2 && !entry.name.ends_with("_embeddings.weight");
        let mut shape = entry.shape.clone();
        if turned {
            shape.reverse();
        }
        if shape != dims {
            let (found, expected) = (format!("{dims:?}"), format!("{shape:?}"));
            self.error.get_or_insert(BurnError::Parameter { name: entry.name, found, expected });
            return None;
        }
        Some((entry, turned))
    }

    fn finish(self) -> Result<(), BurnError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.left.into_values().min_by_key(|e| e.offset) {
            None => Ok(()),
            Some(e) => {
                Err(BurnError::Parameter { name: e.name, found: "nothing".into(), expected: format!("{:?}", e.shape) })
            }
        }
    }
}

fn is_shared(name: &str) -> bool {
    name.starts_with("electra.embeddings.") || name == "generator_lm_head.weight"
}

/// Row-major [rows, columns] as [columns, rows].
fn turn(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

struct Loader<'a> {
    walk: Walk,
    bank: &'a [f32],
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.walk.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.walk.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = parameter.lazy_shape();
        let dims: Vec<usize> = shape.as_slice().to_vec();
        let Some((entry, turned)) = self.walk.meet(&dims) else { return parameter };
        let end = entry.offset + dims.iter().product::<usize>();
        let Some(values) = self.bank.get(entry.offset..end) else {
            let (found, expected) = (format!("{dims:?}"), format!("behind the end of a bank of {}", self.bank.len()));
            self.walk.error.get_or_insert(BurnError::Parameter { name: entry.name, found, expected });
            return parameter;
        };
        let values = if turned { turn(values, entry.shape[1]) } else { values.to_vec() };
        Param::from_data(TensorData::new(values, dims), &parameter.lazy_device())
    }
}

/// `module`, which is `network`, with the weights in `bank`.
pub(super) fn load<M: Module>(module: M, model: &Model, network: &Network, bank: &[f32]) -> Result<M, BurnError> {
    let mut loader = Loader { walk: Walk::new(model, network), bank };
    let module = module.map(&mut loader);
    loader.walk.finish().map(|()| module)
}

struct Reader<'a> {
    walk: Walk,
    /// Whose gradients to read; `None` for the values themselves.
    gradients: Option<&'a GradientsParams>,
    bank: &'a mut [f32],
}

impl ModuleVisitor for Reader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.walk.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.walk.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let Some((entry, turned)) = self.walk.meet(parameter.lazy_shape().as_slice()) else { return };
        let tensor = match self.gradients {
            None => Some(parameter.val()),
            Some(all) => all.get::<D>(parameter.id),
        };
        let Some(tensor) = tensor else {
            let (name, found, expected) = (entry.name, "without a gradient".to_string(), format!("{:?}", entry.shape));
            self.walk.error.get_or_insert(BurnError::Parameter { name, found, expected });
            return;
        };
        match tensor.try_into_vec_as::<f32>() {
            Ok(values) => {
                let values = if turned { turn(&values, entry.shape[0]) } else { values };
                self.bank[entry.offset..entry.offset + values.len()].copy_from_slice(&values);
            }
            Err(error) => {
                self.walk.error.get_or_insert(BurnError::Read { what: entry.name, reason: error.to_string() });
            }
        }
    }
}

fn read<M: Module>(
    module: &M,
    gradients: Option<&GradientsParams>,
    model: &Model,
    network: &Network,
    bank: &mut [f32],
) -> Result<(), BurnError> {
    let mut reader = Reader { walk: Walk::new(model, network), gradients, bank };
    module.visit(&mut reader);
    reader.walk.finish()
}

/// Writes the weights of `module`, which is `network`, into `bank`.
pub(super) fn values<M: Module>(
    module: &M,
    model: &Model,
    network: &Network,
    bank: &mut [f32],
) -> Result<(), BurnError> {
    read(module, None, model, network, bank)
}

/// Writes the gradients of the parameters of `module`, which is `network`, into `bank`.
pub(super) fn gradients<M: Module>(
    module: &M,
    gradients: &GradientsParams,
    model: &Model,
    network: &Network,
    bank: &mut [f32],
) -> Result<(), BurnError> {
    read(module, Some(gradients), model, network, bank)
}

#[cfg(test)]
mod tests {
    use super::turn;

    #[test]
    fn turned_twice_is_as_it_was() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let turned = turn(&values, 3);
        assert_eq!(turned, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(turn(&turned, 2), values);
    }
}
