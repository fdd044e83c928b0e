//! Windows of banks as a safetensors file, each under its parameter's name: what a checkpoint holds beside the folders for
//! `transformers`. How parameters are laid out in a bank does not show in it.

use crate::graph::Parameter;
use crate::transformers::CheckpointError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeSet;

/// A tensor of the file: its name, and the parameter whose window of a bank it is.
pub(super) type Named<'a> = (String, &'a Parameter);

/// The file with these tensors, those of a bank beside it.
pub(super) fn to_bytes(banks: &[(&[Named<'_>], &[f32])]) -> Result<Vec<u8>, CheckpointError> {
    let error = |e: safetensors::SafeTensorError| CheckpointError::Safetensors(e.to_string());
    let mut views = Vec::new();
    for (tensors, bank) in banks {
        for (name, p) in *tensors {
            let data = bytemuck::cast_slice(&bank[p.range()]);
            views.push((name, TensorView::new(Dtype::F32, p.shape.clone(), data).map_err(error)?));
        }
    }
    safetensors::serialize(views, None).map_err(error)
}

/// Reads the tensors into `bank`; those whose names `ours` picks must be these and no others.
pub(super) fn from_bytes(
    bytes: &[u8],
    tensors: &[Named<'_>],
    ours: impl Fn(&str) -> bool,
    bank: &mut [f32],
) -> Result<(), String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    for (name, p) in tensors {
        fill(&file, name, &p.shape, &mut bank[p.range()])?;
    }
    let known: BTreeSet<&str> = tensors.iter().map(|(name, _)| name.as_str()).collect();
    match file.names().into_iter().find(|&found| ours(found) && !known.contains(found)) {
        Some(other) => Err(format!("{other} is of no parameter of the model")),
        None => Ok(()),
    }
}

/// Reads a whole bank of `bank`'s length that is one tensor of the file.
pub(super) fn whole_from_bytes(bytes: &[u8], name: &str, bank: &mut [f32]) -> Result<(), String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    fill(&file, name, &[bank.len()], bank)
}

fn fill(file: &SafeTensors<'_>, name: &str, shape: &[usize], to: &mut [f32]) -> Result<(), String> {
    let tensor = file.tensor(name).map_err(|_| format!("{name} is missing, expected one of F32{shape:?}"))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
        return Err(format!("{name} is {:?}{:?}, expected F32{shape:?}", tensor.dtype(), tensor.shape()));
    }
    to.iter_mut().zip(tensor.data().as_chunks::<4>().0).for_each(|(to, from)| *to = f32::from_le_bytes(*from));
    Ok(())
}
