//! Steps of the builder with the node's name in every error.

use hallmark_graph::{
    AxisMap, CheckError, Constant, Elements, Range, Shape, TableSpec, ValueId, bounds,
};

use super::{Compiler, Held};
use crate::CompileError;
use crate::float::FloatOp;

impl Compiler<'_> {
    pub(super) fn checked<T>(&self, result: Result<T, CheckError>) -> Result<T, CompileError> {
        result.map_err(|source| CompileError::Check {
            node: self.name(),
            source,
        })
    }

    pub(super) fn name(&self) -> String {
        let node = self.graph.nodes.get(self.current);
        node.map_or_else(String::new, |node| node.name.clone())
    }

    pub(super) fn refuse<T>(&self, reason: &str) -> Result<T, CompileError> {
        Err(CompileError::Scale {
            node: self.name(),
            reason: reason.to_owned(),
        })
    }

    pub(super) fn range(&self, value: ValueId) -> Range {
        // Only values that the builder gave are asked for.
        self.builder
            .graph()
            .range(value)
            .unwrap_or(Range { lo: 0, hi: 0 })
    }

    /// Largest magnitude of a value's integers.
    pub(super) fn reach(&self, value: ValueId) -> f64 {
        f64::from(self.range(value).magnitude())
    }

    pub(super) fn dims(&self, value: ValueId) -> Vec<u32> {
        let shape = self.builder.graph().shape(value);
        shape.map_or_else(Vec::new, |shape| shape.0.clone())
    }

    pub(super) fn combine(
        &mut self,
        terms: &[(ValueId, i32)],
        offset: i32,
    ) -> Result<ValueId, CompileError> {
        if let [(value, 1)] = terms
            && offset == 0
        {
            return Ok(*value);
        }
        // Terms of one value that cancel leave a constant.
        let cancels = |&(value, _): &(ValueId, i32)| {
            let of_it = terms.iter().filter(|(other, _)| *other == value);
            of_it.map(|(_, m)| i64::from(*m)).sum::<i64>() == 0
        };
        if let Some(&(value, _)) = terms.first()
            && terms.iter().all(cancels)
        {
            let dims = self.dims(value);
            let count = dims.iter().product::<u32>() as usize;
            return self.integers(&vec![offset; count], dims);
        }
        let result = self.builder.combine(terms, offset);
        self.checked(result)
    }

    pub(super) fn mul(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, CompileError> {
        let result = self.builder.mul(a, b);
        self.checked(result)
    }

    pub(super) fn matmul(
        &mut self,
        a: ValueId,
        b: ValueId,
        batch: u8,
        inner: u8,
    ) -> Result<ValueId, CompileError> {
        let result = self.builder.matmul(a, b, batch, inner);
        self.checked(result)
    }

    pub(super) fn sum(&mut self, value: ValueId, axes: &[u8]) -> Result<ValueId, CompileError> {
        if axes.is_empty() {
            return Ok(value);
        }
        let result = self.builder.sum(value, axes);
        self.checked(result)
    }

    pub(super) fn view(
        &mut self,
        value: ValueId,
        axes: Vec<AxisMap>,
        shape: Vec<u32>,
    ) -> Result<ValueId, CompileError> {
        let result = self.builder.view(value, axes, Shape(shape));
        self.checked(result)
    }

    pub(super) fn reshape(
        &mut self,
        value: ValueId,
        dims: Vec<u32>,
    ) -> Result<ValueId, CompileError> {
        if self.dims(value) == dims {
            return Ok(value);
        }
        let result = self.builder.reshape(value, Shape(dims));
        self.checked(result)
    }

    pub(super) fn clamp(
        &mut self,
        value: ValueId,
        shift: u8,
        bits: u8,
        (lo, hi): (i32, i32),
    ) -> Result<ValueId, CompileError> {
        let result = self
            .builder
            .lookup(value, shift, TableSpec::Clamp { bits, lo, hi });
        self.checked(result)
    }

    pub(super) fn explicit(
        &mut self,
        value: ValueId,
        shift: u8,
        bits: u8,
        entry: impl Fn(i32) -> i32,
    ) -> Result<ValueId, CompileError> {
        let half = 1i32 << (bits - 1);
        let entries = (-half..half).map(entry).collect();
        let result = self
            .builder
            .lookup(value, shift, TableSpec::Explicit(entries));
        self.checked(result)
    }

    /// The rounded quotient by `2^shift`, with as few bits as its range needs.
    pub(super) fn shift(&mut self, value: ValueId, shift: u8) -> Result<ValueId, CompileError> {
        if shift == 0 {
            return Ok(value);
        }
        let range = self.range(value);
        let fitting = (1..=30 - shift).find(|&bits| bounds::lookup_fits(range, shift, bits));
        let result = self
            .builder
            .shift(value, shift, fitting.unwrap_or(30 - shift));
        self.checked(result)
    }

    /// Integers under a shape, without multipliers.
    pub(super) fn integers(
        &mut self,
        values: &[i32],
        dims: Vec<u32>,
    ) -> Result<ValueId, CompileError> {
        self.constant(values, Vec::new(), dims)
    }

    pub(super) fn constant(
        &mut self,
        values: &[i32],
        multipliers: Vec<u16>,
        dims: Vec<u32>,
    ) -> Result<ValueId, CompileError> {
        let multipliers = if multipliers.iter().all(|&m| m == 1) {
            Vec::new()
        } else {
            multipliers
        };
        let constant = Constant {
            elements: Elements::narrowest(values),
            multipliers,
        };
        let result = self.builder.constant(Shape(dims), constant);
        self.checked(result)
    }

    /// A float constant rounded to multiples of `scale`. A view that repeats it stays a view.
    pub(super) fn rounded(&mut self, value: usize, scale: f64) -> Result<ValueId, CompileError> {
        let key = (value, scale.to_bits());
        if let Some(&known) = self.constants.get(&key) {
            return Ok(known);
        }
        let graph = self.graph;
        let own = graph.shape(value);
        let node = value
            .checked_sub(graph.inputs.len())
            .map(|node| &graph.nodes[node].op);
        let elements = |value: usize| graph.shape(value).iter().product::<usize>();
        let result = match node {
            Some(FloatOp::View { input, axes }) if elements(value) >= 2 * elements(*input) => {
                let from = self.rounded(*input, scale)?;
                self.view(from, axes.clone(), dims(own))?
            }
            Some(FloatOp::Reshape { input }) => {
                let from = self.rounded(*input, scale)?;
                self.reshape(from, dims(own))?
            }
            _ => {
                let limit = f64::from(hallmark_graph::MAX_MAGNITUDE - 1);
                let values: Vec<i32> = self
                    .elements(value)
                    .iter()
                    .map(|&x| {
                        let x = f64::from(x).max(self.floors[value].unwrap_or(f64::NEG_INFINITY));
                        (x / scale).round().clamp(-limit, limit) as i32
                    })
                    .collect();
                self.repeating(&values, own)?
            }
        };
        self.constants.insert(key, result);
        Ok(result)
    }

    /// Integers under a shape, committed once where an axis repeats them.
    fn repeating(&mut self, values: &[i32], shape: &[usize]) -> Result<ValueId, CompileError> {
        let mut kept = values.to_vec();
        let mut small = Vec::new();
        let mut axes = Vec::new();
        // From the last axis to the first: what lies outside is whole, what lies inside is reduced.
        let mut inside = 1;
        for (index, &dim) in shape.iter().enumerate().rev() {
            let block = dim * inside;
            let alike = |block: &[i32]| block.chunks(inside).all(|part| *part == block[..inside]);
            if dim > 1 && kept.chunks(block).all(alike) {
                kept = kept
                    .chunks(block)
                    .flat_map(|b| &b[..inside])
                    .copied()
                    .collect();
            } else {
                small.push(u32::try_from(dim).unwrap_or(u32::MAX));
                axes.push(axis(index));
                inside = block;
            }
        }
        if 2 * kept.len() > values.len() {
            return self.integers(values, dims(shape));
        }
        small.reverse();
        axes.reverse();
        let once = self.integers(&kept, small)?;
        self.view(once, axes, dims(shape))
    }

    /// Elements of a constant float value.
    pub(super) fn elements(&self, value: usize) -> std::rc::Rc<[f32]> {
        self.observed.constants[value].clone().unwrap_or_default()
    }

    /// The hold of any float value, a constant among them, as fine as its readers could want.
    pub(super) fn operand(&mut self, value: usize) -> Result<Held, CompileError> {
        match self.held[value] {
            Some(held) => Ok(held),
            None => self.constant_held(value, f64::from(super::WIDE_LEVELS)),
        }
    }

    /// A float constant with at least `levels` levels; whole numbers stay exact.
    pub(super) fn constant_held(
        &mut self,
        value: usize,
        levels: f64,
    ) -> Result<Held, CompileError> {
        let largest = self.constant_magnitude(value);
        let whole = largest <= levels && self.elements(value).iter().all(|x| x.fract() == 0.0);
        let scale = match largest {
            _ if whole => 1.0,
            0.0 => 1.0,
            largest => largest / levels,
        };
        let id = self.rounded(value, scale)?;
        Ok(Held {
            value: id,
            scale,
            exact: whole,
        })
    }

    /// Largest magnitude of a constant, what lies under its floor apart.
    pub(super) fn constant_magnitude(&self, value: usize) -> f64 {
        let floor = self.floors[value].unwrap_or(f64::NEG_INFINITY);
        self.elements(value)
            .iter()
            .fold(0.0, |most: f64, &x| most.max(f64::from(x).max(floor).abs()))
    }
}

/// Dimensions as the integer graph has them.
pub(super) fn dims(shape: &[usize]) -> Vec<u32> {
    // The importer bounds every dimension far below u32.
    shape
        .iter()
        .map(|&dim| u32::try_from(dim).unwrap_or(u32::MAX))
        .collect()
}

pub(super) fn shape(shape: &[usize]) -> Shape {
    Shape(dims(shape))
}

/// The identity on every axis.
pub(super) fn identity(rank: usize) -> Vec<AxisMap> {
    (0..rank).map(axis).collect()
}

/// The operand's axis is this axis of the result.
pub(super) fn axis(axis: usize) -> AxisMap {
    AxisMap::Affine {
        offset: 0,
        terms: vec![(u8::try_from(axis).unwrap_or(u8::MAX), 1)],
    }
}
