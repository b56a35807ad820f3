//! The graph as a picture: layers from top to bottom, what each reads, what each costs.
//!
//! Boxes are placed by Sugiyama's method: a row for every layer by its longest path from an input,
//! a knot on every row that an edge passes, rows ordered by the mean place of their neighbours,
//! and places drawn together without overlaps.

use super::cost::{Cost, Layer, layers, total};
use hallmark_graph::{Graph, Op};
use std::collections::BTreeMap;
use std::fmt::Write;

const BOX_WIDTH: f64 = 236.0;
const BOX_HEIGHT: f64 = 74.0;
const PORT_HEIGHT: f64 = 30.0;
const KNOT_WIDTH: f64 = 14.0;
const GAP: f64 = 22.0;
const ROW_GAP: f64 = 38.0;
const MARGIN: f64 = 28.0;
const HEADER: f64 = 74.0;
const MIN_WIDTH: f64 = 600.0;
/// Sweeps over the rows, down and up, for their order and for their places.
const SWEEPS: usize = 24;
/// Most edges that are given knots; what is beyond is drawn straight.
const MAX_KNOTS: usize = 1 << 14;

/// Colours that read on white and, by the media query, on black.
const STYLE: &str = "text{font-family:ui-sans-serif,system-ui,'DejaVu Sans',sans-serif;font-size:11px;fill:#24292f}\
.b{fill:#ffffff;stroke:#8c959f}.p{fill:#eaeef2;stroke:#8c959f}.e{fill:none;stroke:#8c959f;stroke-width:1.2}\
.bg{fill:#f6f8fa}.h{font-size:15px;font-weight:600}.n{font-weight:600}.m{fill:#57606a}\
.l{fill:#0969da}.x{fill:#bf8700}.c{fill:#8250df}.t{fill:#d0d7de}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#161b22;stroke:#6e7681}\
.p{fill:#21262d;stroke:#6e7681}.e{stroke:#6e7681}.bg{fill:#0d1117}.m{fill:#9198a1}\
.l{fill:#58a6ff}.x{fill:#d29922}.c{fill:#a371f7}.t{fill:#30363d}}";

/// What stands on a row.
#[derive(Clone, Copy)]
enum Kind {
    Input(usize),
    Layer(usize),
    Output(usize),
    Knot,
}

struct Item {
    kind: Kind,
    row: usize,
    /// Left edge.
    x: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

impl Item {
    fn width(&self) -> f64 {
        match self.kind {
            Kind::Knot => KNOT_WIDTH,
            _ => BOX_WIDTH,
        }
    }

    fn centre(&self) -> f64 {
        self.x + self.width() / 2.0
    }
}

/// The picture of a graph, an SVG document.
pub(super) fn svg(graph: &Graph, title: &str) -> String {
    let layers = layers(graph);
    let mut sheet = Sheet::new(graph, &layers);
    sheet.order();
    sheet.place();
    sheet.draw(graph, &layers, title)
}

struct Sheet {
    items: Vec<Item>,
    rows: Vec<Vec<usize>>,
}

impl Sheet {
    fn new(graph: &Graph, layers: &[Layer]) -> Self {
        let inputs = graph.inputs.len();
        let kinds = (0..inputs)
            .map(Kind::Input)
            .chain((0..layers.len()).map(Kind::Layer))
            .chain((0..graph.outputs.len()).map(Kind::Output));
        let mut items: Vec<Item> = kinds
            .map(|kind| Item {
                kind,
                row: 0,
                x: 0.0,
                above: Vec::new(),
                below: Vec::new(),
            })
            .collect();
        let mut of_node = vec![0; graph.nodes.len()];
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            for &node in &layer.nodes {
                of_node[node] = inputs + index;
            }
            edges.extend(layer.inputs.iter().map(|&input| (input, inputs + index)));
            edges.extend(
                layer
                    .reads
                    .iter()
                    .map(|&from| (inputs + from, inputs + index)),
            );
        }
        for (index, output) in graph.outputs.iter().enumerate() {
            let value = output.value as usize;
            let from = value
                .checked_sub(inputs)
                .map_or(value, |node| of_node[node]);
            edges.push((from, inputs + layers.len() + index));
        }
        edges.sort_unstable();
        edges.dedup();
        // Edges lead to later items only, so one pass finds the longest paths.
        let mut by_target = edges.clone();
        by_target.sort_unstable_by_key(|&(from, to)| (to, from));
        for (from, to) in by_target {
            items[to].row = items[to].row.max(items[from].row + 1);
        }
        let last = items.iter().map(|item| item.row).max().unwrap_or(0);
        for item in &mut items {
            if matches!(item.kind, Kind::Output(_)) {
                item.row = last;
            }
        }
        let mut sheet = Self {
            items,
            rows: Vec::new(),
        };
        for (from, to) in edges {
            sheet.edge(from, to);
        }
        sheet.rows = vec![Vec::new(); last + 1];
        for (index, item) in sheet.items.iter().enumerate() {
            sheet.rows[item.row].push(index);
        }
        sheet
    }

