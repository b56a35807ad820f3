//! A small language for float graphs, and the comparison with their integer models.

use hallmark_graph::AxisMap;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::compile::{CompileOptions, Compiled, compile};
use crate::float::{Binary, FloatGraph, FloatInput, FloatNode, FloatOp, FloatOutput, Function};
use crate::scale::quantize;

/// A float graph under construction; every method gives a value.
pub(super) struct World {
    pub(super) graph: FloatGraph,
    pub(super) rng: ChaCha8Rng,
}

impl World {
    pub(super) fn new(inputs: &[&[usize]]) -> Self {
        let input = |(index, shape): (usize, &&[usize])| FloatInput {
            name: format!("input{index}"),
            shape: shape.to_vec(),
            integer: false,
        };
        Self {
            graph: FloatGraph {
                inputs: inputs.iter().enumerate().map(input).collect(),
                nodes: Vec::new(),
                outputs: Vec::new(),
            },
            rng: ChaCha8Rng::seed_from_u64(7),
        }
    }

    /// Twelve operators drawn by a seed over `[6, 12]`, sizes and offsets far apart.
    pub(super) fn random_chain(seed: u64) -> Self {
        let mut w = Self::new(&[&[6, 12]]);
        w.rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values = vec![0usize];
        for _ in 0..12 {
            let x = values[w.rng.random_range(0..values.len())];
            let other = values[w.rng.random_range(0..values.len())];
            let size = 10f64.powi(w.rng.random_range(-3..4));
            let y = match w.rng.random_range(0..14) {
                0 | 1 => w.linear(x, 12),
                2 => w.unary(x, Function::Relu),
                3 => w.unary(x, Function::Tanh),
                4 => w.combine(&[(x, size), (other, 1.0)], 0.0),
                5 => w.combine(&[(x, 1.0)], size),
                6 => {
                    let shape = w.shape(x);
                    let op = FloatOp::Normalize {
                        input: x,
                        epsilon: 1e-5,
                        center: true,
                    };
                    w.node(op, &shape)
                }
                7 => w.softmax(x),
                8 => {
                    let y = w.unary(x, Function::Tanh);
                    w.mul(other, y)
                }
                9 => w.binary(x, other, Binary::Max),
                10 => w.binary(x, other, Binary::Min),
                11 => {
                    let below = w.binary(x, other, Binary::Less);
                    w.mul(below, x)
                }
                12 => {
                    let y = w.unary(x, Function::Sigmoid);
                    let y = w.combine(&[(y, 1.0)], 0.5);
                    w.div(other, y)
                }
                _ => w.unary(x, Function::Abs),
            };
            values.push(y);
        }
        let last = *values.last().expect("the input at least");
        w.output(last);
        w
    }

    pub(super) fn integers(shape: &[usize]) -> Self {
        let mut world = Self::new(&[shape]);
        world.graph.inputs[0].integer = true;
        world
    }

    pub(super) fn shape(&self, value: usize) -> Vec<usize> {
        self.graph.shape(value).to_vec()
    }

