//! Arrays at the door: what a caller gives becomes flat samples, flat results become arrays.
//!
//! A sample is all inputs one after the other, row-major. For an input of shape `s`:
//!
//! | array | samples | result for an output of shape `o` |
//! |---|---|---|
//! | `s`, or `s[1:]` where `s[0]` is 1 | 1 | `o` |
//! | `[n] + s[1:]` where `s[0]` is 1 | `n` | `[n] + o[1:]` where `o[0]` is 1, else `[n] + o` |
//! | `[n] + s` | `n` | `[n] + o` |
//!
//! Ranks tell the rows apart.

use hallmark_graph::Graph;
use numpy::{
    Element, IxDyn, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyList, PyMapping, PyTuple};

use crate::errors::value_error;

/// A list of result arrays of real numbers.
pub type Outputs<'py> = Vec<Bound<'py, PyArrayDyn<f32>>>;

/// A name and a shape.
#[derive(Clone, Debug)]
pub struct Port {
    pub name: String,
    pub shape: Vec<usize>,
}

impl Port {
    fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The shapes of a graph's inputs.
pub fn input_shapes(graph: &Graph) -> Vec<Vec<usize>> {
    graph.inputs.iter().map(|i| sizes(&i.shape)).collect()
}

/// The shapes of a graph's outputs.
pub fn output_shapes(graph: &Graph) -> Vec<Vec<usize>> {
    let shape = |o: &hallmark_graph::Output| graph.shape(o.value).map_or_else(Vec::new, sizes);
    graph.outputs.iter().map(shape).collect()
}

fn sizes(shape: &hallmark_graph::Shape) -> Vec<usize> {
    shape.0.iter().map(|&d| d as usize).collect()
}

/// A copy of a caller's array.
pub struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    fn read(any: &Bound<'_, PyAny>) -> PyResult<Self> {
        let numpy = any.py().import("numpy")?;
        let array = numpy.call_method1("asarray", (any,))?;
        let dtype = array.getattr("dtype")?;
        let kind: String = dtype.getattr("kind")?.extract()?;
        if !["b", "i", "u", "f"].contains(&kind.as_str()) {
            let text = format!("an array of numbers is needed, not of {dtype}");
            return Err(PyTypeError::new_err(text));
        }
        let options = [("dtype", "float32"), ("order", "C")].into_py_dict(any.py())?;
        let array = numpy.call_method("asarray", (array,), Some(&options))?;
        let array: PyReadonlyArrayDyn<'_, f32> = array.extract()?;
        Ok(Self {
            shape: array.shape().to_vec(),
            values: array.as_slice()?.to_vec(),
        })
    }
}

/// What a caller gave for the inputs of a model.
pub enum Given {
    /// One array.
    One(Array),
    /// One array for each input, in their order.
    Each(Vec<Array>),
    /// One array for each input, by name.
    Named(Vec<(String, Array)>),
}

/// How many samples an array holds, and how they lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Single,
    /// The leading 1 became the number of samples.
    Leading,
    /// The number of samples came before the shape.
    Stacked,
}

impl Form {
    fn of(port: &[usize], shape: &[usize]) -> Option<(Self, usize)> {
        let rest = port.strip_prefix(&[1]);
        if shape == port || Some(shape) == rest {
            return Some((Self::Single, 1));
        }
        let (&count, tail) = shape.split_first()?;
        match tail == port {
            true => Some((Self::Stacked, count)),
            false if Some(tail) == rest => Some((Self::Leading, count)),
            false => None,
        }
    }

    /// The shape of `count` results.
    fn result(self, count: usize, shape: &[usize]) -> Vec<usize> {
        let rest = match (self, shape) {
            (Self::Single, _) => return shape.to_vec(),
            (Self::Leading, [1, rest @ ..]) => rest,
            _ => shape,
        };
        [&[count], rest].concat()
    }
}

/// Flat samples.
pub struct Batch {
    pub samples: Vec<Vec<f32>>,
    pub form: Form,
}

