//! Stands in for `hallmark_mechanisms::wire` until that lands.
#![allow(dead_code, missing_docs)]
use hallmark_fixed::Q64;
use hallmark_mechanisms::Output;
#[derive(Clone, Copy)]
pub enum Kind {
    Yuma,
    Synthesis,
    Score,
}
#[derive(Clone, Copy)]
pub enum Role {
    Worker,
    Forecaster,
    Reputer,
}
pub struct Limits {
    pub workers: u16,
    pub forecasters: u16,
    pub reputers: u16,
    pub value_min: Q64,
    pub value_max: Q64,
}
pub struct Entry<'a> {
    pub slot: u16,
    pub role: Role,
    pub stake: u128,
    pub registered_ms: u64,
    pub submitted_ms: u64,
    pub fresh: bool,
    pub payload: Option<&'a [u8]>,
    pub proven: Option<(u32, u32)>,
}
pub enum PayloadError {
    Invalid(String),
    OutOfRange {
        value: Q64,
        least: Q64,
        greatest: Q64,
    },
}
pub struct Inferred {
    pub memory: Vec<u8>,
    pub output: Option<Output>,
    pub pending: Vec<u8>,
}
pub struct Decision {
    pub memory: Vec<u8>,
    pub shares: Vec<u64>,
    pub scores: Vec<Q64>,
    pub permits: Vec<bool>,
    pub explanation: Vec<u8>,
}
pub struct Ctx {
    pub now_ms: u64,
    pub last_settled_ms: u64,
    pub epoch_ms: u64,
}
pub struct Sample<'a> {
    pub input: &'a [u8],
    pub label: u32,
}
pub fn check_params(_: Kind, _: &[u8], _: &Limits) -> Result<(), String> {
    Ok(())
}
pub fn check_payload(_: Kind, _: Role, _: &Limits, _: &[u8]) -> Result<(), PayloadError> {
    Ok(())
}
pub fn empty_memory(_: Kind, _: &[u8], _: &Limits) -> Vec<u8> {
    Vec::new()
}
pub fn infer(_: &[u8], _: &Limits, _: &[u8], _: &[Entry<'_>]) -> Result<Inferred, String> {
    Err(String::new())
}
pub fn settle(
    _: Kind,
    _: &[u8],
    _: &Limits,
    _: &[u8],
    _: &[u8],
    _: &Ctx,
    _: &[Entry<'_>],
) -> Result<Decision, String> {
    Err(String::new())
}
pub fn forget(_: Kind, _: &[u8], _: &Limits, m: &[u8], _: u16, _: Role) -> Vec<u8> {
    m.to_vec()
}
pub fn test_set(_: &[u8]) -> Result<Vec<Sample<'_>>, String> {
    Err(String::new())
}
