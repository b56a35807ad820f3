//! Narrowing: fewer bits for a wide hold, with saturation at what calibration saw.
//!
//! One `Lookup` serves where the worst value is at most `2^15/levels` times the calibrated one.
//! Beyond that, a value `v` is first clamped by its limbs:
//!
//! ```text
//! h = Lookup(v, s, idle clamp)    l = v - 2^s·h    v' = 2^s·clamp(h) + l
//! ```
//!
//! `v' = v` where `h` is inside the clamp; elsewhere it is the clamp's end with at most half a step
//! of noise. The sign of `v` and its being 0 are kept.

use hallmark_graph::{Range, bounds};

use super::{Compiler, Held, NARROW_LEVELS, WIDE_LEVELS};
use crate::CompileError;
use crate::float::FloatOp;

/// Remainders of more bits take two columns of a proof, or three.
const LIMB_BITS: u8 = 15;
/// Elements that are fewer than the rows of most tables.
const FEW: usize = 1 << 11;
/// A second column is worth a tenth of the levels.
const SECOND_LIMB: f64 = 1.0;

/// Multiplier, shift and table bits of a narrowing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) multiplier: i32,
    pub(super) shift: u8,
    pub(super) bits: u8,
}

impl Plan {
    /// What one step of the quotient means.
    pub(super) fn scale(&self, from: f64) -> f64 {
        from * 2f64.powi(self.shift.into()) / f64::from(self.multiplier)
    }
}

/// `M/2^k <= ratio`, as close as the bounds allow at small cost; `None` where no table is wide
/// enough for values of magnitude `reach`.
pub(super) fn plan(
    reach: f64,
    ratio: f64,
    bits: std::ops::RangeInclusive<u8>,
    max_shift: u8,
) -> Option<Plan> {
    let mut best: Option<(f64, Plan)> = None;
    for shift in 0..=26u8 {
        let exact = (ratio * 2f64.powi(shift.into())).min(2f64.powi(shift.into()));
        let multiplier = (exact * (1.0 + 1e-9)).floor();
        if multiplier < 1.0 {
            continue;
        }
        if multiplier >= f64::from(hallmark_graph::MAX_MULTIPLIER)
            || reach * multiplier >= f64::from(hallmark_graph::MAX_MAGNITUDE)
        {
            break;
        }
        let magnitude = (reach * multiplier) as i32;
        let range = Range {
            lo: -magnitude,
            hi: magnitude,
        };
        // A long shift leaves a small window.
        let most = (hallmark_graph::MAX_WINDOW_BITS - shift).min(*bits.end());
        let mut fitting = (*bits.start()).min(most)..=most;
        let Some(bits) = fitting.find(|&bits| bounds::lookup_fits(range, shift, bits)) else {
            continue;
        };
        let loss = exact / multiplier - 1.0;
        let far = if shift > max_shift { 0.05 } else { 0.0 };
        let limbs = if shift > LIMB_BITS { SECOND_LIMB } else { 0.0 };
        let cost = loss.max(0.0) * 10.0 + 0.004 * f64::from(shift) + far + limbs;
        if best.is_none_or(|(least, _)| cost < least) {
            let plan = Plan {
                multiplier: multiplier as i32,
                shift,
                bits,
            };
            best = Some((cost, plan));
        }
    }
    best.map(|(_, plan)| plan)
}

