//! Functions as explicit tables, correctly rounded in `f64`.
//!
//! A table's index is a narrowed value, so a function is sampled where the calibrated interval has
//! at least a wanted number of steps. A function with a pole (a reciprocal, a logarithm) needs
//! steps that are small beside its smallest argument. Lines need fewer steps than points do:
//!
//! ```text
//! h = v >> k     l = v - 2^k·h     y = T_0[h] + T_1[h]·l
//! ```
//!
//! Where one table of 16 bits is too coarse even so, two segments of different step share the work:
//!
//! ```text
//! u = v >> k     h = u >> 6     small = |h| <= 120
//! y = T_coarse[h] + T_fine[small·(u + offset)]
//! ```
//!
//! where `T_coarse` is 0 on small `h` and `T_fine` is 0 at 0.

use hallmark_graph::{Range, ValueId, bounds};

use super::narrow::plan;
use super::{Compiler, Held, MIDDLE_LEVELS};
use crate::CompileError;

/// What a table gives: `round(f(x)/scale)` inside `[lo, hi]`.
pub(super) struct Entries<'a> {
    pub(super) function: &'a dyn Fn(f64) -> f64,
    pub(super) scale: f64,
    pub(super) lo: i32,
    pub(super) hi: i32,
}

impl Entries<'_> {
    /// The entry at a real argument; what is no number becomes what the nearest number gives.
    fn at(&self, x: f64, step: f64) -> i32 {
        let mut y = (self.function)(x);
        if y.is_nan() {
            let towards = (1..64).map(|exponent| 2f64.powi(exponent - 20) * step);
            y = towards
                .flat_map(|away| [x + away, x - away])
                .map(|x| (self.function)(x))
                .find(|y| !y.is_nan())
                .unwrap_or(0.0);
        }
        let (lo, hi) = (f64::from(self.lo), f64::from(self.hi));
        (y / self.scale).round().clamp(lo, hi) as i32
    }

    fn all(&self, bits: u8, step: f64) -> Vec<i32> {
        let half = 1i32 << (bits - 1);
        let mut entries: Vec<i32> = Vec::with_capacity(1 << bits);
        let numbers: Vec<f64> = (-half..half)
            .map(|u| (self.function)(f64::from(u) * step))
            .collect();
        // The nearest number on either side serves where there is none.
        let mut after: Vec<f64> = numbers.clone();
        for index in (0..after.len().saturating_sub(1)).rev() {
            if after[index].is_nan() {
                after[index] = after[index + 1];
            }
        }
        let mut before = f64::NAN;
        let (lo, hi) = (f64::from(self.lo), f64::from(self.hi));
        for (number, after) in numbers.into_iter().zip(after) {
            let y = if !number.is_nan() {
                number
            } else if !after.is_nan() {
                after
            } else if !before.is_nan() {
                before
            } else {
                0.0
            };
            if !number.is_nan() {
                before = number;
            }
            entries.push((y / self.scale).round().clamp(lo, hi) as i32);
        }
        entries
    }
}

/// A table of straight lines.
#[derive(Clone, Copy)]
struct Lines {
    /// Bits of the index.
    bits: u8,
    /// Bits of the argument below the index.
    long: u8,
    /// Those of them that are kept for the place on the line.
    fraction: u8,
}

/// Whether a function bends little between three points.
fn near_line(from: f64, at: f64, to: f64) -> bool {
    ((from + to) / 2.0 - at).abs() <= 0.02 * (1.0 + at.abs())
}

/// Results of interpolation stay below this.
const MAX_SUM: f64 = (1u32 << 28) as f64;

