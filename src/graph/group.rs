//! Grouping: a pass by which the gradients of a layer's parameters are computed together.
//!
//! Reverse mode leaves a node for each matrix and each layer norm. On a GPU most of them are in two dispatches, the second of which
//! adds up what the first has in parts, and every dispatch waits for the one before. Nobody reads these gradients before the
//! optimizer does, so that they can wait for the last of their layer: then one dispatch adds up all of it
//! ([`ParameterGradients`]), in the same order. What they are made of lives as long: of ELECTRA-Small
//! at 128 x 128 tokens that is 2 % more memory.

use super::{Graph, GraphError, Source, Tensor};
use crate::op::Gradients;
use crate::ops::{ParameterGradients, Part};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

/// A node whose gradients can be computed later.
#[derive(Debug, Clone)]
struct Member {
    node: usize,
    gradients: Gradients,
    /// The parameters' windows: a weight and a bias, or gamma and beta.
    windows: [Range<usize>; 2],
}

/// The members of a segment.
#[derive(Debug)]
struct Group {
    members: Vec<Member>,
    /// What the windows of matrices lie in, and those of vectors. Others may lie between.
    windows: [Range<usize>; 2],
}

impl Graph {
    /// Computes the gradients of a segment's parameters together, as far as nobody but the optimizer reads them and nobody
    /// overwrites meanwhile what they are made of, and `keep` as before. The last pass, for GPUs.
    ///
    /// # Errors
    /// [`GraphError`] where an op turns out not to be what it says it is: a bug.
    pub fn group(&mut self, keep: &[Tensor]) -> Result<(), GraphError> {
        let groups = self.groups(keep);
        let mut members: HashMap<usize, &Member> = HashMap::new();
        let mut ends: HashMap<usize, &Group> = HashMap::new();
        for group in &groups {
            members.extend(group.members.iter().map(|member| (member.node, member)));
            ends.extend(group.members.last().map(|last| (last.node, group)));
        }
        // By node: what it leaves to the group.
        let mut inputs: HashMap<usize, Vec<Tensor>> = HashMap::new();
        self.rebuild(|g, index, mut node| {
            let Some(member) = members.get(&index) else {
                g.put(node);
                return Ok(());
            };
            let dropped = match &member.gradients {
                Gradients::Linear => {
                    inputs.insert(index, node.inputs);
                    node.outputs
                }
                Gradients::Norm { rest } => {
                    let types: Vec<_> = node.inputs.iter().map(|&t| g.ty(t)).collect();
                    let parts = rest.infer(&types)?[1].clone();
                    let parts = g.push(parts, Source::Nothing, "");
                    let dropped: Vec<Tensor> = node.outputs.splice(1..3, [parts]).collect();
                    node.op = rest.clone();
                    inputs.insert(index, vec![parts]);
                    g.put(node);
                    dropped
                }
            };
            for tensor in dropped {
                g.values[tensor.index()].source = Source::Nothing;
                g.gradients.remove(&tensor);
            }
            if let Some(group) = ends.get(&index) {
                let given = group.members.iter().flat_map(|m| inputs.remove(&m.node).unwrap_or_default());
                let outputs = g.add(group.op(), &given.collect::<Vec<_>>())?;
                for (output, window) in outputs.into_iter().zip(&group.windows) {
                    g.gradients.insert(output, vec![window.start]);
                }
            }
            Ok(())
        })
    }

    fn groups(&self, keep: &[Tensor]) -> Vec<Group> {
        let mut read: HashSet<Tensor> = self.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
        read.extend(keep);
        let mut segments: BTreeMap<u32, Vec<Member>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.place.backward) {
            let (Some(segment), Some(gradients)) = (node.place.segment, node.op.gradients()) else { continue };
            let first = if matches!(gradients, Gradients::Linear) { 0 } else { 1 };
            let window = |output: usize| {
                let tensor = node.outputs[output];
                let [offset] = self.gradients.get(&tensor)?[..] else { return None };
                let len = self.ty(tensor).len().next_multiple_of(super::parameters::ALIGNMENT);
                (!read.contains(&tensor)).then_some(offset..offset + len)
            };
            if let (Some(first), Some(second)) = (window(first), window(first + 1)) {
                segments.entry(segment).or_default().push(Member { node: index, gradients, windows: [first, second] });
            }
        }
        segments.into_values().filter_map(|members| self.group_of(members)).collect()
    }

    /// What of `members`, in the order they run, can wait for the last of them.
    fn group_of(&self, mut members: Vec<Member>) -> Option<Group> {
        let last = members.last()?.node;
        let mut norms = 0;
        members.retain(|member| match member.gradients {
            Gradients::Linear => member.node == last || self.moves(member.node, last),
            Gradients::Norm { .. } => {
                norms += 1;
                norms <= ParameterGradients::NORMS
            }
        });
        let linear = |member: &&Member| matches!(member.gradients, Gradients::Linear);
        let matrices = members.iter().filter(linear).map(|m| m.windows[0].clone()).collect();
        let vectors = members.iter().flat_map(|m| m.windows.iter().skip(usize::from(linear(&m))).cloned()).collect();
        let windows = [around(matrices)?, around(vectors)?];
        // Both are written by one dispatch, which WebGPU does not allow of one memory.
        let apart = windows[0].end <= windows[1].start || windows[1].end <= windows[0].start;
        (members.len() > 1 && apart).then_some(Group { members, windows })
    }
}

impl Group {
    fn op(&self) -> ParameterGradients {
        let [matrices, vectors] = &self.windows;
        let part = |member: &Member| {
            let [first, second] = &member.windows;
            match member.gradients {
                Gradients::Linear => {
                    Part::Linear { weight: first.start - matrices.start, bias: second.start - vectors.start }
                }
                Gradients::Norm { .. } => {
                    Part::Norm { gamma: first.start - vectors.start, beta: second.start - vectors.start }
                }
            }
        };
        ParameterGradients { parts: self.members.iter().map(part).collect(), lens: [matrices.len(), vectors.len()] }
    }
}

/// The window that all of them lie in.
fn around(windows: Vec<Range<usize>>) -> Option<Range<usize>> {
    Some(windows.iter().map(|window| window.start).min()?..windows.iter().map(|window| window.end).max()?)
}
