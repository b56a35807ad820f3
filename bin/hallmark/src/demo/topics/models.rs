//! Forecasters of a monthly series, from plain to learned. Each sees the past only and says the next
//! value; those of [`super::air`] have measured a few days of the month besides. Nothing here knows
//! the chain.

use super::air::Air;
use crate::commands::Error;

/// Months of a year.
pub const YEAR: usize = 12;
/// Past values that the regressions and the network look at.
const LAGS: usize = 13;
/// Months of the past that the regressions are fitted to.
const WINDOW: usize = 20 * YEAR;

/// A way to say the next value of a series.
pub trait Model: Send {
    fn name(&self) -> &'static str;
    /// The value after the last one of `past`.
    fn predict(&mut self, past: &[f64]) -> f64;
}

/// The eight honest workers of the demo, from the plainest; `months` are those of the series.
///
/// Two are useless alone, three are models that see the past, three have the air of other days each.
/// The models err by what is new this month, the air by the weather of its days: no error of the one
/// kind is one of the other, and no worker is the best in all months.
///
/// # Errors
///
/// A measurement in the assets that is not of the series.
pub fn all(months: &[String]) -> Result<Vec<Box<dyn Model>>, Error> {
    Ok(vec![
        Box::new(Overall),
        Box::new(Persistence),
        Box::new(HoltWinters),
        Box::new(AutoRegression),
        Box::new(Network::new()),
        Box::new(Air::new("air of days 1 and 2", 1..=2, months)?),
        Box::new(Air::new("air of days 3 to 7", 3..=7, months)?),
        Box::new(Air::new("air of days 8 to 15", 8..=15, months)?),
    ])
}

fn last(past: &[f64], back: usize) -> f64 {
    let index = past.len().saturating_sub(back);
    past.get(index).or(past.last()).copied().unwrap_or_default()
}

/// The mean; zero of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of the last ten years, blind to trend and season.
struct Overall;

impl Model for Overall {
    fn name(&self) -> &'static str {
        "mean of ten years"
    }

    fn predict(&mut self, past: &[f64]) -> f64 {
        mean(&past[past.len().saturating_sub(10 * YEAR)..])
    }
}

/// The last value.
struct Persistence;

impl Model for Persistence {
    fn name(&self) -> &'static str {
        "last value"
    }

    fn predict(&mut self, past: &[f64]) -> f64 {
        last(past, 1)
    }
}

/// The last value and what the season does from the last month to this one, by the
/// last two years, of which the later counts twice. No worker by itself.
pub struct SeasonalDrift;

impl Model for SeasonalDrift {
    fn name(&self) -> &'static str {
        "last value and season"
    }

    fn predict(&mut self, past: &[f64]) -> f64 {
        let step = |year: usize| last(past, year * YEAR) - last(past, year * YEAR + 1);
        last(past, 1) + (2.0 * step(1) + step(2)) / 3.0
    }
}

/// Exponential smoothing of level, trend and season (Holt and Winters, additive).
struct HoltWinters;

impl Model for HoltWinters {
    fn name(&self) -> &'static str {
        "exponential smoothing"
    }

    fn predict(&mut self, past: &[f64]) -> f64 {
        const LEVEL: f64 = 0.25;
        const TREND: f64 = 0.02;
        const SEASON: f64 = 0.12;
        if past.len() < 2 * YEAR {
            return last(past, 1);
        }
        let mut level = mean(&past[..YEAR]);
        let mut trend = (mean(&past[YEAR..2 * YEAR]) - level) / YEAR as f64;
        let mut season: Vec<f64> = past[..YEAR].iter().map(|value| value - level).collect();
        for (month, value) in past.iter().enumerate().skip(YEAR) {
            let at = month % YEAR;
            let before = level;
            level = LEVEL * (value - season[at]) + (1.0 - LEVEL) * (level + trend);
            trend = TREND * (level - before) + (1.0 - TREND) * trend;
            season[at] = SEASON * (value - level) + (1.0 - SEASON) * season[at];
        }
        level + trend + season[past.len() % YEAR]
    }
}

/// Changes of the value over a year, month by month: the season is gone, the growth remains.
fn yearly(past: &[f64]) -> Vec<f64> {
    past.windows(YEAR + 1).map(|w| w[YEAR] - w[0]).collect()
}