    pub(super) fn node(&mut self, op: FloatOp, shape: &[usize]) -> usize {
        let index = self.graph.nodes.len();
        self.graph.nodes.push(FloatNode {
            name: format!("node{index}"),
            source: "Test".to_owned(),
            op,
            shape: shape.to_vec(),
        });
        self.graph.inputs.len() + index
    }

    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.rng.random::<f32>()).sum::<f32>() - 6.0
    }

    pub(super) fn constant(&mut self, values: Vec<f32>, shape: &[usize]) -> usize {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        self.node(
            FloatOp::Constant {
                values: values.into(),
            },
            shape,
        )
    }

    pub(super) fn random(&mut self, shape: &[usize], size: f32) -> usize {
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.normal() * size).collect();
        self.constant(values, shape)
    }

    pub(super) fn unary(&mut self, input: usize, function: Function) -> usize {
        let shape = self.shape(input);
        self.node(FloatOp::Unary { input, function }, &shape)
    }

    pub(super) fn binary(&mut self, a: usize, b: usize, op: Binary) -> usize {
        let shape = self.shape(a);
        self.node(FloatOp::Binary { a, b, op }, &shape)
    }

    pub(super) fn combine(&mut self, terms: &[(usize, f64)], offset: f64) -> usize {
        let shape = self.shape(terms[0].0);
        let terms = terms.to_vec();
        self.node(FloatOp::Combine { terms, offset }, &shape)
    }

    pub(super) fn mul(&mut self, a: usize, b: usize) -> usize {
        let shape = self.shape(a);
        self.node(FloatOp::Mul { a, b }, &shape)
    }

    pub(super) fn div(&mut self, a: usize, b: usize) -> usize {
        let shape = self.shape(a);
        self.node(FloatOp::Div { a, b }, &shape)
    }

    pub(super) fn matmul(&mut self, a: usize, b: usize, batch: u8, inner: u8) -> usize {
        let (x, y) = (self.shape(a), self.shape(b));
        let kept = x.len() - usize::from(inner);
        let mut shape = x[..kept].to_vec();
        shape.extend(&y[usize::from(batch + inner)..]);
        self.node(FloatOp::MatMul { a, b, batch, inner }, &shape)
    }

    pub(super) fn reshape(&mut self, input: usize, shape: &[usize]) -> usize {
        self.node(FloatOp::Reshape { input }, shape)
    }

    /// Axis `i` of the operand is axis `order[i]` of the result.
    pub(super) fn transpose(&mut self, input: usize, order: &[usize]) -> usize {
        let from = self.shape(input);
        let mut shape = vec![0; from.len()];
        for (dim, &to) in from.iter().zip(order) {
            shape[to] = *dim;
        }
        let axes = order.iter().map(|&to| affine(0, &[(to, 1)])).collect();
        self.node(FloatOp::View { input, axes }, &shape)
    }

    /// A vector repeated along all axes but the last.
    pub(super) fn broadcast(&mut self, input: usize, shape: &[usize]) -> usize {
        let axes = vec![affine(0, &[(shape.len() - 1, 1)])];
        self.node(FloatOp::View { input, axes }, shape)
    }

    /// Patches `[h, w, c, k, k]` of an image `[c, h, w]`, padded by `k/2`.
    pub(super) fn patches(&mut self, input: usize, k: usize) -> usize {
        let [c, h, w] = self.shape(input)[..] else {
            panic!("an image has three axes");
        };
        let pad = -((k / 2) as i32);
        let axes = vec![
            affine(0, &[(2, 1)]),
            affine(pad, &[(0, 1), (3, 1)]),
            affine(pad, &[(1, 1), (4, 1)]),
        ];
        self.node(FloatOp::View { input, axes }, &[h, w, c, k, k])
    }

    /// A convolution with bias, `[c, h, w]` to `[out, h, w]`.
    pub(super) fn conv(&mut self, input: usize, out: usize, k: usize) -> usize {
        let [c, h, w] = self.shape(input)[..] else {
            panic!("an image has three axes");
        };
        let patches = self.patches(input, k);
        let weight = self.random(&[c, k, k, out], (1.0 / (c * k * k) as f32).sqrt());
        let sums = self.matmul(patches, weight, 0, 3);
        let bias = self.random(&[out], 0.1);
        let bias = self.broadcast(bias, &[h, w, out]);
        let sums = self.combine(&[(sums, 1.0), (bias, 1.0)], 0.0);
        self.transpose(sums, &[1, 2, 0])
    }

    /// The largest of every square of 2 by 2.
    pub(super) fn max_pool(&mut self, input: usize) -> usize {
        let [c, h, w] = self.shape(input)[..] else {
            panic!("an image has three axes");
        };
        let axes = vec![
            affine(0, &[(0, 1)]),
            affine(0, &[(1, 2), (3, 1)]),
            affine(0, &[(2, 2), (4, 1)]),
        ];
        let shape = [c, h / 2, w / 2, 2, 2];
        let squares = self.node(FloatOp::View { input, axes }, &shape);
        let flat = self.reshape(squares, &[c, h / 2, w / 2, 4]);
        self.node(
            FloatOp::ReduceMax {
                input: flat,
                axis: 3,
            },
            &[c, h / 2, w / 2],
        )
    }

    /// `x·W + b` over the last axis.
    pub(super) fn linear(&mut self, input: usize, out: usize) -> usize {
        let from = *self.shape(input).last().unwrap();
        let weight = self.random(&[from, out], (1.0 / from as f32).sqrt());
        let product = self.matmul(input, weight, 0, 1);
        let bias = self.random(&[out], 0.1);
        let shape = self.shape(product);
        let bias = self.broadcast(bias, &shape);
        self.combine(&[(product, 1.0), (bias, 1.0)], 0.0)
    }

    pub(super) fn softmax(&mut self, input: usize) -> usize {
        let shape = self.shape(input);
        self.node(FloatOp::Softmax { input }, &shape)
    }

    /// A layer norm with gain and bias.
    pub(super) fn layer_norm(&mut self, input: usize) -> usize {
        let shape = self.shape(input);
        let op = FloatOp::Normalize {
            input,
            epsilon: 1e-5,
            center: true,
        };
        let normal = self.node(op, &shape);
        let width = *shape.last().unwrap();
        let gain = (0..width).map(|_| 1.0 + 0.1 * self.normal()).collect();
        let gain = self.constant(gain, &[width]);
        let gain = self.broadcast(gain, &shape);
        let scaled = self.mul(normal, gain);
        let bias = self.random(&[width], 0.1);
        let bias = self.broadcast(bias, &shape);
        self.combine(&[(scaled, 1.0), (bias, 1.0)], 0.0)
    }

    pub(super) fn output(&mut self, value: usize) {
        self.graph.outputs.push(FloatOutput {
            name: "y".to_owned(),
            value,
        });
    }

    /// Normal samples of a size.
    pub(super) fn samples(&mut self, count: usize, size: f32) -> Vec<Vec<f32>> {
        let length = self.graph.input_len();
        (0..count)
            .map(|_| (0..length).map(|_| self.normal() * size).collect())
            .collect()
    }

    /// Whole samples in `0..below`.
    pub(super) fn whole_samples(&mut self, count: usize, lo: i32, below: i32) -> Vec<Vec<f32>> {
        let length = self.graph.input_len();
        (0..count)
            .map(|_| {
                (0..length)
                    .map(|_| self.rng.random_range(lo..below) as f32)
                    .collect()
            })
            .collect()
    }
}

