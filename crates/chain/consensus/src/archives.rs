//! Where marshal keeps final blocks and their certificates.

use std::{num::NonZeroU64, sync::Arc};

use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_cryptography::certificate::Verifier as _;
use commonware_runtime::{Clock, Metrics, Storage, buffer::paged::CacheRef};
use commonware_storage::{archive::prunable, translator::EightCap};
use commonware_utils::NZU64;
use hallmark_types::Limits;

use crate::{
    block::{Digest, WireBlock},
    committee::Finalization,
    engine::BUFFER,
    start::ConsensusError,
};

/// Items in one file of an archive.
pub(crate) const ITEMS_PER_SECTION: NonZeroU64 = NZU64!(4_096);

/// Certificates by height.
pub(crate) type Finalizations<E> = prunable::Archive<EightCap, E, Digest, Finalization>;
/// Blocks by height.
pub(crate) type Blocks<E> = prunable::Archive<EightCap, E, Digest, Arc<WireBlock>>;

/// Opens both archives. `name` gives each of their parts its partition.
pub(crate) async fn open<E: Storage + Metrics + Clock>(
    context: &E,
    name: impl Fn(&str) -> String,
    limits: Arc<Limits>,
    page_cache: &CacheRef,
) -> Result<(Finalizations<E>, Blocks<E>), ConsensusError> {
    let unusable =
        |error: commonware_storage::archive::Error| ConsensusError::Archive(error.to_string());
    // Certificates were verified against the committee of their epoch before they were stored, so the
    // number of signers needs no bound here; committees of later epochs may be larger.
    let finalizations = prunable::Archive::init(
        context.child("finalizations"),
        config(
            &name,
            "finalizations",
            Scheme::certificate_codec_config_unbounded(),
            page_cache,
        ),
    )
    .await
    .map_err(unusable)?;
    let blocks = prunable::Archive::init(
        context.child("blocks"),
        config(&name, "blocks", limits, page_cache),
    )
    .await
    .map_err(unusable)?;
    Ok((finalizations, blocks))
}

fn config<C>(
    name: &impl Fn(&str) -> String,
    what: &str,
    codec_config: C,
    page_cache: &CacheRef,
) -> prunable::Config<EightCap, C> {
    let part = |part: &str| name(&format!("{what}-{part}"));
    prunable::Config {
        translator: EightCap,
        metadata_partition: part("metadata"),
        key_partition: part("keys"),
        key_page_cache: page_cache.clone(),
        value_partition: part("values"),
        compression: None,
        codec_config,
        items_per_section: ITEMS_PER_SECTION,
        key_write_buffer: BUFFER,
        value_write_buffer: BUFFER,
        replay_buffer: BUFFER,
    }
}
