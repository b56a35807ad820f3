//! `hallmark zk inspect`: a compiled model's operators, costs, commitment and security.

use super::{Error, cost, drawing, load, memory, write};
use crate::output::Reporter;
use hallmark_graph::Op;
use hallmark_onnx::real;
use hallmark_proof::{Profile, SecurityReport};
use serde_json::json;
use std::path::Path;

pub(super) fn inspect(
    path: &Path,
    svg: Option<&Path>,
    profile: Profile,
    report: &Reporter,
) -> Result<(), Error> {
    let model = load(path)?;
    let proving = hallmark_proof::setup_with(&model, profile)?;
    let key = proving.verifying_key();
    let security = hallmark_proof::security_report(key);
    let graph = &model.graph;
    let mut lines = Vec::new();
    for (i, input) in graph.inputs.iter().enumerate() {
        lines.push(format!(
            "input   v{i} {} in {}, one step is {:.6}",
            input.shape,
            input.range,
            real(input.scale)
        ));
    }
    let mut nodes = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        let value = graph.value_of(i);
        let what = describe_op(&node.op);
        lines.push(format!(
            "v{value:<5}  {what} -> {} in {}",
            node.shape, node.range
        ));
        nodes.push(json!({ "value": value, "op": what, "shape": node.shape.0, "lo": node.range.lo, "hi": node.range.hi }));
    }
    let sum = cost::total(graph);
    let layers = cost::layers(graph);
    lines.push("layers".to_owned());
    let mut costs = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let c = layer.cost;
        let (first, last) = (
            layer.nodes.first().map_or(0, |n| graph.value_of(*n)),
            layer.nodes.last().map_or(0, |n| graph.value_of(*n)),
        );
        lines.push(format!(
            "  {i:<4} v{first} to v{last}: {} lookups, {} multiply-adds, {} committed, {} weights",
            c.lookups, c.macs, c.committed, c.weights
        ));
        costs.push(json!({
            "first": first, "last": last, "reads": layer.reads, "lookups": c.lookups,
            "macs": c.macs, "committed": c.committed, "weights": c.weights,
        }));
    }
    let need = memory::mib(memory::need(&model, profile, 1));
    if let Some(svg) = svg {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        write(svg, drawing::svg(graph, &name).as_bytes())?;
        lines.push(format!("drawn   {}", svg.display()));
    }
    let digest = alloy_primitives::B256::from(key.digest());
    let commitment = alloy_primitives::B256::from(key.commitment());
    for output in &graph.outputs {
        lines.push(format!(
            "output  v{}, one step is {:.6}",
            output.value,
            real(output.scale)
        ));
    }
    lines.push(format!(
        "params  {}, multiply-adds {}",
        graph.params(),
        graph.macs()
    ));
    lines.push(format!(
        "key     {} bytes, digest {digest}",
        key.encode().len()
    ));
    lines.push(format!("profile {}", profile.name()));
    lines.push(format!("weights commitment {commitment}"));
    lines.push(format!(
        "proof   at most {} bytes, verification gas {}",
        key.max_proof_len(),
        key.cost().gas()
    ));
    lines.push(format!(
        "cost    {} lookups, {} committed; a proof needs about {need} MiB",
        sum.lookups, sum.committed
    ));
    let terms = |lines: &mut Vec<String>, security: &SecurityReport| {
        lines.push(format!("security {:.1} bits, the sum of:", security.bits()));
        for term in &security.terms {
            lines.push(format!("  {:<40} {:.1}", term.name, term.bits));
        }
    };
    lines.push("mode    public: proves integrity, hides nothing".to_owned());
    terms(&mut lines, &security);
    let private = hallmark_proof::private_security_report(key);
    match (&private, key.private_cost(), key.max_private_proof_len()) {
        (Some(security), Some(cost), Some(longest)) => {
            lines.push(
                "mode    private-input: hides inputs and outputs from all but the seller"
                    .to_owned(),
            );
            lines.push(format!(
                "proof   at most {longest} bytes, verification gas {}",
                cost.gas()
            ));
            terms(&mut lines, security);
        }
        _ => lines.push("mode    private-input is not available for this model".to_owned()),
    }
    let listed = |security: &SecurityReport| {
        let terms = security.terms.iter();
        terms
            .map(|t| json!({ "name": t.name, "bits": t.bits }))
            .collect::<Vec<_>>()
    };
    report.result(
        lines.join("\n"),
        &json!({
            "nodes": nodes, "layers": costs, "memory_mb": need, "svg": svg, "params": graph.params(), "macs": graph.macs(),
            "key_bytes": key.encode().len(), "digest": digest, "commitment": commitment,
            "max_proof_bytes": key.max_proof_len(), "verify_gas": key.cost().gas(),
            "profile": profile.name(), "mode": "public", "security_bits": security.bits(),
            "security_terms": listed(&security),
            "private_input": private.map(|security| json!({
                "max_proof_bytes": key.max_private_proof_len(),
                "verify_gas": key.private_cost().map(|c| c.gas()),
                "security_bits": security.bits(), "security_terms": listed(&security),
            })),
        }),
    );
    Ok(())
}

/// An operator in a line.
fn describe_op(op: &Op) -> String {
    match op {
        Op::Constant { constant } => format!("Constant {constant}"),
        Op::MatMul { a, b, batch, inner } => {
            format!("MatMul v{a} v{b} (batch axes {batch}, inner axes {inner})")
        }
        Op::Mul { a, b } => format!("Mul v{a} v{b}"),
        Op::Combine { terms, offset } => {
            let terms: Vec<String> = terms.iter().map(|(v, m)| format!("{m}*v{v}")).collect();
            format!("Combine {} + {offset}", terms.join(" + "))
        }
        Op::Sum { input, axes } => format!("Sum v{input} over {axes:?}"),
        Op::View { input, .. } => format!("View v{input}"),
        Op::Reshape { input, .. } => format!("Reshape v{input}"),
        Op::Lookup {
            input,
            shift,
            table,
        } => format!("Lookup v{input} >> {shift}, {table:?}"),
        Op::Shift { input, shift, bits } => format!("Shift v{input} >> {shift} to {bits} bits"),
    }
}
