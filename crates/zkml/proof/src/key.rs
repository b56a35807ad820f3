//! Keys: what a verifier and a prover know of a model before the first proof.

use std::sync::{Arc, OnceLock};

use hallmark_graph::{Graph, Model, Trace};
use p3_field::PrimeCharacteristicRing;

use crate::commitment::WhirData;
use crate::cost::VerifyCost;
use crate::field::{E_BYTES, F, signed};
use crate::opening::codec::max_opening;
use crate::opening::hiding::HidingScheme;
use crate::opening::plain::PlainScheme;
use crate::plan::{LookupTable, Mode, Packing, Plan, PlanError};
use crate::profile::Profile;
use crate::proof::{HEADER_BYTES, VERSION, WitnessConfig, batch_header};
use crate::security::{LEAST_BITS, report, security_report};
use crate::witness::{TraceError, Witness};

const MAGIC: [u8; 4] = *b"HMVK";
/// Magic, version, profile, number of roots.
const HEADER: usize = 7;

/// Why bytes are not a verifying key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not this kind of object, or cut short.
    #[error("not a Hallmark verifying key")]
    Magic,
    /// Another version of the format.
    #[error("verifying key version {0} is not supported")]
    Version(u8),
    /// Another set of cryptographic parameters.
    #[error("security profile {0} is not supported")]
    Profile(u8),
    /// The graph in it is not valid.
    #[error("graph: {0}")]
    Graph(#[from] hallmark_graph::DecodeError),
    /// The graph in it cannot be proved.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Not as many roots as the graph's weights have.
    #[error("the number of roots is not that of the graph's weight commitments")]
    Roots,
    /// The profile has no parameters for a commitment of this size.
    #[error("the profile has no parameters for a commitment of 2^{0} elements")]
    Size(usize),
    /// A false proof of this graph could be found with less work than the profile promises.
    #[error("proofs for this key would have {0} bits of security, at least 100 are promised")]
    Security(u32),
}

/// Why a model cannot be proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The model breaks a rule of its own format.
    #[error("model: {0}")]
    Model(#[from] hallmark_graph::CheckError),
    /// The graph cannot be proved.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The profile has no parameters for a commitment of this size.
    #[error("the profile has no parameters for a commitment of 2^{0} elements")]
    Size(usize),
    /// A false proof of this graph could be found with less work than the profile promises.
    #[error("proofs of this model would have {0} bits of security, at least 100 are promised")]
    Security(u32),
}

/// Why parameters serve no key.
enum Unfit {
    Size(usize),
    Security(u32),
}

impl From<Unfit> for DecodeError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Size(variables) => Self::Size(variables),
            Unfit::Security(bits) => Self::Security(bits),
        }
    }
}

impl From<Unfit> for SetupError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Size(variables) => Self::Size(variables),
            Unfit::Security(bits) => Self::Security(bits),
        }
    }
}

/// What a verifier knows of a model: its canonical graph and the root of its weight commitment.
///
/// Decoding derives the plan of every proof once; clones share it.
#[derive(Clone)]
pub struct VerifyingKey {
    inner: Arc<Inner>,
}

struct Inner {
    profile: Profile,
    graph: Graph,
    /// One of every shard of the weights.
    roots: Vec<[u8; 32]>,
    digest: [u8; 32],
    plan: Plan,
    witness: PlainScheme,
    weights: Vec<PlainScheme>,
    /// Made when it is first needed.
    private: OnceLock<Option<Private>>,
}

/// What proofs of private inputs need beside the key.
pub(crate) struct Private {
    pub(crate) plan: Plan,
    pub(crate) scheme: HidingScheme,
}

impl Private {
    fn new(graph: &Graph, profile: Profile, prover: bool) -> Option<Self> {
        let plan = Plan::new(graph, Mode::PrivateInput).ok()?;
        let scheme = HidingScheme::new(&plan.witness, &plan.hiding, profile, prover)?;
        Some(Self { plan, scheme })
    }

