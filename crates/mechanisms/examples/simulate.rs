//! Reads cases from standard input and writes the epochs to standard output:
//! `cargo run -p hallmark-mechanisms --example simulate < cases.json`.

use std::io::Read;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut input = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut input) {
        eprintln!("error: standard input: {error}");
        return ExitCode::FAILURE;
    }
    match hallmark_mechanisms::simulate(&input) {
        Ok(simulation) => {
            println!("{}", simulation.json);
            for fault in &simulation.faults {
                eprintln!("error: {fault}");
            }
            if simulation.faults.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
