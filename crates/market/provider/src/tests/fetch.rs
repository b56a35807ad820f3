use crate::{
    fetch::{FetchError, Limits, download, download_from, is_public},
    mirror::{file_name, serve_models},
};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::{net::SocketAddr, time::Duration};

const MODEL: &[u8] = b"a model of the world";

fn hash() -> [u8; 32] {
    *blake3::hash(MODEL).as_bytes()
}

fn development() -> Limits {
    Limits {
        max_bytes: 1_000,
        timeout: Duration::from_secs(5),
        allow_private_addresses: true,
        ..Limits::default()
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn redirect(to: String) -> impl IntoResponse {
    (StatusCode::FOUND, [(header::LOCATION, to)])
}

async fn get_model(uri: &str, limits: &Limits) -> Result<Vec<u8>, FetchError> {
    download(uri, &hash(), MODEL.len() as u64, limits).await
}

#[tokio::test]
async fn a_model_is_downloaded_from_a_mirror() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file_name(&hash())), MODEL).unwrap();
    std::fs::write(folder.path().join("secret.hmk"), b"secret").unwrap();
    let mirror = serve_models(folder.path(), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    assert_eq!(
        get_model(&mirror.url(&hash()), &development())
            .await
            .unwrap(),
        MODEL
    );
    for name in ["secret.hmk", "..%2fsecret.hmk", &file_name(&[0; 32])] {
        let uri = format!("http://{}/models/{name}", mirror.local_addr());
        let refused = get_model(&uri, &development()).await.unwrap_err();
        assert!(
            matches!(refused, FetchError::Status { .. }),
            "{name}: {refused}"
        );
    }
}

#[tokio::test]
async fn content_with_another_hash_is_refused() {
    let address = serve(Router::new().route("/", get(|| async { "a model of the wOrld" }))).await;
    let refused = get_model(&format!("http://{address}/"), &development())
        .await
        .unwrap_err();
    assert!(matches!(refused, FetchError::WrongHash { .. }), "{refused}");
}

#[tokio::test]
async fn content_that_announces_too_many_bytes_is_not_read() {
    let address = serve(Router::new().route("/", get(|| async { vec![0u8; 4_000] }))).await;
    let refused = get_model(&format!("http://{address}/"), &development())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, FetchError::TooLarge { found: 4_000, .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_model_above_the_limit_is_not_asked_for() {
    let refused = download("http://127.0.0.1:1/", &hash(), 1_001, &development()).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(
            refused,
            FetchError::TooLarge {
                allowed: 1_000,
                found: 1_001
            }
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn an_endless_stream_is_cut() {
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Bytes::from_static(&[7; 8]))
        });
        Body::from_stream(chunks)
    };
    let address = serve(Router::new().route("/", get(endless))).await;
    let refused = get_model(&format!("http://{address}/"), &development())
        .await
        .unwrap_err();
    let most = MODEL.len() as u64;
    // Cut with the chunk that goes over; a chunk of the connection may hold several of the server.
    assert!(
        matches!(refused, FetchError::TooLarge { allowed, .. } if allowed == most),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let address = serve(Router::new().route("/", get(std::future::pending::<&str>))).await;
    let limits = Limits {
        timeout: Duration::from_millis(200),
        ..development()
    };
    let refused = get_model(&format!("http://{address}/"), &limits)
        .await
        .unwrap_err();
    assert!(matches!(refused, FetchError::Timeout(_)), "{refused}");
}

#[tokio::test]
async fn short_content_is_refused() {
    let address = serve(Router::new().route("/", get(|| async { "short" }))).await;
    let refused = get_model(&format!("http://{address}/"), &development())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, FetchError::Truncated { found: 5, .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn redirects_are_followed_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file_name(&hash())), MODEL).unwrap();
    let mirror = serve_models(folder.path(), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let target = mirror.url(&hash());
    let router = Router::new()
        .route("/once", get(move || async move { redirect(target) }))
        .route("/loop", get(|| async { redirect("/loop".to_owned()) }))
        .route(
            "/file",
            get(|| async { redirect("file:///etc/passwd".to_owned()) }),
        );
    let address = serve(router).await;
    let once = get_model(&format!("http://{address}/once"), &development()).await;
    assert_eq!(once.unwrap(), MODEL);
    let refused = get_model(&format!("http://{address}/loop"), &development())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, FetchError::TooManyRedirects(3)),
        "{refused}"
    );
    let refused = get_model(&format!("http://{address}/file"), &development())
        .await
        .unwrap_err();
    assert!(matches!(refused, FetchError::Url(_)), "{refused}");
}

#[tokio::test]
async fn a_redirect_to_an_address_that_is_not_allowed_is_refused() {
    let inner = serve(Router::new().route("/", get(|| async { MODEL }))).await;
    let redirected = move || async move { redirect(format!("http://{inner}/")) };
    let outer = serve(Router::new().route("/", get(redirected))).await;
    let uri = format!("http://{outer}/");
    let fetch = async |allowed: &(dyn Fn(SocketAddr) -> bool + Sync)| {
        download_from(&uri, &hash(), MODEL.len() as u64, &development(), allowed).await
    };
    assert_eq!(fetch(&|_| true).await.unwrap(), MODEL);
    let refused = fetch(&|address| address == outer).await.unwrap_err();
    assert!(
        matches!(refused, FetchError::PrivateAddress { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn addresses_inside_this_machine_and_its_network_are_refused() {
    let limits = Limits {
        allow_private_addresses: false,
        ..development()
    };
    for uri in [
        "http://127.0.0.1/m",
        "http://localhost/m",
        "http://[::1]/m",
        "http://10.1.2.3/m",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:192.168.0.1]/m",
        "http://0x7f000001/m",
        "http://2130706433/m",
        "http://0.0.0.0/m",
    ] {
        let refused = get_model(uri, &limits).await.unwrap_err();
        assert!(
            matches!(refused, FetchError::PrivateAddress { .. }),
            "{uri}: {refused}"
        );
    }
    for uri in ["ftp://example.org/m", "file:///etc/passwd", "nonsense", ""] {
        let refused = get_model(uri, &limits).await.unwrap_err();
        assert!(matches!(refused, FetchError::Url(_)), "{uri}: {refused}");
    }
}

#[test]
fn only_addresses_of_the_public_internet_are_public() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "172.15.0.1",
        "100.63.0.1",
        "2606:4700::1111",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "0.1.2.3",
        "100.64.0.1",
        "172.31.0.1",
        "192.168.9.9",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "2001::1",
        "::127.0.0.1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
}