    /// Whether proofs of private inputs for a key keep the profile's promise. A key that does not has none.
    fn is_secure(&self, vk: &VerifyingKey) -> bool {
        report(vk, &self.plan, Some(&self.scheme)).bits() >= LEAST_BITS
    }
}

impl VerifyingKey {
    /// Refuses parameters of fewer than `least` bits.
    fn new(
        graph: Graph,
        profile: Profile,
        roots: Vec<[u8; 32]>,
        plan: Plan,
        least: f64,
    ) -> Result<Self, Unfit> {
        let scheme = |packing: &Packing| {
            PlainScheme::new(packing, profile, false).ok_or(Unfit::Size(packing.variables()))
        };
        let witness = scheme(&plan.witness)?;
        let shards = plan.weights.packings.iter();
        let weights = shards.map(scheme).collect::<Result<_, _>>()?;
        let mut inner = Inner {
            profile,
            graph,
            roots,
            digest: [0; 32],
            plan,
            witness,
            weights,
            private: OnceLock::new(),
        };
        inner.digest = *blake3::hash(&encode(&inner)).as_bytes();
        let key = Self {
            inner: Arc::new(inner),
        };
        match security_report(&key).bits() {
            bits if bits >= least => Ok(key),
            bits => Err(Unfit::Security(bits.max(0.0) as u32)),
        }
    }

