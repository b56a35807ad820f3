//! Evaluates ONNX models in real arithmetic, for comparison with other runtimes.
//!
//! `evaluate MODEL.onnx INPUT.json` prints one list per sample as JSON; `evaluate DIRECTORY` does so
//! for every `NAME.onnx` with its `NAME.json`, one line `NAME<TAB>JSON` each, and a reason in place
//! of the lists where a model is refused.

use std::path::Path;

use hallmark_onnx::{ImportOptions, import_file, read_dataset};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [model, input] => match evaluate(Path::new(model), Path::new(input)) {
            Ok(line) => println!("{line}"),
            Err(reason) => {
                eprintln!("error: {reason}");
                std::process::exit(1);
            }
        },
        [directory] => {
            let mut models: Vec<_> = std::fs::read_dir(directory)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|ending| ending == "onnx"))
                .collect();
            models.sort();
            for model in models {
                let name = model.file_stem().unwrap_or_default().to_string_lossy();
                let line = evaluate(&model, &model.with_extension("json"));
                println!("{name}\t{}", line.unwrap_or_else(|reason| reason));
            }
        }
        _ => {
            eprintln!("usage: evaluate MODEL.onnx INPUT.json | evaluate DIRECTORY");
            std::process::exit(2);
        }
    }
}

fn evaluate(model: &Path, input: &Path) -> Result<String, String> {
    let options = ImportOptions {
        fix_batch: true,
        ..ImportOptions::default()
    };
    let graph = import_file(model, options).map_err(|e| e.to_string())?;
    let sizes: Vec<usize> = graph
        .inputs
        .iter()
        .map(|input| input.shape.iter().product())
        .collect();
    let data = read_dataset(input, &sizes).map_err(|e| e.to_string())?;
    let results: Vec<Vec<f32>> = data
        .samples
        .iter()
        .map(|sample| graph.evaluate(sample))
        .collect();
    serde_json::to_string(&results).map_err(|e| e.to_string())
}
