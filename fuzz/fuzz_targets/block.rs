//! Blocks from peers decode canonically or not at all.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = hallmark_types::Limits::local();
    if let Ok(block) = hallmark_types::Block::decode_bounded(bytes, &limits) {
        assert_eq!(block.to_rlp(), bytes);
    }
});
