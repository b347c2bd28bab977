//! What is asked of the server before a run: whether it is ready, and calls that prepare it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::base::error::{Error, Result};
use crate::base::failure::{Failure, FailureKind};
use crate::base::setting::BEFORE_RUN;
use crate::endpoint::{HttpApi, Transport};
use crate::run::prepare::Prepared;
use crate::run::shared::ConnectionWatch;
use crate::run::single::SingleRequest;
use crate::run::start::Started;
use crate::run::{Interrupt, RunConfig};
use llmeter_wire::clock;
use llmeter_wire::http1::{self, ResponseReader};
use llmeter_wire::{Connection, HttpRequest, Phase};

/// How long after a server was not ready it is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether the run has begun.
const START_POLL: Duration = Duration::from_millis(5);
/// Bytes that are read at once.
const READ: usize = 16 * 1024;
/// Characters of a response that an error shows.
const SHOWN: usize = 200;
/// Headers that are about a body.
const OF_BODIES: [&str; 3] = ["content-type", "content-length", "accept"];

/// A call that prepares the server of a run: `POST /reset_prefix_cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCall {
    method: String,
    target: String,
}

impl FromStr for ServerCall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_method = |method: &str| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase())
        };
        let is_target = |target: &str| {
            target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match text.trim().split_once(' ') {
            Some((method, target)) if is_method(method) && is_target(target.trim()) => Ok(Self {
                method: method.to_owned(),
                target: target.trim().to_owned(),
            }),
            _ => Err(BEFORE_RUN.to_owned()),
        }
    }
}

impl fmt::Display for ServerCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.target)
    }
}

/// Sends the first request of a run again and again until the server answers it, for as long as the run says.
/// Nothing of it is recorded.
///
/// # Errors
/// When the server has not answered by then, refuses the key, or the run is interrupted.
pub(super) fn wait_until_ready(
    config: &RunConfig,
    request: &Arc<Prepared>,
    runtime: &Runtime,
    interrupt: &Interrupt,
) -> Result<()> {
    if config.wait_until_ready.is_zero() {
        return Ok(());
    }
    let end = clock::now().after(config.wait_until_ready);
    loop {
        let failure = match ask(config, request, interrupt) {
            Ok(None) => return Ok(()),
            Ok(Some(failure)) => failure,
            // Whose name is not known yet may be starting as well.
            Err(reason @ Error::Unresolved { .. }) => Failure::caused(FailureKind::Dns, reason),
            Err(reason) => return Err(reason),
        };
        if interrupt.is_stopped() {
            return Err(Error::Interrupted);
        }
        let is_refused = matches!(failure.status(), Some(401 | 403));
        if is_refused || clock::now() >= end {
            return Err(Error::Unreachable {
                server: name(config),
                failure,
            });
        }
        tracing::info!(%failure, "the server is not ready yet");
        runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = interrupt.stopped() => {}
                () = interrupt.follow() => {}
            }
        });
    }
}

fn name(config: &RunConfig) -> String {
    match config.endpoint.transport() {
        Transport::Http(api) => api.server().shown(),
        Transport::Invoke(_) => config.endpoint.identity().endpoint_name.clone(),
    }
}

/// Sends one request. Why it failed, if it did.
fn ask(
    config: &RunConfig,
    request: &Arc<Prepared>,
    interrupt: &Interrupt,
) -> Result<Option<Failure>> {
    let mut own = config.clone();
    (own.max_retries, own.callbacks, own.max_cost) = (0, Vec::new(), None);
    let proxy = own.proxy()?;
    let dialer = match own.endpoint.transport() {
        Transport::Http(api) => Some(own.dialer(api.server(), proxy.as_ref())?),
        Transport::Invoke(_) => None,
    };
    let (queue, segments) = std::sync::mpsc::channel();
    let single = SingleRequest::of(request.clone());
    // At the same time, since only the decoder knows whether a response is complete.
    let (sent, seen) = std::thread::scope(|scope| {
        let decoding = scope.spawn(|| SingleRequest::decode(&own, proxy.clone(), segments));
        let sent = single.send(&own, dialer, Arc::new(Unwatched), queue, interrupt);
        (sent, decoding.join())
    });
    sent?;
    let seen = seen.map_err(|_| Error::Internal("the decoder stopped"))?;
    let interrupted = || Failure::new(FailureKind::Interrupted, "the run was interrupted");
    Ok(match seen {
        Some(seen) => seen.response.error,
        None => Some(interrupted()),
    })
}

struct Unwatched;

impl ConnectionWatch for Unwatched {
    fn enter(&self, _: Phase) {}

    fn connected(&self, _: &Connection) {}
}

