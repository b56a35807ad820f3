//! The statement that an inference proof is bound to.

use alloy_primitives::{Address, B256, Keccak256, U256};

/// Domain tag, so that no other hash of the protocol can be an order context.
const TAG: &[u8] = b"hallmark/order-context/1";

/// Digest that a proof absorbs first, so that it serves one order and one seller only:
///
/// `keccak256(tag ‖ chain_id: u64 ‖ order_id: u256 ‖ model_id: b256 ‖ seller: 20 bytes ‖ anchor: b256)`,
/// integers big endian. All parts have fixed widths, so the packing is injective. `anchor` is the
/// hash, stored by the claim, of a block after the model's registration.
pub fn order_context(
    chain_id: u64,
    order_id: U256,
    model_id: B256,
    seller: Address,
    anchor: B256,
) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(TAG);
    hasher.update(chain_id.to_be_bytes());
    hasher.update(order_id.to_be_bytes::<32>());
    hasher.update(model_id);
    hasher.update(seller);
    hasher.update(anchor);
    hasher.finalize()
}