    /// Canonical bytes: magic `HMVK`, version, profile, number of roots, roots, encoded graph.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.inner)
    }

    /// Reads what [`Self::encode`] writes, and nothing else.
    ///
    /// # Errors
    ///
    /// The first rule that is broken; the graph's own codec bounds every size.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, LEAST_BITS)
    }

    /// [`Self::decode`] of keys of at least so many bits.
    pub(crate) fn decode_with(bytes: &[u8], least: f64) -> Result<Self, DecodeError> {
        let (header, graph) = bytes
            .split_first_chunk::<HEADER>()
            .ok_or(DecodeError::Magic)?;
        if header[..4] != MAGIC {
            return Err(DecodeError::Magic);
        }
        if header[4] != VERSION {
            return Err(DecodeError::Version(header[4]));
        }
        let profile = Profile::from_key_number(header[5]).ok_or(DecodeError::Profile(header[5]))?;
        let (roots, graph) = graph
            .split_at_checked(32 * usize::from(header[6]))
            .ok_or(DecodeError::Magic)?;
        let graph = Graph::decode(graph)?;
        let plan = Plan::new(&graph, Mode::Public)?;
        let (roots, _) = roots.as_chunks::<32>();
        if roots.len() != plan.weights.packings.len() {
            return Err(DecodeError::Roots);
        }
        Ok(Self::new(graph, profile, roots.to_vec(), plan, least)?)
    }

    /// BLAKE3 of [`Self::encode`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.inner.digest
    }

    /// The parameters of the weight commitment and of all proofs for this key.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.inner.profile
    }

    /// The graph, without weights.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.inner.graph
    }

    /// The weight commitment: its root, or a hash of the roots where the weights fill several
    /// polynomials.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        match self.inner.roots[..] {
            [root] => root,
            ref roots => {
                let mut hasher = blake3::Hasher::new_derive_key("hallmark proof v2 weight roots");
                roots.iter().for_each(|root| {
                    hasher.update(root);
                });
                *hasher.finalize().as_bytes()
            }
        }
    }

    /// The root of every shard of the weights.
    pub(crate) fn roots(&self) -> &[[u8; 32]] {
        &self.inner.roots
    }

    /// No proof of public inputs for this key is longer, in bytes.
    #[must_use]
    pub fn max_proof_len(&self) -> usize {
        self.longest(self.plan(), self.witness_config())
    }

    /// No proof of private inputs for this key is longer, in bytes. `None` where the graph has none:
    /// an input that ranges over more than `2^29` integers, a witness that is too large with all
    /// that hides it, or fewer than 100 bits.
    #[must_use]
    pub fn max_private_proof_len(&self) -> Option<usize> {
        let private = self.private()?;
        let config = WitnessConfig::Hiding(private.scheme.config());
        Some(self.longest(&private.plan, config))
    }

    /// No proof of `runs` runs in a mode is longer, in bytes; `None` as of [`Self::max_private_proof_len`].
    #[must_use]
    pub fn max_batch_len(&self, mode: Mode, runs: usize) -> Option<usize> {
        Some(match mode {
            Mode::Public => self.longest_batch(self.plan(), self.witness_config(), runs),
            Mode::PrivateInput => {
                let private = self.private()?;
                let config = WitnessConfig::Hiding(private.scheme.config());
                self.longest_batch(&private.plan, config, runs)
            }
        })
    }

    pub(crate) fn longest_batch(
        &self,
        plan: &Plan,
        witness: WitnessConfig<'_>,
        runs: usize,
    ) -> usize {
        let one = self.longest(plan, witness) - HEADER_BYTES;
        let run = E_BYTES * plan.elements + witness.most().0;
        batch_header(runs) + one + runs.saturating_sub(1) * run
    }

    pub(crate) fn longest(&self, plan: &Plan, witness: WitnessConfig<'_>) -> usize {
        HEADER_BYTES
            + E_BYTES * plan.elements
            + witness.most().0
            + self
                .inner
                .weights
                .iter()
                .map(|shard| max_opening(shard.whir().config()).0)
                .sum::<usize>()
    }

    /// What one verification of public inputs costs, whatever the proof: a function of the key alone.
    #[must_use]
    pub fn cost(&self) -> VerifyCost {
        VerifyCost::new(
            self,
            self.plan(),
            self.witness_config(),
            self.max_proof_len(),
        )
    }

    /// What one verification of private inputs costs; `None` as of [`Self::max_private_proof_len`].
    #[must_use]
    pub fn private_cost(&self) -> Option<VerifyCost> {
        let private = self.private()?;
        let config = WitnessConfig::Hiding(private.scheme.config());
        let longest = self.longest(&private.plan, config);
        let mut cost = VerifyCost::new(self, &private.plan, config, longest);
        cost.field_operations += private.scheme.operations();
        Some(cost)
    }

    /// Plan and scheme of proofs of private inputs, if the graph has them.
    pub(crate) fn private(&self) -> Option<&Private> {
        let private = &self.inner.private;
        private
            .get_or_init(|| {
                Private::new(&self.inner.graph, self.inner.profile, false)
                    .filter(|private| private.is_secure(self))
            })
            .as_ref()
    }

    pub(crate) fn witness_config(&self) -> WitnessConfig<'_> {
        WitnessConfig::Plain(self.inner.witness.whir().config())
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    pub(crate) fn witness_scheme(&self) -> &PlainScheme {
        &self.inner.witness
    }

    pub(crate) fn weight_schemes(&self) -> &[PlainScheme] {
        &self.inner.weights
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("profile", &self.inner.profile)
            .field("graph", &self.inner.graph)
            .field("commitment", &self.commitment())
            .finish_non_exhaustive()
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.inner, &other.inner);
        a.profile == b.profile && a.graph == b.graph && a.roots == b.roots
    }
}

impl Eq for VerifyingKey {}

fn encode(key: &Inner) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[VERSION, key.profile.key_number()]);
    // A plan has at most two shards.
    bytes.push(key.roots.len() as u8);
    bytes.extend_from_slice(key.roots.as_flattened());
    bytes.extend_from_slice(&key.graph.encode());
    bytes
}

/// A model with the prover's data of its weight commitment.
pub struct ProvingKey {
    pub(crate) vk: VerifyingKey,
    pub(crate) witness: PlainScheme,
    /// The scheme and the data of every shard of the weights.
    pub(crate) weights: Vec<PlainScheme>,
    pub(crate) data: Vec<WhirData>,
    /// The constants with their multipliers.
    constants: Vec<Vec<i32>>,
    /// The entries of the explicit tables.
    tables: Vec<Vec<i32>>,
    /// Made when it is first needed.
    private: OnceLock<Option<Private>>,
}

