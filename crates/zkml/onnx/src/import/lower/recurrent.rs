//! Recurrent layers, unrolled over their steps.

use super::Lowered;
use crate::ImportError;
use crate::float::Function;
use crate::import::builder::{Builder, Made, Operand};
use crate::import::node::Node;

/// Most steps of a layer.
const MAX_STEPS: usize = 1 << 10;

pub(super) fn lower(b: &mut Builder, n: &Node<'_>, op: &str) -> Option<Lowered> {
    let cell = match op {
        "RNN" => Cell::Rnn,
        "GRU" => Cell::Gru,
        "LSTM" => Cell::Lstm,
        _ => return None,
    };
    Some(layer(b, n, cell))
}

#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Rnn,
    Gru,
    Lstm,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Rnn => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

fn activation(n: &Node<'_>, name: &str) -> Result<Function, ImportError> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "sigmoid" => Function::Sigmoid,
        "tanh" => Function::Tanh,
        "relu" => Function::Relu,
        "softsign" => Function::Softsign,
        "softplus" => Function::Softplus,
        "hardsigmoid" => Function::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        "leakyrelu" => Function::LeakyRelu { alpha: 0.01 },
        "elu" => Function::Elu { alpha: 1.0 },
        _ => return Err(n.refuse(format!("activation {name:?} is not supported"))),
    })
}

/// What one direction reads at every step.
struct Direction {
    cell: Cell,
    /// `[steps, batch, gates·hidden]`: the input's share of every gate.
    inputs: Operand,
    /// `[hidden, gates·hidden]`.
    recurrent: Operand,
    /// `[gates·hidden]`, added to the recurrent share.
    bias: Option<Operand>,
    /// Peepholes of the gates i, o, f.
    peepholes: Option<[Operand; 3]>,
    functions: Vec<Function>,
    hidden: usize,
    reset_after: bool,
}

