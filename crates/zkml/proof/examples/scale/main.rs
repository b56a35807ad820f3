//! How the cost of a proof grows: makes models of growing size, proves and verifies them in mode
//! `PrivateInput`, and draws processor time against size with both axes logarithmic. Fails when a proof does
//! not verify, or when the cost of a unit still grows over the last decade.
//!
//! `cargo run --release -p hallmark-proof --example scale -- --svg docs/pictures/scale.svg`
//!
//! Three series, each with one size that grows and all else small; weights have int8's whole range:
//!
//! | series | model | size |
//! |---|---|---|
//! | weights | one product of a row and a square matrix | elements of the matrix |
//! | activations | `n/64` rows times a fixed 64×64 matrix, and the square of every element | elements of all values |
//! | lookups | `n` elements through one table of 256 rows | elements looked up |
//!
//! A line of JSON for each point. Processor time is of the whole process, both cores, the median of the
//! repetitions; `--most N` leaves out sizes above `2^N`.

mod picture;

use std::time::{Duration, Instant};

use hallmark_graph::{
    AxisMap, Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, ValueId,
    reference,
};
use hallmark_proof::{
    InputSecret, Mode, commit_input, mask_output, private_security_report, prove_private, setup,
    verify_private, work,
};

/// The allocator of the `hallmark` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SCALE: Scale = Scale {
    multiplier: 1,
    shift: 0,
};
/// Least and greatest size of a series, as powers of two: four decades and more.
const SIZES: [(Series, u32, u32); 3] = [
    (Series::Weights, 10, 24),
    (Series::Activations, 10, 24),
    (Series::Lookups, 7, 21),
];
/// A unit may cost this much more at the end of the last decade than at its beginning. A commitment is
/// padded to a power of two and an opening has a floor, so costs move in steps.
const TOLERANCE: f64 = 1.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Series {
    Weights,
    Activations,
    Lookups,
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Activations => "activations",
            Self::Lookups => "lookups",
        }
    }

    /// A model of about `2^bits` units.
    fn model(self, bits: u32) -> Model {
        match self {
            Self::Weights => weights(bits),
            Self::Activations => activations(bits),
            Self::Lookups => lookups(bits),
        }
    }
}

/// A size and what a proof of it took.
struct Point {
    size: usize,
    prove_cpu: Duration,
    prove: Duration,
    verify_cpu: Duration,
    bytes: usize,
    bits: f64,
}

impl Point {
    fn unit(&self) -> f64 {
        self.prove_cpu.as_secs_f64() / self.size as f64
    }
}

fn main() {
    let (svg, most) = arguments();
    let mut series = Vec::new();
    let mut grows = Vec::new();
    for (which, least, greatest) in SIZES {
        let mut points: Vec<Point> = Vec::new();
        for bits in (least..=greatest.min(most)).step_by(2) {
            let point = measure(which, bits);
            println!(
                "{{\"series\":\"{}\",\"size\":{},\"prove_cpu_ms\":{:.3},\"prove_ms\":{:.3},\
                 \"verify_cpu_ms\":{:.3},\"proof_bytes\":{},\"security_bits\":{:.1},\
                 \"ns_per_unit\":{:.1}}}",
                which.name(),
                point.size,
                point.prove_cpu.as_secs_f64() * 1e3,
                point.prove.as_secs_f64() * 1e3,
                point.verify_cpu.as_secs_f64() * 1e3,
                point.bytes,
                point.bits,
                point.unit() * 1e9,
            );
            points.push(point);
        }
        if let Some(end) = points.last() {
            let decade = |p: &&Point| p.size * 8 <= end.size;
            if let Some(begin) = points.iter().rev().find(decade)
                && end.unit() > TOLERANCE * begin.unit()
            {
                grows.push(which.name());
            }
        }
        series.push((which.name(), points));
    }
    if let Some(path) = svg {
        let of = |(name, points): &(&'static str, Vec<Point>)| picture::Line {
            name,
            points: points
                .iter()
                .map(|p| (p.size as f64, p.prove_cpu.as_secs_f64() * 1e3))
                .collect(),
        };
        let lines: Vec<picture::Line> = series.iter().map(of).collect();
        if let Err(error) = std::fs::write(&path, picture::draw(&lines)) {
            eprintln!("error: {path}: {error}");
            std::process::exit(1);
        }
    }
    if !grows.is_empty() {
        eprintln!(
            "error: the cost of a unit grows by more than {TOLERANCE} times in the last decade of {grows:?}"
        );
        std::process::exit(1);
    }
}

/// `--svg FILE`, `--most N`.
fn arguments() -> (Option<String>, u32) {
    let (mut svg, mut most) = (None, u32::MAX);
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        match (name.as_str(), all.next()) {
            ("--svg", Some(path)) => svg = Some(path),
            ("--most", Some(bits)) if bits.parse::<u32>().is_ok() => {
                most = bits.parse().unwrap_or(most);
            }
            _ => {
                eprintln!("usage: scale [--svg FILE] [--most N]");
                std::process::exit(2);
            }
        }
    }
    (svg, most)
}