    fn edge(&mut self, from: usize, to: usize) {
        let mut before = from;
        for row in self.items[from].row + 1..self.items[to].row {
            if self.items.len() >= MAX_KNOTS {
                break;
            }
            self.items.push(Item {
                kind: Kind::Knot,
                row,
                x: 0.0,
                above: vec![before],
                below: Vec::new(),
            });
            let knot = self.items.len() - 1;
            self.items[before].below.push(knot);
            before = knot;
        }
        self.items[before].below.push(to);
        self.items[to].above.push(before);
    }

    /// Orders every row by the mean place of its neighbours on the row before, down and up.
    fn order(&mut self) {
        let mut place = vec![0.0; self.items.len()];
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let order: Vec<usize> = match down {
                true => (0..self.rows.len()).collect(),
                false => (0..self.rows.len()).rev().collect(),
            };
            for row in order {
                let mut keyed: Vec<(f64, usize)> = self.rows[row]
                    .iter()
                    .enumerate()
                    .map(|(at, &item)| {
                        let near = match down {
                            true => &self.items[item].above,
                            false => &self.items[item].below,
                        };
                        let sum: f64 = near.iter().map(|&near| place[near]).sum();
                        let mean = match near.len() {
                            0 => at as f64,
                            count => sum / count as f64,
                        };
                        (mean, item)
                    })
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.rows[row] = keyed.iter().map(|&(_, item)| item).collect();
                // Places are shares of the row, so that rows of different length compare.
                let count = self.rows[row].len() as f64;
                for (at, &item) in self.rows[row].iter().enumerate() {
                    place[item] = (at as f64 + 0.5) / count;
                }
            }
        }
    }

    /// Moves items below and above the middle of their neighbours, as far as the row leaves room.
    fn place(&mut self) {
        for row in &self.rows {
            let mut x = 0.0;
            for &item in row {
                self.items[item].x = x;
                x += self.items[item].width() + GAP;
            }
        }
        for sweep in 0..SWEEPS {
            let order: Vec<usize> = match sweep % 2 == 0 {
                true => (0..self.rows.len()).collect(),
                false => (0..self.rows.len()).rev().collect(),
            };
            for row in order {
                self.settle(row);
            }
        }
        let ends = |item: &Item| (item.x, item.x + item.width());
        let (least, most) = self
            .items
            .iter()
            .map(ends)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |a, b| {
                (a.0.min(b.0), a.1.max(b.1))
            });
        // A narrow drawing stands in the middle.
        let spare = (MIN_WIDTH - 2.0 * MARGIN - (most - least)).max(0.0);
        for item in &mut self.items {
            item.x += MARGIN + spare / 2.0 - least;
        }
    }

    /// Wished places of one row without overlaps: runs of items that touch share one shift.
    fn settle(&mut self, row: usize) {
        struct Run {
            from: f64,
            width: f64,
            /// Sum of wished left edges relative to the run, and their weights.
            wish: f64,
            weight: f64,
            members: Vec<usize>,
        }
        let mut runs: Vec<Run> = Vec::new();
        for &item in &self.rows[row] {
            let own = &self.items[item];
            let near: Vec<f64> = own
                .above
                .iter()
                .chain(&own.below)
                .map(|&near| self.items[near].centre())
                .collect();
            let centre = match near.len() {
                0 => own.centre(),
                count => near.iter().sum::<f64>() / count as f64,
            };
            let weight = match own.kind {
                Kind::Knot => 0.4,
                _ => 1.0,
            };
            let mut run = Run {
                from: centre - own.width() / 2.0,
                width: own.width() + GAP,
                wish: (centre - own.width() / 2.0) * weight,
                weight,
                members: vec![item],
            };
            while let Some(before) = runs.pop() {
                if before.from + before.width <= run.from {
                    runs.push(before);
                    break;
                }
                let weight = before.weight + run.weight;
                let wish = before.wish + run.wish - before.width * run.weight;
                run = Run {
                    from: wish / weight,
                    width: before.width + run.width,
                    wish,
                    weight,
                    members: [before.members, run.members].concat(),
                };
            }
            runs.push(run);
        }
        for run in runs {
            let mut x = run.from;
            for item in run.members {
                self.items[item].x = x;
                x += self.items[item].width() + GAP;
            }
        }
    }

    fn draw(&self, graph: &Graph, layers: &[Layer], title: &str) -> String {
        let top = |item: &Item| HEADER + item.row as f64 * (BOX_HEIGHT + ROW_GAP);
        let right = self
            .items
            .iter()
            .map(|item| item.x + item.width())
            .fold(MIN_WIDTH - MARGIN, f64::max);
        let width = right + MARGIN;
        let height = HEADER + self.rows.len() as f64 * (BOX_HEIGHT + ROW_GAP);
        let sum = total(graph);
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"h\" x=\"{MARGIN}\" y=\"30\">{}</text>\n",
            escape(title),
            escape(title),
        );
        legend(&mut out, &sum);
        for item in &self.items {
            for &below in &item.below {
                let to = &self.items[below];
                let (x1, y1) = (item.centre(), top(item) + depth(item));
                let (x2, y2) = (to.centre(), top(to) + entry(to));
                let bend = (y2 - y1) / 2.0;
                let _ = writeln!(
                    out,
                    "<path class=\"e\" d=\"M{x1:.1} {y1:.1}C{x1:.1} {:.1} {x2:.1} {:.1} {x2:.1} {y2:.1}\"/>",
                    y1 + bend,
                    y2 - bend,
                );
            }
            if matches!(item.kind, Kind::Knot) {
                let (x, y) = (item.centre(), top(item));
                let _ = writeln!(
                    out,
                    "<path class=\"e\" d=\"M{x:.1} {y:.1}V{:.1}\"/>",
                    y + BOX_HEIGHT
                );
            }
        }
        for item in &self.items {
            let (x, y) = (item.x, top(item));
            match item.kind {
                Kind::Knot => {}
                Kind::Input(index) => {
                    let input = &graph.inputs[index];
                    let text = format!("input {} in {}", input.shape, input.range);
                    port(&mut out, (x, y + BOX_HEIGHT - PORT_HEIGHT), &text);
                }
                Kind::Output(index) => {
                    let value = graph.outputs[index].value;
                    let shape = graph
                        .shape(value)
                        .map_or_else(String::new, ToString::to_string);
                    port(&mut out, (x, y), &format!("output {shape}"));
                }
                Kind::Layer(index) => layer(&mut out, (x, y), graph, &layers[index], &sum),
            }
        }
        out.push_str("</svg>\n");
        out
    }
}

