//! Classical models (`ai.onnx.ml`): tree ensembles, linear models, scaling.
//!
//! A tree is all its comparisons at once; a leaf is reached when every condition on its path holds:
//! the sum of them, a product with a constant matrix of 1 and −1, equals its depth.

use std::collections::BTreeMap;

use super::arithmetic::{equal, less};
use super::{Lowered, one};
use crate::FloatOp;
use crate::ImportError;
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;
use crate::import::tensor::Kind;

/// Deepest tree.
const MAX_DEPTH: usize = 64;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    Some(match op.strip_prefix("ai.onnx.ml.")? {
        "TreeEnsembleRegressor" => one(regressor(b, n)),
        "TreeEnsembleClassifier" => classifier(b, n),
        "LinearRegressor" => one(linear_regressor(b, n)),
        "LinearClassifier" => linear_classifier(b, n),
        "Scaler" => one(scaler(b, n)),
        "Normalizer" => one(normalizer(b, n)),
        "Binarizer" => one(binarizer(b, n)),
        "ArrayFeatureExtractor" => one(features(b, n)),
        _ => return None,
    })
}

/// Features `[N, F]`.
fn matrix(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?;
    match b.shape(x)[..] {
        [_, _] => Ok(x.clone()),
        [features] => b.reshape(x, vec![1, features]),
        _ => Err(n.refuse(format!("features of shape {:?}", b.shape(x)))),
    }
}

struct Branch {
    feature: usize,
    threshold: f32,
    compare: Compare,
    /// Whether the comparison is the opposite of the branch's.
    negated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    LessOrEqual,
    Less,
    Equal,
}

struct Leaf {
    /// Branch and whether it is taken as true.
    path: Vec<(usize, bool)>,
    weights: Vec<(usize, f32)>,
}

#[derive(Default)]
struct Tree {
    branches: Vec<Branch>,
    leaves: Vec<Leaf>,
}

/// Weights of leaves: `(tree, node, target, weight)`.
type Weights = BTreeMap<(i64, i64), Vec<(usize, f32)>>;

fn trees(n: &Node<'_>, mut weights: Weights) -> Result<Vec<Tree>, ImportError> {
    n.ignore(&["nodes_hitrates", "nodes_missing_value_tracks_true"]);
    let list = |name: &'static str| n.ints(name).unwrap_or(&[]);
    let (ids, nodes) = (list("nodes_treeids"), list("nodes_nodeids"));
    let (features, yes, no) = (
        list("nodes_featureids"),
        list("nodes_truenodeids"),
        list("nodes_falsenodeids"),
    );
    let values = n.floats("nodes_values").unwrap_or(&[]);
    let modes = n.strings("nodes_modes").unwrap_or_default();
    let count = ids.len();
    let lengths = [
        nodes.len(),
        features.len(),
        yes.len(),
        no.len(),
        values.len(),
        modes.len(),
    ];
    if count == 0 || lengths != [count; 6] {
        return Err(n.refuse("its lists of nodes differ in length"));
    }
    let place: BTreeMap<(i64, i64), usize> = (0..count).map(|i| ((ids[i], nodes[i]), i)).collect();
    let mut roots: BTreeMap<i64, usize> = BTreeMap::new();
    let mut child = vec![false; count];
    for i in 0..count {
        if modes[i] != "LEAF" {
            for to in [yes[i], no[i]] {
                if let Some(&to) = place.get(&(ids[i], to)) {
                    child[to] = true;
                }
            }
        }
    }
    for i in 0..count {
        if !child[i] && roots.insert(ids[i], i).is_some() {
            return Err(n.refuse(format!("tree {} has two roots", ids[i])));
        }
    }
    let mut built = Vec::new();
    for (id, root) in roots {
        let mut tree = Tree::default();
        let mut open = vec![(root, Vec::new())];
        let mut visited = 0usize;
        while let Some((at, path)) = open.pop() {
            visited += 1;
            if visited > count || path.len() > MAX_DEPTH {
                return Err(n.refuse(format!("tree {id} is no tree, or too deep")));
            }
            if modes[at] == "LEAF" {
                let weights = weights.remove(&(id, nodes[at])).unwrap_or_default();
                tree.leaves.push(Leaf { path, weights });
                continue;
            }
            let (compare, negated) = match modes[at] {
                "BRANCH_LEQ" => (Compare::LessOrEqual, false),
                "BRANCH_LT" => (Compare::Less, false),
                "BRANCH_GT" => (Compare::LessOrEqual, true),
                "BRANCH_GTE" => (Compare::Less, true),
                "BRANCH_EQ" => (Compare::Equal, false),
                "BRANCH_NEQ" => (Compare::Equal, true),
                mode => return Err(n.refuse(format!("mode {mode:?} is not supported"))),
            };
            let branch = tree.branches.len();
            tree.branches.push(Branch {
                feature: usize::try_from(features[at])
                    .map_err(|_| n.refuse("a feature is negative"))?,
                threshold: values[at],
                compare,
                negated,
            });
            for (to, taken) in [(no[at], false), (yes[at], true)] {
                let Some(&to) = place.get(&(id, to)) else {
                    return Err(n.refuse(format!("tree {id} lacks node {to}")));
                };
                let mut path = path.clone();
                path.push((branch, taken));
                open.push((to, path));
            }
        }
        built.push(tree);
    }
    Ok(built)
}

