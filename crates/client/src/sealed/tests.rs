use super::{
    Asked, Binding, EnvelopeError, OrderSecret, SealError, SecretStore, StoreError, draft,
    envelope::{self, envelope_len},
};
use alloy_primitives::{Address, B256};
use hallmark_graph::{Builder, Constant, Elements, Graph, Input, Range, Scale, Shape, TableSpec};
use hallmark_proof::InputSecret;
use x25519_dalek::{PublicKey, StaticSecret};

const INPUT: [i32; 2] = [5, -2];
const BUYER: Address = Address::repeat_byte(0xb1);

pub(super) fn graph() -> Graph {
    let scale = Scale {
        multiplier: 1,
        shift: 0,
    };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 2]),
        range: Range { lo: -8, hi: 8 },
        scale,
    }]);
    let weights = Constant {
        elements: Elements::I8(vec![1, -1]),
        multipliers: vec![100],
    };
    let weights = builder.constant(Shape(vec![2, 1]), weights).unwrap();
    let v = builder.matmul(0, weights, 0, 1).unwrap();
    let v = builder.combine(&[(v, 1)], 300).unwrap();
    let table = TableSpec::Clamp {
        bits: 12,
        lo: 0,
        hi: 127,
    };
    let y = builder.lookup(v, 4, table).unwrap();
    builder.output(y, scale).unwrap();
    builder.finish().unwrap().graph
}

/// Sellers 1 to `n` with a key each.
fn sellers(n: u8) -> (Vec<Address>, Vec<StaticSecret>, Vec<[u8; 32]>) {
    let secrets: Vec<_> = (1..=n).map(|i| StaticSecret::from([i; 32])).collect();
    let keys = secrets.iter().map(|s| PublicKey::from(s).to_bytes());
    let keys = keys.collect();
    ((1..=n).map(Address::repeat_byte).collect(), secrets, keys)
}

struct World {
    graph: Graph,
    sellers: Vec<Address>,
    secrets: Vec<StaticSecret>,
    keys: Vec<[u8; 32]>,
}

impl World {
    fn of(n: u8) -> Self {
        let (sellers, secrets, keys) = sellers(n);
        Self {
            graph: graph(),
            sellers,
            secrets,
            keys,
        }
    }

    fn draft(&self) -> super::Draft {
        let asked = Asked {
            chain_id: 1618,
            model: B256::repeat_byte(7),
            buyer: BUYER,
            sellers: &self.sellers,
            keys: &self.keys,
        };
        draft(&asked, &self.graph, &INPUT).unwrap()
    }

    fn open(
        &self,
        seller: usize,
        envelope: &[u8],
        binding: &Binding,
    ) -> Result<envelope::Opened, EnvelopeError> {
        let find =
            |key: &[u8; 32]| (self.keys[seller] == *key).then(|| self.secrets[seller].clone());
        envelope::open(envelope, binding, self.sellers[seller], find, &self.graph)
    }
}

#[test]
fn every_named_seller_opens_an_envelope_and_no_one_else() {
    for n in [1, 2, 8] {
        let world = World::of(n);
        let draft = world.draft();
        let length = envelope_len(usize::from(n), world.graph.input_bytes());
        assert_eq!(draft.envelope.len(), length);
        assert_eq!(envelope::keys(&draft.envelope).unwrap(), world.keys);
        for seller in 0..usize::from(n) {
            let opened = world.open(seller, &draft.envelope, &draft.binding).unwrap();
            assert_eq!(opened.input, INPUT);
            assert_eq!(opened.secret.to_bytes(), draft.secret.secret.to_bytes());
        }
        let stranger = Address::repeat_byte(0xdd);
        let find = |_: &[u8; 32]| Some(StaticSecret::from([0xdd; 32]));
        let (envelope, binding) = (&draft.envelope, &draft.binding);
        let refused = envelope::open(envelope, binding, stranger, find, &world.graph);
        assert_eq!(refused.unwrap_err(), EnvelopeError::NotNamed);
        // A named address with another secret.
        let refused = envelope::open(envelope, binding, world.sellers[0], find, &world.graph);
        assert_eq!(refused.unwrap_err(), EnvelopeError::Decrypt);
        let none = |_: &[u8; 32]| None;
        let refused = envelope::open(envelope, binding, world.sellers[0], none, &world.graph);
        assert_eq!(refused.unwrap_err(), EnvelopeError::UnknownKey);
    }
}

#[test]
fn an_envelope_belongs_to_one_chain_model_buyer_commitment_and_list_of_sellers() {
    let world = World::of(2);
    let draft = world.draft();
    let changes: [fn(&mut Binding); 5] = [
        |b| b.chain_id += 1,
        |b| b.model = B256::ZERO,
        |b| b.buyer = Address::ZERO,
        |b| b.commitment = B256::ZERO,
        |b| b.sellers[1] = Address::ZERO,
    ];
    for change in changes {
        let mut binding = draft.binding.clone();
        change(&mut binding);
        let refused = world.open(0, &draft.envelope, &binding).unwrap_err();
        assert_eq!(refused, EnvelopeError::Decrypt);
    }
    let mut longer = draft.binding.clone();
    longer.sellers.push(Address::ZERO);
    let refused = world.open(0, &draft.envelope, &longer).unwrap_err();
    assert!(matches!(refused, EnvelopeError::Sellers { .. }));
}

