//! Any number of epochs of any mechanism, offline, from JSON to JSON.
//!
//! The input is one case or a list of cases; each may also stand in an object under `case`, beside
//! an `expect` that is not read. `mechanism` is `"yuma"` (also if it is missing), `"synthesis"` or
//! `"score"`; `name` is a text that comes back. Numbers are read exactly, never through floating
//! point, and may also be written as text; a whole number may have an exponent (`1e27`).
//!
//! The output is a list with `{"name", "mechanism", "epochs": […]}` per case, in their order. A case with a
//! fault does not keep the others from running: in its place stands `{"name", "error"}`.
//!
//! Fields that a mechanism does not know are an error within `params`, `state`, submissions and reports, where
//! one that is left out would change the numbers. Beside them, in a case and in an epoch, they are not
//! read: such a list may carry notes of its maker. Their names stand in `ignored` of the result, so that
//! a misspelt one shows.
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<String>,
}

#[derive(Serialize)]
struct CaseFault {
    name: Option<String>,
    error: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CaseOut {
    Done(CaseResult),
    Failed(CaseFault),
}

/// What all cases of a file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// The list of results as JSON, one per case.
    pub json: String,
    /// The faults of those that have no result, in their order.
    pub faults: Vec<Error>,
}

/// Runs every case of `json`.
///
/// # Errors
///
/// [`Error::Json`]: the text is no list of cases. Faults of single cases are in the result.
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
/// let output = hallmark_mechanisms::simulate(input).unwrap().json;
/// assert!(output.contains(r#""incentive_u16":[0,0,47330,18204]"#), "{output}");
/// ```
pub fn simulate(json: &str) -> Result<Simulation, Error> {
    let not_json = |error: serde_json::Error| Error::Json(error.to_string());
    let cases: Vec<&RawValue> = if json.trim_start().starts_with('[') {
        serde_json::from_str(json).map_err(not_json)?
    } else {
        vec![serde_json::from_str(json).map_err(not_json)?]
    };
    let (mut results, mut faults) = (Vec::with_capacity(cases.len()), Vec::new());
    for (index, case) in cases.iter().enumerate() {
        results.push(match run(index, case.get()) {
            Ok(result) => CaseOut::Done(result),
            Err(error) => {
                let (name, text) = match &error {
                    Error::Field {
                        name,
                        field,
                        message,
                        ..
                    } => (name.clone(), format!("{field}: {message}")),
                    Error::Json(message) => (None, message.clone()),
                };
                faults.push(error);
                CaseOut::Failed(CaseFault { name, error: text })
            }
        });
    }
    let json = serde_json::to_string(&results).map_err(not_json)?;
    Ok(Simulation { json, faults })
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
    let (mechanism, epochs, known) = match head.mechanism.as_deref() {
        None | Some("yuma") => ("yuma", yuma::run(text), yuma::KNOWN),
        Some("synthesis") => ("synthesis", synthesis::run(text), synthesis::KNOWN),
        Some("score") => ("score", score::run(text), score::KNOWN),
        Some(other) => {
            let message = format!("`{other}` is not one of yuma, synthesis, score");
            return Err(fail(&head.name, Fault::new("mechanism", message)));
        }
    };
    let epochs = epochs.map_err(|fault| fail(&head.name, fault))?;
    let ignored = ignored(text, &known).map_err(|fault| fail(&head.name, fault))?;
    Ok(CaseResult {
        name: head.name,
        mechanism,
        epochs,
        ignored,
    })
}

/// The fields that a mechanism reads of a case and of an epoch.
struct Known {
    case: &'static [&'static str],
    epoch: &'static [&'static str],
}

/// Paths of the fields of a case and its epochs that nobody reads.
fn ignored(text: &str, known: &Known) -> Result<Vec<String>, Fault> {
    type Fields<'a> = std::collections::BTreeMap<std::borrow::Cow<'a, str>, &'a RawValue>;
    let case: Fields<'_> = parse(text)?;
    let shared = ["name", "note", "expect", "mechanism", "params", "epochs"];
    let unread = |name: &str, also: &[&str]| !also.contains(&name);
    let mut paths: Vec<String> = case
        .keys()
        .filter(|name| unread(name, &shared) && unread(name, known.case))
        .map(ToString::to_string)
        .collect();
    if let Some(epochs) = case.get("epochs") {
        let epochs: Vec<Fields<'_>> = parse(epochs.get())?;
        for (index, epoch) in epochs.iter().enumerate() {
            let names = epoch.keys().filter(|name| unread(name, known.epoch));
            paths.extend(names.map(|name| format!("epochs[{index}].{name}")));
        }
    }
    Ok(paths)
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
