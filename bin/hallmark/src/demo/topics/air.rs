//! Workers who measure: each has the air of a few days of the very month that it is asked about.
//!
//! Answers are due on the fifteenth, so days 1 to 15 may be known. They were measured at the same
//! observatory by another laboratory than the one that tells the truth (assets/README.md), so each
//! worker adds by how much its days differed from the month in the same months of the years before.
//! Nobody has all days: what one worker's days get wrong about the month, another's do not.

use super::models::{Model, SeasonalDrift, YEAR, mean};
use crate::commands::Error;
use std::ops::RangeInclusive;

const DAYS: &str = include_str!("../../../../../assets/co2_days.csv");
/// Years of the past that a worker learns its days' difference from.
const YEARS: usize = 15;

/// A worker with the air of some days.
pub struct Air {
    name: &'static str,
    /// Mean over its days of each month of the series, where any was measured.
    own: Vec<Option<f64>>,
}

impl Air {
    /// The worker of these days of each month; `months` are those of the series, in its order.
    ///
    /// # Errors
    ///
    /// The line of assets/co2_days.csv that is not of the series' month or holds no number.
    pub fn new(
        name: &'static str,
        days: RangeInclusive<usize>,
        months: &[String],
    ) -> Result<Self, Error> {
        let mut own = Vec::with_capacity(months.len());
        for (line, month) in DAYS.lines().skip(1).zip(months) {
            let fault = |text: String| Error::at("assets/co2_days.csv", text);
            let mut cells = line.split(',');
            if cells.next() != Some(month) {
                return Err(fault(format!("`{line}` is not of {month}")));
            }
            let mut measured = Vec::new();
            for cell in cells.skip(days.start() - 1).take(days.clone().count()) {
                if !cell.is_empty() {
                    let value = cell.parse::<f64>();
                    measured.push(value.map_err(|error| fault(format!("`{line}`: {error}")))?);
                }
            }
            own.push((!measured.is_empty()).then(|| mean(&measured)));
        }
        Ok(Self { name, own })
    }

    fn at(&self, month: usize) -> Option<f64> {
        self.own.get(month).copied().flatten()
    }
}

impl Model for Air {
    fn name(&self) -> &'static str {
        self.name
    }

    /// Without a measurement this month, or any to compare with, the last value and the season.
    fn predict(&mut self, past: &[f64]) -> f64 {
        let now = past.len();
        let differences: Vec<f64> = (1..=YEARS)
            .filter_map(|year| {
                let month = now.checked_sub(year * YEAR)?;
                Some(past[month] - self.at(month)?)
            })
            .collect();
        match self.at(now) {
            Some(own) if !differences.is_empty() => own + mean(&differences),
            _ => SeasonalDrift.predict(past),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(count: usize) -> Vec<String> {
        let all =
            (0..).map(|month| format!("{}-{:02}", 1974 + (month + 4) / 12, (month + 4) % 12 + 1));
        all.take(count).collect()
    }

    #[test]
    fn a_worker_has_the_mean_of_its_own_days_only() {
        let air = Air::new("air", 1..=2, &months(2)).unwrap();
        assert_eq!(
            air.own,
            [Some((332.85 + 332.78) / 2.0), Some((332.81 + 332.99) / 2.0)]
        );
        // 11 June 1974 was not measured, 10 June neither.
        let air = Air::new("air", 10..=11, &months(2)).unwrap();
        assert_eq!(air.own[1], None);
        assert!(Air::new("air", 1..=2, &["1974-06".to_owned()]).is_err());
    }

    #[test]
    fn what_the_days_differ_from_the_month_is_learned_from_the_past_only() {
        let mut air = Air::new("air", 1..=2, &months(1)).unwrap();
        air.own = (0..26)
            .map(|month| Some(100.0 + f64::from(month)))
            .collect();
        // In the same months of both years before, the month was 3 and 5 above the days.
        let mut past: Vec<f64> = (0..25).map(f64::from).collect();
        past[1] = 104.0;
        past[13] = 118.0;
        assert_eq!(air.predict(&past), 125.0 + 4.0);
        // Nothing measured this month: what the series alone tells.
        air.own[25] = None;
        assert_eq!(air.predict(&past), SeasonalDrift.predict(&past));
        assert!(air.predict(&[]).is_finite());
    }
}
