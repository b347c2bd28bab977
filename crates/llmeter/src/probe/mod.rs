//! One request, looked at closely: every phase, every frame, and for a failure what is wrong.
//!
//! Belongs here: the single request over the wire and decoder of a run, what is seen of it, and what
//! failures mostly mean. Does not belong here: how it is shown (`report`).

mod diagnosis;
mod report;
mod request;
mod watch;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

pub use diagnosis::{ApiKeyVariable, Diagnosis, FailureContext, diagnose};
pub use report::{ProbeFrame, ProbeHead, ProbeReport};
pub use request::ProbeRequest;

use crate::base::error::{Error, Result};
use crate::base::failure::{Failure, FailureKind};
use crate::base::runtime::off_runtime;
use crate::endpoint::Transport;
use crate::run::{Interrupt, RunConfig, SingleRequest, wrong_label};
use llmeter_wire::{Phase, StampSource};
use watch::{Watch, Watched};

/// Sends the first payload of `config` once, and tells what happened. Load, callbacks and files of
/// the configuration are left out; `key` says where the endpoint's key comes from, if that is known.
///
/// Blocks the calling thread, also one of an async runtime's. `interrupt` ends the request.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::{Interrupt, OpenAiChat, RunConfig, probe, report};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 32, Default::default())?;
/// let config = RunConfig::new(Arc::new(endpoint), [payload]);
/// let seen = probe::probe(&config, None, &Interrupt::new())?;
/// println!("{}", report::probe(&seen, 10));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the configuration cannot be used, a file that it names cannot be read, or a secret would go to a
/// server that is not trusted. A server that is not there or refuses is no error: the report says so.
pub fn probe(
    config: &RunConfig,
    key: Option<&ApiKeyVariable>,
    interrupt: &Interrupt,
) -> Result<ProbeReport> {
    off_runtime(|| carry_out(config, key, interrupt))?
}

fn carry_out(
    config: &RunConfig,
    key: Option<&ApiKeyVariable>,
    interrupt: &Interrupt,
) -> Result<ProbeReport> {
    config.validate()?;
    config.trust.check(config.endpoint.destinations())?;
    let watched = Arc::new(Watched::new(config.endpoint.clone()));
    let mut own = config.clone();
    own.endpoint = watched.clone();
    own.clients = 1;
    (own.warmup, own.warmup_time) = (0, Duration::ZERO);
    own.max_retries = 0;
    own.callbacks = Vec::new();
    own.max_cost = None;
    let proxy = own.proxy()?;
    let run = SingleRequest::new(&own, proxy.as_ref())?;
    if let Transport::Http(api) = own.endpoint.transport() {
        api.check()?;
    }
    let mut report = ProbeReport::new(&own, proxy.as_ref(), run.request());

    let dialer = match own.endpoint.transport() {
        Transport::Invoke(_) => None,
        Transport::Http(api) => match own.dialer(api.server(), proxy.as_ref()) {
            Ok(dialer) => Some(dialer),
            Err(unresolved @ Error::Unresolved { .. }) => {
                let failure = Failure::caused(FailureKind::Dns, unresolved);
                report.error = Some(failure.in_phase(Phase::Resolve));
                report.diagnose(key);
                return Ok(report);
            }
            Err(reason) => return Err(reason),
        },
    };
    if let Some(dialer) = &dialer {
        report.addresses = dialer.addresses();
        report.time_to_resolve = dialer.time_to_resolve();
    }
    let watch = Arc::<Watch>::default();
    let (queue, segments) = channel();
    // At the same time, since only the decoder knows whether a response is complete.
    let (sent, seen) = std::thread::scope(|scope| {
        let decoding = scope.spawn(|| SingleRequest::decode(&own, proxy.clone(), segments));
        let sent = run.send(&own, dialer, watch.clone(), queue, interrupt);
        (sent, decoding.join())
    });
    sent?;
    let seen = seen.map_err(|_| Error::Internal("the decoder stopped"))?;
    report.is_interrupted = interrupt.is_stopped();
    report.take_connection(&watch);
    if let Some(seen) = seen {
        report.stamps = match seen.is_kernel_stamped {
            true => StampSource::Kernel,
            false => StampSource::User,
        };
        report.take_frames(
            watched.take_log(),
            seen.sent,
            &*config.endpoint,
            proxy.as_ref(),
        );
        report.take_response(seen.response, config.endpoint.is_streaming());
        let label = seen.wrong_label.filter(|_| report.is_success());
        let label = label.and_then(|label| wrong_label(&label, &*config.endpoint));
        report.remarks.extend(label);
    }
    report.diagnose(key);
    Ok(report)
}
