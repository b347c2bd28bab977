//! Whether a request may be sent: the spend guard's part in a session.

use std::sync::Arc;

use crate::base::error::Result;
use crate::cost::{LimitReached, Reservation, SpendGuard};
use crate::run::RunConfig;
use crate::run::prepare::Prepared;
use crate::run::shared::Shared;
use llmeter_wire::clock;

/// The guard of a run that has a limit.
///
/// # Errors
/// If the limit leaves no room for the run.
pub(crate) fn guard(
    config: &RunConfig,
    prepared: &[Arc<Prepared>],
) -> Result<Option<Arc<SpendGuard>>> {
    let (Some(limit), Some(model)) = (config.max_cost, config.cost_model()) else {
        return Ok(None);
    };
    let tokenizer = config.tokenizer.clone();
    let (limit, clients) = (config.own_share(limit), config.client_count());
    let guard = SpendGuard::new(model.clone(), limit, clients, tokenizer)?;
    for prepared in prepared {
        guard.check_limit(prepared.expected(&guard))?;
    }
    Ok(Some(Arc::new(guard)))
}

impl Shared {
    /// Waits until the limit has room for a request. `None` if there is no limit, if the request is
    /// not to be sent anyway, or if the run was stopped meanwhile.
    ///
    /// # Errors
    /// If nothing more is to be sent.
    pub(crate) async fn admit(
        &self,
        request: Option<&Prepared>,
    ) -> Result<Option<Reservation>, LimitReached> {
        let (Some(guard), Some(request)) = (&self.guard, request) else {
            return Ok(None);
        };
        let expected = request.expected(guard);
        tokio::select! {
            biased;
            admitted = guard.admit(expected, || self.elapsed()) => admitted.map(Some),
            () = self.interrupt.stopped() => Ok(None),
        }
    }

    /// Lets the guard see how time passes.
    pub(crate) fn check_elapsed_cost(&self) {
        if let Some(guard) = &self.guard {
            guard.check_elapsed_cost(self.elapsed());
        }
    }

    /// Seconds since the run proper began.
    fn elapsed(&self) -> f64 {
        self.started()
            .map_or(0.0, |start| clock::now().seconds_since(start))
    }
}
