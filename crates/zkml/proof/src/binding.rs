//! The proof that the witness opens the commitment to the inputs (module `private`).
//!
//! The statement holds a digest of `2^k` permutations of the sponge. Committed with the witness: the
//! inputs, the salt, the pads of the outputs, every cube of every permutation (`Z`, lane after lane, in
//! blocks of 128, 16 and 4 lanes) and every capacity after a permutation (`A`, 8 lanes). All else is
//! linear in them (module `sponge`). With `x` the number of a permutation:
//!
//! 1. Sample `τ`; send `ζ = Z̃(τ)`. A sumcheck of degree 3 under the equality reduces
//!    `ζ = Σ_{j,x} eq(τ, (j,x)) y_j(x)³` to `y(r)³`, `r = (r_j, r_x)`, where `y_j(x)` is what lane `j` cubes
//!    and lanes from 148 on are zero. A round sends `t(0)`, `t(-1)` and the leading coefficient; the
//!    claim gives `t(1)`. Send `w = ỹ(r)` and `q`; `q = w²`, and `q·w` is what is left.
//! 2. Sample `σ` of three coordinates. Four linear claims on the commitment follow:
//!    - `Z̃(τ) = ζ`;
//!    - `w` is `Σ_j eq(r_j, j) ỹ_j(r_x)` in terms of cubes, message and capacities before, which are the
//!      capacities one permutation earlier and, before the first, the layout's;
//!    - `Ã(σ, r_x)` is the capacity that the cubes lead to;
//!    - the rate lanes after the last permutation are the digest, at `σ`.
//!
//! The message is linear in salt, pads and inputs, so the second claim weighs those directly. Soundness
//! error: `(8 + k) + 3(8 + k) + k + 6` over `|E|` and the binding of the hash.

use p3_field::{Field, PackedValue, PrimeCharacteristicRing};
use rayon::prelude::*;

use crate::checks::Check;
use crate::field::{E, F, eq_at, eq_table};
use crate::opening::reduction::{Row, Weights};
use crate::packed::{Base, INNER_BITS, Packed, lane_sum, pack, product, unpack};
use crate::plan::Plan;
use crate::private::Layout;
use crate::sponge::{LANE_BITS, LANES, RATE, WIDTH, weights};
use crate::transcript::{Lin, ProverChannel, VerifierChannel};
use crate::verifier::VerifyError;

/// Where the binding lies in the witness commitment.
#[derive(Clone, Debug)]
pub(crate) struct BindingPlan {
    pub(crate) layout: Layout,
    pub(crate) salt: usize,
    /// One block for every output.
    pub(crate) pads: Vec<usize>,
    /// One block for every input.
    pub(crate) inputs: Vec<usize>,
    pub(crate) capacities: usize,
    pub(crate) cubes: [usize; 3],
}

/// `(first lane, logarithm of the lanes)` of every block of cubes.
pub(crate) const CUBE_BLOCKS: [(usize, usize); 3] = [(0, 7), (128, 4), (144, 2)];

/// Elements that the prover sends.
pub(crate) fn messages(permutations: usize) -> usize {
    3 * (LANE_BITS + permutations) + 3
}

/// `Σ weights·F + rest = 0`.
pub(crate) struct Linear {
    pub(crate) weights: Vec<Weights>,
    pub(crate) rest: Lin,
}

/// What lies before the selector's bits of a block of cubes: `eq(point, first lane's leading bits)`.
fn selector(point: &[E], (first, bits): (usize, usize)) -> E {
    let leading = LANE_BITS - bits;
    eq_at(&point[..leading], first >> bits)
}

impl BindingPlan {
    fn variables(&self) -> usize {
        LANE_BITS + self.layout.permutations
    }

    /// The extension of the cubes at `(lanes, permutations)`.
    fn cubes_at(&self, plan: &Plan, point: &[E]) -> Vec<Weights> {
        let blocks = CUBE_BLOCKS.iter().zip(self.cubes);
        blocks
            .map(|(&block, index)| Weights::Eq {
                block: plan.witness.block(index),
                point: point[LANE_BITS - block.1..].to_vec(),
                scale: selector(point, block),
            })
            .collect()
    }