#[test]
fn a_flipped_bit_anywhere_is_refused_without_a_panic() {
    let world = World::of(2);
    let draft = world.draft();
    for byte in 0..draft.envelope.len() {
        for bit in [1, 0x80] {
            let mut damaged = draft.envelope.clone();
            damaged[byte] ^= bit;
            assert!(
                world.open(0, &damaged, &draft.binding).is_err(),
                "byte {byte}"
            );
        }
    }
    for length in 0..draft.envelope.len() {
        let cut = &draft.envelope[..length];
        assert!(world.open(0, cut, &draft.binding).is_err(), "{length}");
    }
    let longer = [&draft.envelope[..], &[0]].concat();
    let refused = world.open(0, &longer, &draft.binding).unwrap_err();
    assert!(matches!(refused, EnvelopeError::Length { .. }));
}

#[test]
fn an_envelope_with_another_input_or_secret_does_not_open_the_commitment() {
    let world = World::of(1);
    let mut draft = world.draft();
    let honest = draft.secret.secret.clone();
    let other_secret = InputSecret::from_bytes([9; 32]);
    for (secret, input) in [(&honest, [5, -1]), (&other_secret, INPUT)] {
        let input = world.graph.encode_input(&input);
        draft.envelope = envelope::seal(&draft.binding, &world.keys, secret, &input).unwrap();
        let refused = world.open(0, &draft.envelope, &draft.binding).unwrap_err();
        assert_eq!(refused, EnvelopeError::Commitment);
    }
    // Out of the declared range of the input, -8 to 8.
    draft.envelope = envelope::seal(&draft.binding, &world.keys, &honest, &[100, 1]).unwrap();
    let refused = world.open(0, &draft.envelope, &draft.binding).unwrap_err();
    assert!(matches!(refused, EnvelopeError::Input(_)));
}

#[test]
fn two_orders_of_one_input_share_no_secret_no_pad_no_commitment_and_no_byte_of_the_envelopes_body()
{
    let world = World::of(1);
    let (first, second) = (world.draft(), world.draft());
    assert_ne!(
        first.secret.secret.to_bytes(),
        second.secret.secret.to_bytes()
    );
    assert_ne!(first.binding.commitment, second.binding.commitment);
    let mask = |secret| hallmark_proof::mask_output(&world.graph, &[100], secret).unwrap();
    assert_ne!(mask(&first.secret.secret), mask(&second.secret.secret));
    assert_ne!(first.envelope[6..38], second.envelope[6..38], "fresh keys");
    let body = envelope_len(1, 0) - 48;
    assert_ne!(first.envelope[body..], second.envelope[body..]);
}

#[test]
fn an_envelope_shows_neither_input_nor_secret() {
    let mut world = World::of(1);
    let scale = world.graph.inputs[0].scale;
    world.graph.inputs[0] = Input {
        shape: Shape(vec![1, 64]),
        range: Range { lo: -128, hi: 127 },
        scale,
    };
    let input: Vec<u8> = (0..64).map(|i| i * 3).collect();
    let secret = InputSecret::from_bytes([0x5e; 32]);
    let binding = world.draft_binding();
    let envelope = envelope::seal(&binding, &world.keys, &secret, &input).unwrap();
    let holds = |part: &[u8]| envelope.windows(part.len()).any(|window| window == part);
    assert!(!holds(&input[..4]) && !holds(&input[60..]) && !holds(&[0x5e; 4]));
}

impl World {
    fn draft_binding(&self) -> Binding {
        Binding {
            chain_id: 1618,
            model: B256::repeat_byte(7),
            buyer: BUYER,
            commitment: B256::ZERO,
            sellers: self.sellers.clone(),
        }
    }
}

#[test]
fn sealing_refuses_no_sellers_too_many_and_keys_of_small_order() {
    let secret = InputSecret::from_bytes([1; 32]);
    for n in [0, 9] {
        let world = World::of(n);
        let refused = envelope::seal(&world.draft_binding(), &world.keys, &secret, &[]);
        assert!(matches!(refused, Err(SealError::Sellers(_))), "{n}");
    }
    let mut world = World::of(2);
    world.keys[1] = [0; 32];
    let refused = envelope::seal(&world.draft_binding(), &world.keys, &secret, &[]);
    assert!(matches!(refused, Err(SealError::WeakKey(s)) if s == world.sellers[1]));
}

#[test]
fn a_secret_survives_on_disk_readable_by_its_owner_only_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = SecretStore::open(&dir.path().join("secrets")).unwrap();
    let commitment = B256::repeat_byte(3);
    let kept = OrderSecret {
        secret: InputSecret::from_bytes([4; 32]),
        input: vec![1, 2, 3].into(),
    };
    store.save(commitment, &kept).unwrap();
    let found = store.load(commitment).unwrap();
    assert_eq!(found.secret.to_bytes(), [4; 32]);
    assert_eq!(found.input, kept.input);
    assert!(matches!(
        store.save(commitment, &kept),
        Err(StoreError::Io { .. })
    ));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(store.path(commitment)), 0o600);
        assert_eq!(mode(dir.path().join("secrets")), 0o700);
    }
    let other = B256::repeat_byte(5);
    assert!(matches!(store.load(other), Err(StoreError::Missing { .. })));
    std::fs::copy(store.path(commitment), store.path(other)).unwrap();
    assert!(matches!(
        store.load(other),
        Err(StoreError::Malformed { .. })
    ));
    assert_eq!(format!("{kept:?}"), "OrderSecret(..)");
}
