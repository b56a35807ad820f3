//! JSON-RPC over HTTP, with an answer's size and time bounded: the node that is asked may be a stranger's.
//!
//! (Over WebSocket the library bounds a message at 64 MiB; [`ANSWER_TIMEOUT`] holds for both.)

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use reqwest::Url;
use std::{
    task::{Context, Poll},
    time::Duration,
};
use tower::Service;

/// Longest answer, in bytes: several times the longest that an honest node gives (a receipt's proof, a
/// delivered output, a page of logs).
pub(crate) const MAX_ANSWER: usize = 64 << 20;
/// Longest wait for an answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A node at an address.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    url: Url,
    longest: usize,
}

impl Http {
    /// # Errors
    /// No TLS can be set up on this machine.
    pub(crate) fn new(url: Url) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()?;
        Ok(Self {
            client,
            url,
            longest: MAX_ANSWER,
        })
    }

    async fn ask(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let sent = self.client.post(self.url).json(&request).send().await;
        let mut response = sent.map_err(TransportErrorKind::custom)?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(TransportErrorKind::custom)? {
            if body.len() + part.len() > self.longest {
                let reason = format!("the answer is longer than {} bytes", self.longest);
                return Err(TransportErrorKind::custom_str(&reason));
            }
            body.extend_from_slice(&part);
        }
        let status = response.status();
        // A refusal may come with any status.
        serde_json::from_slice(&body).map_err(|error| {
            let mut text = String::from_utf8_lossy(&body).into_owned();
            text.truncate(text.floor_char_boundary(200));
            if status.is_success() {
                TransportError::deser_err(error, text)
            } else {
                TransportErrorKind::http_error(status.as_u16(), text)
            }
        })
    }
}

impl Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rpc_client::RpcClient;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Answers one request with these parts, then holds the connection.
    async fn node(parts: Vec<Vec<u8>>) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            for part in parts {
                if socket.write_all(&part).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        format!("http://{address}").parse().expect("an address")
    }

    async fn ask(url: Url, longest: usize, timeout: Duration) -> Result<String, String> {
        let http = Http {
            client: reqwest::Client::builder()
                .timeout(timeout)
                .build()
                .expect("a client"),
            url,
            longest,
        };
        let client = RpcClient::new(http, false);
        let asked = client.request::<_, String>("hallmark_anything", ());
        asked.await.map_err(|error| error.to_string())
    }

    fn answer(body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[tokio::test]
    async fn an_answer_is_read_and_a_refusal_told() {
        let whole = answer(r#"{"jsonrpc":"2.0","id":0,"result":"yes"}"#);
        let url = node(vec![whole]).await;
        let wait = Duration::from_secs(10);
        assert_eq!(ask(url, 1000, wait).await, Ok("yes".to_owned()));
        let url = node(vec![answer("not JSON")]).await;
        assert!(ask(url, 1000, wait).await.is_err());
    }

    #[tokio::test]
    async fn an_endless_answer_is_left_at_the_bound() {
        let mut parts = vec![b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()];
        let chunk = [b"1000\r\n".to_vec(), vec![b' '; 0x1000], b"\r\n".to_vec()].concat();
        parts.extend(std::iter::repeat_n(chunk, 1000));
        let url = node(parts).await;
        let error = ask(url, 100_000, Duration::from_secs(10)).await;
        let error = error.expect_err("four megabytes");
        assert!(error.contains("longer than 100000 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_never_answers_is_left() {
        let url = node(Vec::new()).await;
        let error = ask(url, 1000, Duration::from_millis(200)).await;
        assert!(error.is_err());
    }
}
