//! Poseidon2 (ePrint 2023/323) over KoalaBear, width 16, 8 full and 20 partial rounds, as a sponge of
//! rate 8 in overwrite mode, and its S-boxes as columns.
//!
//! A permutation is `M_E`, four full rounds, 20 partial rounds, four full rounds. A full round adds
//! constants, cubes every lane and applies `M_E`; a partial one does so with lane 0 and `M_I`. All but
//! the cubes is linear, so the 148 cubes of a permutation and its 16 inputs determine every state
//! linearly: [`weights`] carries weights on what is cubed and on the last state back to weights on
//! cubes and inputs.

use std::sync::LazyLock;

use p3_field::{Algebra, PackedValue, PrimeCharacteristicRing};
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL,
    Poseidon2KoalaBear, default_koalabear_poseidon2_16,
};
use p3_poseidon2::GenericPoseidon2LinearLayers;
use p3_symmetric::Permutation;
use rayon::prelude::*;

use crate::field::{E, F};
use crate::packed::Base;

/// Lanes of a state.
pub(crate) const WIDTH: usize = 16;
/// Lanes that a message block overwrites, and lanes of a digest.
pub(crate) const RATE: usize = 8;
/// Full rounds before the partial ones, and as many after them.
const HALF: usize = 4;
const PARTIAL: usize = 20;
/// Cubes of the full rounds; those of the partial rounds follow.
const FULL_LANES: usize = 2 * HALF * WIDTH;
/// Cubes of a permutation.
pub(crate) const LANES: usize = FULL_LANES + PARTIAL;
/// Variables that number the cubes of a permutation.
pub(crate) const LANE_BITS: usize = 8;

type Layers = GenericPoseidon2LinearLayersKoalaBear;

static PERMUTATION: LazyLock<Poseidon2KoalaBear<16>> =
    LazyLock::new(default_koalabear_poseidon2_16);

/// Rows `M e_l` of both linear layers.
struct Matrices {
    external: [[F; WIDTH]; WIDTH],
    internal: [[F; WIDTH]; WIDTH],
}

static MATRICES: LazyLock<Matrices> = LazyLock::new(|| {
    let images = |apply: fn(&mut [F; WIDTH])| {
        std::array::from_fn(|lane| {
            let mut unit = [F::ZERO; WIDTH];
            unit[lane] = F::ONE;
            apply(&mut unit);
            unit
        })
    };
    Matrices {
        external: images(<Layers as GenericPoseidon2LinearLayers<WIDTH>>::external_linear_layer),
        internal: images(<Layers as GenericPoseidon2LinearLayers<WIDTH>>::internal_linear_layer),
    }
});

/// `Mᵀ h`, from the images of the unit vectors.
fn transposed(images: &[[F; WIDTH]; WIDTH], h: &[E; WIDTH]) -> [E; WIDTH] {
    std::array::from_fn(|lane| {
        let image = &images[lane];
        (0..WIDTH).fold(E::ZERO, |sum, i| sum + h[i] * image[i])
    })
}

/// What is added before a full round's cubes.
fn constants(full: usize) -> &'static [F; WIDTH] {
    static FINAL: [[F; WIDTH]; HALF] = KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL;
    static INITIAL: [[F; WIDTH]; HALF] = KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL;
    if full < HALF {
        &INITIAL[full]
    } else {
        &FINAL[full - HALF]
    }
}

/// Runs the permutation and calls `cube(lane, x)` for every `x` that is cubed; returns the last state.
fn permute<A: Algebra<F>>(mut state: [A; WIDTH], mut cube: impl FnMut(usize, &A)) -> [A; WIDTH] {
    let full = |state: &mut [A; WIDTH], round: usize, cube: &mut dyn FnMut(usize, &A)| {
        for (lane, (x, &c)) in state.iter_mut().zip(constants(round)).enumerate() {
            *x += c;
            cube(round * WIDTH + lane, x);
            *x = x.cube();
        }
        <Layers as GenericPoseidon2LinearLayers<WIDTH>>::external_linear_layer(state);
    };
    <Layers as GenericPoseidon2LinearLayers<WIDTH>>::external_linear_layer(&mut state);
    for round in 0..HALF {
        full(&mut state, round, &mut cube);
    }
    for (round, &c) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().enumerate() {
        state[0] += c;
        cube(FULL_LANES + round, &state[0]);
        state[0] = state[0].cube();
        <Layers as GenericPoseidon2LinearLayers<WIDTH>>::internal_linear_layer(&mut state);
    }
    for round in HALF..2 * HALF {
        full(&mut state, round, &mut cube);
    }
    state
}

/// Weights on cubes, on inputs, and what the constants add.
pub(crate) struct Traced {
    pub(crate) cubes: Vec<E>,
    pub(crate) inputs: [E; WIDTH],
    pub(crate) constant: E,
}

/// `Σ_lane cubed[lane]·x_lane + Σ_l last[l]·out_l` in terms of cubes and inputs, where `x_lane` is what is
/// cubed and `out` the last state.
pub(crate) fn weights(cubed: &[E], last: [E; WIDTH]) -> Traced {
    let matrices = &*MATRICES;
    let mut cubes = vec![E::ZERO; LANES];
    let mut constant = E::ZERO;
    let mut g = last;
    let mut full = |g: &mut [E; WIDTH], round: usize, cubes: &mut [E]| {
        let h = transposed(&matrices.external, g);
        let first = round * WIDTH;
        cubes[first..first + WIDTH].copy_from_slice(&h);
        g.copy_from_slice(&cubed[first..first + WIDTH]);
        for (&w, &c) in g.iter().zip(constants(round)) {
            constant += w * c;
        }
    };
    for round in (HALF..2 * HALF).rev() {
        full(&mut g, round, &mut cubes);
    }
    let mut partial = E::ZERO;
    for (round, &c) in KOALABEAR_POSEIDON2_RC_16_INTERNAL.iter().enumerate().rev() {
        g = transposed(&matrices.internal, &g);
        cubes[FULL_LANES + round] = g[0];
        g[0] = cubed[FULL_LANES + round];
        partial += g[0] * c;
    }
    for round in (0..HALF).rev() {
        full(&mut g, round, &mut cubes);
    }
    Traced {
        cubes,
        inputs: transposed(&matrices.external, &g),
        constant: constant + partial,
    }
}