fn entry(item: &Item) -> f64 {
    match item.kind {
        Kind::Input(_) => BOX_HEIGHT - PORT_HEIGHT,
        _ => 0.0,
    }
}

fn depth(item: &Item) -> f64 {
    match item.kind {
        Kind::Output(_) => PORT_HEIGHT,
        _ => BOX_HEIGHT,
    }
}

fn legend(out: &mut String, sum: &Cost) {
    let mut x = MARGIN;
    for (class, text) in [
        ("l", format!("lookups {}", short(sum.lookups))),
        ("x", format!("multiply-adds {}", short(sum.macs))),
        ("c", format!("committed {}", short(sum.committed))),
        ("t", format!("weights {}", short(sum.weights))),
    ] {
        let _ = writeln!(
            out,
            "<rect class=\"{class}\" x=\"{x:.0}\" y=\"44\" width=\"10\" height=\"10\" rx=\"2\"/>\
             <text x=\"{:.0}\" y=\"53\">{text}</text>",
            x + 15.0
        );
        x += 40.0 + 6.4 * text.len() as f64;
    }
}

fn port(out: &mut String, (x, y): (f64, f64), text: &str) {
    let _ = writeln!(
        out,
        "<rect class=\"p\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{BOX_WIDTH}\" height=\"{PORT_HEIGHT}\" \
         rx=\"15\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        x + BOX_WIDTH / 2.0,
        y + 19.0,
        escape(text)
    );
}

