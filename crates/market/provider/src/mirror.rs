//! A small file server for models: `GET /models/<blake3>.hmk`. For owners and development.
//!
//! Only names of that form are served, so that no path leaves the folder.

use axum::{
    Router,
    extract::{Path as UrlPath, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::oneshot;

/// A running mirror; dropping it stops serving.
pub struct Mirror {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl Mirror {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Address of one model file.
    pub fn url(&self, content_hash: &[u8; 32]) -> String {
        format!("http://{}/models/{}", self.address, file_name(content_hash))
    }

    /// Stops serving.
    pub fn stop(mut self) {
        drop(self.stop.take());
    }
}

/// Name of a model file: its BLAKE3 in hex and `.hmk`.
pub fn file_name(content_hash: &[u8; 32]) -> String {
    format!("{}.hmk", blake3::Hash::from(*content_hash).to_hex())
}

/// Serves the model files of a folder.
///
/// # Errors
/// The folder cannot be read, or the port is taken.
pub async fn serve_models(dir: &Path, listen: SocketAddr) -> std::io::Result<Mirror> {
    // A folder that is not there is an error now, not a 404 later.
    drop(tokio::fs::read_dir(dir).await?);
    let router = Router::new()
        .route("/models/{name}", get(model))
        .with_state(Arc::new(dir.to_owned()));
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async {
            // Either way, sent or dropped, it means to stop.
            let _ = stopped.await;
        });
        if let Err(error) = served.await {
            tracing::error!(%error, "the model mirror stopped");
        }
    });
    Ok(Mirror {
        address,
        stop: Some(stop),
    })
}

async fn model(State(dir): State<Arc<PathBuf>>, UrlPath(name): UrlPath<String>) -> Response {
    let Some(hash) = name.strip_suffix(".hmk") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return StatusCode::NOT_FOUND.into_response();
    }
    match tokio::fs::read(dir.join(name)).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            StatusCode::NOT_FOUND.into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "a model file could not be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