    /// `Σ_lane weights[lane]·Z_lane(row)`.
    fn cubes_weighed(&self, plan: &Plan, weights: &[E], row: &Row) -> Vec<Weights> {
        let blocks = CUBE_BLOCKS.iter().zip(self.cubes);
        blocks
            .map(|(&(first, bits), index)| Weights::Tensor {
                block: plan.witness.block(index),
                lanes: weights[first..first + (1 << bits)].to_vec(),
                row: row.clone(),
            })
            .collect()
    }

    /// `Σ_{lane,x} lanes[lane]·eq(row, x)·message[8x + lane]`.
    fn message_weighed(&self, plan: &Plan, lanes: &[E; WIDTH], row: &[E]) -> Vec<Weights> {
        let eq = eq_table(row, E::ONE);
        let at = |element: usize| lanes[element % RATE] * eq[element / RATE];
        let dense = |index: usize, weights: Vec<E>| Weights::Dense {
            blocks: vec![(plan.witness.block(index), E::ONE)],
            weights,
        };
        let mut all = vec![dense(self.salt, (0..RATE).map(at).collect())];
        for ((dims, first), &block) in self.layout.outputs.iter().zip(&self.pads) {
            let mut table = E::zero_vec(1 << dims.variables());
            dims.place(&mut table, E::ZERO, |i| at(first + i));
            all.push(dense(block, table));
        }
        for (input, &block) in self.layout.inputs.iter().zip(&self.inputs) {
            let mut table = E::zero_vec(1 << input.dims.variables());
            let (per, bits) = (input.per, input.bits);
            let powers: Vec<F> = (0..per).map(|i| F::from_u64(1 << (bits * i))).collect();
            input.dims.place(&mut table, E::ZERO, |i| {
                at(input.first + i / per) * powers[i % per]
            });
            all.push(dense(block, table));
        }
        all
    }

    /// Multiplications that the verifier makes, about.
    pub(crate) fn operations(&self) -> u64 {
        let elements = 1u64 << (self.layout.permutations + 3);
        let inputs = self.layout.inputs.iter();
        let padded: u64 = inputs.map(|i| 3u64 << i.dims.variables()).sum();
        let pads = self.layout.outputs.iter();
        let pads: u64 = pads.map(|(dims, _)| 3u64 << dims.variables()).sum();
        // Weights are carried through 28 rounds twice, 256 base products each.
        60_000 + 2 * elements + padded + pads + 64 * self.variables() as u64
    }
}

/// Proves; `cubed` is what every permutation cubes, [`crate::sponge::cubed`].
pub(crate) fn prove(binding: &BindingPlan, cubed: Vec<F>, channel: &mut ProverChannel) {
    let variables = binding.variables();
    channel.transcript.phase("input commitment", &[variables]);
    let tau = channel.transcript.sample_point(variables);
    let total = FreeWeights::new(&tau).sum(cubed.len() / Base::WIDTH, |i, weight| {
        let y = Base::pack_slice(&cubed)[i];
        [weight * y.cube()]
    });
    channel.send(total[0]);
    let value = prove_cubes(&tau, cubed, channel);
    channel.send(value);
    channel.send(value.square());
    let _sigma = channel.transcript.sample_point(3);
}

/// What the messages leave to be opened.
pub(crate) struct Received {
    tau: Vec<E>,
    /// `Z̃(τ)`.
    total: Lin,
    /// Where the rounds end, and `ỹ` there.
    point: Vec<E>,
    value: Lin,
    sigma: Vec<E>,
}

/// Receives the messages and checks the rounds.
pub(crate) fn receive(
    binding: &BindingPlan,
    channel: &mut VerifierChannel<'_>,
) -> Result<Received, VerifyError> {
    let variables = binding.variables();
    channel.transcript.phase("input commitment", &[variables]);
    let tau = channel.transcript.sample_point(variables);
    let total = channel.receive()?;
    let (point, rest) = verify_cubes(&tau, total.clone(), channel)?;
    let value = channel.receive()?;
    let square = channel.receive()?;
    let of_value = channel.product(&value, &value);
    let cube = channel.product(&square, &value);
    let differences = [
        (Check::Square, square.minus(&of_value)),
        (Check::Cube, rest.minus(&cube)),
    ];
    for (check, difference) in differences {
        let refused = channel.zero(check, difference);
        refused.map_err(|_| VerifyError::InputCommitment)?;
    }
    let sigma = channel.transcript.sample_point(3);
    Ok(Received {
        tau,
        total,
        point,
        value,
        sigma,
    })
}