/// A box: what the layer does, the shape that it gives, a bar and a number for each cost.
fn layer(out: &mut String, (x, y): (f64, f64), graph: &Graph, layer: &Layer, sum: &Cost) {
    let (name, steps) = describe(graph, layer);
    let tip = tip(graph, layer);
    let _ = write!(
        out,
        "<g><title>{}</title><rect class=\"b\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{BOX_WIDTH}\" \
         height=\"{BOX_HEIGHT}\" rx=\"6\"/><text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
         <text class=\"m\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        escape(&tip),
        x + 10.0,
        y + 17.0,
        escape(&name),
        x + 10.0,
        y + 32.0,
        escape(&steps),
    );
    let rows = [
        ("l", layer.cost.lookups, sum.lookups),
        ("x", layer.cost.macs, sum.macs),
        ("c", layer.cost.committed, sum.committed),
    ];
    for (row, (class, own, all)) in rows.into_iter().enumerate() {
        let at = y + 40.0 + 10.5 * row as f64;
        let full = 128.0;
        let share = own as f64 / all.max(1) as f64;
        let _ = write!(
            out,
            "<rect class=\"t\" x=\"{:.1}\" y=\"{at:.1}\" width=\"{full}\" height=\"6\" rx=\"3\"/>\
             <rect class=\"{class}\" x=\"{:.1}\" y=\"{at:.1}\" width=\"{:.1}\" height=\"6\" rx=\"3\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" text-anchor=\"end\" \
             style=\"font-size:10px\">{} · {:.1} %</text>",
            x + 10.0,
            x + 10.0,
            full * share,
            x + BOX_WIDTH - 8.0,
            at + 6.5,
            short(own),
            100.0 * share,
        );
    }
    out.push_str("</g>\n");
}

/// The layer's name and its steps, each in a short line.
fn describe(graph: &Graph, layer: &Layer) -> (String, String) {
    let shape = |value| {
        graph
            .shape(value)
            .map_or_else(String::new, ToString::to_string)
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut product = None;
    let mut last = None;
    for &node in &layer.nodes {
        let op = &graph.nodes[node].op;
        if !matches!(
            op,
            Op::MatMul { .. } | Op::Constant { .. } | Op::View { .. } | Op::Reshape { .. }
        ) {
            *counts.entry(op.name()).or_default() += 1;
        }
        match op {
            Op::MatMul { a, b, .. } if product.is_none() => product = Some((*a, *b)),
            Op::Constant { .. } => {}
            _ => last = Some(node),
        }
    }
    let result = last.map_or_else(String::new, |node| graph.nodes[node].shape.to_string());
    let name = match product {
        Some((a, b)) => format!("MatMul {} · {}", shape(a), shape(b)),
        None => {
            let most = counts.iter().max_by_key(|(_, count)| **count);
            let kind = most.map_or("View", |(name, _)| *name);
            match counts.contains_key("Mul") && counts.contains_key("Sum") {
                true => format!("Normalise to {result}"),
                false => format!("{kind} to {result}"),
            }
        }
    };
    let steps: Vec<String> = counts
        .iter()
        .map(|(name, count)| match count {
            1 => (*name).to_owned(),
            count => format!("{count} {name}"),
        })
        .collect();
    let steps = match (steps.is_empty(), product) {
        (true, None) => "moves elements only".to_owned(),
        (true, Some(_)) => "sums only".to_owned(),
        (false, _) => steps.join(", "),
    };
    (clipped(&name, 32), clipped(&steps, 36))
}

/// All steps, for whoever points at the box.
fn tip(graph: &Graph, layer: &Layer) -> String {
    let mut lines: Vec<String> = layer
        .nodes
        .iter()
        .take(40)
        .map(|&node| {
            let step = &graph.nodes[node];
            let value = graph.value_of(node);
            format!(
                "v{value} {} {} in {}",
                step.op.name(),
                step.shape,
                step.range
            )
        })
        .collect();
    if layer.nodes.len() > lines.len() {
        lines.push(format!("and {} more", layer.nodes.len() - lines.len()));
    }
    lines.push(format!("weights {}", layer.cost.weights));
    lines.join("\n")
}

fn clipped(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A number with three digits and its thousand.
fn short(number: u64) -> String {
    let (value, unit) = match number {
        0..=9_999 => return number.to_string(),
        10_000..=9_999_999 => (number as f64 / 1e3, "k"),
        10_000_000..=9_999_999_999 => (number as f64 / 1e6, "M"),
        _ => (number as f64 / 1e9, "G"),
    };
    match value >= 100.0 {
        true => format!("{value:.0} {unit}"),
        false => format!("{value:.1} {unit}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
