//! What a proof pays for each step of a graph, and which steps a person takes for one layer.

use hallmark_graph::{Graph, Op, ValueId};

/// What a proof pays for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Elements looked up, remainders of divisions among them; rows of tables are not counted.
    pub(super) lookups: u64,
    /// Multiply-accumulates.
    pub(super) macs: u64,
    /// Elements that a proof commits to at most: what is looked up, with its axes padded to powers of two.
    /// Where that halves a commitment, less of the padding is.
    pub(super) committed: u64,
    /// Elements of constants.
    pub(super) weights: u64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.lookups += other.lookups;
        self.macs += other.macs;
        self.committed += other.committed;
        self.weights += other.weights;
    }
}

/// The cost of one node. A remainder counts as one limb, a quotient too: a plan may split them.
pub(super) fn node_cost(graph: &Graph, node: usize) -> Cost {
    let step = &graph.nodes[node];
    let elements = step.shape.elements() as u64;
    let columns = match step.op {
        Op::Lookup { shift: 0, .. } => 1,
        Op::Lookup { .. } | Op::Shift { .. } => 2,
        _ => 0,
    };
    let macs = match step.op {
        Op::MatMul { a, inner, .. } => {
            let shape = graph.shape(a).map_or(&[][..], |shape| &shape.0);
            let from = shape.len().saturating_sub(usize::from(inner));
            let depth: u64 = shape[from..].iter().map(|&dim| u64::from(dim)).product();
            depth.saturating_mul(elements)
        }
        _ => 0,
    };
    Cost {
        lookups: columns * elements,
        macs,
        committed: columns * step.shape.padded() as u64,
        weights: match step.op {
            Op::Constant { .. } => elements,
            _ => 0,
        },
    }
}

/// Steps that a person takes for one layer: a product, or whatever meets where layers join, and all
/// that follows from it alone.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Nodes in order.
    pub(super) nodes: Vec<usize>,
    /// Earlier layers whose results it reads.
    pub(super) reads: Vec<usize>,
    /// Inputs that it reads.
    pub(super) inputs: Vec<usize>,
    pub(super) cost: Cost,
}

/// Partitions a graph into layers, in order. Every node is in one layer; a constant is in that of
/// its first reader.
pub(super) fn layers(graph: &Graph) -> Vec<Layer> {
    let inputs = graph.inputs.len();
    let source = source_of_constants(graph);
    let mut of_node: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    let mut layers: Vec<Layer> = Vec::new();
    for (index, step) in graph.nodes.iter().enumerate() {
        if source[inputs + index] {
            continue;
        }
        let mut reads = Vec::new();
        let mut read_inputs = Vec::new();
        for operand in step.op.operands() {
            let operand = operand as usize;
            match operand.checked_sub(inputs) {
                None => read_inputs.push(operand),
                Some(_) if source[operand] => {}
                Some(node) => reads.extend(of_node[node]),
            }
        }
        reads.sort_unstable();
        reads.dedup();
        let product = matches!(step.op, Op::MatMul { .. });
        let layer = match (&reads[..], product, read_inputs.is_empty()) {
            (&[one], false, true) => one,
            // What an input goes through first is one layer.
            (&[one], false, false) if layers[one].inputs == read_inputs => one,
            _ => {
                layers.push(Layer {
                    nodes: Vec::new(),
                    reads,
                    inputs: read_inputs,
                    cost: Cost::default(),
                });
                layers.len() - 1
            }
        };
        // Constants and what is made of them alone belong to their first reader.
        let mut stack: Vec<ValueId> = step.op.operands();
        let mut own = vec![index];
        while let Some(value) = stack.pop() {
            let Some(node) = (value as usize).checked_sub(inputs) else {
                continue;
            };
            if source[value as usize] && of_node[node].is_none() {
                of_node[node] = Some(layer);
                own.push(node);
                stack.extend(graph.nodes[node].op.operands());
            }
        }
        of_node[index] = Some(layer);
        for node in own {
            layers[layer].nodes.push(node);
            let cost = node_cost(graph, node);
            layers[layer].cost.add(cost);
        }
    }
    for layer in &mut layers {
        layer.nodes.sort_unstable();
    }
    layers
}

/// Whether a value depends on no input.
fn source_of_constants(graph: &Graph) -> Vec<bool> {
    let mut fixed = vec![false; graph.inputs.len()];
    for step in &graph.nodes {
        let operands = step.op.operands();
        fixed.push(operands.iter().all(|&operand| fixed[operand as usize]));
    }
    fixed
}

/// Cost of a whole graph.
pub(super) fn total(graph: &Graph) -> Cost {
    let mut sum = Cost::default();
    for node in 0..graph.nodes.len() {
        sum.add(node_cost(graph, node));
    }
    sum
}
