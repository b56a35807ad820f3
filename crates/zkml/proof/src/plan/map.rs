//! How the elements of a `View` or `Reshape` move between axes.
//!
//! `v(r) = Π factors(r) · Σ_x Π_groups M_g(r_g, x_g) · operand(x)`: the map is a product of one
//! small matrix for every group of the operand's axes. A group whose matrix only renames
//! coordinates is bound to them; the others are summed over.

use hallmark_graph::AxisMap;

use super::{Dims, MAX_MAP_VARIABLES, ONE, PlanError, Point, ZERO};
use crate::field::log2_ceil;

/// A factor that depends on the result's point alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Factor {
    /// `[index < bound]`: the operand is repeated along an axis.
    LessThan { point: Point, bound: usize },
    /// All coordinates are 0: the operand is shorter.
    Zeros(Point),
}

/// Consecutive axes of the operand.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) dims: Dims,
    pub(crate) kind: GroupKind,
}

/// What a group of axes is read by.
#[derive(Clone, Debug)]
pub(crate) enum GroupKind {
    /// Coordinates of the result, and constants.
    Bound(Point),
    /// One axis, read at `index` of some axes of the result.
    Axis {
        from: Dims,
        point: Point,
        index: Index,
    },
    /// The same elements, row-major, under other dimensions.
    Relayout { from: Dims, point: Point },
}

/// Where an axis is read.
#[derive(Clone, Debug)]
pub(crate) enum Index {
    /// `offset + Σ stride_i·o_i`.
    Affine {
        offset: i64,
        strides: Vec<i64>,
    },
    List(Vec<i32>),
}

/// A map, as factors and groups that cover all axes of the operand.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) factors: Vec<Factor>,
    pub(crate) groups: Vec<Group>,
}

impl Map {
    /// Variables that are summed over.
    pub(crate) fn variables(&self) -> usize {
        self.groups
            .iter()
            .filter(|g| !matches!(g.kind, GroupKind::Bound(_)))
            .map(|g| g.dims.variables())
            .sum()
    }

    /// Whether nothing but names of coordinates changes.
    pub(crate) fn is_renaming(&self) -> bool {
        let bound = |g: &Group| matches!(g.kind, GroupKind::Bound(_));
        self.factors.is_empty() && self.groups.iter().all(bound)
    }

    /// The operand's point when the summed coordinates are these.
    pub(crate) fn point(&self, summed: impl IntoIterator<Item = u32>) -> Point {
        let mut summed = summed.into_iter();
        let mut point = Vec::new();
        for group in &self.groups {
            match &group.kind {
                GroupKind::Bound(coordinates) => point.extend_from_slice(coordinates),
                _ => point.extend(summed.by_ref().take(group.dims.variables())),
            }
        }
        point
    }

    /// The map of a `View` of an operand, read at a point of the result.
    pub(crate) fn view(
        node: usize,
        operand: &Dims,
        axes: &[AxisMap],
        result: &Dims,
        point: &[u32],
    ) -> Result<Self, PlanError> {
        let result: Vec<(usize, &[u32])> = result.split(point).collect();
        let mut named = vec![false; result.len()];
        let mut groups = Vec::with_capacity(axes.len());
        let mut factors = Vec::new();
        for (&dim, map) in operand.0.iter().zip(axes) {
            let read = match map {
                AxisMap::Affine { terms, .. } => terms.iter().map(|t| usize::from(t.0)).collect(),
                AxisMap::List { axis, .. } => vec![usize::from(*axis)],
            };
            read.iter().for_each(|&axis| named[axis] = true);
            let kind = match bind(dim, map, &result) {
                Some((coordinates, zeros)) => {
                    if !zeros.is_empty() {
                        factors.push(Factor::Zeros(zeros));
                    }
                    GroupKind::Bound(coordinates)
                }
                None => GroupKind::Axis {
                    from: Dims(read.iter().map(|&a| result[a].0).collect()),
                    point: read.iter().flat_map(|&a| result[a].1).copied().collect(),
                    index: match map {
                        AxisMap::Affine { offset, terms } => Index::Affine {
                            offset: i64::from(*offset),
                            strides: terms.iter().map(|t| i64::from(t.1)).collect(),
                        },
                        AxisMap::List { indices, .. } => Index::List(indices.clone()),
                    },
                },
            };
            groups.push(Group {
                dims: Dims(vec![dim]),
                kind,
            });
        }
        for ((dim, axis), named) in result.into_iter().zip(named) {
            // A power of two of repetitions fills the axis.
            if !named && !dim.is_power_of_two() {
                factors.push(Factor::LessThan {
                    point: axis.to_vec(),
                    bound: dim,
                });
            }
        }
        Self { factors, groups }.bounded(node)
    }