/// Makes the calls that prepare the server, one after the other.
///
/// # Errors
/// When one fails or its status is no success.
pub(super) fn prepare_server(
    config: &RunConfig,
    request: &Arc<Prepared>,
    runtime: &Runtime,
    interrupt: &Interrupt,
) -> Result<()> {
    let Transport::Http(api) = config.endpoint.transport() else {
        return Ok(());
    };
    for call in config.before_run.iter().chain(&config.before_stage) {
        let made = runtime.block_on(async {
            tokio::select! {
                made = in_time(call, config, api, request) => made,
                () = interrupt.stopped() => Err("interrupted".to_owned()),
                () = interrupt.follow() => Err("interrupted".to_owned()),
            }
        });
        if interrupt.is_stopped() {
            return Err(Error::Interrupted);
        }
        made.map_err(|reason| Error::ServerCall {
            call: call.to_string(),
            reason,
        })?;
    }
    Ok(())
}

impl Started {
    /// Makes the calls that come before each stage but the first, when it begins. Requests do not wait for
    /// them. Never returns.
    pub(super) async fn call_before_stages(&self) {
        let (shared, calls) = (&self.shared, &self.config.before_stage);
        if !self.stage_calls.is_empty() {
            let start = loop {
                match shared.started() {
                    Some(start) => break start,
                    None => tokio::time::sleep(START_POLL).await,
                }
            };
            let last = shared.stage_ends.len().saturating_sub(1);
            for (number, end) in shared.stage_ends[..last].iter().enumerate() {
                let left = start.after(*end).seconds_since(clock::now()).max(0.0);
                tokio::time::sleep(Duration::from_secs_f64(left)).await;
                if shared.is_stopping() {
                    break;
                }
                for (call, (server, request)) in calls
                    .iter()
                    .flat_map(|call| self.stage_calls.iter().map(move |server| (call, server)))
                {
                    let Transport::Http(api) = server.endpoint.transport() else {
                        continue;
                    };
                    if let Err(reason) = in_time(call, server, api, request).await {
                        let stage = number + 2;
                        let warning = format!("{call} before stage {stage} failed: {reason}");
                        let failed = self.failed_calls.lock();
                        failed.unwrap_or_else(PoisonError::into_inner).push(warning);
                    }
                }
            }
        }
        std::future::pending().await
    }
}

/// Makes one call within the timeout of requests. The error is in words.
async fn in_time(
    call: &ServerCall,
    config: &RunConfig,
    api: &dyn HttpApi,
    request: &Prepared,
) -> Result<(), String> {
    let made = tokio::time::timeout(config.timeout, carry_out(call, config, api, request));
    made.await
        .unwrap_or_else(|_| Err("it timed out".to_owned()))
}

/// Makes one call by HTTP/1.1, with the headers that requests have. The error is in words.
async fn carry_out(
    call: &ServerCall,
    config: &RunConfig,
    api: &dyn HttpApi,
    request: &Prepared,
) -> Result<(), String> {
    let words = |reason: &dyn fmt::Display| api.redact(&reason.to_string()).into_owned();
    let plain = RunConfig {
        http2: false,
        ..config.clone()
    };
    let proxy = plain.proxy().map_err(|reason| words(&reason))?;
    let dialer = plain.dialer(api.server(), proxy.as_ref());
    let dialer = dialer.map_err(|reason| words(&reason))?;
    let usual = api
        .request(&request.payload)
        .map_err(|reason| words(&reason.0))?;
    let is_of_body = |name: &str| {
        OF_BODIES
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let headers = usual
        .headers
        .into_iter()
        .filter(|(name, _)| !is_of_body(name));
    let request = HttpRequest {
        target: call.target.clone(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let bytes = http1::encode_request(api.server(), proxy.as_ref(), &call.method, &request);
    let mut connection = dialer.dial(0).await.map_err(|reason| words(&reason))?;
    connection
        .write_all(&bytes)
        .await
        .map_err(|reason| words(&reason))?;
    connection.flush().await.map_err(|reason| words(&reason))?;
    let (mut reader, mut body, mut buffer) = (ResponseReader::new(), Vec::new(), vec![0; READ]);
    while !reader.is_done() {
        let count = connection
            .read(&mut buffer)
            .await
            .map_err(|reason| words(&reason))?;
        if count == 0 && reader.may_end_at_close() {
            break;
        }
        if count == 0 {
            return Err(
                "the server closed the connection before its response was complete".to_owned(),
            );
        }
        reader
            .feed(&buffer[..count], &mut body)
            .map_err(|reason| words(&reason))?;
        body.truncate(READ);
    }
    match reader.head().map(|head| head.status) {
        Some(200..=299) => Ok(()),
        status => {
            let text: String = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
            let status =
                status.map_or_else(|| "nothing".to_owned(), |status| format!("status {status}"));
            let said = crate::base::shown::one_line(text.trim(), SHOWN);
            let said = if said.is_empty() {
                said
            } else {
                format!(": {said}")
            };
            Err(format!("the server answered with {status}{}", words(&said)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_method_and_a_path() {
        for text in ["POST /reset_prefix_cache", "GET /health?full=1"] {
            assert_eq!(text.parse::<ServerCall>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "POST",
            "/reset",
            "post /reset",
            "POST reset",
            "POST /a b",
            "POST /a\r\nX: y",
        ] {
            assert!(text.parse::<ServerCall>().is_err(), "{text}");
        }
    }
}