/// An autoregression of the yearly changes, fitted by least squares with a little ridge.
struct AutoRegression;

impl Model for AutoRegression {
    fn name(&self) -> &'static str {
        "autoregression"
    }

    fn predict(&mut self, past: &[f64]) -> f64 {
        let changes = yearly(&past[past.len().saturating_sub(WINDOW + 2 * YEAR)..]);
        if changes.len() < 3 * LAGS {
            return last(past, 1);
        }
        let row = |end: usize| -> Vec<f64> {
            let lags = (1..=LAGS).map(|lag| changes[end - lag]);
            lags.chain([1.0]).collect()
        };
        let rows: Vec<Vec<f64>> = (LAGS..changes.len()).map(row).collect();
        let weights = least_squares(&rows, &changes[LAGS..]);
        let next: f64 = row(changes.len())
            .iter()
            .zip(&weights)
            .map(|(a, b)| a * b)
            .sum();
        last(past, YEAR) + next
    }
}

/// Weights `w` that make `Σ (rows·w − targets)²` least, by the normal equations.
fn least_squares(rows: &[Vec<f64>], targets: &[f64]) -> Vec<f64> {
    const RIDGE: f64 = 1e-2;
    let size = rows.first().map_or(0, Vec::len);
    let mut matrix = vec![vec![0.0; size + 1]; size];
    for (row, target) in rows.iter().zip(targets) {
        for i in 0..size {
            for j in 0..size {
                matrix[i][j] += row[i] * row[j];
            }
            matrix[i][size] += row[i] * target;
        }
    }
    for (i, line) in matrix.iter_mut().enumerate() {
        line[i] += RIDGE;
    }
    // Gauss and Jordan; the ridge keeps every pivot above zero.
    for pivot in 0..size {
        let scale = matrix[pivot][pivot];
        for value in &mut matrix[pivot] {
            *value /= scale;
        }
        let chosen = matrix[pivot].clone();
        for (i, line) in matrix.iter_mut().enumerate() {
            if i != pivot {
                let factor = line[pivot];
                for (value, of_pivot) in line.iter_mut().zip(&chosen) {
                    *value -= factor * of_pivot;
                }
            }
        }
    }
    matrix.iter().map(|line| line[size]).collect()
}

/// A network of one hidden layer on the changes of the last months and the season, trained by
/// stochastic gradient descent; it goes on learning with every month.
struct Network {
    /// Per hidden unit, its inputs' weights and its bias.
    hidden: Vec<[f64; INPUTS + 1]>,
    output: [f64; HIDDEN + 1],
    random: u64,
    /// Length of the past that was learned.
    learned: usize,
}

const HIDDEN: usize = 12;
/// Monthly changes of the past, and the season as a point on a circle, twice.
const INPUTS: usize = LAGS + 4;
/// Passes over the past before the first answer, and after each month.
const EPOCHS_FIRST: usize = 150;
const EPOCHS_MORE: usize = 6;
const RATE: f64 = 0.01;

impl Network {
    fn new() -> Self {
        let mut network = Self {
            hidden: vec![[0.0; INPUTS + 1]; HIDDEN],
            output: [0.0; HIDDEN + 1],
            random: 0x9e37_79b9_7f4a_7c15,
            learned: 0,
        };
        for unit in 0..HIDDEN {
            for input in 0..INPUTS {
                network.hidden[unit][input] = network.noise() * 0.3;
            }
            network.output[unit] = network.noise() * 0.3;
        }
        network
    }

