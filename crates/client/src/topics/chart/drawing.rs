//! Lines over epochs as a picture: panels below one another, each with its axis and its legend.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const PLOT: f64 = 520.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 46.0;
const PANEL: f64 = 150.0;
const GAP: f64 = 46.0;
const LEGEND_ROW: f64 = 15.0;
/// Lines that a legend names; what is beyond is drawn and counted.
const MAX_NAMED: usize = 9;
/// Steps between the marks of an axis, at most.
const TICKS: usize = 4;
/// Points of one line, at most: what is beyond is thinned evenly.
const MAX_POINTS: usize = 2_000;

/// Colours that are told apart on white and on black, also by the colour blind (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7570b3",
];

const STYLE: &str = "text{font-family:ui-sans-serif,system-ui,'DejaVu Sans',sans-serif;font-size:11px;fill:#24292f}\
.bg{fill:#ffffff}.h{font-size:15px;font-weight:600}.n{font-weight:600}.m{fill:#57606a}\
.a{stroke:#8c959f;stroke-width:1}.g{stroke:#d0d7de;stroke-width:0.6}.l{fill:none;stroke-width:1.6}\
.band{fill:#0072b2;fill-opacity:0.15}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.bg{fill:#0d1117}.m{fill:#9198a1}\
.a{stroke:#6e7681}.g{stroke:#30363d}}";

/// A line: its value at each epoch, where it has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub name: String,
    /// Epoch and value, epochs ascending. A gap in the epochs is a gap in the line.
    pub points: Vec<(u64, f64)>,
}

impl Line {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            points: Vec::new(),
        }
    }
}

/// Lines that share an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    pub title: String,
    pub lines: Vec<Line>,
    /// Epoch, lower and upper end of a shaded band.
    pub band: Vec<(u64, f64, f64)>,
}

impl Panel {
    pub fn new(title: impl Into<String>, lines: Vec<Line>) -> Self {
        Self {
            title: title.into(),
            lines,
            band: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.points.is_empty())
    }

    /// Least and greatest value, a little apart if they are equal.
    fn range(&self) -> (f64, f64) {
        let lines = self.lines.iter().flat_map(|line| &line.points);
        let values = lines
            .map(|point| point.1)
            .chain(self.band.iter().flat_map(|band| [band.1, band.2]))
            .filter(|value| value.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return (0.0, 1.0);
        }
        let space = match high - low {
            0.0 => (high.abs() * 0.01).max(1e-9),
            span => span * 0.05,
        };
        (low - space, high + space)
    }
}

/// The picture, an SVG document. Panels without points are left out.
pub fn svg(title: &str, panels: &[Panel]) -> String {
    let panels: Vec<&Panel> = panels.iter().filter(|panel| !panel.is_empty()).collect();
    let epochs = panels.iter().flat_map(|panel| &panel.lines);
    let epochs = epochs.flat_map(|line| line.points.iter().map(|point| point.0));
    let (first, last) = epochs.fold((u64::MAX, 0), |(first, last), epoch| {
        (first.min(epoch), last.max(epoch))
    });
    let height = TOP + panels.len().max(1) as f64 * (PANEL + GAP);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{0}</title><style>{STYLE}</style>\
         <rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/><text class=\"h\" x=\"16\" y=\"24\">{0}</text>\n",
        escape(title)
    );
    if panels.is_empty() {
        text.push_str("<text class=\"m\" x=\"16\" y=\"64\">no epoch was settled yet</text>\n");
    }
    for (index, panel) in panels.iter().enumerate() {
        let top = TOP + index as f64 * (PANEL + GAP) + 18.0;
        draw(&mut text, panel, top, (first, last));
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, panel: &Panel, top: f64, (first, last): (u64, u64)) {
    let (low, high) = panel.range();
    let span = (last - first).max(1) as f64;
    let x = |epoch: u64| LEFT + (epoch.saturating_sub(first)) as f64 / span * PLOT;
    let y = |value: f64| top + PANEL - (value.clamp(low, high) - low) / (high - low) * PANEL;
    let _ = writeln!(
        text,
        "<text class=\"n\" x=\"16\" y=\"{:.1}\">{}</text>",
        top - 8.0,
        escape(&panel.title)
    );
    for value in ticks(low, high) {
        let _ = writeln!(
            text,
            "<line class=\"g\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text class=\"m\" x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            LEFT + PLOT,
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            short(value),
        );
    }
    let _ = writeln!(
        text,
        "<line class=\"a\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
         <text class=\"m\" x=\"{LEFT}\" y=\"{2:.1}\">epoch {first}</text>\
         <text class=\"m\" x=\"{3:.1}\" y=\"{2:.1}\" text-anchor=\"end\">{last}</text>",
        LEFT + PLOT,
        top + PANEL,
        top + PANEL + 14.0,
        LEFT + PLOT,
    );
    if panel.band.len() > 1 {
        let upper = panel.band.iter().map(|b| (b.0, b.2));
        let lower = panel.band.iter().rev().map(|b| (b.0, b.1));
        let points: Vec<String> = upper
            .chain(lower)
            .map(|(epoch, value)| format!("{:.1},{:.1}", x(epoch), y(value)))
            .collect();
        let _ = writeln!(
            text,
            "<polygon class=\"band\" points=\"{}\"/>",
            points.join(" ")
        );
    }
    for (index, line) in panel.lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        // What comes round again is dashed.
        let dash = match index / COLOURS.len() {
            0 => String::new(),
            round => format!(" stroke-dasharray=\"{} 3\"", 7 / round.min(6)),
        };
        for run in runs(&line.points) {
            if let [(epoch, value)] = run {
                let _ = writeln!(
                    text,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2\" fill=\"{colour}\"/>",
                    x(*epoch),
                    y(*value)
                );
                continue;
            }
            let step = run.len().div_ceil(MAX_POINTS);
            let points: Vec<String> = run
                .iter()
                .step_by(step)
                .map(|&(epoch, value)| format!("{:.1},{:.1}", x(epoch), y(value)))
                .collect();
            let _ = writeln!(
                text,
                "<polyline class=\"l\" stroke=\"{colour}\"{dash} points=\"{}\"/>",
                points.join(" ")
            );
        }
        if index < MAX_NAMED {
            let at = top + 10.0 + index as f64 * LEGEND_ROW;
            let left = LEFT + PLOT + 14.0;
            let _ = writeln!(
                text,
                "<line class=\"l\" stroke=\"{colour}\"{dash} x1=\"{left}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
                 <text x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>",
                left + 16.0,
                at - 4.0,
                left + 22.0,
                at,
                escape(&clip(&line.name, 20)),
            );
        }
    }
    if let Some(more) = panel
        .lines
        .len()
        .checked_sub(MAX_NAMED)
        .filter(|&more| more > 0)
    {
        let _ = writeln!(
            text,
            "<text class=\"m\" x=\"{:.1}\" y=\"{:.1}\">and {more} more</text>",
            LEFT + PLOT + 14.0,
            top + 10.0 + MAX_NAMED as f64 * LEGEND_ROW,
        );
    }
}

