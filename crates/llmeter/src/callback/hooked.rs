//! Calling the hooks of a run's callbacks.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Callback, CallbackFailure, Hook, HookError, HookResult, InvokeRequest, RequestData};
use crate::base::error::{Error, Result};
use crate::base::failure::{Failure, FailureKind};
use crate::base::foreign::{Panic, catch_panic_async};
use crate::run::RunConfig;
use crate::{InvocationResponse, RunResult};
use llmeter_wire::Phase;

/// The callbacks of one run, and which of their hooks failed.
pub(crate) struct CallbackChain {
    callbacks: Vec<(String, Arc<dyn Callback>)>,
    failures: Mutex<BTreeMap<(usize, Hook), CallbackFailure>>,
}

/// What the callbacks of a run keep of one request, by their number. Mostly nothing.
#[derive(Debug, Default)]
pub(crate) struct CallbackData(Vec<(usize, RequestData)>);

impl CallbackChain {
    /// # Errors
    /// If a callback cannot be saved, or is no good in another way that shows before it is called.
    pub(crate) fn new(callbacks: &[Arc<dyn Callback>]) -> Result<Self> {
        let callbacks = callbacks
            .iter()
            .map(|callback| {
                let saved = callback.saved()?;
                let name = saved.map_or_else(|| callback.name(), |saved| saved.name().to_owned());
                Ok((name, callback.clone()))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            callbacks,
            failures: Mutex::default(),
        })
    }

    /// Whether any callback has something to do at this point.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.at(hook).next().is_some()
    }

    /// # Errors
    /// The first failure.
    pub(crate) async fn before_run(&self, config: &mut RunConfig) -> Result<()> {
        let callbacks = config.callbacks.clone();
        for (_, name, callback) in self.at(Hook::BeforeRun) {
            let called = call(async { callback.before_run(config).await }).await;
            called.map_err(|reason| Error::Callback {
                callback: name.to_owned(),
                hook: Hook::BeforeRun.as_str(),
                reason: reason.to_string(),
                source: reason.cause().cloned(),
            })?;
        }
        config.callbacks = callbacks;
        Ok(())
    }

    /// # Errors
    /// The first failure, in words that name the callback.
    pub(crate) async fn before_invoke(
        &self,
        request: &mut InvokeRequest,
        data: &mut CallbackData,
    ) -> Result<(), Failure> {
        for (index, name, callback) in self.at(Hook::BeforeInvoke) {
            let called = call(async { callback.before_invoke(request).await }).await;
            let own = std::mem::take(&mut request.data);
            if !own.is_empty() {
                data.0.push((index, own));
            }
            called.map_err(|reason| {
                let hook = Hook::BeforeInvoke;
                let reason = format!("callback {name} failed in {hook}: {reason}");
                Failure::new(FailureKind::Callback, reason).in_phase(Phase::Prepare)
            })?;
        }
        Ok(())
    }

    /// Hooks that are not done at the deadline fail.
    pub(crate) async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        data: &mut CallbackData,
        deadline: impl Future<Output = ()> + Send,
    ) {
        let deadline = pin!(deadline);
        let mut deadline = Deadline::new(deadline);
        for (index, _, callback) in self.at(Hook::AfterInvoke) {
            let mut none = RequestData::default();
            let mut kept = data.0.iter_mut().filter(|(of, _)| *of == index);
            let own = kept.next().map_or(&mut none, |(_, own)| own);
            let called = deadline.wait(call(async { callback.after_invoke(response, own).await }));
            let called = called.await;
            self.note(index, Hook::AfterInvoke, called);
        }
    }

    /// Calls `between` before each callback. Hooks that are not done at the deadline fail.
    pub(crate) async fn after_run(
        &self,
        result: &mut RunResult,
        mut between: impl FnMut(&RunResult),
        deadline: impl Future<Output = ()> + Send,
    ) {
        let deadline = pin!(deadline);
        let mut deadline = Deadline::new(deadline);
        for (index, _, callback) in self.at(Hook::AfterRun) {
            between(result);
            let called = deadline.wait(call(async { callback.after_run(result).await }));
            let called = called.await;
            self.note(index, Hook::AfterRun, called);
            result.callback_errors = self.failures();
        }
    }

    /// Which hooks failed so far.
    pub(crate) fn failures(&self) -> Vec<CallbackFailure> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.values().cloned().collect()
    }

    fn at(&self, hook: Hook) -> impl Iterator<Item = (usize, &str, &dyn Callback)> {
        self.callbacks
            .iter()
            .enumerate()
            .filter(move |(_, (_, callback))| callback.hooks().contains(&hook))
            .map(|(index, (name, callback))| (index, name.as_str(), &**callback))
    }

    fn note(&self, index: usize, hook: Hook, called: HookResult) {
        let Err(reason) = called else {
            return;
        };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failures.entry((index, hook)).or_insert_with(|| {
            let callback = self.callbacks[index].0.clone();
            tracing::warn!(
                "callback {callback} failed in {hook}, which changes no figure: {reason}; \
                 further failures of this kind are only counted"
            );
            CallbackFailure {
                callback,
                hook,
                count: 0,
                first: reason.to_string(),
            }
        });
        failure.count += 1;
    }
}

/// How long hooks are waited for.
struct Deadline<'a, F> {
    passes: Pin<&'a mut F>,
    is_over: bool,
}

impl<'a, F: Future<Output = ()>> Deadline<'a, F> {
    fn new(passes: Pin<&'a mut F>) -> Self {
        Self {
            passes,
            is_over: false,
        }
    }

    /// Waits for a hook. After the deadline, one that can end at once still may.
    async fn wait(&mut self, hook: impl Future<Output = HookResult>) -> HookResult {
        let is_over = self.is_over;
        let passes = async {
            if !is_over {
                self.passes.as_mut().await;
            }
        };
        tokio::select! {
            biased;
            called = hook => called,
            () = passes => {
                self.is_over = true;
                Err(HookError::new(
                    "it was still at work when the time after an interruption was over",
                ))
            }
        }
    }
}

/// Awaits a hook; a panic becomes its failure.
async fn call(hook: impl Future<Output = HookResult>) -> HookResult {
    match catch_panic_async(hook).await {
        Ok(result) => result,
        Err(Panic(reason)) => Err(HookError::new(format_args!("it panicked: {reason}"))),
    }
}