    /// The map of a `Reshape`: axes are cut into the shortest groups of equal products.
    pub(crate) fn reshape(
        node: usize,
        operand: &Dims,
        result: &Dims,
        point: &[u32],
    ) -> Result<Self, PlanError> {
        let long = |&&dim: &&usize| dim > 1;
        let from: Vec<usize> = operand.0.iter().filter(long).copied().collect();
        let to: Vec<(usize, &[u32])> = result.split(point).filter(|(dim, _)| *dim > 1).collect();
        let mut groups = Vec::new();
        let (mut i, mut j) = (0, 0);
        while i < from.len() && j < to.len() {
            let (first, other) = (i, j);
            let (mut p, mut q) = (from[i], to[j].0);
            (i, j) = (i + 1, j + 1);
            while p != q {
                if p < q && i < from.len() {
                    p *= from[i];
                    i += 1;
                } else if q < p && j < to.len() {
                    q *= to[j].0;
                    j += 1;
                } else {
                    break;
                }
            }
            let (dims, cut) = (&from[first..i], &to[other..j]);
            let point = cut.iter().flat_map(|(_, axis)| *axis).copied().collect();
            let aligned = dims[1..].iter().all(|d| d.is_power_of_two())
                && cut[1..].iter().all(|(d, _)| d.is_power_of_two());
            let kind = if aligned || (dims.len() == 1 && cut.len() == 1) {
                GroupKind::Bound(point)
            } else {
                GroupKind::Relayout {
                    from: Dims(cut.iter().map(|c| c.0).collect()),
                    point,
                }
            };
            groups.push(Group {
                dims: Dims(dims.to_vec()),
                kind,
            });
        }
        Self {
            factors: Vec::new(),
            groups,
        }
        .bounded(node)
    }

    fn bounded(self, node: usize) -> Result<Self, PlanError> {
        let bounded = |dims: &Dims| dims.variables() <= MAX_MAP_VARIABLES;
        let fits = self.groups.iter().all(|g| match &g.kind {
            GroupKind::Bound(_) => true,
            GroupKind::Axis { from, .. } | GroupKind::Relayout { from, .. } => {
                bounded(from) && bounded(&g.dims)
            }
        });
        match fits {
            true => Ok(self),
            false => Err(PlanError::Map { node }),
        }
    }
}

/// The coordinates of an operand's axis, and result coordinates that must be 0, where the map of
/// that axis merely renames coordinates.
fn bind(dim: usize, map: &AxisMap, result: &[(usize, &[u32])]) -> Option<(Point, Point)> {
    let AxisMap::Affine { offset, terms } = map else {
        return None;
    };
    let offset = usize::try_from(*offset).ok()?;
    let variables = log2_ceil(dim);
    let bits = |index: usize, count: usize| {
        (0..count).map(move |i| {
            if (index >> (count - 1 - i)) & 1 == 1 {
                ONE
            } else {
                ZERO
            }
        })
    };
    match terms[..] {
        [] if offset < dim => Some((bits(offset, variables).collect(), Vec::new())),
        [(axis, 1)] => {
            let (read, point) = result[usize::from(axis)];
            if point.len() > variables {
                // Longer than the padded axis: 0 beyond it.
                let (high, low) = point.split_at(point.len() - variables);
                return (offset == 0).then(|| (low.to_vec(), high.to_vec()));
            }
            // An aligned block, beyond whose part that is read the operand is 0 anyway.
            let block = 1 << point.len();
            let whole = read == block || offset + read >= dim;
            if offset % block != 0 || offset >= 1 << variables || !whole {
                return None;
            }
            let high = bits(offset >> point.len(), variables - point.len());
            Some((high.chain(point.iter().copied()).collect(), Vec::new()))
        }
        _ => None,
    }
}

impl Index {
    /// The index read for every position of some axes, row-major; `None` outside the axis.
    pub(crate) fn reads<'a>(
        &'a self,
        from: &'a Dims,
        dim: usize,
    ) -> Box<dyn Iterator<Item = Option<usize>> + 'a> {
        let inside = move |index: i64| usize::try_from(index).ok().filter(|&i| i < dim);
        match self {
            Self::List(indices) => Box::new(indices.iter().map(move |&i| inside(i64::from(i)))),
            Self::Affine { offset, strides } => {
                Box::new((0..from.elements()).map(move |position| {
                    let mut rest = position;
                    let mut index = *offset;
                    for (&d, &stride) in from.0.iter().zip(strides).rev() {
                        index += (rest % d) as i64 * stride;
                        rest /= d;
                    }
                    inside(index)
                }))
            }
        }
    }
}
