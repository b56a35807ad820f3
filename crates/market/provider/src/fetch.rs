//! Downloads a model by content hash, from an address that a stranger wrote into the chain.
//!
//! The address must not lead this machine into its own network. Every host is resolved here, every
//! resolved address is checked, and the connection goes to exactly these addresses, so that a name
//! cannot resolve to something else between check and use. Redirects are followed by hand under the
//! same rules. Reading stops at the announced size, whatever the server says, and the bytes must
//! have the announced BLAKE3.

use reqwest::{StatusCode, Url, header, redirect};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// Bounds of a download.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes that will be read.
    pub max_bytes: u64,
    /// Most redirects followed.
    pub max_redirects: usize,
    /// Whole time allowed.
    pub timeout: Duration,
    /// Development only: loopback, private and link-local addresses.
    pub allow_private_addresses: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_redirects: 3,
            timeout: Duration::from_secs(300),
            allow_private_addresses: false,
        }
    }
}

/// Why a download was refused.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("`{0}` is not an http or https address")]
    Url(String),
    #[error("{host} does not resolve: {reason}")]
    Resolve { host: String, reason: String },
    #[error("{host} is at {address}, which is not a public address")]
    PrivateAddress { host: String, address: IpAddr },
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    #[error("{url}: redirected to nowhere")]
    BadRedirect { url: String },
    #[error("{url}: {status}")]
    Status { url: String, status: StatusCode },
    #[error("{url}: {reason}")]
    Transport { url: String, reason: String },
    #[error("{found} bytes are announced or sent, at most {allowed} are allowed")]
    TooLarge { allowed: u64, found: u64 },
    #[error("{found} bytes were sent, the model has {expected}")]
    Truncated { expected: u64, found: u64 },
    #[error("the content has BLAKE3 {found}, the model has {expected}")]
    WrongHash { expected: String, found: String },
    #[error("the download took longer than {0:?}")]
    Timeout(Duration),
}

/// Downloads `uri`, checks size and BLAKE3, and returns the bytes.
///
/// # Errors
/// The first rule that is broken; see [`FetchError`].
pub async fn download(
    uri: &str,
    content_hash: &[u8; 32],
    size: u64,
    limits: &Limits,
) -> Result<Vec<u8>, FetchError> {
    let may_connect =
        |address: SocketAddr| limits.allow_private_addresses || is_public(address.ip());
    download_from(uri, content_hash, size, limits, &may_connect).await
}

/// [`download`] with another rule of which addresses may be connected to.
pub(crate) async fn download_from(
    uri: &str,
    content_hash: &[u8; 32],
    size: u64,
    limits: &Limits,
    may_connect: &(dyn Fn(SocketAddr) -> bool + Sync),
) -> Result<Vec<u8>, FetchError> {
    if size > limits.max_bytes {
        return Err(FetchError::TooLarge {
            allowed: limits.max_bytes,
            found: size,
        });
    }
    let work = fetch(uri, size, limits, may_connect);
    let bytes = tokio::time::timeout(limits.timeout, work)
        .await
        .map_err(|_| FetchError::Timeout(limits.timeout))??;
    let found = blake3::hash(&bytes);
    let expected = blake3::Hash::from(*content_hash);
    if found != expected {
        return Err(FetchError::WrongHash {
            expected: expected.to_hex().to_string(),
            found: found.to_hex().to_string(),
        });
    }
    Ok(bytes)
}

async fn fetch(
    uri: &str,
    size: u64,
    limits: &Limits,
    may_connect: &(dyn Fn(SocketAddr) -> bool + Sync),
) -> Result<Vec<u8>, FetchError> {
    let mut url = parse(uri)?;
    for _ in 0..=limits.max_redirects {
        let response = request(&url, may_connect).await?;
        let status = response.status();
        if status.is_redirection() {
            let bad = || FetchError::BadRedirect {
                url: url.to_string(),
            };
            let target = response.headers().get(header::LOCATION).ok_or_else(bad)?;
            let target = target.to_str().map_err(|_| bad())?;
            url = parse(url.join(target).map_err(|_| bad())?.as_str())?;
            continue;
        }
        if !status.is_success() {
            return Err(FetchError::Status {
                url: url.to_string(),
                status,
            });
        }
        return read(&url, response, size).await;
    }
    Err(FetchError::TooManyRedirects(limits.max_redirects))
}

fn parse(uri: &str) -> Result<Url, FetchError> {
    let url: Url = uri.parse().map_err(|_| FetchError::Url(uri.to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(FetchError::Url(uri.to_owned()));
    }
    Ok(url)
}

async fn request(
    url: &Url,
    may_connect: &(dyn Fn(SocketAddr) -> bool + Sync),
) -> Result<reqwest::Response, FetchError> {
    let (host, addresses) = resolve(url, may_connect).await?;
    let transport = |error: reqwest::Error| FetchError::Transport {
        url: url.to_string(),
        reason: chain(&error),
    };
    // One client per request: its name table holds only what was checked.
    let client = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .resolve_to_addrs(&host, &addresses)
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .build()
        .map_err(transport)?;
    client.get(url.clone()).send().await.map_err(transport)
}

/// The host of `url` and its addresses, every one of which may be connected to.
async fn resolve(
    url: &Url,
    may_connect: &(dyn Fn(SocketAddr) -> bool + Sync),
) -> Result<(String, Vec<SocketAddr>), FetchError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((bare, port))
            .await
            .map_err(|error| FetchError::Resolve {
                host: host.clone(),
                reason: error.to_string(),
            })?
            .collect(),
    };
    if addresses.is_empty() {
        let reason = "it has no address".to_owned();
        return Err(FetchError::Resolve { host, reason });
    }
    if let Some(private) = addresses.iter().find(|address| !may_connect(**address)) {
        return Err(FetchError::PrivateAddress {
            host,
            address: private.ip(),
        });
    }
    Ok((host, addresses))
}

async fn read(
    url: &Url,
    mut response: reqwest::Response,
    size: u64,
) -> Result<Vec<u8>, FetchError> {
    if let Some(found) = response.content_length().filter(|found| *found > size) {
        return Err(FetchError::TooLarge {
            allowed: size,
            found,
        });
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| FetchError::Transport {
                url: url.to_string(),
                reason: chain(&error),
            })?;
        let Some(chunk) = chunk else { break };
        let found = bytes.len() as u64 + chunk.len() as u64;
        if found > size {
            return Err(FetchError::TooLarge {
                allowed: size,
                found,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    let found = bytes.len() as u64;
    if found != size {
        return Err(FetchError::Truncated {
            expected: size,
            found,
        });
    }
    Ok(bytes)
}

/// An error with its causes: reqwest alone says only that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whether an address is one of the public internet: not this machine, not a private, link-local
/// (cloud metadata among them), shared, multicast, reserved or documentation range, and not an IPv6
/// form that carries such an IPv4 address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (b & 0xc0) == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b & 0xfe) == 18))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped, compatible and unspecified: ::ffff:a.b.c.d, ::a.b.c.d, ::1.
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        // Translated (NAT64) and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Only 2000::/3 is given out; of it not Teredo, benchmarking or documentation.
        [0x2001, 0x0..=0x1ff, ..] | [0x2001, 0xdb8, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => (first & 0xe000) == 0x2000,
    }
}