/// Checks what was sent and returns what the commitment has to open to.
pub(crate) fn verify(
    binding: &BindingPlan,
    plan: &Plan,
    digest: &[F; RATE],
    channel: &mut VerifierChannel<'_>,
) -> Result<Vec<Linear>, VerifyError> {
    let permutations = binding.layout.permutations;
    let Received {
        tau,
        total,
        point,
        value,
        sigma,
    } = receive(binding, channel)?;

    let (lane_point, row) = point.split_at(LANE_BITS);
    let at_row = Row::Eq(row.to_vec());
    let mut linear = vec![Linear {
        weights: binding.cubes_at(plan, &tau),
        rest: Lin::default().minus(&total),
    }];
    // What is cubed.
    let lanes = eq_table(lane_point, E::ONE);
    let traced = weights(&lanes[..LANES], [E::ZERO; WIDTH]);
    let mut terms = binding.cubes_weighed(plan, &traced.cubes, &at_row);
    terms.extend(binding.message_weighed(plan, &traced.inputs, row));
    terms.push(Weights::Tensor {
        block: plan.witness.block(binding.capacities),
        lanes: traced.inputs[RATE..].to_vec(),
        row: Row::Next(row.to_vec()),
    });
    let first = eq_at(row, 0);
    let start = binding.layout.start.iter().zip(&traced.inputs[RATE..]);
    let start = start.fold(E::ZERO, |sum, (&c, &w)| sum + w * c);
    let mut rest = Lin::from(traced.constant + first * start);
    rest.add_scaled(&value, -E::ONE);
    linear.push(Linear {
        weights: terms,
        rest,
    });
    // Capacities.
    let eq = eq_table(&sigma, E::ONE);
    let mut last = [E::ZERO; WIDTH];
    last[RATE..].copy_from_slice(&eq);
    let zeros = vec![E::ZERO; LANES];
    let traced = weights(&zeros, last);
    let negated: Vec<E> = traced.cubes.iter().map(|&w| -w).collect();
    let mut terms = binding.cubes_weighed(plan, &negated, &at_row);
    terms.push(Weights::Tensor {
        block: plan.witness.block(binding.capacities),
        lanes: eq.clone(),
        row: at_row,
    });
    linear.push(Linear {
        weights: terms,
        rest: Lin::default(),
    });
    // The digest, after the last permutation.
    let mut last = [E::ZERO; WIDTH];
    last[..RATE].copy_from_slice(&eq);
    let traced = weights(&zeros, last);
    let end = Row::Eq(vec![E::ONE; permutations]);
    let expected = eq.iter().zip(digest);
    let expected = expected.fold(E::ZERO, |sum, (&e, &d)| sum + e * d);
    linear.push(Linear {
        weights: binding.cubes_weighed(plan, &traced.cubes, &end),
        rest: Lin::from(-expected),
    });
    Ok(linear)
}

/// Messages of a round: `t(0)`, `t(-1)`, the leading coefficient.
type Message = [E; 3];

/// `eq` over variables that are free, for vectors: `outer[i >> bits]·inner[i mod 2^bits]`.
struct FreeWeights {
    outer: Vec<E>,
    inner: Vec<Packed>,
}

impl FreeWeights {
    /// For at least as many variables as a vector has.
    fn new(point: &[E]) -> Self {
        let (outer, inner) = point.split_at(point.len().saturating_sub(INNER_BITS));
        Self {
            outer: eq_table(outer, E::ONE),
            inner: pack(&eq_table(inner, E::ONE)),
        }
    }

    /// `Σ_i Σ_k weigh(i, inner weight of i)_k · outer weight of i` over the first `vectors`.
    fn sum<const N: usize>(
        &self,
        vectors: usize,
        weigh: impl Fn(usize, Packed) -> [Packed; N] + Sync,
    ) -> [E; N] {
        let add = |mut a: [Packed; N], b: [Packed; N]| {
            for (a, b) in a.iter_mut().zip(b) {
                *a += b;
            }
            a
        };
        let width = self.inner.len();
        let run = |(run, &outer): (usize, &E)| {
            let mut total = [Packed::ZERO; N];
            for (i, &inner) in (run * width..vectors).zip(&self.inner) {
                total = add(total, weigh(i, inner));
            }
            total.map(|t| product(t, outer.into()))
        };
        let runs = self.outer.par_iter().enumerate().with_min_len(8);
        runs.map(run)
            .reduce(|| [Packed::ZERO; N], add)
            .map(lane_sum)
    }
}

