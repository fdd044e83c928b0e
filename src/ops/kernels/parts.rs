//! Sums of parts, several in one dispatch of `shaders/add_parts.wgsl`.

use crate::graph::DType;
use crate::op::{Dispatch, Operand};

/// Sums that one dispatch has room for.
const MOST: usize = 16;
/// Invocations of a workgroup.
const WORKGROUP: usize = 256;
/// With more parts than this, an element has several invocations.
const FEW: usize = 16;
/// How many.
const LANES: usize = 8;

/// `len` elements, each the sum of those of all parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) struct PartsSum {
    pub len: usize,
    pub parts: usize,
    /// Elements from a part to the next.
    pub stride: usize,
    /// Which of [`AddParts::read`], and where the first part begins there.
    pub from: (usize, usize),
    /// Which of [`AddParts::write`], and where the sum begins there.
    pub to: (usize, usize),
}

/// What is added up, and to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct AddParts {
    /// In single precision, one to four.
    pub read: Vec<Operand>,
    /// Two different tensors, also where only one is written.
    pub write: [Operand; 2],
    /// The type of the first of them; the second is in single precision.
    pub element: DType,
    /// Adds to what is there instead of replacing it.
    pub accumulate: bool,
    pub sums: Vec<PartsSum>,
}

impl AddParts {
    /// One dispatch, or more where there are many sums; none where there is nothing to do.
    pub fn dispatches(&self) -> Vec<Dispatch> {
        self.sums.chunks(MOST).map(|sums| self.dispatch(sums)).collect()
    }

    fn dispatch(&self, sums: &[PartsSum]) -> Dispatch {
        let moved = |of: &dyn Fn(&PartsSum) -> Option<usize>| sums.iter().filter_map(of).sum::<usize>();
        let mut dispatch =
            Dispatch::new("add_parts").element("First", self.element).constant("accumulate", self.accumulate);
        for i in 0..4 {
            // Every binding that a shader declares must be there.
            let (operand, read) = self.read.get(i).map_or((self.read[0], false), |&operand| (operand, true));
            let parts = |sum: &PartsSum| (read && sum.from.0 == i).then_some(sum.len * sum.parts);
            dispatch = dispatch.read(operand).moving(moved(&parts));
        }
        for (i, operand) in self.write.into_iter().enumerate() {
            let times = if self.accumulate { 2 } else { 1 };
            dispatch = dispatch.write(operand).moving(moved(&|sum| (sum.to.0 == i).then_some(sum.len * times)));
        }
        let mut first = vec![0];
        for sum in sums {
            let lanes = if sum.parts > FEW { LANES } else { 1 };
            first.push(first[first.len() - 1] + sum.len.div_ceil(WORKGROUP / lanes));
        }
        dispatch = dispatch.elements(first[sums.len()] * WORKGROUP, WORKGROUP);
        let groups = dispatch.workgroups[0] as usize;
        dispatch = dispatch.word(groups).word(sums.len()).word(0).word(0);
        for (sum, group) in sums.iter().zip(first) {
            let words = [group, sum.len, sum.parts, sum.stride, sum.from.1, sum.to.1, sum.from.0, sum.to.0];
            dispatch = words.into_iter().fold(dispatch, Dispatch::word);
        }
        (sums.len() * 8..MOST * 8).fold(dispatch, |dispatch, _| dispatch.word(0))
    }
}
