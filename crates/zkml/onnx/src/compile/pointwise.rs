//! Pointwise functions, comparisons, maxima of two and quotients.

use hallmark_graph::{AxisMap, ValueId, bounds};

use super::table::Entries;
use super::{Compiler, Held, MIDDLE_LEVELS, WIDE_LEVELS};
use crate::CompileError;
use crate::float::{Binary, FloatOp, Function};

/// Products stay below this.
const MAX_SUM: f64 = (1u32 << 28) as f64;

impl Compiler<'_> {
    pub(super) fn unary(
        &mut self,
        result: usize,
        input: usize,
        function: &Function,
    ) -> Result<Held, CompileError> {
        let held = self.operand(input)?;
        match *function {
            Function::Relu => return self.clipped(result, held, (0.0, f64::INFINITY)),
            Function::Clip { lo, hi } => return self.clipped(result, held, (lo, hi)),
            Function::Floor | Function::Ceil | Function::Round | Function::Trunc if held.exact => {
                return Ok(held);
            }
            Function::Floor | Function::Ceil | Function::Round | Function::Trunc => {
                let magnitude = self.observed.magnitude(input);
                let limit = (magnitude * 2.0 + 2.0).min(1e8) as i32;
                // A product by the scale may miss a whole number or a half by its last bit.
                let snapped = |x: f64| {
                    let near = (2.0 * x).round() / 2.0;
                    let same = (x - near).abs() <= 1e-9 * (1.0 + x.abs());
                    function.eval(if same { near } else { x })
                };
                let entries = Entries {
                    function: &snapped,
                    scale: 1.0,
                    lo: -limit,
                    hi: limit,
                };
                let value = self.tabulate_finely(held, magnitude, &entries)?;
                return Ok(Held {
                    value,
                    scale: 1.0,
                    exact: true,
                });
            }
            Function::Sign => return self.step(held, |d| d.signum()),
            Function::IsPositive => return self.step(held, |d| i32::from(d > 0)),
            Function::IsZero => return self.step(held, |d| i32::from(d == 0)),
            Function::Mod { modulus } if held.exact && modulus.fract() == 0.0 && modulus != 0.0 => {
                return self.modulo(held, modulus);
            }
            _ => {}
        }
        let (lo, hi) = self.observed.interval[result];
        let whole = held.exact && {
            let range = self.range(held.value);
            i64::from(range.hi) - i64::from(range.lo) < 1 << 16
                && (range.lo..=range.hi).all(|x| {
                    let y = function.eval(f64::from(x));
                    y.fract() == 0.0 && y.abs() < 1e6
                })
        };
        let levels = match self.levels(result) {
            // The entries of a table cost nothing.
            MIDDLE_LEVELS => 4095.0,
            levels => f64::from(levels),
        };
        let largest = lo.abs().max(hi.abs());
        let scale = match whole {
            true => 1.0,
            false if largest > 0.0 => largest * self.headroom(result) / levels,
            false => 1.0 / levels,
        };
        let cap = if whole { 1_000_000 } else { levels as i32 };
        let entries = Entries {
            function: &|x| function.eval(x),
            scale,
            lo: -cap,
            hi: cap,
        };
        let (least, most) = (self.observed.least[input], self.observed.magnitude(input));
        let steep = match *function {
            Function::Reciprocal | Function::Log | Function::Rsqrt | Function::Sqrt => true,
            Function::Pow { exponent } => exponent < 1.0,
            _ => false,
        };
        let value = if steep && least.is_finite() {
            self.tabulate_steep(held, (least, most), &entries)?
        } else {
            let steps = self.index_levels();
            self.tabulate(held, most, steps, &entries)?
        };
        Ok(Held {
            value,
            scale,
            exact: whole,
        })
    }

    /// Room above calibration for a value that is an output.
    pub(super) fn headroom(&self, value: usize) -> f64 {
        if self.is_output[value] { 1.25 } else { 1.0 }
    }

    /// A table of 16 bits, as fine as it gets.
    fn tabulate_finely(
        &mut self,
        held: Held,
        largest: f64,
        entries: &Entries<'_>,
    ) -> Result<ValueId, CompileError> {
        let reach = self.reach(held.value);
        let mut steps = 16_000.0;
        let largest = if largest > 0.0 {
            largest
        } else {
            reach * held.scale
        };
        while steps > 500.0 && reach * held.scale * steps / largest > 32_000.0 {
            steps /= 2.0;
        }
        self.tabulate(held, largest, steps, entries)
    }

    fn clipped(
        &mut self,
        result: usize,
        held: Held,
        clip: (f64, f64),
    ) -> Result<Held, CompileError> {
        let range = self.range(held.value);
        let (lo, hi) = (
            f64::from(range.lo) * held.scale,
            f64::from(range.hi) * held.scale,
        );
        if lo >= clip.0 && hi <= clip.1 {
            return Ok(held);
        }
        let interval = self.observed.interval[result];
        let room = self.headroom(result);
        let interval = (interval.0 * room, interval.1 * room);
        let levels = self.levels(result);
        if held.exact && self.reach(held.value) <= 32_000.0 {
            let end = |x: f64| x.clamp(-32_768.0, 32_767.0) as i32;
            let whole = |x: f64| x.is_infinite() || x.fract() == 0.0;
            if whole(clip.0) && whole(clip.1) {
                let bits = self.window(held.value);
                let half = 1i32 << (bits - 1);
                let ends = (end(clip.0).max(-half), end(clip.1).min(half - 1));
                let value = self.clamp(held.value, 0, bits, ends)?;
                return Ok(Held { value, ..held });
            }
        }
        // The clamp is what narrows: its end may lie beyond what calibration saw.
        self.narrow(held, interval, levels, Some(clip))
    }

    /// Bits of the smallest usual window of a shift by 0.
    pub(super) fn window(&self, value: ValueId) -> u8 {
        let range = self.range(value);
        (12..=16)
            .find(|&bits| bounds::lookup_fits(range, 0, bits))
            .unwrap_or(16)
    }

    /// A function of the sign of `d`, exact for integers of any width.
    pub(super) fn step(
        &mut self,
        held: Held,
        function: impl Fn(i32) -> i32,
    ) -> Result<Held, CompileError> {
        let mut held = held;
        for _ in 0..4 {
            if bounds::lookup_fits(self.range(held.value), 0, 16) {
                break;
            }
            held = self.saturate(held, held.scale, 24.0)?;
        }
        let bits = self.window(held.value);
        let value = self.explicit(held.value, 0, bits, |d| function(d.signum()))?;
        Ok(Held {
            value,
            scale: 1.0,
            exact: true,
        })
    }

    /// The remainder of whole numbers, by limbs where they are wide.
    fn modulo(&mut self, held: Held, modulus: f64) -> Result<Held, CompileError> {
        let rest = |x: f64| (x - modulus * (x / modulus).floor()) as i32;
        let range = self.range(held.value);
        let value = if bounds::lookup_fits(range, 0, 16) {
            let bits = self.window(held.value);
            self.explicit(held.value, 0, bits, |x| rest(f64::from(x)))?
        } else {
            let shift = 14;
            let high = self.clamp(held.value, shift, 16, (-(1 << 15), (1 << 15) - 1))?;
            let low = self.combine(&[(held.value, 1), (high, -(1 << shift))], 0)?;
            let high = self.explicit(high, 0, 16, |h| rest(f64::from(h) * 16_384.0))?;
            let low = self.explicit(low, 0, 16, |l| rest(f64::from(l)))?;
            let sum = self.combine(&[(high, 1), (low, 1)], 0)?;
            if !bounds::lookup_fits(self.range(sum), 0, 16) {
                return self.refuse("its modulus is too large");
            }
            self.explicit(sum, 0, 16, |x| rest(f64::from(x)))?
        };
        Ok(Held {
            value,
            scale: 1.0,
            exact: true,
        })
    }

    pub(super) fn binary(
        &mut self,
        result: usize,
        (a, b): (usize, usize),
        op: Binary,
    ) -> Result<Held, CompileError> {
        let difference = match op {
            Binary::Min => [(b, 1.0), (a, -1.0)],
            _ => [(a, 1.0), (b, -1.0)],
        };
        if a == b {
            return match op {
                Binary::Max | Binary::Min => self.operand(a),
                Binary::Less => self.zeros(result),
                Binary::LessOrEqual | Binary::Equal => {
                    let zero = self.zeros(result)?;
                    let value = self.combine(&[(zero.value, 1)], 1)?;
                    Ok(Held { value, ..zero })
                }
            };
        }
        let d = self.difference(result, &difference)?;
        let held = match op {
            Binary::Less => return self.step(d, |d| i32::from(d < 0)),
            Binary::LessOrEqual => return self.step(d, |d| i32::from(d <= 0)),
            Binary::Equal => return self.step(d, |d| i32::from(d == 0)),
            Binary::Max | Binary::Min => d,
        };
        // max(a, b) = b + relu(a - b), min(a, b) = b - relu(b - a); what is added has the scale of
        // the difference, so that b is rounded to it once.
        let (base, sign) = match op {
            Binary::Min => (b, -1.0),
            _ => (b, 1.0),
        };
        let size = self.observed.magnitude(a).max(self.observed.magnitude(b)) * 2.0;
        let positive = if bounds::lookup_fits(self.range(held.value), 0, 16) {
            let bits = self.window(held.value);
            let value = self.clamp(held.value, 0, bits, (0, (1 << (bits - 1)) - 1))?;
            Held { value, ..held }
        } else {
            let levels = if self.options.bits == 16 {
                WIDE_LEVELS
            } else {
                MIDDLE_LEVELS
            };
            self.narrow(held, (0.0, size), levels, Some((0.0, f64::INFINITY)))?
        };
        let from = match self.held[base] {
            Some(from) => from,
            None => {
                let value = self.rounded(base, held.scale)?;
                let exact = held.exact;
                Held {
                    value,
                    scale: held.scale,
                    exact,
                }
            }
        };
        self.joined(result, (base, from), (positive, sign))
    }

    /// `a - b` at one scale; the fractions of a constant are kept.
    fn difference(
        &mut self,
        result: usize,
        terms: &[(usize, f64); 2],
    ) -> Result<Held, CompileError> {
        let exact = terms.iter().all(|&(value, _)| match self.held[value] {
            Some(held) => held.exact,
            None => self.elements(value).iter().all(|x| x.fract() == 0.0),
        });
        if !exact {
            // A whole number against a fraction: a fine common grid keeps the order.
            let saved = self.observed.interval[result];
            let sizes = terms
                .iter()
                .map(|&(value, _)| self.observed.magnitude(value));
            let size = sizes.fold(0.0, f64::max);
            self.observed.interval[result] = (-size, size);
            let held = self.linear_combination(result, terms, 0.0);
            self.observed.interval[result] = saved;
            return held;
        }
        self.linear_combination(result, terms, 0.0)
    }

    /// `a/b` as `a·(1/b)`.
    pub(super) fn quotient(&mut self, (a, b): (usize, usize)) -> Result<Held, CompileError> {
        let least = self.observed.least[b];
        if !least.is_finite() {
            return self.refuse("its divisor is 0 throughout");
        }
        // A divisor that is repeated is inverted once.
        let (origin, path) = self.origin(b);
        let held = self.operand(origin)?;
        let levels = if self.options.bits == 16 {
            WIDE_LEVELS
        } else {
            MIDDLE_LEVELS
        };
        let x = self.need(a, levels)?;
        let most = (MAX_SUM * 0.98 / self.reach(x.value).max(1.0))
            .min(1e8)
            .floor();
        // Calibration's smallest divisor may be halved before the reciprocal saturates.
        let scale = 2.0 / least / most;
        let entries = Entries {
            function: &|b| 1.0 / b,
            scale,
            lo: -(most as i32),
            hi: most as i32,
        };
        let largest = self.observed.magnitude(b);
        let mut reciprocal = self.tabulate_steep(held, (least, largest), &entries)?;
        for value in path {
            let dims = super::emit::dims(self.graph.shape(value));
            reciprocal = match &self.graph.nodes[value - self.graph.inputs.len()].op {
                FloatOp::View { axes, .. } => self.view(reciprocal, axes.clone(), dims)?,
                _ => self.reshape(reciprocal, dims)?,
            };
        }
        if self.reach(reciprocal) * self.reach(x.value) >= 2.0 * MAX_SUM {
            return self.refuse("its quotients are too large");
        }
        let value = self.mul(x.value, reciprocal)?;
        Ok(Held {
            value,
            scale: x.scale * scale,
            exact: false,
        })
    }

    /// The value that a chain of repetitions and changes of shape starts from, and the chain.
    fn origin(&self, mut value: usize) -> (usize, Vec<usize>) {
        let mut path = Vec::new();
        while let Some(node) = value.checked_sub(self.graph.inputs.len()) {
            let input = match &self.graph.nodes[node].op {
                FloatOp::Reshape { input } => *input,
                FloatOp::View { input, axes } if self.only_repeats(*input, axes, value) => *input,
                _ => break,
            };
            if self.observed.constants[input].is_some() {
                break;
            }
            path.push(value);
            value = input;
        }
        path.reverse();
        (value, path)
    }

    /// Whether a view reads every element of its operand and nothing outside.
    fn only_repeats(&self, input: usize, axes: &[AxisMap], result: usize) -> bool {
        let shape = self.graph.shape(result);
        axes.iter()
            .zip(self.graph.shape(input))
            .all(|(map, &dim)| match map {
                AxisMap::Affine { offset: 0, terms } => match terms[..] {
                    [] => dim == 1,
                    [(axis, 1)] => shape[usize::from(axis)] == dim,
                    _ => false,
                },
                _ => false,
            })
    }
}
