//! Hooks of callbacks in whole runs.

mod failures;
mod order;
mod requests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use llmeter::callback::{
    Callback, Hook, HookError, HookResult, InvokeRequest, RequestData, async_trait,
};
use llmeter::payload::Payload;
use llmeter::saved::SavedObject;
use llmeter::{InvocationResponse, RunConfig, RunResult};
use serde_json::{Map, Value};

use super::{assert_saved, config, friendly, lines, whole};
use crate::scripted::{Scripted, Step, finish, run};

/// Calls of hooks: what the call was about, the callback's name, the hook.
type Log = Arc<Mutex<Vec<(String, &'static str, Hook)>>>;

/// What a [`Probe`] does at a hook, beside noting that it was called.
type Act<T> = Box<dyn Fn(&mut T) -> HookResult + Send + Sync>;

/// A callback made of closures, which notes every call.
struct Probe {
    name: &'static str,
    log: Log,
    before_run: Act<RunConfig>,
    before_invoke: Act<InvokeRequest>,
    after_invoke: Act<InvocationResponse>,
    after_run: Act<RunResult>,
    /// How long each hook on a request waits.
    nap: Duration,
}

impl Probe {
    fn new(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            log: log.clone(),
            before_run: Box::new(|_| Ok(())),
            before_invoke: Box::new(|_| Ok(())),
            after_invoke: Box::new(|_| Ok(())),
            after_run: Box::new(|_| Ok(())),
            nap: Duration::ZERO,
        }
    }

    fn note(&self, about: impl Into<String>, hook: Hook) {
        let mut log = self.log.lock().unwrap();
        log.push((about.into(), self.name, hook));
    }

    async fn nap(&self) {
        if !self.nap.is_zero() {
            tokio::time::sleep(self.nap).await;
        }
    }
}

fn prompt(payload: &Payload) -> String {
    payload["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[async_trait]
impl Callback for Probe {
    fn saved(&self) -> llmeter::Result<Option<SavedObject>> {
        Ok(Some(SavedObject {
            class: format!("tests.{}", self.name),
            state: Map::new(),
        }))
    }

    async fn before_run(&self, config: &mut RunConfig) -> HookResult {
        self.note("", Hook::BeforeRun);
        (self.before_run)(config)
    }

    async fn before_invoke(&self, request: &mut InvokeRequest) -> HookResult {
        self.note(prompt(&request.payload), Hook::BeforeInvoke);
        self.nap().await;
        (self.before_invoke)(request)
    }

    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        _: &mut RequestData,
    ) -> HookResult {
        let payload = response.input_payload.as_ref().unwrap();
        self.note(prompt(payload), Hook::AfterInvoke);
        self.nap().await;
        (self.after_invoke)(response)
    }

    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        self.note("", Hook::AfterRun);
        (self.after_run)(result)
    }
}

/// Refuses each time.
fn refuse<T>(reason: &'static str) -> Act<T> {
    Box::new(move |_| Err(HookError::new(reason)))
}

fn panics<T>() -> Act<T> {
    Box::new(|_| panic!("what a hook"))
}

fn annotate(key: &'static str, value: Value) -> Act<InvocationResponse> {
    Box::new(move |response| {
        response.annotations.insert(key.into(), value.clone());
        Ok(())
    })
}

fn failures(result: &RunResult) -> Vec<(String, Hook, u64, String)> {
    let failures = result.callback_errors.iter();
    failures
        .map(|failure| {
            let failure = failure.clone();
            (failure.callback, failure.hook, failure.count, failure.first)
        })
        .collect()
}
