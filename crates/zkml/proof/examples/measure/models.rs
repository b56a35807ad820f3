//! Models to time: dense, convolutional, and a block of a transformer, with random weights.

use hallmark_graph::{
    AxisMap, Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, ValueId,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};

/// A builder with random constants.
struct Net {
    b: Builder,
    rng: ChaCha8Rng,
}

fn at(offset: i32, terms: &[(u8, i32)]) -> AxisMap {
    AxisMap::Affine {
        offset,
        terms: terms.to_vec(),
    }
}

impl Net {
    fn new(shape: &[u32], lo: i32, hi: i32) -> Self {
        let input = Input {
            shape: Shape(shape.to_vec()),
            range: Range { lo, hi },
            scale: SCALE,
        };
        Self {
            b: Builder::new(vec![input]),
            rng: ChaCha8Rng::seed_from_u64(1),
        }
    }

    fn shape(&self, x: ValueId) -> Vec<u32> {
        self.b.graph().shape(x).expect("exists").0.clone()
    }

    fn constant(&mut self, shape: &[u32], magnitude: i32) -> ValueId {
        let count: u32 = shape.iter().product();
        let width = 2 * magnitude as u32 + 1;
        let values: Vec<i32> = (0..count)
            .map(|_| (self.rng.next_u32() % width) as i32 - magnitude)
            .collect();
        let constant = Constant {
            elements: Elements::narrowest(&values),
            multipliers: Vec::new(),
        };
        let shape = Shape(shape.to_vec());
        self.b.constant(shape, constant).expect("fits")
    }

    /// `x·W + bias` over the last `inner` axes.
    fn dense(&mut self, x: ValueId, inner: usize, cols: u32) -> ValueId {
        let shape = self.shape(x);
        let (rows, depth) = shape.split_at(shape.len() - inner);
        let w = self.constant(&[depth, &[cols]].concat(), 127);
        let v = self.b.matmul(x, w, 0, inner as u8).expect("fits");
        let bias = self.constant(&[cols], 5000);
        let dims = [rows, &[cols]].concat();
        let bias = self.view(bias, vec![at(0, &[(rows.len() as u8, 1)])], &dims);
        self.combine(&[(v, 1), (bias, 1)])
    }

    fn combine(&mut self, terms: &[(ValueId, i32)]) -> ValueId {
        self.b.combine(terms, 0).expect("fits")
    }

    fn view(&mut self, x: ValueId, axes: Vec<AxisMap>, shape: &[u32]) -> ValueId {
        self.b.view(x, axes, Shape(shape.to_vec())).expect("fits")
    }

    /// The least shift that leaves `bits` bits, then a table. A proof pays for a table of `2^shift`
    /// remainders; a long shift is a `Shift` of its own, whose remainder is cut into limbs.
    fn lookup(&mut self, x: ValueId, bits: u8, table: Option<fn(i32) -> i32>) -> ValueId {
        let range = self.b.graph().range(x).expect("exists");
        let half = 1i64 << (bits - 1);
        let fits = |shift: &u8| i64::from(range.magnitude()) + (1 << shift) / 2 < half << shift;
        let shift = (0..22).find(fits).expect("fits");
        let table = match table {
            None => TableSpec::Clamp {
                bits,
                lo: -half as i32,
                hi: half as i32 - 1,
            },
            Some(f) => TableSpec::Explicit((-half..half).map(|u| f(u as i32)).collect()),
        };
        if shift <= 12 {
            return self.b.lookup(x, shift, table).expect("fits");
        }
        let quotient = self.b.shift(x, shift, bits).expect("fits");
        self.b.lookup(quotient, 0, table).expect("fits")
    }

    fn relu(&mut self, x: ValueId) -> ValueId {
        self.lookup(x, 9, Some(|u| u.max(0)))
    }

    /// Patches of 3 × 3 with padding 1, channels last.
    fn convolution(&mut self, x: ValueId, channels: u32) -> ValueId {
        let [h, w, c] = self.shape(x)[..] else {
            panic!("an image has three axes")
        };
        let axes = vec![
            at(-1, &[(0, 1), (2, 1)]),
            at(-1, &[(1, 1), (3, 1)]),
            at(0, &[(4, 1)]),
        ];
        let patches = self.view(x, axes, &[h, w, 3, 3, c]);
        let v = self.dense(patches, 3, channels);
        self.relu(v)
    }