/// The states that a message leads through.
pub(crate) struct Sponge {
    /// Lanes 8 to 15 after every permutation.
    pub(crate) capacities: Vec<[F; RATE]>,
    /// Lanes 0 to 7 after the last one.
    pub(crate) digest: [F; RATE],
}

/// Absorbs blocks, one permutation each; `start` is the first capacity.
pub(crate) fn absorb(message: &[[F; RATE]], start: [F; RATE]) -> Sponge {
    let permutation = &*PERMUTATION;
    let mut state = [F::ZERO; WIDTH];
    state[RATE..].copy_from_slice(&start);
    let mut capacities = Vec::with_capacity(message.len());
    for block in message {
        state[..RATE].copy_from_slice(block);
        permutation.permute_mut(&mut state);
        capacities.push(std::array::from_fn(|i| state[RATE + i]));
    }
    Sponge {
        capacities,
        digest: std::array::from_fn(|i| state[i]),
    }
}

/// What is cubed in every permutation, lane after lane: lane `j` of permutation `i` is element
/// `j·2^k + i`; lanes from [`LANES`] on are zero. `blocks` has `2^k` entries.
pub(crate) fn cubed(blocks: &[[F; RATE]], start: [F; RATE], sponge: &Sponge) -> Vec<F> {
    let count = blocks.len();
    let mut table = F::zero_vec(count << LANE_BITS);
    let state = |i: usize, lane: usize| match (lane < RATE, i) {
        (true, _) => blocks[i][lane],
        (false, 0) => start[lane - RATE],
        (false, _) => sponge.capacities[i - 1][lane - RATE],
    };
    let width = <Base as PackedValue>::WIDTH;
    if !count.is_multiple_of(width) {
        for i in 0..count {
            permute(std::array::from_fn(|lane| state(i, lane)), |lane, &x: &F| {
                table[lane * count + i] = x;
            });
        }
        return table;
    }
    // Columns of vectors, each thread a range of permutations.
    let columns: Vec<Vec<Base>> = (0..count / width)
        .into_par_iter()
        .with_min_len(8)
        .map(|vector| {
            let mut column = vec![Base::ZERO; LANES];
            let inputs: [Base; WIDTH] = std::array::from_fn(|lane| {
                <Base as PackedValue>::from_fn(|i| state(vector * width + i, lane))
            });
            permute(inputs, |lane, &x: &Base| column[lane] = x);
            column
        })
        .collect();
    table
        .par_chunks_mut(count)
        .take(LANES)
        .enumerate()
        .for_each(|(lane, row)| {
            for (out, column) in row.chunks_exact_mut(width).zip(&columns) {
                out.copy_from_slice(column[lane].as_slice());
            }
        });
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    fn blocks(count: usize) -> Vec<[F; RATE]> {
        (0..count)
            .map(|i| std::array::from_fn(|j| F::from_usize(i * 1_000 + j * 77 + 5)))
            .collect()
    }

    #[test]
    fn the_permutation_in_columns_is_the_librarys() {
        let start = std::array::from_fn(F::from_usize);
        for count in [1, 4, 32] {
            let blocks = blocks(count);
            let sponge = absorb(&blocks, start);
            let mut state = [F::ZERO; WIDTH];
            state[RATE..].copy_from_slice(&start);
            for (i, block) in blocks.iter().enumerate() {
                state[..RATE].copy_from_slice(block);
                state = permute(state, |_, _| {});
                assert_eq!(state[RATE..], sponge.capacities[i]);
            }
            assert_eq!(state[..RATE], sponge.digest);
            let table = cubed(&blocks, start, &sponge);
            let mut last = vec![F::ZERO; LANES];
            let mut state = [F::ZERO; WIDTH];
            state[..RATE].copy_from_slice(&blocks[count - 1]);
            let before = if count == 1 {
                start
            } else {
                sponge.capacities[count - 2]
            };
            state[RATE..].copy_from_slice(&before);
            permute(state, |lane, &x| last[lane] = x);
            for (lane, &x) in last.iter().enumerate() {
                assert_eq!(table[lane * count + count - 1], x);
            }
        }
    }

    #[test]
    fn weights_on_states_become_weights_on_cubes_and_inputs() {
        let mut random = Transcript::new(b"w");
        let cubed = random.sample_point(LANES);
        let last: [E; WIDTH] = std::array::from_fn(|_| random.sample());
        let inputs: [F; WIDTH] = std::array::from_fn(|i| F::from_usize(i * i + 3));
        let mut x = vec![F::ZERO; LANES];
        let out = permute(inputs, |lane, &value| x[lane] = value);
        let dot = |w: &[E], v: &[F]| w.iter().zip(v).fold(E::ZERO, |s, (&w, &v)| s + w * v);
        let expected = dot(&cubed, &x) + dot(&last, &out);
        let traced = weights(&cubed, last);
        let cubes: Vec<F> = x.iter().map(|x| x.cube()).collect();
        let actual = dot(&traced.cubes, &cubes) + dot(&traced.inputs, &inputs) + traced.constant;
        assert_eq!(actual, expected);
    }
}