    /// Evenly from -1 to 1, by xorshift: the same on every machine.
    fn noise(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// What the network sees before month `at`.
    fn inputs(past: &[f64], at: usize) -> [f64; INPUTS] {
        let mut inputs = [0.0; INPUTS];
        for (lag, input) in inputs.iter_mut().take(LAGS).enumerate() {
            *input = past[at - 1 - lag] - past[at - 2 - lag];
        }
        let angle = (at % YEAR) as f64 / YEAR as f64 * std::f64::consts::TAU;
        inputs[LAGS] = angle.sin();
        inputs[LAGS + 1] = angle.cos();
        inputs[LAGS + 2] = (2.0 * angle).sin();
        inputs[LAGS + 3] = (2.0 * angle).cos();
        inputs
    }

    fn forward(&self, inputs: &[f64; INPUTS]) -> ([f64; HIDDEN], f64) {
        let mut units = [0.0; HIDDEN];
        for (unit, weights) in units.iter_mut().zip(&self.hidden) {
            let sum: f64 = weights.iter().zip(inputs).map(|(w, x)| w * x).sum();
            *unit = (sum + weights[INPUTS]).tanh();
        }
        let sum: f64 = self.output.iter().zip(&units).map(|(w, u)| w * u).sum();
        (units, sum + self.output[HIDDEN])
    }

    fn learn(&mut self, past: &[f64], at: usize) {
        let inputs = Self::inputs(past, at);
        let (units, said) = self.forward(&inputs);
        let error = (said - (past[at] - past[at - 1])).clamp(-2.0, 2.0);
        for (unit, value) in units.iter().enumerate() {
            let back = error * self.output[unit] * (1.0 - value * value);
            self.output[unit] -= RATE * error * value;
            for (weight, input) in self.hidden[unit].iter_mut().zip(&inputs) {
                *weight -= RATE * back * input;
            }
            self.hidden[unit][INPUTS] -= RATE * back;
        }
        self.output[HIDDEN] -= RATE * error;
    }
}

impl Model for Network {
    fn name(&self) -> &'static str {
        "neural network"
    }

    fn predict(&mut self, past: &[f64]) -> f64 {
        let first = LAGS + 1;
        if past.len() < first + YEAR {
            return last(past, 1);
        }
        let epochs = match self.learned {
            0 => EPOCHS_FIRST,
            learned if learned < past.len() => EPOCHS_MORE,
            _ => 0,
        };
        for _ in 0..epochs {
            for _ in first..past.len() {
                let place = (self.noise() + 1.0) / 2.0 * (past.len() - first) as f64;
                let at = (first + place as usize).min(past.len() - 1);
                self.learn(past, at);
            }
        }
        self.learned = past.len();
        last(past, 1) + self.forward(&Self::inputs(past, past.len())).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A growing, swinging series without noise.
    fn series(length: usize) -> Vec<f64> {
        let swing = |m: usize| (m as f64 / YEAR as f64 * std::f64::consts::TAU).sin();
        (0..length)
            .map(|m| 300.0 + 0.15 * m as f64 + 3.0 * swing(m))
            .collect()
    }

    #[test]
    fn plain_rules_say_what_they_say() {
        let past = series(240);
        assert_eq!(Persistence.predict(&past), past[239]);
        assert_eq!(Overall.predict(&past), mean(&past[120..]));
        // The season turns alike in all years, and the growth is in its steps.
        let next = series(241)[240];
        assert!((SeasonalDrift.predict(&past) - next).abs() < 1e-9);
    }

    #[test]
    fn learned_models_follow_trend_and_season() {
        let series = series(361);
        let (past, next) = series.split_at(360);
        for mut model in all(&[]).unwrap().into_iter().skip(2).take(3) {
            let error = (model.predict(past) - next[0]).abs();
            let plain = (past[359] - next[0]).abs();
            assert!(
                error < 0.5 * plain,
                "{}: {error}, plain {plain}",
                model.name()
            );
        }
    }

    #[test]
    fn least_squares_finds_a_line() {
        let rows: Vec<Vec<f64>> = (0..50).map(|x| vec![f64::from(x), 1.0]).collect();
        let targets: Vec<f64> = (0..50).map(|x| 2.0 * f64::from(x) + 3.0).collect();
        let found = least_squares(&rows, &targets);
        assert!(
            (found[0] - 2.0).abs() < 1e-3 && (found[1] - 3.0).abs() < 1e-2,
            "{found:?}"
        );
    }

    #[test]
    fn a_short_past_is_no_panic() {
        for length in [0, 1, 5, 13, 25, 30] {
            for mut model in all(&[]).unwrap() {
                assert!(
                    model.predict(&series(length)).is_finite(),
                    "{}",
                    model.name()
                );
            }
        }
    }
}