fn layer(b: &mut Builder, n: &Node<'_>, cell: Cell) -> Lowered {
    let batch_first = n.flag("layout", false);
    let mut x = n.operand(0)?.clone();
    if b.rank(&x) != 3 {
        return Err(n.refuse("its operand is no sequence"));
    }
    if batch_first {
        x = b.permute(&x, &[1, 0, 2])?;
    }
    let [steps, batch, width] = b.shape(&x)[..] else {
        return Err(n.refuse("its operand is no sequence"));
    };
    let shape = b.shape(n.operand(2)?);
    let [directions, rows, hidden] = shape[..] else {
        return Err(n.refuse(format!("recurrent weights of shape {shape:?}")));
    };
    let wanted = match n.string("direction", "forward") {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        other => return Err(n.refuse(format!("direction {other:?} is not supported"))),
    };
    let declared = n.int("hidden_size", hidden as i64);
    let weights = b.shape(n.operand(1)?);
    let fits = directions == wanted
        && cell.gates().checked_mul(hidden) == Some(rows)
        && declared == hidden as i64
        && weights[..] == [directions, rows, width];
    if !fits || steps > MAX_STEPS {
        return Err(n.refuse(format!(
            "{steps} steps of weights {weights:?} and {shape:?} are not supported"
        )));
    }
    if n.flag("input_forget", false) {
        return Err(n.refuse("input_forget is not supported"));
    }
    if let Some(lengths) = n.maybe(4)
        && lengths.uniform() != Some(steps as f64)
    {
        return Err(n.refuse("sequences of different lengths are not supported"));
    }
    let names = n.strings("activations");
    let reset_after = n.flag("linear_before_reset", false);
    let backward = n.string("direction", "forward") == "reverse";
    let mut all = Vec::new();
    let mut last_h = Vec::new();
    let mut last_c = Vec::new();
    for d in 0..directions {
        let defaults = cell.activations();
        let functions = match &names {
            Some(names) if names.len() == defaults.len() * directions => names
                [d * defaults.len()..][..defaults.len()]
                .iter()
                .map(|name| activation(n, name))
                .collect::<Result<_, _>>()?,
            Some(names) => return Err(n.refuse(format!("activations {names:?} do not fit"))),
            None => defaults
                .iter()
                .map(|name| activation(n, name))
                .collect::<Result<_, _>>()?,
        };
        let direction = direction(b, n, cell, &x, d, hidden, functions, reset_after)?;
        let state = |b: &mut Builder, index: usize| -> Made {
            match n.maybe(index) {
                Some(state) => {
                    let axis = usize::from(batch_first);
                    let own = b.slice(state, axis, (d as i64, 1, 1))?;
                    b.reshape(&own, vec![batch, hidden])
                }
                None => b.filled(&[batch, hidden], 0.0),
            }
        };
        let mut h = state(b, 5)?;
        let mut c = match cell {
            Cell::Lstm => state(b, 6)?,
            _ => h.clone(),
        };
        let mut own = vec![h.clone(); steps];
        for step in 0..steps {
            let at = if backward || d == 1 {
                steps - 1 - step
            } else {
                step
            };
            let input = b.slice(&direction.inputs, 0, (at as i64, 1, 1))?;
            let input = b.reshape(&input, vec![batch, rows])?;
            (h, c) = direction.step(b, &input, &h, &c)?;
            own[at] = b.reshape(&h, vec![1, 1, batch, hidden])?;
        }
        all.push(own);
        last_h.push(b.reshape(&h, vec![1, batch, hidden])?);
        last_c.push(b.reshape(&c, vec![1, batch, hidden])?);
    }
    let mut rows = Vec::with_capacity(steps);
    for step in 0..steps {
        let own: Vec<Operand> = all.iter().map(|own| own[step].clone()).collect();
        rows.push(b.concat(&own, 1)?);
    }
    let mut y = b.concat(&rows, 0)?;
    let mut h = b.concat(&last_h, 0)?;
    let mut c = b.concat(&last_c, 0)?;
    if batch_first {
        y = b.permute(&y, &[2, 0, 1, 3])?;
        h = b.permute(&h, &[1, 0, 2])?;
        c = b.permute(&c, &[1, 0, 2])?;
    }
    Ok(match cell {
        Cell::Lstm => vec![y, h, c],
        _ => vec![y, h],
    })
}

/// One direction's slice of an operand, without the axis.
fn part(b: &mut Builder, x: &Operand, d: usize) -> Made {
    let own = b.slice(x, 0, (d as i64, 1, 1))?;
    let shape = b.shape(&own)[1..].to_vec();
    b.reshape(&own, shape)
}

#[allow(clippy::too_many_arguments)]
fn direction(
    b: &mut Builder,
    n: &Node<'_>,
    cell: Cell,
    x: &Operand,
    d: usize,
    hidden: usize,
    functions: Vec<Function>,
    reset_after: bool,
) -> Result<Direction, ImportError> {
    let rows = cell.gates() * hidden;
    let w = part(b, n.operand(1)?, d)?;
    let w = b.permute(&w, &[1, 0])?;
    let mut inputs = b.product(x, &w, 0, 1)?;
    let recurrent = part(b, n.operand(2)?, d)?;
    let recurrent = b.permute(&recurrent, &[1, 0])?;
    let mut bias = None;
    if let Some(both) = n.maybe(3) {
        let both = part(b, both, d)?;
        let own = b.slice(&both, 0, (0, 1, rows))?;
        let other = b.slice(&both, 0, (rows as i64, 1, rows))?;
        // A reset gate scales the recurrent share of its bias; else both are one.
        if cell == Cell::Gru && reset_after {
            inputs = b.add(&inputs, &own)?;
            bias = Some(other);
        } else {
            let sum = b.add(&own, &other)?;
            inputs = b.add(&inputs, &sum)?;
        }
    }
    let peepholes = match n.maybe(7) {
        Some(p) if cell == Cell::Lstm => {
            let p = part(b, p, d)?;
            let mut gate = |at: usize| b.slice(&p, 0, ((at * hidden) as i64, 1, hidden));
            Some([gate(0)?, gate(1)?, gate(2)?])
        }
        _ => None,
    };
    Ok(Direction {
        cell,
        inputs,
        recurrent,
        bias,
        peepholes,
        functions,
        hidden,
        reset_after,
    })
}