/// Scores `[N, targets]`: the sum of the leaves that are reached.
fn scores(b: &mut Builder, n: &Node<'_>, trees: &[Tree], targets: usize) -> Made {
    let x = matrix(b, n)?;
    let [rows, features] = b.shape(&x)[..] else {
        return Err(n.refuse("has no features"));
    };
    let branches = trees
        .iter()
        .map(|t| t.branches.len())
        .max()
        .unwrap_or(0)
        .max(1);
    let leaves = trees.iter().map(|t| t.leaves.len()).max().unwrap_or(1);
    let count = trees.len();
    if count.saturating_mul(branches).saturating_mul(leaves) > 1 << 26
        || count.saturating_mul(leaves).saturating_mul(targets) > 1 << 26
    {
        return Err(n.refuse("its trees are too large"));
    }
    let mut taken = vec![0i32; count * branches];
    let mut thresholds = vec![0f32; count * branches];
    let mut kinds = vec![Compare::LessOrEqual; count * branches];
    let mut paths = vec![0f32; count * branches * leaves];
    // What the sum of conditions lacks to be zero; padding never is.
    let mut lack = vec![-1f32; count * leaves];
    let mut weights = vec![0f32; count * leaves * targets];
    let first = trees
        .iter()
        .flat_map(|t| &t.branches)
        .map(|branch| branch.compare)
        .next();
    kinds.fill(first.unwrap_or(Compare::LessOrEqual));
    for (t, tree) in trees.iter().enumerate() {
        for (i, branch) in tree.branches.iter().enumerate() {
            if branch.feature >= features || branch.threshold.is_nan() {
                return Err(n.refuse(format!("reads feature {} of {features}", branch.feature)));
            }
            taken[t * branches + i] = branch.feature as i32;
            thresholds[t * branches + i] = branch.threshold;
            kinds[t * branches + i] = branch.compare;
        }
        for (l, leaf) in tree.leaves.iter().enumerate() {
            let mut need = 0f32;
            for &(branch, holds) in &leaf.path {
                let positive = holds != tree.branches[branch].negated;
                paths[(t * branches + branch) * leaves + l] = if positive { 1.0 } else { -1.0 };
                need += f32::from(u8::from(positive));
            }
            lack[t * leaves + l] = -need;
            for &(target, weight) in &leaf.weights {
                weights[(t * leaves + l) * targets + target] += weight;
            }
        }
    }
    let chosen = b.take(&x, 1, taken)?;
    let thresholds = b.floats(vec![count * branches], thresholds);
    let mut conditions: Option<Operand> = None;
    for kind in [Compare::LessOrEqual, Compare::Less, Compare::Equal] {
        let own: Vec<f32> = kinds
            .iter()
            .map(|&k| f32::from(u8::from(k == kind)))
            .collect();
        if own.iter().all(|&o| o == 0.0) {
            continue;
        }
        let made = match kind {
            Compare::LessOrEqual => less(b, &chosen, &thresholds, true)?,
            Compare::Less => less(b, &chosen, &thresholds, false)?,
            Compare::Equal => equal(b, &chosen, &thresholds)?,
        };
        let made = match own.contains(&0.0) {
            true => {
                let own = b.floats(vec![own.len()], own);
                b.mul(&made, &own)?
            }
            false => made,
        };
        conditions = Some(match conditions {
            Some(sum) => b.add(&sum, &made)?,
            None => made,
        });
    }
    let Some(conditions) = conditions else {
        return Err(n.refuse("has no tree"));
    };
    let conditions = b.reshape(&conditions, vec![rows, count, branches])?;
    let conditions = b.permute(&conditions, &[1, 0, 2])?;
    let paths = b.floats(vec![count, branches, leaves], paths);
    let sums = b.product(&conditions, &paths, 1, 1)?;
    let lack = b.floats(vec![count, 1, leaves], lack);
    let short = b.add(&sums, &lack)?;
    let reached = b.unary(&short, Function::IsZero)?;
    let reached = b.permute(&reached, &[1, 0, 2])?;
    let weights = b.floats(vec![count, leaves, targets], weights);
    Ok(b.product(&reached, &weights, 0, 2)?.with_kind(Kind::Float))
}