impl Compiler<'_> {
    /// Steps of an index inside the calibrated magnitude.
    pub(super) fn index_levels(&self) -> f64 {
        if self.options.bits == 16 {
            8000.0
        } else {
            400.0
        }
    }

    fn filled(
        &mut self,
        value: ValueId,
        shift: u8,
        entries: Vec<i32>,
    ) -> Result<ValueId, CompileError> {
        let result =
            self.builder
                .lookup(value, shift, hallmark_graph::TableSpec::Explicit(entries));
        self.checked(result)
    }

    /// `f` of a hold whose real values are calibrated to a magnitude.
    pub(super) fn tabulate(
        &mut self,
        held: Held,
        largest: f64,
        steps: f64,
        entries: &Entries<'_>,
    ) -> Result<ValueId, CompileError> {
        let reach = self.reach(held.value);
        let range = self.range(held.value);
        // Narrow already: every integer has its entry.
        let direct = if self.options.bits == 16 || held.exact {
            16
        } else {
            12
        };
        if let Some(bits) = (4..=direct).find(|&bits| bounds::lookup_fits(range, 0, bits)) {
            return self.filled(held.value, 0, entries.all(bits, held.scale));
        }
        let largest = if largest > 0.0 {
            largest
        } else {
            reach * held.scale
        };
        let elements: usize = self.dims(held.value).iter().map(|&d| d as usize).product();
        let ratio = held.scale * steps / largest;
        let wide = self.options.bits == 16 || elements >= 1 << 14;
        let most = if wide { 16 } else { 13 };
        if let Some(plan) = plan(reach, ratio, 10..=most, self.options.max_shift) {
            let value = self.combine(&[(held.value, plan.multiplier)], 0)?;
            // The fewest bits leave room: a finer index costs nothing more.
            return self.filled(
                value,
                plan.shift,
                entries.all(plan.bits, plan.scale(held.scale)),
            );
        }
        let levels = if self.options.bits == 16 {
            super::WIDE_LEVELS
        } else {
            MIDDLE_LEVELS / 2
        };
        let narrow = self.narrow(held, (-largest, largest), levels, None)?;
        let range = self.range(narrow.value);
        let bits = (4..=16)
            .find(|&bits| bounds::lookup_fits(range, 0, bits))
            .unwrap_or(16);
        self.filled(narrow.value, 0, entries.all(bits, narrow.scale))
    }

    /// `f` with a pole at 0 of a hold whose magnitudes lie in `[least, largest]`.
    pub(super) fn tabulate_steep(
        &mut self,
        held: Held,
        (least, largest): (f64, f64),
        entries: &Entries<'_>,
    ) -> Result<ValueId, CompileError> {
        let largest = largest.max(least);
        let mut held = held;
        // What lies far above calibration says nothing new; a clamp by limbs costs what it saves in
        // rows of tables where elements are few.
        let elements: usize = self.dims(held.value).iter().map(|&d| d as usize).product();
        let far = if elements < 1 << 12 { 8.0 } else { 64.0 };
        if self.reach(held.value) * held.scale > far * largest && self.reach(held.value) > 65536.0 {
            held = self.saturate(held, largest * 3.0, 6.0)?;
        }
        let range = self.range(held.value);
        if bounds::lookup_fits(range, 0, 12) {
            return self.filled(held.value, 0, entries.all(12, held.scale));
        }
        if let Some(lines) = self.lines(range, least / held.scale) {
            return self.interpolated(held, lines, entries);
        }
        if bounds::lookup_fits(range, 0, 16) {
            return self.filled(held.value, 0, entries.all(16, held.scale));
        }
        self.segments(held, range, entries)
    }

    /// The smallest table of lines that are short beside the smallest argument, in steps of the
    /// argument.
    fn lines(&self, range: Range, least: f64) -> Option<Lines> {
        let (pieces, fraction) = match self.options.bits {
            16 => (160.0, 8),
            _ => (10.0, 6),
        };
        (7..=16u8).find_map(|bits| {
            let fits = |long: u8| {
                let kept = long.min(fraction);
                let end = |v: i32| bounds::quotient(v, long - kept);
                let rounded = end(range.lo).zip(end(range.hi));
                bounds::lookup_fits(range, long, bits)
                    && rounded
                        .is_some_and(|(lo, hi)| bounds::lookup_fits(Range { lo, hi }, kept, bits))
            };
            let long = (1..=30 - bits).find(|&long| fits(long))?;
            let enough = least / 2f64.powi(long.into()) >= pieces;
            enough.then_some(Lines {
                bits,
                long,
                fraction: long.min(fraction),
            })
        })
    }

    /// `T_0[h] + T_1[h]·l`: a straight line for every step of `h`, `v = 2^k·h + l`. The error is
    /// that of the second derivative over half a step, `(1/(2·pieces))²` of a reciprocal.
    fn interpolated(
        &mut self,
        held: Held,
        lines: Lines,
        entries: &Entries<'_>,
    ) -> Result<ValueId, CompileError> {
        let Lines {
            bits,
            long,
            fraction,
        } = lines;
        let u = self.shift(held.value, long - fraction)?;
        let unit = held.scale * 2f64.powi((long - fraction).into());
        let half = 1i32 << (bits - 1);
        let h = self.clamp(u, fraction, bits, (-half, half - 1))?;
        let l = self.combine(&[(u, 1), (h, -(1 << fraction))], 0)?;
        // Slopes are small: both tables are finer by some bits, which a shift takes away.
        let most = f64::from(entries.hi.max(-entries.lo)).max(1.0);
        let spare = (MAX_SUM / most)
            .log2()
            .floor()
            .clamp(0.0, f64::from(fraction)) as u8;
        let fine = 2f64.powi(spare.into());
        let step = unit * 2f64.powi(fraction.into());
        let ends = |h: i32| {
            let (from, to) = (f64::from(h) - 0.5, f64::from(h) + 0.5);
            let at = |x: f64| {
                let y = (entries.function)(x * step) / entries.scale;
                let (lo, hi) = (f64::from(entries.lo), f64::from(entries.hi));
                (y.is_finite()).then_some(y.clamp(lo, hi))
            };
            Some((at(from)?, at(f64::from(h))?, at(to)?))
        };
        let level: Vec<i32> = entries.all(bits, step);
        let mut levels = Vec::with_capacity(level.len());
        let mut slopes = Vec::with_capacity(level.len());
        for (h, &y) in (-half..half).zip(&level) {
            // Beside a pole, and where the entries saturate, a line would lead away.
            match ends(h) {
                Some((from, at, to)) if near_line(from, at, to) => {
                    // The line lies between chord and tangent: a quarter of the arrow each way.
                    let arrow = (from + to) / 2.0 - at;
                    levels.push(((at + arrow / 2.0) * fine).round() as i32);
                    let slope = (to - from) / 2f64.powi(fraction.into());
                    slopes.push((slope * fine).round() as i32);
                }
                _ => {
                    levels.push((f64::from(y) * fine) as i32);
                    slopes.push(0);
                }
            }
        }
        let level = self.filled(h, 0, levels)?;
        let slope = self.filled(h, 0, slopes)?;
        let rise = self.mul(slope, l)?;
        let y = self.combine(&[(level, 1), (rise, 1)], 0)?;
        self.shift(y, spare)
    }

    fn segments(
        &mut self,
        held: Held,
        range: Range,
        entries: &Entries<'_>,
    ) -> Result<ValueId, CompileError> {
        let fitting = (0..=14u8).find(|&shift| bounds::lookup_fits(range, shift, 16));
        let Some(coarse) = fitting else {
            return self.refuse("its argument is too large for a table");
        };
        let shift = coarse.saturating_sub(if self.options.bits == 16 { 5 } else { 6 });
        let u = self.shift(held.value, shift)?;
        let step = held.scale * 2f64.powi(shift.into());
        let below = coarse - shift;
        let idle = (-(1 << 15), (1 << 15) - 1);
        let high = self.clamp(u, below, 16, idle)?;
        let most_small = 7_680 >> below;
        let small = |h: i32| h.abs() <= most_small;
        let chosen = self.explicit(high, 0, 16, |h| i32::from(small(h)))?;
        let coarse_step = step * 2f64.powi(below.into());
        let coarse = self.explicit(high, 0, 16, |h| {
            if small(h) {
                0
            } else {
                entries.at(f64::from(h) * coarse_step, coarse_step)
            }
        })?;
        let offset = 7_800;
        let moved = self.combine(&[(u, 1)], offset)?;
        let index = self.bounded_product(moved, chosen)?;
        let fine = self.explicit(index, 0, 16, |index| {
            if index <= 0 {
                0
            } else {
                entries.at(f64::from(index - offset) * step, step)
            }
        })?;
        self.combine(&[(coarse, 1), (fine, 1)], 0)
    }

    /// The product by an indicator that is 1 only where the value is in a table's window; the clamp
    /// tells the bounds so.
    fn bounded_product(
        &mut self,
        value: ValueId,
        indicator: ValueId,
    ) -> Result<ValueId, CompileError> {
        let product = self.mul(value, indicator)?;
        let range = self.range(product);
        if bounds::lookup_fits(range, 0, 16) {
            return Ok(product);
        }
        // Two limbs: the high one is clamped, which never bites.
        let held = Held {
            value: product,
            scale: 1.0,
            exact: false,
        };
        let held = self.saturate(held, 15_600.0, 24.0)?;
        Ok(held.value)
    }
}
