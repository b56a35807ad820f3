//! The images: the UCI set of 1,797 scanned digits, 8×8, 17 grey levels.

use crate::commands::Error;
use hallmark_graph::Model;
use hallmark_onnx::{Accuracy, Dataset, FloatGraph};
use std::sync::Arc;
use std::time::Duration;

const DIGITS: &[u8] = include_bytes!("../../../../assets/digits.csv");
const SIDE: usize = 8;

#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// Grey levels 0 to 1, row by row, as the model was trained on them.
    pub pixels: &'a [f32],
    pub label: u8,
}

#[derive(Clone)]
pub struct Digits(Arc<Dataset>);

impl Digits {
    pub fn embedded() -> Result<Self, Error> {
        Ok(Self(Arc::new(hallmark_onnx::parse_digits(DIGITS)?)))
    }

    pub fn calibration(&self) -> Vec<&[f32]> {
        self.0.calibration()
    }

    pub fn test_images(&self, count: usize) -> Vec<Image<'_>> {
        let labels = self.0.labels.as_deref().unwrap_or_default();
        let image = |i: usize| {
            let label = u8::try_from(*labels.get(i)?).ok()?;
            Some(Image {
                pixels: self.0.samples.get(i)?,
                label,
            })
        };
        self.0
            .test_indices()
            .into_iter()
            .filter_map(image)
            .take(count)
            .collect()
    }

    /// Right answers of the float model and of the integer model on every test image.
    pub fn accuracy(&self, float: &FloatGraph, model: &Model) -> Result<Accuracy, Error> {
        let images = self.test_images(usize::MAX);
        let samples: Vec<&[f32]> = images.iter().map(|i| i.pixels).collect();
        let labels: Vec<u32> = images.iter().map(|i| u32::from(i.label)).collect();
        Ok(hallmark_onnx::accuracy(float, model, &samples, &labels)?)
    }
}

/// An image as text beside what happened to its order.
pub fn line(
    image: &Image<'_>,
    predicted: Option<usize>,
    time: Duration,
    price: &str,
    order: &str,
) -> String {
    const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
    let facts = [
        format!("order {order}"),
        format!(
            "predicted {}",
            predicted.map_or_else(|| "-".to_owned(), |p| p.to_string())
        ),
        format!(
            "written   {}  {}",
            image.label,
            if predicted == Some(usize::from(image.label)) {
                "right"
            } else {
                "wrong"
            }
        ),
        format!("price     {price} MARK"),
        format!("paid in   {:.0} ms", time.as_secs_f64() * 1e3),
    ];
    let mut text = String::new();
    for row in 0..SIDE {
        text.push_str("    ");
        for pixel in &image.pixels[row * SIDE..(row + 1) * SIDE] {
            let shade = (pixel.clamp(0.0, 1.0) * (SHADES.len() - 1) as f32).round() as usize;
            text.push_str(SHADES[shade]);
        }
        if let Some(fact) = row.checked_sub(1).and_then(|i| facts.get(i)) {
            text.push_str("    ");
            text.push_str(fact);
        }
        text.push('\n');
    }
    text
}
