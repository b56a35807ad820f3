//! The configuration of one validator: `node.toml` in its folder.
//!
//! ```toml
//! genesis = "genesis.json"          # chain spec; paths are relative to this file
//! validator_key = "validator.key"   # made by `hallmark keys new --validator`
//! password_file = "password"        # optional; else HALLMARK_PASSWORD_FILE, else the terminal
//! listen = "0.0.0.0:9000"           # other validators
//! rpc = "127.0.0.1:8545"            # JSON-RPC
//! metrics = "127.0.0.1:9100"        # optional: /metrics, /health, /ready
//! peers = ["1b2c…@validator.example:9000"]
//! ```
//!
//! A field that is not listed here is refused by name and place: a misspelt one would silently leave
//! its default. Host names of peers are looked up once, when the node starts.

use std::{
    fmt,
    io::Read,
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    str::FromStr,
};

use alloy_primitives::B256;
use hallmark_types::{ChainSpec, SpecError};
use serde::{Deserialize, Serialize};

use crate::devnet::{self, DevelopmentKey};

/// Name of the configuration in a validator's folder.
pub const CONFIG_FILE: &str = "node.toml";
/// Name of the chain spec in a network's and in a validator's folder.
pub const GENESIS_FILE: &str = "genesis.json";
/// Name of the validator key in a validator's folder.
pub const VALIDATOR_KEY_FILE: &str = "validator.key";
/// Name of the account key in a validator's folder.
pub const ACCOUNT_KEY_FILE: &str = "account.key";

/// No configuration is longer, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// No chain spec is longer, in bytes.
const MAX_SPEC_BYTES: u64 = 64 << 20;
/// No name of a host is longer (RFC 1035), in bytes.
const MAX_HOST_BYTES: usize = 253;

/// Why a configuration, or what it names, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Not TOML of the expected fields; the text names field, line and column.
    #[error("{path}: {reason}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// The chain spec is no spec.
    #[error("{path}: {source}")]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SpecError,
    },
    /// The chain spec gives power to keys that anybody knows.
    #[error("{path}: {source}")]
    Development {
        /// The file.
        path: PathBuf,
        /// Which key.
        source: DevelopmentKey,
    },
}

/// `node.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// Chain spec.
    pub genesis: PathBuf,
    /// Validator key.
    pub validator_key: PathBuf,
    /// File with the password of an encrypted key, in its first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Where other validators connect.
    pub listen: SocketAddr,
    /// Where JSON-RPC is served.
    pub rpc: SocketAddr,
    /// Where metrics, health and readiness are served, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// The other validators.
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// Public keys of nodes that are no validators, may connect, and follow the chain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followers: Vec<B256>,
}

impl NodeFile {
    /// Reads `node.toml` of a folder; its paths come back resolved against the folder.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(home: &Path) -> Result<Self, ConfigError> {
        let path = home.join(CONFIG_FILE);
        let text = read_text(&path, MAX_CONFIG_BYTES)?;
        let mut file: Self = toml::from_str(&text).map_err(|error| ConfigError::Toml {
            path: path.clone(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        let full = |relative: &mut PathBuf| *relative = home.join(&relative);
        full(&mut file.genesis);
        full(&mut file.validator_key);
        if let Some(path) = &mut file.password_file {
            full(path);
        }
        Ok(file)
    }

    /// The file's text.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string_pretty(self).expect("strings, and a list of strings");
        format!(
            "# One validator: `hallmark node --home FOLDER`. Paths are relative to this file.\n{body}"
        )
    }
}

/// Another validator: `PUBLIC_KEY_HEX@HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Peer {
    /// Its ed25519 key.
    pub public_key: [u8; 32],
    /// Where it accepts validators.
    pub address: HostPort,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| {
            let text: String = text.chars().take(400).collect();
            format!("a peer is PUBLIC_KEY_HEX@HOST:PORT, got `{text}`: {reason}")
        };
        let (key, address) = text.split_once('@').ok_or_else(|| wrong("there is no @"))?;
        let key: B256 = key
            .parse()
            .map_err(|_| wrong("the key is not 32 bytes in hex"))?;
        Ok(Self {
            public_key: key.0,
            address: address.parse().map_err(|reason: String| wrong(&reason))?,
        })
    }
}

impl TryFrom<String> for Peer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = alloy_primitives::hex::encode(self.public_key);
        write!(f, "{key}@{}", self.address)
    }
}

impl From<Peer> for String {
    fn from(peer: Peer) -> Self {
        peer.to_string()
    }
}

/// A host, by name or number, and a port: `HOST:PORT`, `[IPV6]:PORT`. At most 253 + 6 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort(String);