impl Given {
    /// Reads an array, a list or tuple of one array for each input, or a dictionary by name.
    pub fn read(any: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(mapping) = any.cast::<PyMapping>() {
            let items: Vec<(String, Bound<'_, PyAny>)> = mapping.items()?.extract()?;
            let read = |(name, array)| Ok((name, Array::read(&array)?));
            let named = items.into_iter().map(read);
            return named.collect::<PyResult<_>>().map(Self::Named);
        }
        if any.is_instance_of::<PyList>() || any.is_instance_of::<PyTuple>() {
            let read = |array: PyResult<Bound<'_, PyAny>>| Array::read(&array?);
            return any
                .try_iter()?
                .map(read)
                .collect::<PyResult<_>>()
                .map(Self::Each);
        }
        Array::read(any).map(Self::One)
    }

    /// The arrays in the order of the inputs.
    fn in_order(self, ports: &[Port]) -> PyResult<Vec<Array>> {
        let names = || {
            let names: Vec<&str> = ports.iter().map(|p| p.name.as_str()).collect();
            names.join(", ")
        };
        match self {
            Self::One(array) if ports.len() == 1 => Ok(vec![array]),
            Self::One(_) => Err(value_error(format!(
                "the model has {} inputs ({}): a list with an array for each is needed",
                ports.len(),
                names()
            ))),
            Self::Each(arrays) if arrays.len() == ports.len() => Ok(arrays),
            Self::Each(arrays) => Err(value_error(format!(
                "a list of {} arrays given, the model has {} inputs ({})",
                arrays.len(),
                ports.len(),
                names()
            ))),
            Self::Named(mut arrays) => {
                let find = |port: &Port| {
                    let index = arrays.iter().position(|(name, _)| *name == port.name);
                    let missing =
                        || value_error(format!("no array given for input {:?}", port.name));
                    index.map(|i| arrays.swap_remove(i).1).ok_or_else(missing)
                };
                let found = ports.iter().map(find).collect::<PyResult<_>>()?;
                match arrays.first() {
                    None => Ok(found),
                    Some((name, _)) => Err(value_error(format!(
                        "the model has no input {name:?}, only {}",
                        names()
                    ))),
                }
            }
        }
    }

    /// Every sample in it.
    pub fn batch(self, ports: &[Port]) -> PyResult<Batch> {
        let arrays = self.in_order(ports)?;
        let mut form = Form::Single;
        let mut counts = Vec::new();
        for (port, array) in ports.iter().zip(&arrays) {
            let Some((of, count)) = Form::of(&port.shape, &array.shape) else {
                return Err(value_error(format!(
                    "input {:?} has the shape {:?}, the array has {:?}",
                    port.name, port.shape, array.shape
                )));
            };
            form = form.max(of);
            counts.push(count);
        }
        let count = counts.first().copied().unwrap_or(0);
        if counts.iter().any(|&c| c != count) {
            return Err(value_error(format!(
                "the arrays hold {counts:?} samples, as many of each input are needed"
            )));
        }
        if count == 0 {
            return Err(value_error("at least one sample is needed"));
        }
        let sample = |index: usize| {
            let parts = ports.iter().zip(&arrays).map(|(port, array)| {
                let len = port.elements();
                &array.values[index * len..][..len]
            });
            parts.collect::<Vec<_>>().concat()
        };
        Ok(Batch {
            samples: (0..count).map(sample).collect(),
            form,
        })
    }

    /// The one sample in it.
    pub fn sample(self, ports: &[Port]) -> PyResult<Vec<f32>> {
        let mut samples = self.batch(ports)?.samples;
        match (samples.len(), samples.pop()) {
            (1, Some(sample)) => Ok(sample),
            (count, _) => Err(value_error(format!(
                "one sample is proved at a time, {count} given"
            ))),
        }
    }
}

/// Flat results of samples as one array for each output.
pub fn outputs<'py>(
    py: Python<'py>,
    graph: &Graph,
    form: Form,
    results: &[Vec<i32>],
) -> PyResult<Outputs<'py>> {
    let real: Vec<Vec<f32>> = results
        .iter()
        .map(|integers| hallmark_onnx::dequantize(graph, integers))
        .collect();
    let mut from = 0;
    let mut arrays = Vec::new();
    for shape in output_shapes(graph) {
        let to = from + shape.iter().product::<usize>();
        let values: Vec<&[f32]> = real.iter().map(|r| &r[from..to]).collect();
        let shape = form.result(results.len(), &shape);
        arrays.push(array(py, values.concat(), shape)?);
        from = to;
    }
    Ok(arrays)
}

/// A flat integer input as one array of real numbers for each input.
pub fn inputs<'py>(py: Python<'py>, graph: &Graph, flat: &[i32]) -> PyResult<Outputs<'py>> {
    let values = graph.split_input(flat);
    let parts = graph.inputs.iter().zip(input_shapes(graph)).zip(values);
    parts
        .map(|((input, shape), values)| {
            let step = hallmark_onnx::real(input.scale);
            let real = values.iter().map(|&v| (f64::from(v) * step) as f32);
            array(py, real.collect(), shape)
        })
        .collect()
}

/// Elements under a shape.
fn array<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    shape: Vec<usize>,
) -> PyResult<Bound<'_, PyArrayDyn<T>>> {
    PyArray1::from_vec(py, values).reshape(IxDyn(&shape))
}

/// The one array of a model with one output.
pub fn only<'py>(
    mut outputs: Outputs<'py>,
    instead: &str,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    match (outputs.len(), outputs.pop()) {
        (1, Some(output)) => Ok(output),
        (count, _) => Err(value_error(format!(
            "the model has {count} outputs: {instead} gives them all"
        ))),
    }
}
