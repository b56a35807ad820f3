//! `hallmark zk bench`: running, proving and verifying, measured; one JSON object.

use super::quantise::{FromOnnx, compile_onnx};
use super::{dataset, load, memory};
use crate::commands::Error;
use crate::output::Reporter;
use hallmark_engine::Prepared;
use hallmark_onnx::{CompileOptions, FloatGraph};
use hallmark_proof::{InputSecret, Mode, Profile, ProvingKey, SecurityReport, VerifyingKey};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Plain runs take microseconds to seconds: as many as fit are timed together.
const PLAIN_BUDGET: Duration = Duration::from_millis(200);
const MAX_PLAIN_RUNS: u32 = 100;
/// Measuring ends early when it has taken this long, with at least one proof measured.
const PROVE_BUDGET: Duration = Duration::from_secs(20);

/// What to measure, and how often.
pub(super) struct Bench<'a> {
    pub(super) model: &'a Path,
    pub(super) input: Option<PathBuf>,
    pub(super) calibrate: Option<PathBuf>,
    pub(super) repeat: u32,
    pub(super) mode: Mode,
    pub(super) profile: Profile,
    pub(super) options: CompileOptions,
}

pub(super) fn run(bench: Bench<'_>, report: &Reporter) -> Result<(), Error> {
    let Bench {
        model: path,
        mode,
        profile,
        ..
    } = bench;
    let spinner = report.spinner("compiling");
    let started = Instant::now();
    let (model, float, mut samples) = if path.extension().is_some_and(|e| e == "hmk") {
        (load(path)?, None, Vec::new())
    } else {
        // Without calibration data, the input itself is what the scales are chosen from.
        let calibrate = bench.calibrate.as_deref().or(bench.input.as_deref());
        let calibrate = calibrate.ok_or_else(|| {
            Error::new("an ONNX model needs --calibrate DATA (or --input FILE) to be compiled")
        })?;
        let FromOnnx {
            compiled,
            data,
            float,
            ..
        } = compile_onnx(path, calibrate, &bench.options)?;
        (compiled.model, Some(float), data.samples)
    };
    let compile_time = started.elapsed();
    if let Some(input) = &bench.input {
        samples = dataset(&model.graph, input)?.samples;
    }
    let sample = samples
        .first()
        .ok_or_else(|| Error::new("a compiled model needs --input FILE to be measured on"))?;
    let input = hallmark_onnx::quantize(&model.graph, sample)?;
    let model_bytes = model.encode().len();
    let memory_estimate = memory::mib(memory::need(&model, profile, 1));

    spinner.set_message("committing to the weights");
    let (proving, setup_time) = timed(|| hallmark_proof::setup_with(&model, profile));
    let proving: ProvingKey = proving?;
    let key = proving.verifying_key();
    let unavailable = || {
        Error::new(format!(
            "this model has no proofs of mode {}",
            mode_name(mode)
        ))
    };
    let work = hallmark_proof::work(key, mode).ok_or_else(unavailable)?;
    let security = security(key, mode).ok_or_else(unavailable)?;
    let (params, macs) = (model.graph.params(), model.graph.macs());
    let prepared = Prepared::new(model)?;
    let graph = prepared.graph();
    let context = [7u8; 32];
    spinner.finish_and_clear();

    let output = hallmark_engine::run(&prepared, &input)?;
    let max_abs_error = float.map(|float| error(&float, sample, graph, &output));
    // Warm up once, then measure; the median counts.
    let mut run = Measured::default();
    let bar = report.bar(u64::from(bench.repeat) + 1, "proving");
    run.proof(&prepared, &proving, &input, mode, &context)?;
    bar.inc(1);
    run = Measured::default();
    let started = Instant::now();
    for i in 0..bench.repeat {
        if i > 0 && started.elapsed() > PROVE_BUDGET {
            break;
        }
        run.plain(&prepared, &input)?;
        run.proof(&prepared, &proving, &input, mode, &context)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let repeats = run.prove.len();
    let (plain, prove) = (median(run.plain), median(run.prove));
    let (lookups, commitment, opening) = (
        median(run.lookups),
        median(run.commitment),
        median(run.opening),
    );
    let nanos = |total: Duration, count: usize| {
        (total.as_nanos() as f64 / count.max(1) as f64 * 10.0).round() / 10.0
    };
    let value = json!({
        "model": path, "params": params, "macs": macs,
        "lookups": work.lookups, "committed": work.committed,
        "mode": mode_name(mode), "profile": profile.name(), "security_bits": security.bits(),
        "compile_ms": ms(compile_time), "setup_ms": ms(setup_time),
        "plain_ms": ms(plain), "prove_ms": ms(prove),
        "prove_cpu_ms": ms(median(run.prove_cpu)),
        "verify_ms": ms(median(run.verify)), "verify_cpu_ms": ms(median(run.verify_cpu)),
        "proof_bytes": run.proof_bytes, "model_bytes": model_bytes,
        "prove_over_plain": (prove.as_secs_f64() / plain.as_secs_f64().max(1e-9)).round(),
        "ns_per_lookup": nanos(lookups, work.lookups),
        "ns_per_committed": nanos(commitment, work.committed),
        "ns_per_weight": nanos(opening, work.weights),
        "phases_ms": {
            "columns": ms(median(run.columns)), "lookups": ms(lookups),
            "walk": ms(median(run.walk)), "binding": ms(median(run.binding)),
            "witness": ms(commitment),
            "weights": ms(opening),
        },
        "peak_rss_mb": peak_rss_mb(), "memory_estimate_mb": memory_estimate, "max_abs_error": max_abs_error,
        "repeat": repeats, "verified": run.verified == repeats && repeats > 0,
    });
    let text = value
        .as_object()
        .map(|m| {
            m.iter()
                .map(|(k, v)| format!("{k:<18} {v}"))
                .collect::<Vec<_>>()
                .join("\n")
        })
        .unwrap_or_default();
    report.result(text, &value);
    match value["verified"] == true {
        true => Ok(()),
        false => Err(Error::new("a proof did not verify")),
    }
}

/// The security of a mode's proofs, if the key has them.
pub(super) fn security(key: &VerifyingKey, mode: Mode) -> Option<SecurityReport> {
    match mode {
        Mode::Public => Some(hallmark_proof::security_report(key)),
        Mode::PrivateInput => hallmark_proof::private_security_report(key),
    }
}

/// A mode as the command line names it.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Public => "public",
        Mode::PrivateInput => "private-input",
    }
}

