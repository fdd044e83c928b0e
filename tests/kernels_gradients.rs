//! Gradients of a layer's parameters computed together: the kernels against the twins, and the twins against finite differences.

mod common;

use common::{Input, Tolerance, check_gradient_passed, check_passed};
use leyden::graph::{DType, Graph, GraphError, Tensor};
use leyden::math::Activation;
use leyden::ops::{self, EPSILON};

type Built = Result<Vec<Tensor>, GraphError>;

/// x [T, H] and a layer of inner size F, so that in the bank its matrices lie behind each other, and its vectors, as a model has
/// them. A table of tests has first every other parameter; what stands between is not read.
fn layer([t, h, f]: [usize; 3]) -> Vec<Input> {
    let matrices = [[h, h], [f, h], [h, f]].map(|shape| Input::parameter(&shape));
    let vectors = [h, h, h, f, h, h, h].map(|n| Input::parameter(&[n]));
    let mut between = matrices.into_iter().chain(std::iter::repeat(Input::real(&[1])));
    let rest = vectors.into_iter().flat_map(|vector| [between.next(), Some(vector)]);
    [Some(Input::parameter(&[t, h]))].into_iter().chain(rest).flatten().collect()
}

/// Three linear layers and two norms in a segment.
fn build(g: &mut Graph, t: &[Tensor], dropout: f32) -> Built {
    let ([x, a, b, c], vectors) = ([t[0], t[1], t[3], t[5]], |i: usize| t[2 + 2 * i]);
    g.in_segment(|g| {
        let y = ops::linear(g, x, a, vectors(0))?;
        let y = ops::residual_layer_norm(g, y, x, (vectors(1), vectors(2)), EPSILON, dropout)?;
        let wide = ops::linear_activation(g, y, b, vectors(3), Activation::Gelu)?;
        let narrow = ops::linear(g, wide, c, vectors(4))?;
        Ok(vec![ops::residual_layer_norm(g, narrow, y, (vectors(5), vectors(6)), EPSILON, dropout)?])
    })
}

fn with_dropout(g: &mut Graph, t: &[Tensor]) -> Built {
    build(g, t, 0.2)
}

/// The gradients of what goes around are then added up in place, where a product would still have to read them.
fn without_dropout(g: &mut Graph, t: &[Tensor]) -> Built {
    build(g, t, 0.0)
}

fn count(g: &Graph, op: &str) -> usize {
    g.nodes().iter().filter(|node| node.op.name() == op).count()
}

/// Fuses and groups; says of how many products by themselves.
fn grouped(g: &mut Graph, keep: &[Tensor], halves: bool) -> Result<usize, GraphError> {
    g.fuse(keep)?;
    if halves {
        g.halve(keep)?;
    }
    g.group(keep)?;
    Ok(count(g, "linear_weight_gradient"))
}

#[test]
fn grouped_gradients() {
    let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };
    // Small and odd; of one workgroup; so long that k is split and norms have more than 16 parts.
    for (shape, seed) in [[3, 5, 7], [33, 36, 64], [2_100, 20, 44]].into_iter().zip(1..) {
        for (name, build) in
            [("grouped", with_dropout as fn(&mut Graph, &[Tensor]) -> Built), ("plain", without_dropout)]
        {
            check_passed(name, &layer(shape), tolerance, &[seed], build, |g, keep| {
                let backward = !g.gradients().is_empty();
                let alone = grouped(g, keep, false)?;
                assert_eq!(count(g, "parameter_gradients"), usize::from(backward), "{name} {shape:?}");
                assert_eq!(alone, usize::from(backward && name == "plain"), "{name} {shape:?}: products by themselves");
                Ok(())
            });
        }
    }
}

#[test]
fn grouped_gradients_of_halves() {
    let tolerance = Tolerance { absolute: 0.06, relative: 0.03 };
    for (shape, seed) in [[5, 8, 12], [300, 20, 44]].into_iter().zip(1..) {
        check_passed("halves", &layer(shape), tolerance, &[seed], with_dropout, |g, keep| {
            let backward = !g.gradients().is_empty();
            grouped(g, keep, true)?;
            assert_eq!(count(g, "parameter_gradients"), usize::from(backward), "{shape:?}");
            let halves = g.values().iter().filter(|value| value.ty.dtype == DType::F16).count();
            assert!(halves > 4, "{halves} tensors are in half precision");
            Ok(())
        });
    }
}

#[test]
fn grouped_gradients_against_finite_differences() {
    for build in [with_dropout as fn(&mut Graph, &[Tensor]) -> Built, without_dropout] {
        check_gradient_passed("grouped", &layer([4, 5, 7]), (1e-5, 1e-6), &[1], build, |g| {
            grouped(g, &[], false)?;
            assert_eq!(count(g, "parameter_gradients"), 1);
            Ok(())
        });
    }
}