fn measure(series: Series, bits: u32) -> Point {
    let model = series.model(bits);
    let pk = setup(&model).expect("fits the profile");
    let vk = pk.verifying_key();
    let graph = vk.graph();
    let input: Vec<i32> = (0..graph.input_len() as i32)
        .map(|i| i.wrapping_mul(7919).rem_euclid(3) - 1)
        .collect();
    let trace = reference::trace(&model, &input).expect("in range");
    let output = graph.join_output(&trace.values);
    let context = [3; 32];
    let secret = InputSecret::from_bytes([9; 32]);
    let commitment = commit_input(graph, &input, &secret).expect("in range");
    let masked = mask_output(graph, &output, &secret).expect("in range");
    let mut proofs = Vec::new();
    let mut checks = Vec::new();
    let mut bytes = 0;
    let begun = Instant::now();
    // The first warms up.
    for round in 0..12 {
        let (proof, cpu, wall) =
            timed(|| prove_private(&pk, &trace, &secret, &context).expect("proves"));
        let (verdict, check, _) =
            timed(|| verify_private(vk, &commitment, &masked, &context, &proof));
        verdict.expect("verifies");
        bytes = proof.len();
        if round > 0 {
            proofs.push((cpu, wall));
            checks.push(check);
        }
        if round > 3 && begun.elapsed() > Duration::from_secs(10) {
            break;
        }
    }
    proofs.sort_unstable();
    checks.sort_unstable();
    let (prove_cpu, prove) = proofs[proofs.len() / 2];
    let work = work(vk, Mode::PrivateInput).expect("has such proofs");
    Point {
        size: match series {
            Series::Weights => work.weights,
            Series::Lookups => work.lookups,
            Series::Activations => {
                let values = model.graph.nodes.iter();
                let constants = model.graph.params() as usize;
                values.map(|n| n.shape.elements()).sum::<usize>() - constants
            }
        },
        prove_cpu,
        prove,
        verify_cpu: checks[checks.len() / 2],
        bytes,
        bits: private_security_report(vk).expect("has such proofs").bits(),
    }
}

/// A result with the processor and the wall time that it took.
fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let (cpu, wall) = (cpu_time(), Instant::now());
    let value = f();
    let wall = wall.elapsed();
    let cpu = cpu_time().saturating_sub(cpu);
    // Where the system does not say, the wall clock stands in.
    (value, if cpu.is_zero() { wall } else { cpu }, wall)
}

/// Processor time of all threads (Linux; zero elsewhere).
fn cpu_time() -> Duration {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split_whitespace().next()?.parse().ok())
        .map(Duration::from_nanos)
        .sum()
}

fn builder(elements: u32) -> Builder {
    Builder::new(vec![Input {
        shape: Shape(vec![elements]),
        range: Range { lo: -1, hi: 1 },
        scale: SCALE,
    }])
}

/// A matrix of int8's whole range, -127 to 127.
fn matrix(b: &mut Builder, rows: u32, cols: u32) -> ValueId {
    let values: Vec<i32> = (0..rows * cols)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as i32 % 255 - 127)
        .collect();
    let constant = Constant {
        elements: Elements::narrowest(&values),
        multipliers: Vec::new(),
    };
    b.constant(Shape(vec![rows, cols]), constant).expect("fits")
}

fn at(axis: u8) -> AxisMap {
    AxisMap::Affine {
        offset: 0,
        terms: vec![(axis, 1)],
    }
}

/// The 64 inputs as every one of `rows` rows.
fn rows(b: &mut Builder, rows: u32) -> ValueId {
    b.view(0, vec![at(1)], Shape(vec![rows, 64])).expect("fits")
}

fn finish(mut b: Builder, outputs: &[ValueId]) -> Model {
    for &output in outputs {
        b.output(output, SCALE).expect("exists");
    }
    b.finish().expect("valid")
}

fn weights(bits: u32) -> Model {
    let side = 1 << (bits / 2);
    let mut b = builder(side);
    let row = b.view(0, vec![at(1)], Shape(vec![1, side])).expect("fits");
    let w = matrix(&mut b, side, side);
    let y = b.matmul(row, w, 0, 1).expect("fits");
    // Four sums: one of all columns could reach 2^29.
    let parts = Shape(vec![4, side / 4]);
    let parts = b.reshape(y, parts).expect("fits");
    let sums = b.sum(parts, &[1]).expect("fits");
    finish(b, &[sums])
}

fn activations(bits: u32) -> Model {
    // Rows, products and squares: three values of as many elements.
    let count = 1 << (bits - 8);
    let mut b = builder(64);
    let x = rows(&mut b, count);
    let w = matrix(&mut b, 64, 64);
    let y = b.matmul(x, w, 0, 1).expect("fits");
    let squares = b.mul(x, x).expect("fits");
    // A sum of more than 1,024 rows could reach 2^29.
    let most = count.min(1 << 10);
    let outputs = [y, squares].map(|v| {
        let parts = Shape(vec![count / most, most, 64]);
        let parts = b.reshape(v, parts).expect("fits");
        b.sum(parts, &[1, 2]).expect("fits")
    });
    finish(b, &outputs)
}

fn lookups(bits: u32) -> Model {
    let mut b = builder(64);
    let x = rows(&mut b, 1 << (bits - 6));
    let table = TableSpec::Clamp {
        bits: 8,
        lo: 0,
        hi: 127,
    };
    let y = b.lookup(x, 0, table).expect("fits");
    let sum = b.sum(y, &[0, 1]).expect("fits");
    finish(b, &[sum])
}
