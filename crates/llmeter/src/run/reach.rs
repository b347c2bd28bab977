//! Finding out, before a run begins, whether anybody is there.

use std::cell::Cell;
use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::probe::PROXY_REMEDY;
use crate::run::RunConfig;
use llmeter_wire::http2::Http2;
use llmeter_wire::{ConnectError, Dialer, Phase, Server};

/// Longest wait for the first connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a connection and drops it: if nobody is there, one message says so instead of one for
/// every request.
///
/// # Errors
/// When no connection can be opened. The message says what to do.
pub(super) async fn reach(dialer: &Dialer, server: &Server, config: &RunConfig) -> Result<()> {
    let patience = config.timeout.min(PATIENCE);
    let place = server.shown();
    // What is under way; nothing once the connection is open.
    let phase = Cell::new(None);
    let connected = async {
        let connection = dialer.dial_by_phases(0, |begun| phase.set(Some(begun)));
        let connection = connection.await?;
        phase.set(None);
        if config.http2 {
            Http2::open(connection).await?;
        }
        Ok(())
    };
    let result = tokio::time::timeout(patience, connected).await;
    let patience = patience.as_secs_f64();
    let message = match (result, phase.get()) {
        (Ok(Ok(())), _) => return Ok(()),
        (Ok(Err(reason @ ConnectError::NoHttp2(_))), _) => format!("{place}: {reason}"),
        (Err(_), None) => {
            let reason = ConnectError::NoHttp2(format!("it said nothing for {patience} s"));
            format!("{place}: {reason}")
        }
        (Ok(Err(reason @ ConnectError::Tls(_))), _) => format!(
            "cannot reach {place} safely: {reason}; does it speak https, and is its certificate, \
             or the one that signed it, among the trusted ones (--ca-file)?"
        ),
        (Ok(Err(reason @ (ConnectError::NoProxy { .. } | ConnectError::Proxy { .. }))), _) => {
            format!("cannot reach {place}: {reason}; {PROXY_REMEDY}")
        }
        (Err(_), Some(Phase::Proxy)) => {
            let proxy = config.proxy()?;
            let proxy = proxy
                .as_ref()
                .map_or_else(String::new, |proxy| format!(" {}", proxy.shown()));
            format!(
                "cannot reach {place}: the proxy{proxy} has opened no way to it after {patience} \
                 s; {PROXY_REMEDY}"
            )
        }
        (Ok(Err(reason)), _) => not_there(&place, &reason),
        (Err(_), Some(_)) => not_there(&place, &format!("no connection after {patience} s")),
    };
    Err(Error::Environment(message))
}

fn not_there(place: &str, reason: &dyn std::fmt::Display) -> String {
    format!("cannot reach {place}: {reason}; is the server running, and is the base URL right?")
}
