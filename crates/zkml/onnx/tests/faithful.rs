//! The shipped models through the integer compiler, on samples that calibration never saw.
//!
//! Each test prints its figures: `cargo test -p hallmark-onnx --test faithful -- --nocapture`.
//! `LAYERS=1` adds the signal over noise of every layer.

use std::path::{Path, PathBuf};

use hallmark_onnx::{
    Accuracy, CompileOptions, Compiled, Dataset, FloatGraph, ImportOptions, Report, accuracy,
    compile, import_file, read_dataset,
};

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../assets")
        .join(name)
}

/// What a compiled model makes of the test samples.
struct Measured {
    accuracy: Accuracy,
    /// On the test samples.
    report: Report,
}

impl Measured {
    /// Largest error of an output as a share of the float outputs' range.
    fn error(&self) -> f64 {
        self.report.max_error / self.report.output_range
    }
}

fn data(name: &str, float: &FloatGraph) -> Dataset {
    read_dataset(&asset(name), &[float.input_len()]).expect("shipped samples")
}

fn measure(model: &str, calibration: &str, test: &str, bits: u8) -> Measured {
    measure_with(model, calibration, test, bits, usize::MAX)
}

/// Calibrates on so many samples at most.
fn measure_with(model: &str, calibration: &str, test: &str, bits: u8, most: usize) -> Measured {
    let float = import_file(&asset(model), ImportOptions::default()).expect("a shipped model");
    let options = CompileOptions {
        bits,
        ..CompileOptions::default()
    };
    let calibration = data(calibration, &float);
    let mut samples = calibration.calibration();
    samples.truncate(most);
    let compiled: Compiled = compile(&float, &samples, &options).expect("it compiles");
    let test = data(test, &float);
    let chosen = test.test_indices();
    let samples: Vec<&[f32]> = chosen.iter().map(|&i| &test.samples[i][..]).collect();
    let labels = test.labels_of(&chosen).expect("labelled samples");
    let measured = Measured {
        accuracy: accuracy(&float, &compiled.model, &samples, &labels).expect("it runs"),
        report: compiled.compare(&float, &samples).expect("it runs"),
    };
    let (a, r) = (&measured.accuracy, &measured.report);
    println!(
        "{model}, {bits} bits, {} labels: top-1 {} in floats, {} in integers, {} alike; perplexity \
         {:.4} in floats, {:.4} in integers ({:+.3} %); largest error {:.5} of range {:.3} \
         ({:.2e}), {:.1} dB, worst {:?}; {} lookups, {} table rows",
        a.samples,
        a.float_correct,
        a.integer_correct,
        a.agree,
        a.float_perplexity,
        a.integer_perplexity,
        100.0 * a.perplexity_lost(),
        r.max_error,
        r.output_range,
        measured.error(),
        r.snr_db,
        r.worst,
        r.lookups,
        r.table_rows,
    );
    if std::env::var_os("LAYERS").is_some() {
        for layer in &r.layers {
            println!(
                "  {:<48} {:<20} {:6.1} dB, reach {:>9}, step {:.3e}",
                layer.name, layer.source, layer.snr_db, layer.reach, layer.scale
            );
        }
    }
    measured
}

#[test]
fn the_digit_models_answer_as_their_float_models_do() {
    for model in ["digits.onnx", "lenet.onnx"] {
        for bits in [8, 16] {
            let measured = measure(model, "digits.csv", "digits.csv", bits);
            assert!(measured.accuracy.points_lost() <= 0.5);
            let most = if bits == 8 { 0.03 } else { 1e-3 };
            assert!(measured.error() <= most);
        }
    }
}

/// A dozen images say little about the others' extremes: the headroom is for them.
#[test]
fn a_dozen_samples_calibrate_well_enough() {
    for model in ["digits.onnx", "lenet.onnx"] {
        let measured = measure_with(model, "digits.csv", "digits.csv", 8, 12);
        assert!(measured.accuracy.points_lost() <= 0.5);
        assert!(measured.error() <= 0.1);
    }
}

#[test]
fn the_language_model_loses_a_hundredth_of_its_perplexity_at_most() {
    for bits in [8, 16] {
        let measured = measure("lm.onnx", "lm_calibration.npz", "lm_test.npz", bits);
        assert!(measured.accuracy.perplexity_lost() <= 0.01);
        let most = if bits == 8 { 0.1 } else { 1e-3 };
        assert!(measured.error() <= most);
    }
}