/// Largest difference of an output element from the float model on the measured input.
fn error(float: &FloatGraph, sample: &[f32], graph: &hallmark_graph::Graph, output: &[i32]) -> f64 {
    let integers = hallmark_onnx::dequantize(graph, output);
    float
        .evaluate(sample)
        .iter()
        .zip(integers)
        .map(|(a, b)| (f64::from(*a) - f64::from(b)).abs())
        .fold(0.0, f64::max)
}

/// Times of every repetition.
#[derive(Default)]
struct Measured {
    plain: Vec<Duration>,
    prove: Vec<Duration>,
    prove_cpu: Vec<Duration>,
    verify: Vec<Duration>,
    verify_cpu: Vec<Duration>,
    columns: Vec<Duration>,
    lookups: Vec<Duration>,
    walk: Vec<Duration>,
    binding: Vec<Duration>,
    commitment: Vec<Duration>,
    opening: Vec<Duration>,
    proof_bytes: usize,
    verified: usize,
}

impl Measured {
    fn plain(&mut self, prepared: &Prepared, input: &[i32]) -> Result<(), Error> {
        let (ran, once) = timed(|| hallmark_engine::run(prepared, input));
        ran?;
        let runs = PLAIN_BUDGET.as_nanos() / once.as_nanos().max(1);
        let runs = u32::try_from(runs)
            .unwrap_or(u32::MAX)
            .clamp(1, MAX_PLAIN_RUNS);
        let (ran, time) =
            timed(|| (0..runs).try_for_each(|_| hallmark_engine::run(prepared, input).map(|_| ())));
        ran?;
        self.plain.push(time / runs);
        Ok(())
    }

    fn proof(
        &mut self,
        prepared: &Prepared,
        proving: &ProvingKey,
        input: &[i32],
        mode: Mode,
        context: &[u8; 32],
    ) -> Result<(), Error> {
        let key = proving.verifying_key();
        let secret = fresh_secret()?;
        let cpu = cpu_time();
        let (made, time) = timed(|| {
            let trace = hallmark_engine::trace(prepared, input)?;
            let (proof, phases) = match mode {
                Mode::Public => hallmark_proof::prove_measured(proving, &trace, context, &|_| {})?,
                Mode::PrivateInput => hallmark_proof::prove_private_measured(
                    proving,
                    &trace,
                    &secret,
                    context,
                    &|_| {},
                )?,
            };
            let output = prepared.graph().join_output(&trace.values);
            Ok::<_, Error>((proof, phases, output))
        });
        let (proof, phases, output) = made?;
        self.prove.push(time);
        self.prove_cpu.push(cpu_time().saturating_sub(cpu));
        self.columns.push(phases.columns);
        self.lookups.push(phases.lookups);
        self.walk.push(phases.walk);
        self.binding.push(phases.binding);
        self.commitment.push(phases.witness);
        self.opening.push(phases.weights);
        self.proof_bytes = proof.len();
        // What the buyer made before, and what the chain would see.
        let graph = prepared.graph();
        let commitment = hallmark_proof::commit_input(graph, input, &secret)?;
        let masked = hallmark_proof::mask_output(graph, &output, &secret)?;
        let cpu = cpu_time();
        let (checked, time) = timed(|| match mode {
            Mode::Public => hallmark_proof::verify(key, input, &output, context, &proof),
            Mode::PrivateInput => {
                hallmark_proof::verify_private(key, &commitment, &masked, context, &proof)
            }
        });
        self.verify.push(time);
        self.verify_cpu.push(cpu_time().saturating_sub(cpu));
        self.verified += usize::from(checked.is_ok());
        Ok(())
    }
}

/// A secret that no other proof has.
pub(super) fn fresh_secret() -> Result<InputSecret, Error> {
    Ok(InputSecret::from_bytes(hallmark_client::sealed::random()?))
}

fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let value = f();
    (value, started.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(super) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// User and system time of this process (Linux; zero elsewhere), in nanoseconds as the scheduler
/// counts it.
pub fn cpu_time() -> Duration {
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

/// Peak resident memory of this process in MiB (Linux; zero elsewhere).
pub fn peak_rss_mb() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|v| v.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .map_or(0, |kb| kb / 1024)
}