impl Direction {
    fn gate(&self, b: &mut Builder, x: &Operand, at: usize) -> Made {
        b.slice(x, 1, ((at * self.hidden) as i64, 1, self.hidden))
    }

    fn active(&self, b: &mut Builder, x: &Operand, which: usize) -> Made {
        b.unary(x, self.functions[which].clone())
    }

    fn step(
        &self,
        b: &mut Builder,
        input: &Operand,
        h: &Operand,
        c: &Operand,
    ) -> Result<(Operand, Operand), ImportError> {
        let mut share = b.product(h, &self.recurrent, 0, 1)?;
        if let Some(bias) = &self.bias {
            share = b.add(&share, bias)?;
        }
        match self.cell {
            Cell::Rnn => {
                let sum = b.add(input, &share)?;
                let h = self.active(b, &sum, 0)?;
                Ok((h.clone(), h))
            }
            Cell::Gru => self.gru(b, input, &share, h),
            Cell::Lstm => self.lstm(b, input, &share, c),
        }
    }

    fn gru(
        &self,
        b: &mut Builder,
        input: &Operand,
        share: &Operand,
        h: &Operand,
    ) -> Result<(Operand, Operand), ImportError> {
        let sum = b.add(input, share)?;
        let z = self.gate(b, &sum, 0)?;
        let z = self.active(b, &z, 0)?;
        let r = self.gate(b, &sum, 1)?;
        let r = self.active(b, &r, 0)?;
        let own = self.gate(b, input, 2)?;
        let other = match self.reset_after {
            true => {
                let other = self.gate(b, share, 2)?;
                b.mul(&r, &other)?
            }
            false => {
                let reset = b.mul(&r, h)?;
                let weights = self.gate(b, &self.recurrent, 2)?;
                b.product(&reset, &weights, 0, 1)?
            }
        };
        let sum = b.add(&own, &other)?;
        let candidate = self.active(b, &sum, 1)?;
        // candidate + z·(h - candidate)
        let difference = b.sub(h, &candidate)?;
        let part = b.mul(&z, &difference)?;
        let h = b.add(&candidate, &part)?;
        Ok((h.clone(), h))
    }

    /// Gates in the order i, o, f, c.
    fn lstm(
        &self,
        b: &mut Builder,
        input: &Operand,
        share: &Operand,
        c: &Operand,
    ) -> Result<(Operand, Operand), ImportError> {
        let sum = b.add(input, share)?;
        let mut gates = Vec::with_capacity(4);
        for at in 0..4 {
            gates.push(self.gate(b, &sum, at)?);
        }
        if let Some([i, _, f]) = &self.peepholes {
            let own = b.mul(i, c)?;
            gates[0] = b.add(&gates[0], &own)?;
            let own = b.mul(f, c)?;
            gates[2] = b.add(&gates[2], &own)?;
        }
        let i = self.active(b, &gates[0], 0)?;
        let f = self.active(b, &gates[2], 0)?;
        let g = self.active(b, &gates[3], 1)?;
        let kept = b.mul(&f, c)?;
        let new = b.mul(&i, &g)?;
        let c = b.add(&kept, &new)?;
        if let Some([_, o, _]) = &self.peepholes {
            let own = b.mul(o, &c)?;
            gates[1] = b.add(&gates[1], &own)?;
        }
        let o = self.active(b, &gates[1], 0)?;
        let shown = self.active(b, &c, 2)?;
        let h = b.mul(&o, &shown)?;
        Ok((h, c))
    }
}
