//! A plot with two logarithmic axes, as SVG that a page of either colour scheme can hold.

use std::fmt::Write as _;

/// A named series of `(size, milliseconds)`.
pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 60.0;
const COLOURS: [&str; 3] = ["#2a78d6", "#1baf7a", "#e0803a"];

/// Powers of ten that hold all numbers.
fn decades(numbers: impl Iterator<Item = f64>) -> (i32, i32) {
    let logs: Vec<f64> = numbers.map(f64::log10).collect();
    let least = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let most = logs
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max)
        .ceil();
    (least as i32, (most as i32).max(least as i32 + 1))
}

/// Draws the lines, a grid of decades, and dashed lines along which time is proportional to size.
pub fn draw(lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| &line.points);
    if all().next().is_none() {
        return "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n".to_owned();
    }
    let (x0, x1) = decades(all().map(|p| p.0));
    let (y0, y1) = decades(all().map(|p| p.1));
    let x = |log: f64| LEFT + (log - f64::from(x0)) / f64::from(x1 - x0) * (WIDTH - LEFT - RIGHT);
    let y = |log: f64| {
        HEIGHT - BOTTOM - (log - f64::from(y0)) / f64::from(y1 - y0) * (HEIGHT - TOP - BOTTOM)
    };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>Processor time of a proof against the size of its model</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <clipPath id=\"plot\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/></clipPath>",
        WIDTH - LEFT - RIGHT,
        HEIGHT - TOP - BOTTOM,
    );
    let power = |exponent: i32| format!("10<tspan dy=\"-5\" font-size=\"9\">{exponent}</tspan>");
    for exponent in x0..=x1 {
        let at = x(f64::from(exponent));
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {TOP}V{:.1}\" stroke=\"#e4e4e0\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 20.0,
            power(exponent),
        );
    }
    for exponent in y0..=y1 {
        let at = y(f64::from(exponent));
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#e4e4e0\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            power(exponent),
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333\">units: weights, activations, lookups</text>\n\
         <text x=\"16\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333\" transform=\"rotate(-90 16 {:.1})\">processor time, ms</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 14.0,
        (TOP + HEIGHT - BOTTOM) / 2.0,
        (TOP + HEIGHT - BOTTOM) / 2.0,
    );
    for (line, colour) in lines.iter().zip(COLOURS) {
        let Some(&(size, time)) = line.points.last() else {
            continue;
        };
        // Time in proportion to size, through the last point.
        let offset = time.log10() - size.log10();
        let _ = writeln!(
            out,
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{colour}\" stroke-dasharray=\"3 5\" fill=\"none\" clip-path=\"url(#plot)\"/>",
            x(f64::from(x0)),
            y(f64::from(x0) + offset),
            x(f64::from(x1)),
            y(f64::from(x1) + offset),
        );
        let path: Vec<String> = line
            .points
            .iter()
            .map(|p| format!("{:.1} {:.1}", x(p.0.log10()), y(p.1.log10())))
            .collect();
        let _ = writeln!(
            out,
            "<path d=\"M{}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>",
            path.join("L")
        );
        for p in &line.points {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>",
                x(p.0.log10()),
                y(p.1.log10())
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#333\">{}</text>",
            x(size.log10()) + 10.0,
            y(time.log10()) + 4.0,
            line.name
        );
    }
    out.push_str("</svg>\n");
    out
}
