//! Finding out, before a run begins, whether anybody is there.

use std::cell::Cell;
use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::failure::{Failure, FailureKind};
use crate::run::RunConfig;
use llmeter_wire::http2::{Http2, NoHttp2};
use llmeter_wire::{ConnectError, Dialer, Phase, Server};

/// Longest wait for the first connection.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Opens a connection and drops it: if nobody is there, one message says so instead of one for
/// every request.
///
/// # Errors
/// When no connection can be opened.
pub(super) async fn reach(dialer: &Dialer, server: &Server, config: &RunConfig) -> Result<()> {
    let timeout = config.timeout.min(MAX_WAIT);
    let unreachable = |failure| Error::Unreachable {
        server: server.shown(),
        failure,
    };
    // What is under way; nothing once the connection is open.
    let phase = Cell::new(None);
    let connected = async {
        let connection = dialer.dial_with_phases(0, |begun| phase.set(Some(begun)));
        let connection = connection.await?;
        phase.set(None);
        if config.http2 {
            Http2::open(connection).await?;
        }
        Ok::<_, ConnectError>(())
    };
    let Ok(result) = tokio::time::timeout(timeout, connected).await else {
        let seconds = timeout.as_secs_f64();
        let failure = match phase.get() {
            None => ConnectError::from(NoHttp2::Silent(seconds)).into(),
            Some(phase) => {
                let reason = match (phase, config.proxy()?) {
                    (Phase::Proxy, Some(proxy)) => {
                        format!("the proxy {} has opened no tunnel to it", proxy.shown())
                    }
                    _ => "no connection".to_owned(),
                };
                let reason = format!("{reason} after {seconds} s");
                Failure::new(FailureKind::Timeout, reason).in_phase(phase)
            }
        };
        return Err(unreachable(failure));
    };
    result.map_err(|reason| unreachable(reason.into()))
}
