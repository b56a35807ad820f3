//! What the server counts: requests by method, errors by code, and how long answers take.
//!
//! Labels are bounded: a method that does not exist is counted as `unknown`, and codes are those of
//! [`Fault`](crate::Fault) and of the transport. A subscription counts once, when it is made.

use jsonrpsee::server::{
    BatchResponseBuilder, MethodResponse,
    middleware::rpc::{Batch, BatchEntry, Notification, Request, RpcServiceT},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::{collections::BTreeSet, future::Future, sync::Arc, time::Instant};

/// Label of requests.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

/// Label of errors.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Code {
    code: i32,
}

/// Counters of one server; clones share them.
#[derive(Clone, Debug)]
pub struct RpcMetrics {
    requests: Family<Method, Counter>,
    errors: Family<Code, Counter>,
    latency: Histogram,
}

impl Default for RpcMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            errors: Family::default(),
            // 0.1 ms to 6.6 s.
            latency: Histogram::new(exponential_buckets(0.000_1, 2.0, 17)),
        }
    }
}

impl RpcMetrics {
    /// Shows the counters in a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "rpc_requests",
            "JSON-RPC requests by method",
            self.requests.clone(),
        );
        registry.register(
            "rpc_errors",
            "JSON-RPC requests that were answered with an error, by code",
            self.errors.clone(),
        );
        registry.register_with_unit(
            "rpc_latency",
            "Time from a JSON-RPC request to its answer",
            Unit::Seconds,
            self.latency.clone(),
        );
    }
}

/// Counts what passes through a service.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    service: S,
    metrics: RpcMetrics,
    names: Arc<BTreeSet<&'static str>>,
    max_response: usize,
}

impl<S> Counted<S> {
    /// `names` are the methods that exist; `max_response` bounds a batch's answer, in bytes.
    pub(crate) fn new(
        service: S,
        metrics: RpcMetrics,
        names: Arc<BTreeSet<&'static str>>,
        max_response: usize,
    ) -> Self {
        Self {
            service,
            metrics,
            names,
            max_response,
        }
    }
}

impl<S> RpcServiceT for Counted<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let method = self
            .names
            .get(request.method_name())
            .copied()
            .unwrap_or("unknown");
        self.metrics
            .requests
            .get_or_create(&Method { method })
            .inc();
        let metrics = self.metrics.clone();
        // Methods that are not asynchronous run inside `call`.
        let started = Instant::now();
        let answer = self.service.call(request);
        async move {
            let answer = answer.await;
            metrics.latency.observe(started.elapsed().as_secs_f64());
            if let Some(code) = answer.as_error_code() {
                metrics.errors.get_or_create(&Code { code }).inc();
            }
            answer
        }
    }

    /// As the server does it, but each entry passes through `call` above.
    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let service = self.clone();
        async move {
            let mut answers = BatchResponseBuilder::new_with_limit(service.max_response);
            let mut is_notified = false;
            for entry in batch {
                let answer = match entry {
                    Ok(BatchEntry::Call(request)) => service.call(request).await,
                    Ok(BatchEntry::Notification(notification)) => {
                        is_notified = true;
                        service.notification(notification).await;
                        continue;
                    }
                    Err(error) => {
                        let (error, id) = error.into_parts();
                        MethodResponse::error(id, error)
                    }
                };
                if let Err(too_large) = answers.append(answer) {
                    return too_large;
                }
            }
            if answers.is_empty() && is_notified {
                MethodResponse::notification()
            } else {
                MethodResponse::from_batch(answers.finish())
            }
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.service.notification(notification)
    }
}