    /// Sums of 2 × 2, requantised.
    fn pool(&mut self, x: ValueId) -> ValueId {
        let [h, w, c] = self.shape(x)[..] else {
            panic!("an image has three axes")
        };
        let axes = vec![
            at(0, &[(0, 2), (1, 1)]),
            at(0, &[(2, 2), (3, 1)]),
            at(0, &[(4, 1)]),
        ];
        let parts = self.view(x, axes, &[h / 2, 2, w / 2, 2, c]);
        let sum = self.b.sum(parts, &[1, 3]).expect("fits");
        self.lookup(sum, 8, None)
    }

    fn finish(mut self, output: ValueId) -> Model {
        self.b.output(output, SCALE).expect("exists");
        self.b.finish().expect("valid")
    }
}

/// Dense layers with Relu.
pub fn mlp(rows: u32, widths: &[u32]) -> Model {
    let mut net = Net::new(&[rows, widths[0]], 0, 127);
    let mut x = 0;
    for &cols in &widths[1..] {
        let v = net.dense(x, 1, cols);
        x = net.relu(v);
    }
    net.finish(x)
}

/// Six convolutions over 32 × 32 × 3, about 290 thousand weights.
pub fn cnn() -> Model {
    let mut net = Net::new(&[32, 32, 3], -128, 127);
    let mut x = 0;
    for channels in [32, 64, 128] {
        x = net.convolution(x, channels);
        x = net.convolution(x, channels);
        x = net.pool(x);
    }
    let shape = net.shape(x);
    let flat = Shape(vec![1, shape.iter().product()]);
    let x = net.b.reshape(x, flat).expect("fits");
    let y = net.dense(x, 1, 10);
    net.finish(y)
}

/// Blocks of attention and a dense part with residual sums; softmax by tables.
pub fn transformer(blocks: usize, tokens: u32, width: u32, heads: u32) -> Model {
    let mut net = Net::new(&[tokens, width], -128, 127);
    let mut x = 0;
    let head = width / heads;
    for _ in 0..blocks {
        let split = |net: &mut Net| {
            let v = net.dense(x, 1, width);
            let y = net.lookup(v, 8, None);
            let y = net
                .b
                .reshape(y, Shape(vec![tokens, heads, head]))
                .expect("fits");
            let axes = vec![at(0, &[(1, 1)]), at(0, &[(0, 1)]), at(0, &[(2, 1)])];
            net.view(y, axes, &[heads, tokens, head])
        };
        let (q, k, v) = (split(&mut net), split(&mut net), split(&mut net));
        let axes = vec![at(0, &[(0, 1)]), at(0, &[(2, 1)]), at(0, &[(1, 1)])];
        let k = net.view(k, axes, &[heads, head, tokens]);
        let scores = net.b.matmul(q, k, 1, 1).expect("fits");
        let e = net.lookup(scores, 9, Some(|u| (f64::from(u) / 40.0).exp() as i32));
        let sum = net.b.sum(e, &[2]).expect("fits");
        let r = net.lookup(sum, 12, Some(|u| 4000 / (u.max(0) + 1)));
        let axes = vec![at(0, &[(0, 1)]), at(0, &[(1, 1)])];
        let r = net.view(r, axes, &[heads, tokens, tokens]);
        let p = net.b.mul(e, r).expect("fits");
        let p = net.lookup(p, 8, None);
        let mixed = net.b.matmul(p, v, 1, 1).expect("fits");
        let mixed = net.lookup(mixed, 8, None);
        let axes = vec![at(0, &[(1, 1)]), at(0, &[(0, 1)]), at(0, &[(2, 1)])];
        let mixed = net.view(mixed, axes, &[tokens, heads, head]);
        let joined = net
            .b
            .reshape(mixed, Shape(vec![tokens, width]))
            .expect("fits");
        let v = net.dense(joined, 1, width);
        let y = net.lookup(v, 8, None);
        let z = net.combine(&[(x, 1), (y, 1)]);
        let z = net.lookup(z, 8, None);
        let v = net.dense(z, 1, 4 * width);
        let h = net.relu(v);
        let v = net.dense(h, 1, width);
        let y = net.lookup(v, 8, None);
        let z = net.combine(&[(z, 1), (y, 1)]);
        x = net.lookup(z, 8, None);
    }
    net.finish(x)
}