impl ProvingKey {
    /// The verifying key.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.vk
    }

    /// Plan and scheme of proofs of private inputs, if the graph has them.
    pub(crate) fn private(&self) -> Option<&Private> {
        self.private
            .get_or_init(|| {
                Private::new(self.vk.graph(), self.vk.profile(), true)
                    .filter(|private| private.is_secure(&self.vk))
            })
            .as_ref()
    }

    /// The witness of a trace.
    pub(crate) fn witness<'a>(&'a self, trace: &'a Trace) -> Result<Witness<'a>, TraceError> {
        self.witness_of(self.vk.plan(), trace)
    }

    /// The witness of a trace under a plan of the key's graph.
    pub(crate) fn witness_of<'a>(
        &'a self,
        plan: &Plan,
        trace: &'a Trace,
    ) -> Result<Witness<'a>, TraceError> {
        Witness::new(self.vk.graph(), plan, &self.constants, &self.tables, trace)
    }
}

impl std::fmt::Debug for ProvingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvingKey")
            .field("vk", &self.vk)
            .finish_non_exhaustive()
    }
}

/// As [`setup_with`], with [`Profile::Standard`].
///
/// # Errors
///
/// As [`setup_with`].
pub fn setup(model: &Model) -> Result<ProvingKey, SetupError> {
    setup_with(model, Profile::Standard)
}

/// Checks a model and commits to its weights; the same model and profile always give the same key. Keys
/// of two profiles are two keys, with digests of their own.
///
/// # Errors
///
/// A model that breaks a rule of its format, whose graph does not fit the profile, or whose proofs would
/// have less than 100 bits.
pub fn setup_with(model: &Model, profile: Profile) -> Result<ProvingKey, SetupError> {
    setup_at(model, profile, LEAST_BITS)
}

/// [`setup_with`] for proofs of at least so many bits.
pub(crate) fn setup_at(
    model: &Model,
    profile: Profile,
    least: f64,
) -> Result<ProvingKey, SetupError> {
    model.check()?;
    let plan = Plan::new(&model.graph, Mode::Public)?;
    let constants: Vec<Vec<i32>> = model
        .graph
        .constants()
        .zip(&model.weights.constants)
        .map(|(node, constant)| {
            let last = node.shape.last() as usize;
            (0..node.shape.elements())
                .map(|i| constant.get(i, last) as i32)
                .collect()
        })
        .collect();
    let tables: Vec<Vec<i32>> = model
        .weights
        .tables
        .iter()
        .map(|t| t.values.clone())
        .collect();

    // Constants first, then the tables in the order of the plan.
    let of_tables = plan.tables.iter().filter_map(|t| match t.table {
        LookupTable::Explicit { table, .. } => Some(&tables[table]),
        _ => None,
    });
    let contents: Vec<&Vec<i32>> = constants.iter().chain(of_tables).collect();
    let scheme = |packing: &Packing| {
        PlainScheme::new(packing, profile, true).ok_or(SetupError::Size(packing.variables()))
    };
    let witness = scheme(&plan.witness)?;
    let (mut weights, mut roots, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (index, shard) in plan.weights.packings.iter().enumerate() {
        let mut stack = F::zero_vec(1 << shard.variables());
        let tensors = plan.weights.tensors(index);
        shard.fill(&mut stack, |tensor, part| {
            let values = contents[tensors[tensor]];
            part.place(F::ZERO, |i| signed(i64::from(values[i])));
        });
        let scheme = scheme(shard)?;
        let (root, committed) = scheme.commit(stack);
        weights.push(scheme);
        roots.push(root);
        data.push(committed);
    }
    let vk = VerifyingKey::new(model.graph.clone(), profile, roots, plan, least)?;
    Ok(ProvingKey {
        vk,
        witness,
        weights,
        data,
        constants,
        tables,
        private: OnceLock::new(),
    })
}
