//! Any number of epochs of any mechanism, offline, from JSON to JSON.
//!
//! The input is one case or a list of cases; each may also stand in an object under `case`, beside
//! an `expect` that is not read. `mechanism` is `"yuma"` (also if it is missing), `"synthesis"` or
//! `"score"`; `name` is a text that comes back. Numbers are read exactly, never through floating
//! point, and may also be written as text; a whole number may have an exponent (`1e27`).
//!
//! The output is a list with `{"name", "mechanism", "epochs": […]}` per case.
//!
//! The three shapes are the documented types of [`yuma`], [`synthesis`] and [`score`].

mod number;
pub mod score;
pub mod synthesis;
pub mod yuma;

pub use number::{Decimal, Units};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// Why a file cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The text is not JSON, or not an object or a list of them.
    #[error("not a case or a list of cases: {0}")]
    Json(String),
    /// A field of a case is missing, unknown, of the wrong type or out of range.
    #[error("case {case}{}: {field}: {message}", in_brackets(.name))]
    Field {
        /// Position of the case in the list.
        case: usize,
        /// Its name, if it could be read.
        name: Option<String>,
        /// Path of the field within the case, as in `epochs[1].weights[0][2]`.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

fn in_brackets(name: &Option<String>) -> String {
    name.as_ref()
        .map(|name| format!(" ({name})"))
        .unwrap_or_default()
}

/// A fault within a case: path of the field and what is wrong.
pub(crate) struct Fault {
    pub(crate) field: String,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(field: impl Into<String>, message: impl ToString) -> Fault {
        Fault {
            field: field.into(),
            message: message.to_string(),
        }
    }
}

#[derive(Serialize)]
struct CaseResult {
    name: Option<String>,
    mechanism: &'static str,
    epochs: Box<RawValue>,
}

/// Runs every case of `json` and returns the list of results as JSON.
///
/// # Errors
///
/// [`enum@Error`] names the case and the field; nothing is returned for the other cases then.
///
/// ```
/// let input = r#"{
///     "name": "two validators, two workers",
///     "params": { "yuma3": true, "max_validators": 2 },
///     "stake": [60, 40, 0, 0],
///     "permits": [true, true, false, false],
///     "epochs": [{
///         "block": 10, "last_step_block": 0,
///         "last_update": [9, 9, 9, 9], "reg_block": [0, 0, 0, 0],
///         "weights": [[[2, 3], [3, 1]], [[2, 1], [3, 1]], [], []]
///     }]
/// }"#;
/// let output = hallmark_mechanisms::simulate(input).unwrap();
/// assert!(output.contains(r#""incentive_u16":[0,0,47330,18204]"#), "{output}");
/// ```
pub fn simulate(json: &str) -> Result<String, Error> {
    let not_json = |error: serde_json::Error| Error::Json(error.to_string());
    let cases: Vec<&RawValue> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json).map_err(not_json)?
    } else {
        vec![serde_json::from_str(json).map_err(not_json)?]
    };
    let results: Result<Vec<CaseResult>, Error> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| run(index, case.get()))
        .collect();
    serde_json::to_string(&results?).map_err(not_json)
}

/// What is read of a case before its mechanism is known.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    case: Option<&'a RawValue>,
    name: Option<String>,
    mechanism: Option<String>,
}

fn run(index: usize, text: &str) -> Result<CaseResult, Error> {
    let fail = |name: &Option<String>, fault: Fault| Error::Field {
        case: index,
        name: name.clone(),
        field: fault.field,
        message: fault.message,
    };
    let mut text = text;
    let mut head: Head<'_> = parse(text).map_err(|fault| fail(&None, fault))?;
    if let Some(inner) = head.case {
        text = inner.get();
        head = parse(text).map_err(|fault| fail(&None, fault))?;
    }
    let (mechanism, epochs) = match head.mechanism.as_deref() {
        None | Some("yuma") => ("yuma", yuma::run(text)),
        Some("synthesis") => ("synthesis", synthesis::run(text)),
        Some("score") => ("score", score::run(text)),
        Some(other) => {
            let message = format!("`{other}` is not one of yuma, synthesis, score");
            ("", Err(Fault::new("mechanism", message)))
        }
    };
    let epochs = epochs.map_err(|fault| fail(&head.name, fault))?;
    Ok(CaseResult {
        name: head.name,
        mechanism,
        epochs,
    })
}

/// Reads a value, naming the path of what does not fit.
pub(crate) fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // Line and column would be those within the case, which nobody sees.
        let message = error.inner().to_string();
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(text, _)| text);
        Fault::new(error.path().to_string(), message)
    })
}

/// Writes the epochs of a case.
fn write<T: Serialize>(epochs: &[T]) -> Result<Box<RawValue>, Fault> {
    serde_json::value::to_raw_value(epochs).map_err(|error| Fault::new("epochs", error))
}
