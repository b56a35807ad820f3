//! A small file server for models: `GET /models/<blake3>.hmk`. For owners and development.

use std::{net::SocketAddr, path::Path};

/// A running mirror.
pub struct Mirror {
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Mirror {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Address of one model file.
    pub fn url(&self, content_hash: &[u8; 32]) -> String {
        format!(
            "http://{}/models/{}.hmk",
            self.address,
            blake3::Hash::from(*content_hash).to_hex()
        )
    }

    /// Stops serving.
    pub fn stop(mut self) {
        drop(self.stop.take());
    }
}

/// Serves the model files of a folder.
pub async fn serve_models(_dir: &Path, _listen: SocketAddr) -> std::io::Result<Mirror> {
    todo!()
}