impl HostPort {
    /// The address, looked up if it is a name: the first IPv4 address, else the first.
    ///
    /// # Errors
    /// The name is not known, or the resolver cannot be reached.
    pub fn resolve(&self) -> std::io::Result<SocketAddr> {
        let found: Vec<SocketAddr> = self.0.to_socket_addrs()?.collect();
        found
            .iter()
            .find(|address| address.is_ipv4())
            .or_else(|| found.first())
            .copied()
            .ok_or_else(|| std::io::Error::other("the name has no address"))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or_default()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string())
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_HOST_BYTES + 6 {
            return Err(format!("an address of {} bytes is too long", text.len()));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or("an address is HOST:PORT; there is no port")?;
        let port: u16 = port
            .parse()
            .map_err(|_| "the port is not a number from 1 to 65535".to_owned())?;
        if port == 0 {
            return Err("port 0 cannot be reached".to_owned());
        }
        if text.parse::<SocketAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let is_name = !host.is_empty()
            && host.len() <= MAX_HOST_BYTES
            && host
                .split('.')
                .all(|label| (1..=63).contains(&label.len()) && !label.starts_with('-'))
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            // All digits and dots is a mistyped number, not a name.
            && !(host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && host.parse::<Ipv4Addr>().is_err());
        if !is_name {
            return Err(
                "the host is neither a name nor an IPv4 address nor an IPv6 address in brackets"
                    .to_owned(),
            );
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<HostPort> for String {
    fn from(address: HostPort) -> Self {
        address.0
    }
}

/// Reads and checks a chain spec: the one way in for spec files.
///
/// # Errors
/// Unreadable, not a spec, or a spec off the local chain that gives power to a development key.
pub fn load_spec(path: &Path) -> Result<ChainSpec, ConfigError> {
    let text = read_text(path, MAX_SPEC_BYTES)?;
    let spec = ChainSpec::from_json(&text).map_err(|source| ConfigError::Spec {
        path: path.to_owned(),
        source,
    })?;
    devnet::refuse_development_keys(&spec).map_err(|source| ConfigError::Development {
        path: path.to_owned(),
        source,
    })?;
    Ok(spec)
}

/// A text file of bounded length.
pub(crate) fn read_text(path: &Path, max: u64) -> Result<String, ConfigError> {
    let refuse = |reason: String| ConfigError::File {
        path: path.to_owned(),
        reason,
    };
    let file = std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut text = String::new();
    file.take(max.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    if text.len() as u64 > max {
        return Err(refuse(format!("it is longer than {max} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<NodeFile, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(CONFIG_FILE), text).unwrap();
        NodeFile::load(home.path())
    }

    const GOOD: &str = "genesis = \"genesis.json\"\nvalidator_key = \"validator.key\"\n\
                        listen = \"127.0.0.1:9000\"\nrpc = \"127.0.0.1:8545\"\n";

    #[test]
    fn a_written_configuration_reads_back() {
        let file = NodeFile {
            genesis: "genesis.json".into(),
            validator_key: "validator.key".into(),
            password_file: Some("password".into()),
            listen: "0.0.0.0:9000".parse().unwrap(),
            rpc: "127.0.0.1:8545".parse().unwrap(),
            metrics: Some("127.0.0.1:9100".parse().unwrap()),
            peers: vec![Peer {
                public_key: [7; 32],
                address: "validator.example:9000".parse().unwrap(),
            }],
            followers: vec![B256::repeat_byte(8)],
        };
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(CONFIG_FILE), file.to_toml()).unwrap();
        let read = NodeFile::load(home.path()).unwrap();
        assert_eq!(read.genesis, home.path().join("genesis.json"));
        assert_eq!(read.peers, file.peers);
        assert_eq!(read.metrics, file.metrics);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name_and_place() {
        let error = written(&format!("{GOOD}lisen = \"127.0.0.1:1\"\n"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("node.toml"), "{error}");
        assert!(error.contains("line 5"), "{error}");
        assert!(error.contains("unknown field `lisen`"), "{error}");
    }

    #[test]
    fn a_bad_configuration_says_what_is_wrong_and_where() {
        for (extra, words) in [
            ("peers = [\"xyz\"]\n", &["line 5", "there is no @"][..]),
            ("peers = [\"00@h:1\"]\n", &["line 5", "32 bytes in hex"]),
            ("metrics = \"nowhere\"\n", &["line 5", "metrics"]),
            ("metrics = 7\n", &["line 5"]),
            ("listen = \"127.0.0.1:1\"\n", &["line 5", "duplicate key"]),
            ("[more]\n", &["line 5", "unknown field `more`"]),
            ("= = =\n", &["line 5"]),
        ] {
            let error = written(&format!("{GOOD}{extra}")).unwrap_err().to_string();
            for word in words {
                assert!(error.contains(word), "{extra}: {error}");
            }
        }
        let error = written("").unwrap_err().to_string();
        assert!(error.contains("missing field `genesis`"), "{error}");
        let huge = "#".repeat((MAX_CONFIG_BYTES + 1) as usize);
        let error = written(&huge).unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");
    }

    #[test]
    fn addresses_are_hosts_with_ports() {
        for good in [
            "127.0.0.1:1",
            "[::1]:65535",
            "validator-3.example.org:9000",
            "localhost:1",
        ] {
            let parsed: HostPort = good.parse().unwrap();
            assert_eq!(parsed.as_str(), good);
        }
        for bad in [
            "",
            "host",
            ":1",
            "host:",
            "host:0",
            "host:65536",
            "a b:1",
            "256.1.1.1:5",
            "::1:5",
            "-x.example:1",
            "a..b:1",
            "host:1\n",
        ] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad:?}");
        }
        assert!(
            format!("{}:1", "a".repeat(300))
                .parse::<HostPort>()
                .is_err()
        );
        let here: HostPort = "localhost:9000".parse().unwrap();
        assert!(here.resolve().unwrap().ip().is_loopback());
    }
}