impl Compiler<'_> {
    /// A hold of a float value with at most about `levels` levels. A change of shape is narrowed
    /// before it where that is no more work.
    pub(super) fn need(&mut self, value: usize, levels: u32) -> Result<Held, CompileError> {
        if self.observed.constants[value].is_some() {
            return self.constant_held(value, levels.into());
        }
        if let Some(&held) = self.narrowed.get(&(value, levels)) {
            return Ok(held);
        }
        let graph = self.graph;
        let elements = |value: usize| graph.shape(value).iter().product::<usize>();
        let node = value
            .checked_sub(graph.inputs.len())
            .map(|node| &graph.nodes[node].op);
        let held = match node {
            Some(FloatOp::View { input, axes }) if elements(*input) <= elements(value) => {
                let from = self.need(*input, levels)?;
                let dims = super::emit::dims(graph.shape(value));
                let moved = self.view(from.value, axes.clone(), dims)?;
                Held {
                    value: moved,
                    ..from
                }
            }
            Some(FloatOp::Reshape { input }) => {
                let from = self.need(*input, levels)?;
                let moved = self.reshape(from.value, super::emit::dims(graph.shape(value)))?;
                Held {
                    value: moved,
                    ..from
                }
            }
            _ => {
                let held = self.operand(value)?;
                self.narrow(held, self.observed.interval[value], levels, None)?
            }
        };
        self.narrowed.insert((value, levels), held);
        Ok(held)
    }

    /// Fewest levels that are taken instead of a clamp by limbs.
    fn least_levels(&self, levels: u32) -> f64 {
        match self.options.bits {
            16 if levels > 4000 => f64::from(levels),
            _ if levels > 2 * NARROW_LEVELS => 255.0,
            _ => f64::from(levels),
        }
    }

    /// Narrows a hold to the levels of an interval; `clip` clamps the real value in addition.
    pub(super) fn narrow(
        &mut self,
        mut held: Held,
        interval: (f64, f64),
        levels: u32,
        clip: Option<(f64, f64)>,
    ) -> Result<Held, CompileError> {
        let levels_wanted = f64::from(levels);
        let worst = self.reach(held.value) * held.scale;
        let mut largest = interval.0.abs().max(interval.1.abs());
        if largest <= 0.0 || !largest.is_finite() {
            largest = if worst > 0.0 { worst } else { 1.0 };
        }
        for _ in 0..8 {
            let range = self.range(held.value);
            let reach = self.reach(held.value);
            let ends = |scale: f64, levels: f64| {
                let (lo, hi) = clip.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
                let low = if interval.0 >= 0.0 && range.lo >= 0 {
                    0.0
                } else {
                    -levels
                };
                let high = if interval.1 <= 0.0 && range.hi <= 0 {
                    0.0
                } else {
                    levels
                };
                let lo = (lo / scale).round().clamp(low, high);
                let hi = (hi / scale).round().clamp(low, high);
                (lo as i32, hi as i32)
            };
            if reach <= levels_wanted {
                let (lo, hi) = ends(held.scale, levels_wanted);
                if range.lo >= lo && range.hi <= hi {
                    return Ok(held);
                }
            }
            let mut levels = levels_wanted;
            let mut ratio = held.scale * levels / largest;
            let most = f64::from(1 << 15) * 0.99;
            if ratio.min(1.0) * reach > most {
                let fewer = most / (reach * held.scale) * largest;
                let fewer = 2f64.powf((fewer + 1.0).log2().floor()) - 1.0;
                if fewer >= self.least_levels(levels as u32) {
                    levels = fewer;
                    ratio = held.scale * levels / largest;
                }
            }
            match plan(reach, ratio, 12..=16, self.options.max_shift) {
                Some(plan) => {
                    let scale = plan.scale(held.scale);
                    let value = self.combine(&[(held.value, plan.multiplier)], 0)?;
                    let half = (1i32 << (plan.bits - 1)) - 1;
                    let (lo, hi) = ends(scale, levels);
                    let (lo, hi) = (lo.clamp(-half - 1, half), hi.clamp(-half, half));
                    let value = self.clamp(value, plan.shift, plan.bits, (lo, hi))?;
                    let exact = held.exact && plan.shift == 0 && plan.multiplier == 1;
                    return Ok(Held {
                        value,
                        scale,
                        exact,
                    });
                }
                None => held = self.saturate(held, largest, 24.0)?,
            }
        }
        self.refuse("its values spread too far to be narrowed")
    }

    /// The value clamped near `±largest` by its limbs, at the same scale; the end is one of so many
    /// steps of the high limb at least.
    pub(super) fn saturate(
        &mut self,
        held: Held,
        largest: f64,
        steps: f64,
    ) -> Result<Held, CompileError> {
        let wanted = largest / held.scale;
        let (mut held, mut coarse) = (held, false);
        while let Some(narrower) = self.coarsely_saturated(held, wanted, steps)? {
            (held, coarse) = (narrower, true);
        }
        let range = self.range(held.value);
        // As few bits as leave the clamp's end some steps of the high limb, and something beyond it.
        let split = (8..=16u8).find_map(|bits| {
            let shift = (1..=22).find(|&s| bounds::lookup_fits(range, s, bits))?;
            let enough = bits == 16 && shift <= 14 || wanted >= steps * 2f64.powi(shift.into());
            let most = [range.lo, range.hi].map(|end| bounds::quotient(end, shift));
            let most = most.iter().flatten().map(|end| end.unsigned_abs()).max()?;
            let ends = (wanted / 2f64.powi(shift.into()) * 1.02).ceil() + 1.0;
            let coarse = 2f64.powf(ends.log2().ceil() - 3.0).max(1.0);
            let ends = ((ends / coarse).ceil() * coarse).clamp(1.0, 32767.0) as i32;
            (enough && ends.unsigned_abs() < most).then_some((bits, shift, ends))
        });
        let Some((window, shift, ends)) = split else {
            if coarse {
                return Ok(held);
            }
            return self.refuse("its values spread too far to be narrowed");
        };
        let step = 1i32 << shift;
        let half = 1 << (window - 1);
        let high = self.clamp(held.value, shift, window, (-half, half - 1))?;
        let low = self.combine(&[(held.value, 1), (high, -step)], 0)?;
        let bits = (8..=16)
            .find(|&bits| bounds::lookup_fits(self.range(high), 0, bits))
            .unwrap_or(16);
        let clamped = self.clamp(high, 0, bits, (-ends, ends))?;
        let value = self.combine(&[(clamped, step), (low, 1)], 0)?;
        Ok(Held {
            value,
            scale: held.scale,
            exact: held.exact,
        })
    }

    /// A few values that spread very far are clamped twice: the first clamp, of a high limb of 8
    /// bits, has its end a step or two beyond what is wanted. It spares the second one a table of
    /// more rows than there are elements.
    fn coarsely_saturated(
        &mut self,
        held: Held,
        wanted: f64,
        steps: f64,
    ) -> Result<Option<Held>, CompileError> {
        let range = self.range(held.value);
        let elements: usize = self.dims(held.value).iter().map(|&d| d as usize).product();
        let Some(shift) = (1..=20u8).find(|&s| bounds::lookup_fits(range, s, 8)) else {
            return Ok(None);
        };
        let step = 1i32 << shift;
        let ends = (wanted / f64::from(step) + 0.5).ceil().max(1.0);
        let narrower = 4.0 * (ends + 0.5) * f64::from(step) <= f64::from(range.magnitude());
        if elements > FEW || wanted >= steps * f64::from(step) || !narrower {
            return Ok(None);
        }
        let ends = ends as i32;
        let high = self.shift(held.value, shift)?;
        let clamped = self.clamp(high, 0, 8, (-ends, ends))?;
        let value = self.combine(&[(clamped, step), (held.value, 1), (high, -step)], 0)?;
        Ok(Some(Held { value, ..held }))
    }

    /// Nearest multiples of a coarser scale.
    pub(super) fn coarsened(&mut self, held: Held, scale: f64) -> Result<Held, CompileError> {
        let ratio = (scale / held.scale).log2().round().clamp(0.0, 28.0) as u8;
        if ratio == 0 {
            return Ok(Held { scale, ..held });
        }
        let value = self.shift(held.value, ratio)?;
        Ok(Held {
            value,
            scale,
            exact: false,
        })
    }

    /// Levels of an operand of a sum or a difference that must be narrow.
    pub(super) fn sum_levels(&self) -> u32 {
        WIDE_LEVELS
    }
}
