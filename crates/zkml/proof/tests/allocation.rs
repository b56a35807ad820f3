//! What refusing garbage allocates is bounded by what a valid proof of the same key takes and by the
//! garbage's length, whatever counts it claims. An allocator counts; so this is a test binary of its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hallmark_graph::{
    Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, reference,
};
use hallmark_proof::{
    BatchRun, BatchStatement, InputSecret, Inputs, VerifyingKey, commit_input, mask_output, prove,
    prove_batch, prove_private, setup, verify, verify_batch, verify_private,
};

struct Counting;

/// Bytes held now, at most since the last look, and ever asked for.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call on to the system's allocator and counts beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        ASKED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a call held at most, beyond what was held before, and asked for in all.
fn counted<T>(call: impl FnOnce() -> T) -> (T, usize, usize) {
    let (held, asked) = (HELD.load(Relaxed), ASKED.load(Relaxed));
    PEAK.store(held, Relaxed);
    let result = call();
    let peak = PEAK.load(Relaxed).saturating_sub(held);
    (result, peak, ASKED.load(Relaxed) - asked)
}

const CONTEXT: [u8; 32] = [7; 32];

fn model() -> Model {
    let scale = Scale {
        multiplier: 1,
        shift: 0,
    };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 8]),
        range: Range { lo: -128, hi: 127 },
        scale,
    }]);
    let weights = Constant {
        elements: Elements::I8((0..64).map(|i: i16| (i * 3 - 96) as i8).collect()),
        multipliers: vec![30; 8],
    };
    let weights = builder.constant(Shape(vec![8, 8]), weights).unwrap();
    let v = builder.matmul(0, weights, 0, 1).unwrap();
    let table = TableSpec::Clamp {
        bits: 12,
        lo: -128,
        hi: 127,
    };
    let y = builder.lookup(v, 12, table).unwrap();
    builder.output(y, scale).unwrap();
    builder.finish().unwrap()
}

/// Lays every count that could be read at its most over a proof, at many places, cuts it and lengthens it;
/// no refusal may take more than accepting takes and the garbage is long, thrice.
fn bounded(name: &str, honest: &[u8], check: impl Fn(&[u8]) -> bool) {
    // The first call may fill caches.
    assert!(check(honest), "{name}");
    let (accepted, peak, asked) = counted(|| check(honest));
    assert!(accepted && peak > 0, "{name}");
    let mut garbage = Vec::new();
    for step in 0..400 {
        let mut bytes = honest.to_vec();
        let at = step * (bytes.len() - 8) / 400;
        bytes[at..at + 8].fill(0xff);
        garbage.push(bytes);
    }
    garbage.push(honest[..honest.len() / 2].to_vec());
    garbage.push([honest, &vec![0xff; 1 << 20]].concat());
    garbage.push(vec![0xff; 64]);
    for (index, bytes) in garbage.iter().enumerate() {
        let (accepted, most, all) = counted(|| check(bytes));
        assert!(!accepted, "{name}, garbage {index}");
        let allowed = |honest: usize| 3 * (honest + bytes.len());
        assert!(
            most <= allowed(peak) && all <= allowed(asked),
            "{name}, garbage {index} of {} bytes: held {most}, asked for {all}; an honest proof {peak} and {asked}",
            bytes.len()
        );
    }
}

/// One test: another in the same process would be counted too.
#[test]
fn refusing_garbage_allocates_no_more_than_its_length_and_an_honest_proof_allow() {
    let model = model();
    let key = setup(&model).unwrap();
    let vk = key.verifying_key();
    let graph = vk.graph();
    let input = vec![5, -3, 100, 0, 7, -128, 127, 1];
    let trace = reference::trace(&model, &input).unwrap();
    let output = graph.join_output(&trace.values);
    let secret = InputSecret::from_bytes([3; 32]);
    let commitment = commit_input(graph, &input, &secret).unwrap();
    let masked = mask_output(graph, &output, &secret).unwrap();

    let public = prove(&key, &trace, &CONTEXT).unwrap();
    bounded("public", &public, |proof| {
        verify(vk, &input, &output, &CONTEXT, proof).is_ok()
    });
    let private = prove_private(&key, &trace, &secret, &CONTEXT).unwrap();
    bounded("private", &private, |proof| {
        verify_private(vk, &commitment, &masked, &CONTEXT, proof).is_ok()
    });
    let run = BatchRun {
        trace: &trace,
        secret: None,
    };
    let batch = prove_batch(&key, &[run, run], &CONTEXT).unwrap();
    let statement = BatchStatement {
        inputs: Inputs::Public(&input),
        output: &output,
    };
    bounded("batch", &batch, |proof| {
        verify_batch(vk, &[statement, statement], &CONTEXT, proof).is_ok()
    });
    let bytes = vk.encode();
    // A change of a key's roots makes another key: only its counts can be refused.
    let (_, peak, asked) = counted(|| VerifyingKey::decode(&bytes));
    for at in 0..bytes.len() - 8 {
        let mut changed = bytes.clone();
        changed[at..at + 8].fill(0xff);
        let (_, most, all) = counted(|| VerifyingKey::decode(&changed).is_ok());
        assert!(
            most <= 3 * (peak + bytes.len()) && all <= 3 * (asked + bytes.len()),
            "key at {at}: held {most} and asked for {all}, an honest one {peak} and {asked}"
        );
    }
}