pub(super) fn affine(offset: i32, terms: &[(usize, i32)]) -> AxisMap {
    AxisMap::Affine {
        offset,
        terms: terms
            .iter()
            .map(|&(axis, stride)| (axis as u8, stride))
            .collect(),
    }
}

pub(super) fn options(bits: u8) -> CompileOptions {
    CompileOptions {
        bits,
        ..CompileOptions::default()
    }
}

/// Compiles; the reference interpreter must agree with the report's engine on the first sample.
pub(super) fn compiled(world: &World, samples: &[Vec<f32>], options: &CompileOptions) -> Compiled {
    let views: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
    let compiled = match compile(&world.graph, &views, options) {
        Ok(compiled) => compiled,
        Err(error) => {
            for (index, node) in world.graph.nodes.iter().enumerate() {
                if !matches!(node.op, FloatOp::Constant { .. }) {
                    println!("{}: {:?}", index + world.graph.inputs.len(), node.op);
                }
            }
            panic!("{error}")
        }
    };
    let report = &compiled.report;
    println!(
        "bits {:2} snr {:6.1} dB, worst {:?}, max error {:.2e} of range {:.2e}, top1 {:.2}, lookups {}, rows {}",
        options.bits,
        report.snr_db,
        report.worst,
        report.max_error,
        report.output_range,
        report.top1_agreement,
        report.lookups,
        report.table_rows
    );
    if std::env::var_os("LAYERS").is_some() {
        for layer in &report.layers {
            println!("  {layer:?}");
        }
    }
    compiled
}

/// The outputs of float graph and model on one sample, both real.
pub(super) fn both(world: &World, compiled: &Compiled, sample: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let graph = &compiled.model.graph;
    let input = quantize(graph, sample).expect("a sample that calibrated fits");
    let integers =
        hallmark_graph::reference::run(&compiled.model, &input).expect("a checked model runs");
    (
        world.graph.evaluate(sample),
        crate::scale::dequantize(graph, &integers),
    )
}

/// Every output of every sample is within `share` of the outputs' range.
pub(super) fn assert_close(world: &World, samples: &[Vec<f32>], bits: u8, share: f64) {
    let compiled = compiled(world, samples, &options(bits));
    let report = &compiled.report;
    let error = report.max_error / report.output_range.max(f64::MIN_POSITIVE);
    assert!(
        error <= share,
        "{bits} bits: error {} of range {}, {:#?}",
        report.max_error,
        report.output_range,
        report.layers
    );
}

/// Integers are the float results exactly.
pub(super) fn assert_exact(world: &World, samples: &[Vec<f32>]) {
    for bits in [8, 16] {
        let compiled = compiled(world, samples, &options(bits));
        for sample in samples {
            let (float, integer) = both(world, &compiled, sample);
            assert_eq!(float, integer);
        }
    }
}