/// Parts of a line without a gap in the epochs and without values that are no numbers.
fn runs(points: &[(u64, f64)]) -> impl Iterator<Item = &[(u64, f64)]> {
    points
        .chunk_by(|a, b| b.0 == a.0 + 1 && a.1.is_finite() && b.1.is_finite())
        .filter(|run| run[0].1.is_finite())
}

/// Round numbers between two ends.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / TICKS as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let first = (low / step).ceil();
    (0..=TICKS)
        .map(|i| (first + i as f64) * step)
        .filter(|value| *value <= high)
        .collect()
}

/// A number in few characters.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size < 1e-12 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}");
    }
    let places = (4 - size.log10().floor() as i32).clamp(0, 8) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn clip(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c if c.is_control() => String::new(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, points: &[(u64, f64)]) -> Line {
        Line {
            name: name.to_owned(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn every_line_with_points_is_drawn_and_named() {
        let panels = [
            Panel::new(
                "scores",
                vec![
                    line("a & <b>", &[(1, 0.5), (2, 0.75)]),
                    line("c", &[(1, 1.0), (2, 2.0), (4, 3.0), (5, 4.0)]),
                ],
            ),
            Panel::new("nothing", vec![line("d", &[])]),
        ];
        let text = svg("topic 1: \"x\"", &panels);
        // The gap at epoch 3 cuts the second line in two.
        assert_eq!(text.matches("<polyline").count(), 3);
        assert!(text.contains("a &amp; &lt;b&gt;") && text.contains("&quot;x&quot;"));
        assert!(!text.contains("nothing"));
        assert!(text.contains("epoch 1") && text.contains(">5<"));
        assert!(text.starts_with("<svg") && text.ends_with("</svg>\n"));
    }

    #[test]
    fn hostile_numbers_and_names_leave_no_trace() {
        let names = "\u{0}\u{1b}[31m</svg><script>";
        let values = [f64::NAN, f64::INFINITY, 1e300, -1e300, 0.0];
        let points: Vec<(u64, f64)> = values.iter().zip(0..).map(|(&v, e)| (e, v)).collect();
        let text = svg(names, &[Panel::new(names, vec![line(names, &points)])]);
        assert!(!text.contains("NaN") && !text.contains("inf"));
        assert!(!text.contains("<script") && !text.contains('\u{1b}'));
    }

    #[test]
    fn one_epoch_is_a_dot_and_no_epoch_says_so() {
        let one = svg("t", &[Panel::new("p", vec![line("a", &[(7, 1.0)])])]);
        assert_eq!(one.matches("<circle").count(), 1);
        assert!(svg("t", &[]).contains("no epoch was settled yet"));
    }

    #[test]
    fn marks_are_round_and_numbers_short() {
        assert_eq!(ticks(0.0, 1.0), vec![0.0, 0.5, 1.0]);
        assert!(ticks(0.0, 0.0).is_empty());
        assert_eq!(short(421.1999999), "421.2");
        assert_eq!(short(0.000012), "1.20e-5");
        assert_eq!(short(0.0), "0");
        assert_eq!(short(-3.5), "-3.5");
        assert_eq!(short(1200.0), "1200");
    }

    #[test]
    fn a_long_line_is_thinned() {
        let points: Vec<(u64, f64)> = (0..100_000).map(|e| (e, (e % 7) as f64)).collect();
        let text = svg("t", &[Panel::new("p", vec![line("a", &points)])]);
        assert!(text.len() < 100_000, "{}", text.len());
    }
}
