//! Sums of holds with different scales, and the floors of what a `Softmax` reads.
//!
//! `Σ c_j x_j` needs one scale `S` with whole `M_j ≈ s_j·|c_j| / S`. Candidates are the terms' own
//! scales divided by whole numbers, so that at least one term is exact; the coarsest candidate
//! whose rounding of the other factors is below the tolerance wins, else the most accurate one
//! that stays in bounds.

use hallmark_graph::ValueId;

use super::{Compiler, Held};
use crate::CompileError;
use crate::float::FloatOp;

/// Results stay below this.
const MAX_SUM: f64 = (1u32 << 28) as f64;

/// A term that depends on the input.
struct Term {
    float: usize,
    held: Held,
    factor: f64,
    /// Calibrated magnitude.
    size: f64,
}

impl Compiler<'_> {
    pub(super) fn linear_combination(
        &mut self,
        result: usize,
        terms: &[(usize, f64)],
        offset: f64,
    ) -> Result<Held, CompileError> {
        let mut offset = offset;
        let mut constants: Vec<(usize, f64)> = Vec::new();
        let mut live: Vec<Term> = Vec::new();
        for &(float, factor) in terms.iter().filter(|(_, factor)| *factor != 0.0) {
            if self.observed.constants[float].is_some() {
                let elements = self.elements(float);
                match elements.first() {
                    Some(&first) if elements.iter().all(|&c| c == first) => {
                        let floor = self.floors[float].unwrap_or(f64::NEG_INFINITY);
                        offset += factor * f64::from(first).max(floor);
                    }
                    _ => constants.push((float, factor)),
                }
            } else if let Some(same) = live.iter_mut().find(|term| term.float == float) {
                same.factor += factor;
            } else {
                let held = self.operand(float)?;
                let size = self.observed.magnitude(float);
                live.push(Term {
                    float,
                    held,
                    factor,
                    size,
                });
            }
        }
        live.retain(|term| term.factor != 0.0);
        if let Some(floor) = self.floors[result] {
            self.soften(result, floor, &mut live, &mut offset);
        }
        if live.is_empty() {
            return self.zero_plus(result, &constants, offset);
        }
        if let [term] = &live[..]
            && constants.is_empty()
            && offset == 0.0
        {
            return self.scaled(term.held, term.factor, result);
        }
        if let Some(held) = self.whole(&live, &constants, offset)? {
            return Ok(held);
        }
        self.summed(result, live, &constants, offset)
    }

    /// The sum of two holds, of which `base` is the float value's.
    pub(super) fn joined(
        &mut self,
        result: usize,
        (base, from): (usize, Held),
        (other, factor): (Held, f64),
    ) -> Result<Held, CompileError> {
        let size = self
            .observed
            .magnitude(base)
            .max(self.observed.magnitude(result));
        let term = |held, factor| Term {
            float: base,
            held,
            factor,
            size,
        };
        let live = vec![term(from, 1.0), term(other, factor)];
        match self.whole(&live, &[], 0.0)? {
            Some(held) => Ok(held),
            None => self.summed(result, live, &[], 0.0),
        }
    }

    fn summed(
        &mut self,
        result: usize,
        mut live: Vec<Term>,
        constants: &[(usize, f64)],
        offset: f64,
    ) -> Result<Held, CompileError> {
        let magnitude = self.spread(result);
        for attempt in 0..2 {
            let (scale, error) = self.common_scale(result, &live, constants, offset);
            let tolerance = if self.options.bits == 16 { 2e-5 } else { 1e-3 };
            if error > tolerance * magnitude.max(f64::MIN_POSITIVE) && attempt == 0 {
                let mut narrowed = false;
                for term in live.iter_mut() {
                    if self.reach(term.held.value) > 32768.0
                        && self.held[term.float] == Some(term.held)
                    {
                        term.held = self.need(term.float, self.sum_levels())?;
                        narrowed = true;
                    }
                }
                if narrowed {
                    continue;
                }
            }
            return self.at_scale(&live, constants, offset, scale);
        }
        self.refuse("its terms differ too far in scale")
    }

    fn zero_plus(
        &mut self,
        result: usize,
        constants: &[(usize, f64)],
        offset: f64,
    ) -> Result<Held, CompileError> {
        let zero = self.zeros(result)?;
        let largest = constants
            .iter()
            .map(|&(float, factor)| factor.abs() * self.constant_magnitude(float))
            .sum::<f64>()
            + offset.abs();
        let scale = if largest > 0.0 {
            largest / 16383.0
        } else {
            1.0
        };
        let mut terms = vec![(zero.value, 1)];
        for &(float, factor) in constants {
            terms.push((
                self.rounded(float, scale / factor.abs())?,
                factor.signum() as i32,
            ));
        }
        let value = self.combine(&terms, (offset / scale).round() as i32)?;
        Ok(Held {
            value,
            scale,
            exact: false,
        })
    }

    /// The sum of whole numbers with whole factors.
    fn whole(
        &mut self,
        live: &[Term],
        constants: &[(usize, f64)],
        offset: f64,
    ) -> Result<Option<Held>, CompileError> {
        let whole = |x: f64| x.fract() == 0.0 && x.abs() < 16_000_000.0;
        let exact = live
            .iter()
            .all(|term| term.held.exact && whole(term.factor))
            && whole(offset)
            && constants.iter().all(|&(float, factor)| {
                whole(factor) && self.elements(float).iter().all(|&c| whole(f64::from(c)))
            });
        if !exact {
            return Ok(None);
        }
        let reach: f64 = live
            .iter()
            .map(|t| t.factor.abs() * self.reach(t.held.value))
            .sum::<f64>()
            + constants
                .iter()
                .map(|&(float, c)| c.abs() * self.constant_magnitude(float))
                .sum::<f64>()
            + offset.abs();
        if reach >= MAX_SUM {
            return Ok(None);
        }
        let mut terms: Vec<(ValueId, i32)> = live
            .iter()
            .map(|t| (t.held.value, t.factor as i32))
            .collect();
        for &(float, factor) in constants {
            terms.push((self.rounded(float, 1.0)?, factor as i32));
        }
        let value = self.combine(&terms, offset as i32)?;
        Ok(Some(Held {
            value,
            scale: 1.0,
            exact: true,
        }))
    }

    /// What a result's error counts against: how far its elements are apart.
    fn spread(&self, result: usize) -> f64 {
        let (lo, hi) = self.observed.interval[result];
        (hi - lo).max(1e-5 * self.observed.magnitude(result))
    }

    /// A scale for the sum, and the error that it costs.
    fn common_scale(
        &self,
        result: usize,
        live: &[Term],
        constants: &[(usize, f64)],
        offset: f64,
    ) -> (f64, f64) {
        let units: Vec<f64> = live.iter().map(|t| t.held.scale * t.factor.abs()).collect();
        let reaches: Vec<f64> = live.iter().map(|t| self.reach(t.held.value)).collect();
        let magnitudes: Vec<f64> = live.iter().map(|t| t.factor.abs() * t.size).collect();
        let fixed: f64 = offset.abs()
            + constants
                .iter()
                .map(|&(float, c)| c.abs() * self.constant_magnitude(float))
                .sum::<f64>();
        let tolerance = if self.options.bits == 16 {
            2f64.powi(-18)
        } else {
            2f64.powi(-12)
        };
        let own = self.spread(result);
        let largest = magnitudes.iter().copied().fold(own, f64::max);
        let allowed = tolerance
            * if own > 0.0 {
                own
            } else {
                largest.max(f64::MIN_POSITIVE)
            };
        let evaluate = |scale: f64| {
            let mut error = if fixed > 0.0 { 0.29 * scale } else { 0.0 };
            let mut reach = fixed / scale;
            for ((unit, r), magnitude) in units.iter().zip(&reaches).zip(&magnitudes) {
                let m = (unit / scale).round();
                error += (m * scale / unit - 1.0).abs() * magnitude;
                reach += m * r;
                if m >= 16_000_000.0 {
                    return None;
                }
            }
            let some = units.iter().any(|unit| (unit / scale).round() >= 1.0);
            (reach < MAX_SUM && some).then_some(error)
        };
        let finest = if self.options.bits == 16 { 512 } else { 64 };
        let finest = if units.len() > 8 { 16 } else { finest };
        let mut best = (f64::INFINITY, f64::INFINITY);
        let mut coarse: Option<f64> = None;
        for unit in &units {
            for part in (1..=finest).chain([128, 256, 512, 1024, 2048, 4096]) {
                let scale = unit / f64::from(part);
                let Some(error) = evaluate(scale) else {
                    continue;
                };
                if error <= allowed && coarse.is_none_or(|known| scale > known) {
                    coarse = Some(scale);
                }
                if error < best.1 {
                    best = (scale, error);
                }
            }
        }
        if let Some(scale) = coarse {
            return (scale, 0.0);
        }
        // Nothing finer fits: coarser by powers of two until it does.
        let base = units.iter().copied().fold(f64::INFINITY, f64::min);
        for power in 0..200 {
            let scale = base * 2f64.powi(power);
            if let Some(error) = evaluate(scale)
                && error < best.1
            {
                best = (scale, error);
            }
        }
        if !best.0.is_finite() {
            // Constants outweigh every term: their bound alone counts.
            let scale = (fixed / MAX_SUM * 2.0).max(base);
            return (scale, f64::INFINITY);
        }
        best
    }

    fn at_scale(
        &mut self,
        live: &[Term],
        constants: &[(usize, f64)],
        offset: f64,
        scale: f64,
    ) -> Result<Held, CompileError> {
        let mut terms: Vec<(ValueId, i32)> = Vec::new();
        for term in live {
            let m = (term.held.scale * term.factor / scale).round();
            if m != 0.0 {
                terms.push((term.held.value, m as i32));
            }
        }
        for &(float, factor) in constants {
            let value = self.rounded(float, scale / factor.abs())?;
            terms.push((value, factor.signum() as i32));
        }
        if terms.is_empty() {
            let first = live.first().map_or(0, |term| term.held.value);
            let zero = self.clamp(first, 14, 16, (0, 0))?;
            terms.push((zero, 1));
        }
        let value = self.combine(&terms, (offset / scale).round() as i32)?;
        Ok(Held {
            value,
            scale,
            exact: false,
        })
    }

    /// Finds what lies too far below a row's maximum for a `Softmax` to see: masks of attention.
    /// Such values may be anything below the floor.
    pub(super) fn find_floors(&mut self) {
        let graph = self.graph;
        let inputs = graph.inputs.len();
        let depth = self.softmax_depth();
        for (node, float) in graph.nodes.iter().enumerate().rev() {
            let own = inputs + node;
            match &float.op {
                FloatOp::Softmax { input } => {
                    let floor = self.observed.rows[own].0 - depth;
                    self.lower(*input, floor);
                }
                FloatOp::View { input, .. } | FloatOp::Reshape { input } => {
                    if let Some(floor) = self.floors[own] {
                        self.lower(*input, floor);
                    }
                }
                FloatOp::Combine { terms, offset } => {
                    let Some(floor) = self.floors[own] else {
                        continue;
                    };
                    let most = |(value, factor): (usize, f64)| {
                        let (lo, hi) = self.observed.interval[value];
                        (lo * factor).max(hi * factor).max(0.0)
                    };
                    let all: f64 =
                        terms.iter().map(|&term| most(term)).sum::<f64>() + offset.max(0.0);
                    let lowered: Vec<(usize, f64)> = terms
                        .iter()
                        .filter(|(_, factor)| *factor > 0.0)
                        .map(|&(value, factor)| {
                            (value, (floor - (all - most((value, factor)))) / factor)
                        })
                        .collect();
                    for (value, floor) in lowered {
                        self.lower(value, floor);
                    }
                }
                FloatOp::Mul { a, b } => {
                    let Some(floor) = self.floors[own] else {
                        continue;
                    };
                    for (mask, value) in [(*a, *b), (*b, *a)] {
                        let (lo, hi) = self.observed.interval[mask];
                        if lo >= 0.0 && hi <= 1.0 && self.observed.constants[value].is_some() {
                            self.lower(value, floor);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Gives a value a floor, if it has one reader and goes below it.
    fn lower(&mut self, value: usize, floor: f64) {
        let (lo, hi) = self.observed.interval[value];
        if self.readers[value].len() != 1 || self.is_output[value] || lo >= floor {
            return;
        }
        self.floors[value] = Some(floor);
        self.observed.interval[value] = (floor, hi.max(floor));
    }

    /// Factors and offsets of a mask that is far below the floor, such as `(mask - 1)·10^9`.
    fn soften(&self, result: usize, floor: f64, live: &mut [Term], offset: &mut f64) {
        let own = |term: &Term| term.factor.abs() * term.size;
        let (_, hi) = self.observed.interval[result];
        let sane = |size: f64| size <= 1e4;
        let span: f64 = live.iter().map(own).filter(|&size| sane(size)).sum();
        let depth = hi - floor + 2.0 * span + 1.0;
        for term in live.iter_mut() {
            let size = own(term);
            if !sane(size) && size > depth {
                term.factor *= depth / size;
            }
        }
        if offset.abs() > depth && !sane(offset.abs()) {
            *offset = depth.copysign(*offset);
        }
    }

    /// How far below a row's maximum an exponential still counts.
    pub(super) fn softmax_depth(&self) -> f64 {
        if self.options.bits == 16 { 16.0 } else { 11.0 }
    }
}