fn weights_of(
    n: &Node<'_>,
    [trees, nodes, targets, values]: [&'static str; 4],
    most: usize,
) -> Result<Weights, ImportError> {
    let list = |name: &'static str| n.ints(name).unwrap_or(&[]);
    let (trees, nodes, targets) = (list(trees), list(nodes), list(targets));
    let values = n.floats(values).unwrap_or(&[]);
    if [nodes.len(), targets.len(), values.len()] != [trees.len(); 3] {
        return Err(n.refuse("its lists of weights differ in length"));
    }
    let mut weights = Weights::new();
    for i in 0..trees.len() {
        let target = usize::try_from(targets[i]).ok().filter(|&t| t < most);
        let Some(target) = target else {
            return Err(n.refuse(format!("target {} is outside {most}", targets[i])));
        };
        weights
            .entry((trees[i], nodes[i]))
            .or_default()
            .push((target, values[i]));
    }
    Ok(weights)
}

fn transform(b: &mut Builder, n: &Node<'_>, x: &Operand) -> Made {
    match n.string("post_transform", "NONE") {
        "NONE" => Ok(x.clone()),
        "LOGISTIC" => b.unary(x, Function::Sigmoid),
        "SOFTMAX" => b.softmax(x, 1),
        other => Err(n.refuse(format!("post_transform {other:?} is not supported"))),
    }
}

fn based(b: &mut Builder, n: &Node<'_>, x: &Operand) -> Made {
    match n.floats("base_values") {
        Some(base) if !base.is_empty() => {
            let base = b.floats(vec![base.len()], base.to_vec());
            b.add(x, &base)
        }
        _ => Ok(x.clone()),
    }
}

fn regressor(b: &mut Builder, n: &Node<'_>) -> Made {
    let targets = usize::try_from(n.int("n_targets", 1))
        .unwrap_or(0)
        .clamp(1, 1 << 16);
    let names = [
        "target_treeids",
        "target_nodeids",
        "target_ids",
        "target_weights",
    ];
    let trees = trees(n, weights_of(n, names, targets)?)?;
    let mut made = scores(b, n, &trees, targets)?;
    match n.string("aggregate_function", "SUM") {
        "SUM" => {}
        "AVERAGE" => made = b.affine(&made, 1.0 / trees.len() as f64, 0.0)?,
        other => return Err(n.refuse(format!("aggregate_function {other:?} is not supported"))),
    }
    let made = based(b, n, &made)?;
    transform(b, n, &made)
}

/// Labels as numbers; names of classes become their positions.
fn labels(b: &mut Builder, n: &Node<'_>, hot: &Operand, classes: usize) -> Made {
    let numbers: Vec<f32> = match n.ints("classlabels_int64s").or(n.ints("classlabels_ints")) {
        Some(labels) if labels.len() == classes => labels.iter().map(|&l| l as f32).collect(),
        _ => (0..classes).map(|i| i as f32).collect(),
    };
    let numbers = b.floats(vec![classes], numbers);
    Ok(b.product(hot, &numbers, 0, 1)?.with_kind(Kind::Signed(64)))
}

fn class_count(n: &Node<'_>) -> usize {
    let ints = n.ints("classlabels_int64s").or(n.ints("classlabels_ints"));
    let names = n.strings("classlabels_strings");
    ints.map_or(0, <[i64]>::len)
        .max(names.map_or(0, |names| names.len()))
}

fn classifier(b: &mut Builder, n: &Node<'_>) -> Lowered {
    let classes = class_count(n);
    if !(2..=1 << 16).contains(&classes) {
        return Err(n.refuse(format!("{classes} classes")));
    }
    let names = [
        "class_treeids",
        "class_nodeids",
        "class_ids",
        "class_weights",
    ];
    let weights = weights_of(n, names, classes)?;
    let ids = n.ints("class_ids").unwrap_or(&[]);
    let single = classes == 2 && ids.iter().all(|id| Some(id) == ids.first());
    if !single {
        let trees = trees(n, weights)?;
        let sums = scores(b, n, &trees, classes)?;
        let sums = based(b, n, &sums)?;
        let hot = b.recipe(&sums, |input| FloatOp::OneHotMax { input })?;
        let label = labels(b, n, &hot, classes)?;
        return Ok(vec![label, transform(b, n, &sums)?]);
    }
    // One score for two classes.
    let positive = n
        .floats("class_weights")
        .unwrap_or(&[])
        .iter()
        .all(|&w| w >= 0.0);
    let weights = weights
        .into_iter()
        .map(|(key, list)| (key, list.into_iter().map(|(_, w)| (0, w)).collect()))
        .collect();
    let trees = trees(n, weights)?;
    let mut score = scores(b, n, &trees, 1)?;
    match n.floats("base_values") {
        Some([base]) | Some([_, base]) => score = b.affine(&score, 1.0, f64::from(*base))?,
        _ => {}
    }
    if ids.first() == Some(&1) {
        // Only the second class has weights: the first keeps the score 0.
        let label = binary_label(b, n, &score, positive)?;
        let zero = b.affine(&score, 0.0, 0.0)?;
        let both = b.concat(&[zero, score], 1)?;
        return Ok(vec![label, transform(b, n, &both)?]);
    }
    binary(b, n, &score, positive)
}

fn binary_label(b: &mut Builder, n: &Node<'_>, score: &Operand, positive: bool) -> Made {
    let threshold = if positive { 0.5 } else { 0.0 };
    let above = b.affine(score, 1.0, -threshold)?;
    let second = b.unary(&above, Function::IsPositive)?;
    let first = b.affine(&second, -1.0, 1.0)?;
    let hot = b.concat(&[first, second], 1)?;
    labels(b, n, &hot, 2)
}

/// Label and scores of two classes by the score `[N, 1]` of the second.
fn binary(b: &mut Builder, n: &Node<'_>, score: &Operand, positive: bool) -> Lowered {
    let label = binary_label(b, n, score, positive)?;
    let both = match positive {
        true => {
            let other = b.affine(score, -1.0, 1.0)?;
            n.ignore(&["post_transform"]);
            b.concat(&[other, score.clone()], 1)?
        }
        false => {
            let other = b.neg(score)?;
            let both = b.concat(&[other, score.clone()], 1)?;
            transform(b, n, &both)?
        }
    };
    Ok(vec![label, both])
}

fn linear(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = matrix(b, n)?;
    let features = b.shape(&x)[1];
    let coefficients = n.floats("coefficients").unwrap_or(&[]);
    if coefficients.is_empty() || !coefficients.len().is_multiple_of(features) {
        return Err(n.refuse(format!(
            "{} coefficients for {features} features",
            coefficients.len()
        )));
    }
    let targets = coefficients.len() / features;
    let w = b.floats(vec![targets, features], coefficients.to_vec());
    let w = b.permute(&w, &[1, 0])?;
    let made = b.product(&x, &w, 0, 1)?;
    match n.floats("intercepts") {
        Some(intercepts) if !intercepts.is_empty() => {
            let intercepts = b.floats(vec![intercepts.len()], intercepts.to_vec());
            Ok(b.add(&made, &intercepts)?.with_kind(Kind::Float))
        }
        _ => Ok(made.with_kind(Kind::Float)),
    }
}

fn linear_regressor(b: &mut Builder, n: &Node<'_>) -> Made {
    n.ignore(&["targets"]);
    let made = linear(b, n)?;
    transform(b, n, &made)
}

fn linear_classifier(b: &mut Builder, n: &Node<'_>) -> Lowered {
    n.ignore(&["multi_class"]);
    let made = linear(b, n)?;
    let classes = b.shape(&made)[1];
    if classes == 1 {
        return binary(b, n, &made, false);
    }
    let hot = b.recipe(&made, |input| FloatOp::OneHotMax { input })?;
    let label = labels(b, n, &hot, classes)?;
    let _ = class_count(n);
    Ok(vec![label, transform(b, n, &made)?])
}

fn scaler(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = n.operand(0)?.clone();
    let list = |b: &Builder, name: &'static str, none: f32| match n.floats(name) {
        Some(values) => b.floats(vec![values.len()], values.to_vec()),
        None => b.floats(vec![1], vec![none]),
    };
    let (offset, scale) = (list(b, "offset", 0.0), list(b, "scale", 1.0));
    let moved = b.sub(&x, &offset)?;
    Ok(b.mul(&moved, &scale)?.with_kind(Kind::Float))
}

