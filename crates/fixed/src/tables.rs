//! Constants of the elementary functions: `round(x * 2^b)`, each computed once with 400-bit
//! arithmetic. The test `every_constant_is_the_rounded_value` recomputes them.

/// floor(ln 2 * 2^120).
pub(crate) const LN2_120: u128 = 0x00b17217f7d1cf79abc9e3b39803f2f6;
/// round((ln 2 - LN2_120 / 2^120) * 2^184): the next 64 bits of ln 2.
pub(crate) const LN2_REST_184: u128 = 0xaf40f343267298b6;
/// floor(ln 2 * 2^248) - LN2_120 * 2^128: the next 128 bits of ln 2.
pub(crate) const LN2_LOW_248: u128 = 0xaf40f343267298b62d8a0d175b8baafa;
/// round(2^127 / ln 2 / 2).
pub(crate) const LOG2_E_126: u128 = 0x5c551d94ae0bf85ddf43ff68348e9f44;
/// round(2^127 / ln 10).
pub(crate) const LOG10_E_127: u128 = 0x3796f62a4dca1c654d56eaabeb4cf70d;
/// round(exp(i / 32) * 2^126) for i = 0..=22, which covers [0, ln 2).
pub(crate) const EXP_32NDS_126: [u128; 23] = [
    0x40000000000000000000000000000000,
    0x42081580449fb26382f420eaea0325ea,
    0x4420ad5df4d3b5f56c68067889726a54,
    0x464a4dc1d38335a24f46336ea03aaf0a,
    0x48858116dbd733e73b5a20e1381ae351,
    0x4ad2d62cdcb1e5404dd9f031675f64d3,
    0x4d32e05c2d60d4b53831232df19924d1,
    0x4fa637aa84772ea8ddef7010301455b6,
    0x522d78f0fa06199d9ef0eda6eaaf94d4,
    0x54c946033eb3ddb28b660a648da7ed94,
    0x577a45d8117fd4ed44c9194c5d5100f1,
    0x5a4124b2fe50cb3f6be604148de9d2cc,
    0x5d1e944f6fbda988d1e2d966c2490171,
    0x60134c0d1ed5172eb2e6edc62252f675,
    0x6320091dec003f70936d03b614c442fc,
    0x66458eb52c77304dc63dc14d3a280a4c,
    0x6984a638781a6f25cb7fbeadb7ccfe6c,
    0x6cde1f7203e57a8bb33875c18aa0d5b0,
    0x7052d0c495911910caa944ee9088017b,
    0x73e397611d62a2dfb363a513766625d9,
    0x7791577e038f0172a25ec1cbdb6a96f1,
    0x7b5cfc90370507e1d5ec7137ff693323,
    0x7f4779860be32274b0edb4231965c891,
];
/// round(2^127 / k!) for k = 1..=19.
pub(crate) const INVERSE_FACTORIALS_127: [u128; 19] = [
    0x80000000000000000000000000000000,
    0x40000000000000000000000000000000,
    0x15555555555555555555555555555555,
    0x05555555555555555555555555555555,
    0x01111111111111111111111111111111,
    0x002d82d82d82d82d82d82d82d82d82d8,
    0x00068068068068068068068068068068,
    0x0000d00d00d00d00d00d00d00d00d00d,
    0x0000171de3a556c7338faac1c88e5001,
    0x0000024fc9f6ef13eb8e5de02da7d4cd,
    0x00000035cc8acfea89c71fce8fc97070,
    0x000000047bb63bfe3625ed5136a61eb4,
    0x000000005849184ea1b425f28e0cc749,
    0x00000000064e5d2a301f27482eb7c517,
    0x00000000006b9fcf9ccee07c476195ac,
    0x000000000006b9fcf9ccee07c476195b,
    0x000000000000654b1dc0c2b529ac9814,
    0x00000000000005a09e18ee5f65deec01,
    0x000000000000004bd26d1a05055c9328,
];
/// round(2^9 / c) where c is the middle of [i, i + 1) / 64, i = 64..=127.
pub(crate) const INVERSES_9: [u16; 64] = [
    508, 500, 493, 485, 478, 471, 465, 458, 452, 446, 440, 434, 428, 423, 417, 412, 407, 402, 397,
    392, 388, 383, 379, 374, 370, 366, 362, 358, 354, 350, 347, 343, 340, 336, 333, 329, 326, 323,
    320, 317, 314, 311, 308, 305, 302, 299, 297, 294, 291, 289, 286, 284, 281, 279, 277, 274, 272,
    270, 267, 265, 263, 261, 259, 257,
];
/// round(-ln(inverse / 2^9) * 2^127) for each of the inverses.
pub(crate) const LN_OF_INVERSES_127: [u128; 64] = [
    0x01010157588de7128ccc5a82f9da00f5,
    0x030924a5191957d173697cf302cc9477,
    0x04d722fea84c1abeaf7cf59aabc5c7ff,
    0x06ef3aff1a3d080f2e79d07ab7b91b1c,
    0x08cb9de8a32ab368aa7c9859530a4515,
    0x0aaf08028701c1d740c53c72e7c91070,
    0x0c5323bd48ee146057cdeb6fb7bdbd82,
    0x0e442c00de2591b47196ab34ce0bccd1,
    0x0ff4489cedeab2ca6c17bd40d8d9291f,
    0x11aa2b7e23f729e3910e264d10819798,
    0x1365fcb01590162fa8234b72895950e1,
    0x1527e5e4a1b58cfa395a5f71a900a95c,
    0x16f0128b756abb9c8698f787a64ea1fc,
    0x1871213750e99475a17cd7ba8a7f96a9,
    0x1a454082e6ab053be40fb8b8698c8c2e,
    0x1bd087383bd8ad0ee9aafb528b6ba155,
    0x1d60a17f9035148fc81ef96392188aa7,
    0x1ef5ade4dcffe5deea9a4471eebf2d36,
    0x208fcc19bd076f7c434e5fcf1a212e2b,
    0x222f1d044fc8f7bc671683f8e5bd03c7,
    0x237f32c6b4d729bb5451ef6db772bd67,
    0x252835f630d6f79ea4678ebaa2fff2b2,
    0x26803c255d9741c65548eb71727f355f,
    0x28336847abd18e436ec90e09ce4636df,
    0x2993c13c2e5877ddb93d49d70b457088,
    0x2af7eea791a3f5bdbdcba81dd2739af5,
    0x2c600616755892770633947ffe651e73,
    0x2dcc1dcd5e32e42caf8445b0d19afadb,
    0x2f3c4cd0f9f67b1f4bbf45de06ecebfb,
    0x30b0aaeedb97f55bccccdde27564b8a6,
    0x31cabf36693706f13b1bb1dd7fe01d14,
    0x3346ab8677ad739a9aa1c5f5589b85ab,
    0x3466880449f4f1915fe75e7d47731cc0,
    0x35ea52a4919ba0ceab622ee9f433ba38,
    0x3710354cb3792694e9d168d90bb00824,
    0x389c33708e478348ca4c19a7fcad233b,
    0x39c85e300c8e8683cc138594f9c7665d,
    0x3af74f5b3cfb3f7511dd73692609040d,
    0x3c2914344e4d9b29bf19bad9023fd90d,
    0x3d5dba5d593218675af269647b783d89,
    0x3e954fdc063259bcade02951686d5374,
    0x3fcfe31d607a7c2b8c5320619fb9433e,
    0x410d82f9d80eb3ba0186ac61fbf17510,
    0x424e3eb9763a6bf7050e7609535e3bad,
    0x439226184733853300f002e836dfd47c,
    0x44d9494afc21930b4c43a97c2228555f,
    0x45b534e30467e9d7508e57620b1920d1,
    0x4701e126b9801cacdeed70e667123c1c,
    0x4851f6e91e8e4eabcc28dc5b38c7f5bb,
    0x4933f39be03669a5268d21148c6002bf,
    0x4a89e1b43b041b4af9e5e20b5120c009,
    0x4b6fd55ec37d0b235f08c47de4a7178a,
    0x4ccbd0c52b5e5693c2b1757e845aaacd,
    0x4db5dfa74d3f5afcf57cf75038cc9821,
    0x4ea19d9c95c444b807a246726b304ccb,
    0x50067084972a4c61b3c3ce2d18668921,
    0x50f67fcbe48f133d85bf7d70472cbf0b,
    0x51e8549fa28b4d2541aca7d5844606b2,
    0x5356750ff6ae87b2ca4e051a2d6ba1d7,
    0x544cd5999ff15ce532661ea9643a3a2d,
    0x554513f6f2f589d66a6522e0f03cb818,
    0x563f377380130e37fe5d2bd1693cf4f4,
    0x573b4785f0d7156812a0aac67ddd94b6,
    0x58394bd15e238dd4bcd02c7194c44d7d,
];
/// round((-ln(inverse / 2^9) - LN_OF_INVERSES_127 / 2^127) * 2^191): the next 64 bits of each.
pub(crate) const LN_OF_INVERSES_REST_191: [i64; 64] = [
    -0x747e83df3a84ee6e,
    -0x0a9f3e1ae1384773,
    0x311df15fbde4eb03,
    0x2ce23545f52f57c9,
    0x2a00042d9393009a,
    0x7032b42e63ca0d75,
    -0x499939a25efef01c,
    0x2269f6c8044405e3,
    -0x3df6447c7439db19,
    -0x05981b463e7a8c05,
    0x036019f92ad35da0,
    -0x0c7d689a68398d32,
    -0x32720775573b5fd0,
    -0x1f46fd66d539f325,
    0x7d05316bb4b7e840,
    0x4fb28c40424bb286,
    -0x16d174548b6abf5e,
    0x13eda0e04259a8dd,
    -0x6e2721c3a3fa290e,
    0x76a3fb0f092de28e,
    0x10952a7ffe0638a2,
    0x5101a55dea01a9d6,
    -0x0b727ea59775f956,
    0x7d6f689978cfabad,
    -0x411dd72e8e9f8399,
    -0x3556059f87af2956,
    0x52eee5ee8963c477,
    0x445f8806998e6b03,
    -0x092921a6b02bcee4,
    -0x6b9a4b5953ca7554,
    0x3fcbc9eeba1472c3,
    0x31f5f8968dc4d3d5,
    0x532305bf759ae773,
    0x1d3b1f411b3f607c,
    -0x3a12401491c41f6c,
    0x78b25e40bb587ace,
    -0x320b21ae98f1c208,
    -0x33d83eb180882acd,
    -0x433953a6cf8a85c2,
    -0x6668da5bd4309fdd,
    -0x513ccbf7f99206aa,
    -0x7bf55731eee252a5,
    -0x5d9af34547bed041,
    0x25878500121de1b3,
    -0x2bea13b10c07de75,
    0x1fba309dd0696677,
    0x6c54d2ccbe573102,
    -0x2772e3376029ae3d,
    0x727e4c3994aea7d7,
    -0x32cdaba03c68ca80,
    -0x2abbdadae26d0a4a,
    0x50c5b07bcf7ff308,
    -0x4843918ad5b5088f,
    -0x03fd22aebf7fa00e,
    -0x1aa52f3a65125656,
    -0x319ae13ffae0da40,
    0x36d5faf97e71c84c,
    0x42086ff2bb226cc8,
    0x0d6f6b80d514345b,
    0x377a87c64f4bf906,
    -0x5af0c4ab512213cf,
    0x5e93db6ca6105c39,
    0x5de71b92fece4e87,
    0x5a130ca482932f04,
];
/// round(2^127 / k) for k = 1..=22.
pub(crate) const RECIPROCALS_127: [u128; 22] = [
    0x80000000000000000000000000000000,
    0x40000000000000000000000000000000,
    0x2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab,
    0x20000000000000000000000000000000,
    0x1999999999999999999999999999999a,
    0x15555555555555555555555555555555,
    0x12492492492492492492492492492492,
    0x10000000000000000000000000000000,
    0x0e38e38e38e38e38e38e38e38e38e38e,
    0x0ccccccccccccccccccccccccccccccd,
    0x0ba2e8ba2e8ba2e8ba2e8ba2e8ba2e8c,
    0x0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab,
    0x09d89d89d89d89d89d89d89d89d89d8a,
    0x09249249249249249249249249249249,
    0x08888888888888888888888888888889,
    0x08000000000000000000000000000000,
    0x07878787878787878787878787878788,
    0x071c71c71c71c71c71c71c71c71c71c7,
    0x06bca1af286bca1af286bca1af286bca,
    0x06666666666666666666666666666666,
    0x06186186186186186186186186186186,
    0x05d1745d1745d1745d1745d1745d1746,
];

