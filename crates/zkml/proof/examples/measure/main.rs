//! Times setup, proving and verification of a few models with random weights, on one thread and
//! on all, and eight runs in one proof; names of models and of a profile as arguments choose among them, and
//! compiled models (`.hmk`) join them.
//!
//! `cargo run --release -p hallmark-proof --example measure`

mod models;

use std::time::{Duration, Instant};

use hallmark_graph::{Model, reference};
use hallmark_proof::{
    BatchRun, InputSecret, Mode, Phases, Profile, commit_input, mask_output,
    private_security_report, prove_batch, prove_measured, prove_private_measured, security_report,
    setup_with, verify, verify_private, work,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The allocator of the `hallmark` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The fastest and the median of some runs.
fn time<T>(runs: usize, mut f: impl FnMut() -> T) -> (Duration, Duration, T) {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        last = Some(f());
        times.push(start.elapsed());
    }
    times.sort();
    (times[0], times[runs / 2], last.expect("at least one run"))
}

fn main() {
    let (profiles, chosen): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|name| Profile::ALL.iter().any(|profile| profile.name() == name));
    let (files, chosen): (Vec<String>, Vec<String>) =
        chosen.into_iter().partition(|name| name.ends_with(".hmk"));
    let asked =
        |profile: &Profile| profiles.is_empty() || profiles.contains(&profile.name().to_owned());
    type Make = fn() -> Model;
    let models: [(&str, Make, usize); 6] = [
        ("digit", || models::mlp(1, &[64, 128, 128, 10]), 15),
        ("mlp", || models::mlp(1, &[784, 128, 10]), 15),
        ("digit64", || models::mlp(64, &[64, 128, 128, 10]), 15),
        ("dense4m", || models::mlp(1, &[2048, 2048, 10]), 5),
        ("cnn", models::cnn, 5),
        ("transformer", || models::transformer(2, 64, 256, 4), 5),
    ];
    for (name, model, runs) in models {
        if (chosen.is_empty() && files.is_empty()) || chosen.iter().any(|c| c == name) {
            for profile in Profile::ALL.into_iter().filter(asked) {
                measure(name, &model(), profile, runs);
            }
        }
    }
    for file in files {
        let bytes = std::fs::read(&file).expect("a readable file");
        let model = Model::decode(&bytes).expect("a compiled model");
        for profile in Profile::ALL.into_iter().filter(asked) {
            measure(&file, &model, profile, 5);
        }
    }
}

fn measure(name: &str, model: &Model, profile: Profile, runs: usize) {
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread pool");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (setup_min, _, pk) = time(1, || setup_with(model, profile).expect("fits"));
    let vk = pk.verifying_key();
    let range = model.graph.inputs[0].range;
    let width = range.hi.abs_diff(range.lo) + 1;
    let input: Vec<i32> = (0..model.graph.input_len())
        .map(|_| range.lo + (rng.next_u32() % width) as i32)
        .collect();
    let (run, _, trace) = time(1, || reference::trace(model, &input).expect("in range"));
    let output = &trace.values[model.graph.outputs[0].value as usize];
    let context = [3; 32];
    let secret = InputSecret::from_bytes([9; 32]);
    let graph = vk.graph();
    let commitment = commit_input(graph, &input, &secret).expect("in range");
    let masked = mask_output(graph, output, &secret).expect("in range");
    println!(
        "{name}, {}: reference run {run:.2?}, setup {setup_min:.2?}",
        profile.name()
    );
    for mode in [Mode::Public, Mode::PrivateInput] {
        let prove_once = || match mode {
            Mode::Public => prove_measured(&pk, &trace, &context, &|_| {}),
            Mode::PrivateInput => prove_private_measured(&pk, &trace, &secret, &context, &|_| {}),
        };
        let made = || -> (Vec<u8>, Phases) { prove_once().expect("proves") };
        made();
        let (all, all_p50, (proof, phases)) = time(runs, made);
        let (single, single_p50, _) = one.install(|| time(runs, made));
        let check = || match mode {
            Mode::Public => verify(vk, &input, output, &context, &proof),
            Mode::PrivateInput => verify_private(vk, &commitment, &masked, &context, &proof),
        };
        let (verify_min, verify_p50, checked) = one.install(|| time(31, check));
        checked.expect("verifies");
        let (cost, longest, report) = match mode {
            Mode::Public => (
                Some(vk.cost()),
                Some(vk.max_proof_len()),
                Some(security_report(vk)),
            ),
            Mode::PrivateInput => (
                vk.private_cost(),
                vk.max_private_proof_len(),
                private_security_report(vk),
            ),
        };
        println!("  {mode:?} {:?}", work(vk, mode));
        println!(
            "  prove   {all:.2?} / {all_p50:.2?} (all threads), {single:.2?} / {single_p50:.2?} (one thread)   min / median"
        );
        println!("  last    {phases:.1?}");
        println!(
            "  verify  {verify_min:.2?} / {verify_p50:.2?}, proof {} bytes (at most {longest:?})",
            proof.len(),
        );
        println!("  gas     {:?} {cost:?}", cost.map(|c| c.gas()));
        let report = report.expect("both modes");
        println!("  {:.1} bits", report.bits());
        for term in report.terms {
            println!("    {:<24} {:.1}", term.name, term.bits);
        }
    }
    let secrets: Vec<InputSecret> = (0..8)
        .map(|i| InputSecret::from_bytes([100 + i; 32]))
        .collect();
    for mode in [Mode::Public, Mode::PrivateInput] {
        let batch: Vec<BatchRun<'_>> = secrets
            .iter()
            .map(|secret| BatchRun {
                trace: &trace,
                secret: (mode == Mode::PrivateInput).then_some(secret),
            })
            .collect();
        for count in [1, 8] {
            let proved = || {
                let cpu = cpu_time();
                let proof = prove_batch(&pk, &batch[..count], &context).expect("proves");
                (proof.len(), cpu_time().saturating_sub(cpu))
            };
            proved();
            let (wall, _, _) = time(3, proved);
            let mut cpu: Vec<_> = (0..5).map(|_| proved()).collect();
            cpu.sort_by_key(|(_, cpu)| *cpu);
            let (bytes, cpu) = cpu[2];
            println!(
                "  {count} at once, {mode:?}: {wall:.2?}, {cpu:.2?} of all cores, {bytes} bytes"
            );
        }
    }
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