/// Proves `Σ_i eq(τ, i) y_i³` for the claim that was sent; returns `ỹ` at the point that the rounds end in.
fn prove_cubes(tau: &[E], table: Vec<F>, channel: &mut ProverChannel) -> E {
    let mut message = {
        let (low, high) = Base::pack_slice(&table).split_at(table.len() / Base::WIDTH / 2);
        sum(low, high, &tau[1..], |w, cube| w * cube)
    };
    let mut packed: Vec<Packed> = Vec::new();
    let mut rest: Vec<E> = Vec::new();
    for round in 0..tau.len() {
        channel.send_all(&message);
        let x = channel.transcript.sample();
        if round == 0 {
            let (low, high) = Base::pack_slice(&table).split_at(table.len() / Base::WIDTH / 2);
            let x = Packed::from(x);
            packed = low
                .par_iter()
                .zip(high)
                .with_min_len(256)
                .map(|(&l, &h)| x * (h - l) + l)
                .collect();
        } else if rest.is_empty() {
            fold(&mut packed, Packed::from(x));
        } else {
            fold_scalar(&mut rest, x);
        }
        if rest.is_empty() && packed.len() == 1 {
            rest = unpack(&packed);
        }
        if round + 1 == tau.len() {
            break;
        }
        if rest.is_empty() {
            let (low, high) = packed.split_at(packed.len() / 2);
            message = sum(low, high, &tau[round + 2..], product);
        } else {
            let weights = eq_table(&tau[round + 2..], E::ONE);
            message = sum_scalar(&rest, &weights);
        }
    }
    rest[0]
}

/// The message of a round over vectors; `free` are the coordinates of the variables that stay free.
fn sum<T>(low: &[T], high: &[T], free: &[E], weigh: fn(Packed, T) -> Packed) -> Message
where
    T: PrimeCharacteristicRing + Copy + Send + Sync,
{
    FreeWeights::new(free).sum(low.len(), |i, weight| {
        let (low, step) = (low[i], high[i] - low[i]);
        [low, low - step, step].map(|y| weigh(weight, y * y.square()))
    })
}

fn sum_scalar(table: &[E], weights: &[E]) -> Message {
    let (low, high) = table.split_at(table.len() / 2);
    let mut sum = [E::ZERO; 3];
    for ((&l, &h), &w) in low.iter().zip(high).zip(weights) {
        let step = h - l;
        for (sum, y) in sum.iter_mut().zip([l, l - step, step]) {
            *sum += w * y.cube();
        }
    }
    sum
}

fn fold(table: &mut Vec<Packed>, x: Packed) {
    let half = table.len() / 2;
    let (low, high) = table.split_at_mut(half);
    low.par_iter_mut()
        .zip(&*high)
        .with_min_len(256)
        .for_each(|(l, &h)| *l += product(x, h - *l));
    table.truncate(half);
}

fn fold_scalar(table: &mut Vec<E>, x: E) {
    let half = table.len() / 2;
    for i in 0..half {
        let (low, high) = (table[i], table[i + half]);
        table[i] = low + x * (high - low);
    }
    table.truncate(half);
}

/// Checks the rounds; returns the point and what `y³` there has to be.
fn verify_cubes(
    tau: &[E],
    mut claim: Lin,
    channel: &mut VerifierChannel<'_>,
) -> Result<(Vec<E>, Lin), VerifyError> {
    let mut point = Vec::with_capacity(tau.len());
    for &r in tau {
        let [zero, minus, leading] = channel.receive_array::<3>()?;
        let x = channel.transcript.sample();
        point.push(x);
        // claim = (1-r) t(0) + r t(1)
        let inverse = r.try_inverse().ok_or(VerifyError::ZeroChallenge)?;
        let mut one = claim.scaled(inverse);
        one.add_scaled(&zero, -(E::ONE - r) * inverse);
        // t(x) = t(0)(1 - x²) + t(1)(x² + x)/2 + t(-1)(x² - x)/2 + a(x³ - x)
        let square = x.square();
        let mut next = zero.scaled(E::ONE - square);
        next.add_scaled(&one, (square + x).halve());
        next.add_scaled(&minus, (square - x).halve());
        next.add_scaled(&leading, square * x - x);
        claim = next;
    }
    Ok((point, claim))
}