#[cfg(test)]
#[path = "../tests/big/mod.rs"]
mod big;

#[cfg(test)]
mod tests {
    use super::big::{BITS, exp, ln, one};
    use super::*;
    use num_bigint::BigInt;

    /// `x / 2^256` as `round(x · 2^(bits − 256))`.
    fn rounded(x: &BigInt, bits: u64) -> BigInt {
        (x + (BigInt::from(1) << (BITS - bits - 1))) >> (BITS - bits)
    }

    #[test]
    fn every_constant_is_the_rounded_value() {
        let check = |ours: u128, exact: &BigInt, bits: u64| {
            assert_eq!(BigInt::from(ours), rounded(exact, bits));
        };
        let ln2 = ln(&(one() << 1u32));
        assert_eq!(BigInt::from(LN2_120), &ln2 >> (BITS - 120));
        let rest = &ln2 - (BigInt::from(LN2_120) << (BITS - 120));
        check(LN2_REST_184, &rest, 184);
        // ln 2 = Σ 1 / (k·2^k), with 320 fractional bits: the oracle's last bits are not sure.
        let more: BigInt = (1u32..330).map(|k| (BigInt::from(1) << 320 >> k) / k).sum();
        let low = (more >> (320 - 248)) - (BigInt::from(LN2_120) << 128);
        assert_eq!(BigInt::from(LN2_LOW_248), low);
        check(LOG2_E_126, &((one() << BITS) / &ln2), 126);
        check(LOG10_E_127, &((one() << BITS) / ln(&(one() * 10))), 127);
        for (i, &value) in (0u32..).zip(&EXP_32NDS_126) {
            check(value, &exp(&(one() * i / 32)), 126);
        }
        let mut factorial = BigInt::from(1);
        for (k, (&inverse, &reciprocal)) in
            (1u32..).zip(INVERSE_FACTORIALS_127.iter().zip(&RECIPROCALS_127))
        {
            factorial *= k;
            check(inverse, &(one() / &factorial), 127);
            check(reciprocal, &(one() / k), 127);
        }
        for (i, (&inverse, &log)) in (64u32..).zip(INVERSES_9.iter().zip(&LN_OF_INVERSES_127)) {
            // 2^9 / ((i + 1/2) / 64), rounded to even on a tie as it was generated; none ties.
            let middle = f64::from(2u32 << 15) / (f64::from(i) + 0.5) / 2.0;
            assert_eq!(f64::from(inverse), middle.round());
            let exact = -ln(&(one() * inverse / 512));
            check(log, &exact, 127);
            let rest = exact - (BigInt::from(log) << (BITS - 127));
            let ours = LN_OF_INVERSES_REST_191[i as usize - 64];
            assert_eq!(BigInt::from(ours), rounded(&rest, 191));
        }
    }
}
