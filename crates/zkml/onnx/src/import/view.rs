//! Arithmetic of views: what reads what.

use hallmark_graph::AxisMap;

/// Reads one axis of the result, or the one position of an axis of length 1.
pub(super) fn straight(axis: usize) -> AxisMap {
    strided(0, axis, 1)
}

pub(super) fn strided(offset: i32, axis: usize, stride: i32) -> AxisMap {
    AxisMap::Affine {
        offset,
        terms: vec![(axis as u8, stride)],
    }
}

/// Always the same position.
pub(super) fn fixed(offset: i32) -> AxisMap {
    AxisMap::Affine {
        offset,
        terms: vec![],
    }
}

/// A list, as an affine map where it is one.
pub(super) fn list(axis: usize, indices: Vec<i32>) -> AxisMap {
    let first = indices.first().copied().unwrap_or(0);
    let stride = indices
        .get(1)
        .map_or(0, |second| second.wrapping_sub(first));
    let straight = stride != 0
        && indices.iter().enumerate().all(|(i, &v)| {
            v >= 0 && i64::from(first) + i64::from(stride) * i as i64 == i64::from(v)
        });
    if straight {
        strided(first, axis, stride)
    } else if first >= 0 && indices.iter().all(|&v| v == first) {
        fixed(first)
    } else {
        AxisMap::List {
            axis: axis as u8,
            indices,
        }
    }
}

pub(super) fn is_identity(axes: &[AxisMap], shape: &[usize]) -> bool {
    axes.iter().enumerate().all(|(axis, map)| {
        *map == straight(axis) || shape.get(axis) == Some(&1) && *map == fixed(0)
    })
}

/// Smallest and largest index that a map reads.
fn extremes(map: &AxisMap, shape: &[usize]) -> (i64, i64) {
    match map {
        AxisMap::Affine { offset, terms } => terms.iter().fold(
            (i64::from(*offset), i64::from(*offset)),
            |(lo, hi), &(axis, stride)| {
                let span = i64::from(stride) * (shape[usize::from(axis)] as i64 - 1);
                (lo + span.min(0), hi + span.max(0))
            },
        ),
        AxisMap::List { indices, .. } => indices.iter().fold((0, 0), |(lo, hi), &v| {
            (lo.min(i64::from(v)), hi.max(i64::from(v)))
        }),
    }
}

/// Whether a view from `from` to `shape` never reads outside.
pub(super) fn is_inside(axes: &[AxisMap], from: &[usize], shape: &[usize]) -> bool {
    axes.iter().zip(from).all(|(map, &dim)| {
        let (lo, hi) = extremes(map, shape);
        lo >= 0 && hi < dim as i64
    })
}

/// Whether a view only orders the axes anew; axes of length 1 come and go.
pub(super) fn is_permutation(axes: &[AxisMap], from: &[usize], shape: &[usize]) -> bool {
    let mut named = vec![false; shape.len()];
    for (map, &dim) in axes.iter().zip(from) {
        match map {
            AxisMap::Affine { offset: 0, terms } => match terms[..] {
                [] if dim == 1 => {}
                [(axis, 1)] if shape[usize::from(axis)] == dim => {
                    named[usize::from(axis)] = true;
                }
                _ => return false,
            },
            _ => return false,
        }
    }
    named
        .iter()
        .zip(shape)
        .all(|(&named, &dim)| named || dim == 1)
}

/// The view that undoes a permutation to `rank` axes.
pub(super) fn inverse(axes: &[AxisMap], rank: usize) -> Vec<AxisMap> {
    let mut back = vec![fixed(0); rank];
    for (axis, map) in axes.iter().enumerate() {
        if let AxisMap::Affine { terms, .. } = map
            && let Some(&(to, _)) = terms.first()
        {
            back[usize::from(to)] = straight(axis);
        }
    }
    back
}

/// The maps of `second` after `first`; the shapes are those before, between and after them.
/// `None` when no single view says it.
pub(super) fn compose(
    first: &[AxisMap],
    second: &[AxisMap],
    (source, middle, shape): (&[usize], &[usize], &[usize]),
) -> Option<Vec<AxisMap>> {
    if !is_inside(second, middle, shape) {
        return None;
    }
    first
        .iter()
        .zip(source)
        .map(|(map, &dim)| match map {
            AxisMap::Affine { offset, terms } => affine_after(*offset, terms, second, dim),
            AxisMap::List { axis, indices } => match &second[usize::from(*axis)] {
                AxisMap::Affine { offset, terms } => match terms[..] {
                    [] => {
                        let index = *indices.get(usize::try_from(*offset).ok()?)?;
                        Some(fixed(index))
                    }
                    [(to, stride)] => {
                        let entries = 0..shape[usize::from(to)];
                        let indices = entries.map(|at| {
                            let at = i64::from(*offset) + i64::from(stride) * at as i64;
                            indices.get(usize::try_from(at).ok()?).copied()
                        });
                        Some(list(usize::from(to), indices.collect::<Option<_>>()?))
                    }
                    _ => None,
                },
                AxisMap::List {
                    axis: to,
                    indices: outer,
                } => {
                    let indices = outer
                        .iter()
                        .map(|&at| indices.get(usize::try_from(at).ok()?).copied());
                    Some(list(usize::from(*to), indices.collect::<Option<_>>()?))
                }
            },
        })
        .collect()
}

fn affine_after(
    offset: i32,
    terms: &[(u8, i32)],
    second: &[AxisMap],
    dim: usize,
) -> Option<AxisMap> {
    if let [(axis, stride)] = terms
        && let AxisMap::List { axis: to, indices } = &second[usize::from(*axis)]
    {
        let indices = indices
            .iter()
            .map(|&at| offset.checked_add(stride.checked_mul(at)?))
            .map(|at| at.map(|at| if at < 0 || at as usize >= dim { -1 } else { at }));
        return Some(list(usize::from(*to), indices.collect::<Option<_>>()?));
    }
    let mut sum = offset;
    let mut all = Vec::new();
    for &(axis, stride) in terms {
        match &second[usize::from(axis)] {
            AxisMap::Affine { offset, terms } => {
                sum = sum.checked_add(stride.checked_mul(*offset)?)?;
                for &(to, inner) in terms {
                    all.push((to, stride.checked_mul(inner)?));
                }
            }
            AxisMap::List { .. } => return None,
        }
    }
    all.sort_unstable();
    Some(AxisMap::Affine {
        offset: sum,
        terms: all,
    })
}
