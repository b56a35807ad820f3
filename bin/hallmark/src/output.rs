//! How results, progress and errors reach a person or a program.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Where a command reports to. Text goes to standard output unless `--json`; then only the JSON
/// object does.
pub struct Reporter {
    json: bool,
    quiet: bool,
}

impl Reporter {
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// A line of prose; silent under `--json` and `--quiet`.
    pub fn say(&self, line: impl AsRef<str>) {
        if !self.json && !self.quiet {
            println!("{}", line.as_ref());
        }
    }

    /// The result: `text` for people, `value` for programs.
    pub fn result(&self, text: impl AsRef<str>, value: &serde_json::Value) {
        if self.json {
            println!("{value}");
        } else {
            println!("{}", text.as_ref());
        }
        let _ = std::io::stdout().flush();
    }

    /// The result: `text` for people, `json`, already written, for programs.
    pub fn written(&self, text: impl AsRef<str>, json: &str) {
        println!("{}", if self.json { json } else { text.as_ref() });
        let _ = std::io::stdout().flush();
    }

    /// Something that happened while a daemon runs: a line of JSON, or a readable line.
    pub fn event(&self, value: &serde_json::Value) {
        if self.json {
            println!("{value}");
        } else if !self.quiet {
            let mut line = String::new();
            if let Some(map) = value.as_object() {
                for (key, value) in map {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    line.push_str(&if key == "event" {
                        format!("{text} ")
                    } else {
                        format!("{key}={text} ")
                    });
                }
            }
            println!("{}", line.trim_end());
        }
        let _ = std::io::stdout().flush();
    }

    pub fn error(&self, error: &crate::commands::Error) {
        if self.json {
            eprintln!("{}", serde_json::json!({ "error": error.to_string() }));
        } else {
            eprintln!("error: {error}");
        }
    }

    /// A spinner on a terminal, nothing when piped.
    pub fn spinner(&self, message: &str) -> ProgressBar {
        if self.json || self.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner().with_message(message.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// A bar of `length` steps on a terminal, nothing when piped.
    pub fn bar(&self, length: u64, message: &str) -> ProgressBar {
        if self.json || self.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(length)
            .with_style(style)
            .with_message(message.to_owned())
    }
}

/// Structured logs on standard error: warnings by default, more with `-v`; `RUST_LOG` overrides.
pub fn init_logs(verbose: u8, quiet: bool) {
    let default = match (quiet, verbose) {
        (true, _) => "off",
        (_, 0) => "error",
        (_, 1) => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colour = std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .try_init();
}

/// MARK amounts, 18 decimals, trailing zeros removed.
pub fn mark(amount: alloy_primitives::U256) -> String {
    let text = alloy_primitives::utils::format_ether(amount);
    match text.split_once('.') {
        Some((whole, fraction)) => match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        },
        None => text,
    }
}
