//! Any program as an [`Answerer`]: a line of JSON in, a line of JSON out.
//!
//! The program is started once and kept, by `sh -c` in a process group of its own. A question is one
//! line on its standard input; its answer is the next line on its standard output. A program that is
//! silent beyond the time limit, says what is no answer, says anything before it is asked, answers for
//! another epoch, or ends, is killed with all that it started and started again, after a pause that
//! doubles with every failure up to a minute. Its standard error passes through.

use super::work::{Answerer, Question, Reply};
use futures::{FutureExt, future::BoxFuture};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::unconstrained,
};

/// Longest line of an answer, in bytes.
pub const MAX_LINE: u64 = 1 << 20;
/// Pause after the first failure, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Time to learn how a program ended whose pipes are closed.
const STATUS: Duration = Duration::from_millis(500);
/// Part of a line that an error shows, in characters.
const SHOWN: usize = 120;

/// A program that answers questions.
pub struct Program {
    /// Run by `sh -c`.
    command: String,
    running: Option<Running>,
    /// Failures since the last good answer.
    failures: u32,
    not_before: Option<Instant>,
}

/// A started program; killed with its whole group when it is dropped.
struct Running {
    child: Child,
    /// The group that the child leads; none once it was killed, when its number may be another's.
    group: Option<Pid>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // Everything in it may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// What the program has said without being asked: the answer to the next question would be the
    /// rest of an earlier one.
    fn unasked(&mut self) -> Result<(), String> {
        match unconstrained(self.output.fill_buf()).now_or_never() {
            None => Ok(()),
            // Its end is told, with its status, when the question cannot be written or answered.
            Some(Ok([])) => Ok(()),
            Some(Ok(said)) => Err(format!(
                "the program said more than one line to a question, or spoke before it was asked: {}",
                shown(said.split(|byte| *byte == b'\n').next().unwrap_or(said))
            )),
            Some(Err(error)) => Err(error.to_string()),
        }
    }

    /// Why the program no longer answers; ends what it left behind.
    async fn ended(&mut self, reason: &str) -> String {
        let waited = tokio::time::timeout(STATUS, self.child.wait()).await;
        self.kill();
        match waited {
            Ok(Ok(status)) => format!("the program ended ({status})"),
            _ => format!("the program does not listen: {reason}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Program {
    /// A program that is started with the first question, by `sh -c`.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            running: None,
            failures: 0,
            not_before: None,
        }
    }

    async fn ask(&mut self, question: &Question, limit: Duration) -> Result<Reply, String> {
        if let Some(time) = self.not_before
            && let Some(pause) = time.checked_duration_since(Instant::now())
        {
            if pause >= limit {
                return Err(format!(
                    "the program failed {} times; it is started again in {:.0} s",
                    self.failures,
                    pause.as_secs_f64().ceil()
                ));
            }
            tokio::time::sleep(pause).await;
        }
        let line = match tokio::time::timeout(limit, self.exchange(question)).await {
            Ok(line) => line,
            Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
        };
        match line.and_then(|line| parse(&line, question)) {
            Ok(reply) => {
                self.failures = 0;
                self.not_before = None;
                Ok(reply)
            }
            Err(reason) => {
                self.fail().await;
                Err(reason)
            }
        }
    }

    /// Writes the question and reads one line.
    async fn exchange(&mut self, question: &Question) -> Result<Vec<u8>, String> {
        let running = match &mut self.running {
            Some(running) => running,
            None => {
                let started = start(&self.command)?;
                self.running.insert(started)
            }
        };
        running.unasked()?;
        let mut line = serde_json::to_vec(question).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let written = async {
            running.input.write_all(&line).await?;
            running.input.flush().await
        };
        if let Err(error) = written.await {
            return Err(running.ended(&error.to_string()).await);
        }
        let mut answer = Vec::new();
        let mut bounded = (&mut running.output).take(MAX_LINE);
        match bounded.read_until(b'\n', &mut answer).await {
            Ok(_) if answer.last() == Some(&b'\n') => Ok(answer),
            Ok(_) if answer.len() as u64 >= MAX_LINE => {
                Err(format!("a line of more than {MAX_LINE} bytes"))
            }
            Ok(_) => Err(running.ended("its output ended").await),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn fail(&mut self) {
        self.stop().await;
        let pause = FIRST_PAUSE
            .saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(LAST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + pause);
    }

    /// Ends the program and all that it started; the next question starts it again.
    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
            // It was killed, or had ended by itself.
            let _ = running.child.wait().await;
        }
    }
}

impl Answerer for Program {
    fn answer<'a>(
        &'a mut self,
        question: &'a Question,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Reply, String>> {
        Box::pin(self.ask(question, limit))
    }
}

fn start(command: &str) -> Result<Running, String> {
    let fault = |reason: &str| format!("`{command}` does not start: {reason}");
    let mut child = Command::new("sh")
        .args(["-c", command])
        // A group of its own, so that a signal reaches whatever the command starts.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fault(&error.to_string()))?;
    let input = child.stdin.take().ok_or_else(|| fault("no input"))?;
    let output = child.stdout.take().ok_or_else(|| fault("no output"))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    Ok(Running {
        child,
        group,
        input,
        output: BufReader::new(output),
    })
}

fn parse(line: &[u8], question: &Question) -> Result<Reply, String> {
    let text = std::str::from_utf8(line).map_err(|_| "the answer is not UTF-8".to_owned())?;
    let reply: Reply = serde_json::from_str(text.trim())
        .map_err(|error| format!("not an answer ({error}): {}", shown(line)))?;
    match reply.epoch {
        Some(epoch) if epoch != question.epoch() => Err(format!(
            "the answer is for epoch {epoch}, epoch {} was asked",
            question.epoch()
        )),
        _ => Ok(reply),
    }
}

/// The start of a line, without what moves a terminal's cursor.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim().chars().take(SHOWN);
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