fn normalizer(b: &mut Builder, n: &Node<'_>) -> Made {
    let x = matrix(b, n)?;
    let shape = b.shape(&x);
    match n.string("norm", "MAX") {
        "L2" => {
            let made = b.normalize_over(&x, &[1], 1e-12, false)?;
            b.affine(&made, 1.0 / (shape[1] as f64).sqrt(), 0.0)
        }
        norm => {
            let sum = match norm {
                "L1" => {
                    let magnitude = b.unary(&x, Function::Abs)?;
                    b.sum(&magnitude, &[1])?
                }
                "MAX" => b.max(&x, &[1])?,
                other => return Err(n.refuse(format!("norm {other:?} is not supported"))),
            };
            let wide = b.keep(&sum, &shape, &[1])?;
            let wide = b.broadcast(&wide, &shape)?;
            b.div(&x, &wide)
        }
    }
}

fn binarizer(b: &mut Builder, n: &Node<'_>) -> Made {
    let above = b.affine(n.operand(0)?, 1.0, -n.float("threshold", 0.0))?;
    b.unary(&above, Function::IsPositive)
}

/// Elements of the last axis; the indices are flat, and of one axis of features a matrix of one row is made.
fn features(b: &mut Builder, n: &Node<'_>) -> Made {
    let (x, at) = (n.operand(0)?.clone(), n.operand(1)?.clone());
    let shape = b.shape(&x);
    let Some((&dim, rows)) = shape.split_last() else {
        return Err(n.refuse("has no features"));
    };
    let made = if at.tensor().is_some() {
        let indices = n
            .list(1)?
            .into_iter()
            .map(|at| match (0..dim as i64).contains(&at) {
                true => Ok(at as i32),
                false => Err(n.refuse(format!("the index {at} is outside {dim} features"))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        b.take(&x, rows.len(), indices)?
    } else {
        // The label of a computed class.
        let count = b.shape(&at).iter().product();
        let at = b.reshape(&at, vec![count])?;
        super::gather::pick(b, n, &x, &at, rows.len())?
    };
    match (rows.is_empty(), b.shape(&made)[..].last()) {
        (true, Some(&count)) => b.reshape(&made, vec![1, count]),
        _ => Ok(made),
    }
}
