//! How results, progress and errors reach a person or a program.

use crate::cli::LogFormat;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Where a command reports to. Text goes to standard output unless `--json`; then only the JSON
/// object does.
///
/// Once nobody reads standard output any more (`| head`), nothing more is written: a command that only
/// follows something ends, see [`Reporter::closed`]; any other does its work, and its exit code says
/// how that went.
pub struct Reporter {
    json: bool,
    quiet: bool,
    closed: watch::Sender<bool>,
    is_lost: AtomicBool,
}

impl Reporter {
    pub fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            closed: watch::Sender::new(false),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Whether something could not be written although somebody may read it: a full disk.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Returns when nobody reads standard output any more.
    pub async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives as long as `self`.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    fn line(&self, text: &str) {
        if *self.closed.borrow() {
            return;
        }
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.send_replace(true);
            }
            Err(error) => {
                self.closed.send_replace(true);
                self.is_lost.store(true, Ordering::Relaxed);
                complain(format!("error: standard output: {error}"));
            }
        }
    }

    /// A line of prose; silent under `--json` and `--quiet`.
    pub fn say(&self, line: impl AsRef<str>) {
        if !self.json && !self.quiet {
            self.line(line.as_ref());
        }
    }

    /// The result: `text` for people, `value` for programs.
    pub fn result(&self, text: impl AsRef<str>, value: &serde_json::Value) {
        self.written(text, &value.to_string());
    }

    /// The result: `text` for people, `json`, already written, for programs.
    pub fn written(&self, text: impl AsRef<str>, json: &str) {
        self.line(if self.json { json } else { text.as_ref() });
    }

    /// Something that happened while a daemon runs: a line of JSON, or a readable line.
    pub fn event(&self, value: &serde_json::Value) {
        if self.json {
            self.line(&value.to_string());
        } else if !self.quiet {
            self.line(&readable(value));
        }
    }

    pub fn error(&self, error: &crate::commands::Error) {
        if self.json {
            complain(serde_json::json!({ "error": error.to_string() }));
        } else {
            complain(format!("error: {error}"));
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

/// An event as `name key=value …`.
fn readable(value: &serde_json::Value) -> String {
    let mut line = String::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        // Texts may be a stranger's.
        let text = printable(value.as_str().unwrap_or(&value.to_string()));
        line.push_str(&match key.as_str() {
            "event" => format!("{text} "),
            key => format!("{key}={text} "),
        });
    }
    line.trim_end().to_owned()
}

/// A line on standard error, lost if nobody reads it.
fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Text of a stranger, without what moves a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Structured logs on standard error: warnings by default, more with `-v`; `RUST_LOG` overrides.
pub fn init_logs(verbose: u8, quiet: bool, format: LogFormat) {
    let default = match (quiet, verbose) {
        (true, _) => "off",
        (_, 0) => "error",
        (_, 1) => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colour = std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour);
    // Fails only where logs have been set up already, which nothing else does.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
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

#[cfg(test)]
mod tests {
    use super::readable;
    use serde_json::json;

    #[test]
    fn a_strangers_text_does_not_move_the_cursor() {
        let title = "a topic\u{1b}[2J\u{9b}31m\r\nowner 0";
        let line = readable(&json!({ "event": "created", "title": title, "list": [title] }));
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.starts_with("created "), "{line}");
        assert!(line.contains("title=a topic\u{fffd}[2J"), "{line}");
    }
}
