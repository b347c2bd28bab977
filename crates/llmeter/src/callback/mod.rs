//! Code that is hooked into a run at four points.
//!
//! Belongs here: the [`Callback`] trait, the registry of callback types, how hooks are called and
//! their failures kept, the callbacks that llmeter brings.
//! Does not belong here: when a run calls them (`run`).

mod cache_buster;
mod error;
mod file;
mod hooked;
mod registry;
mod request;

use std::any::Any;

/// The attribute that an implementation of [`Callback`] bears.
pub use async_trait::async_trait;

pub use crate::base::hook::Hook;
pub use crate::result::CallbackFailure;

pub use cache_buster::CacheBuster;
pub use error::HookError;
pub(crate) use hooked::{CallbackChain, CallbackData};
pub(crate) use registry::add;
pub use registry::{from_json, kinds, register};
pub use request::{InvokeRequest, RequestData};

use crate::base::error::Result;
use crate::endpoint::Destination;
use crate::payload::Payload;
use crate::run::RunConfig;
use crate::saved::SavedObject;
use crate::{InvocationResponse, RunResult};

/// What a hook gives back.
pub type HookResult = Result<(), HookError>;

/// Code that is hooked into a run.
///
/// A run calls its callbacks in the order given and awaits each hook before the next callback's.
/// Hooks of different requests run at the same time, so that state of one's own needs a lock or an
/// atomic. Several runs may share a callback. A panic in a hook counts as its failure.
///
/// ```
/// use llmeter::callback::{Callback, HookResult, RequestData, async_trait, register};
/// use llmeter::saved::{Saved, SavedObject};
/// use llmeter::InvocationResponse;
/// use serde::{Deserialize, Serialize};
///
/// /// Marks responses that were slower than a limit.
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct SlowResponses {
///     limit_seconds: f64,
/// }
///
/// impl Saved for SlowResponses {
///     const CLASS: &'static str = "my_app.SlowResponses";
/// }
///
/// #[async_trait]
/// impl Callback for SlowResponses {
///     fn saved(&self) -> llmeter::Result<Option<SavedObject>> {
///         SavedObject::of(self).map(Some)
///     }
///
///     async fn after_invoke(
///         &self,
///         response: &mut InvocationResponse,
///         _: &mut RequestData,
///     ) -> HookResult {
///         let is_slow = response.time_to_last_token > Some(self.limit_seconds);
///         response.annotations.insert("slow".into(), is_slow.into());
///         Ok(())
///     }
/// }
///
/// // From here on files can name it.
/// register::<SlowResponses>();
/// let saved = SlowResponses { limit_seconds: 2.0 }.saved()?.unwrap().to_json();
/// let again = llmeter::callback::from_json(&saved)?;
/// assert_eq!(again.saved()?.unwrap().to_json(), saved);
/// # Ok::<(), llmeter::Error>(())
/// ```
#[async_trait]
pub trait Callback: Any + Send + Sync {
    /// The callback as files hold it; [`SavedObject::of`] makes this of a
    /// [`Saved`](crate::saved::Saved) type. It must hold no secret. A run with a callback that has
    /// none cannot be repeated from its folder, and says so.
    ///
    /// # Errors
    /// If it cannot be saved although it should be; a run with it does not start then.
    fn saved(&self) -> Result<Option<SavedObject>> {
        Ok(None)
    }

    /// What messages call a callback without a saved form; others have their class's name.
    fn name(&self) -> String {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name).to_owned()
    }

    /// The hooks that do something. Naming only those spares a run the others' cost.
    fn hooks(&self) -> &'static [Hook] {
        Hook::ALL
    }

    /// The secrets of the user's that it sends to a server which only a file names. A run does not start
    /// unless [`RunConfig::trust`] includes all of these. A callback whose server the program or the
    /// environment named has none.
    fn destinations(&self) -> Vec<Destination> {
        Vec::new()
    }

    /// Called once, when the run's configuration is final and before any connection or file. It
    /// may change the configuration, but for the list of callbacks, which stays as it is;
    /// `run_config.json` shows the changed one.
    ///
    /// # Errors
    /// A failure stops the run before it starts.
    async fn before_run(&self, config: &mut RunConfig) -> HookResult {
        let _ = config;
        Ok(())
    }

    /// Called for each request, with a copy of the payload that is that request's own. It is called
    /// ahead of the time at which the request is to be sent, while the client's last one is under
    /// way, so that a run that is bound by time may prepare requests which are then not sent. If it
    /// is too slow for that, clients wait, and the record of the measurement's quality says so.
    ///
    /// # Errors
    /// A failure makes that request a failed one, which is not sent.
    async fn before_invoke(&self, request: &mut InvokeRequest) -> HookResult {
        self.change_payload(&mut request.payload).await
    }

    /// [`before_invoke`](Self::before_invoke) for who needs the payload only: called by it unless it
    /// is implemented, too.
    ///
    /// # Errors
    /// As [`before_invoke`](Self::before_invoke).
    async fn change_payload(&self, payload: &mut Payload) -> HookResult {
        let _ = payload;
        Ok(())
    }

    /// Called for each response, failed ones included and those of the warm-up excluded, when its
    /// times and counts are known and before it enters statistics and files. What it adds to
    /// `annotations` is saved. `data` is what this callback's `before_invoke` kept of the request.
    ///
    /// # Errors
    /// A failure is counted; the response stays.
    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        data: &mut RequestData,
    ) -> HookResult {
        let _ = (response, data);
        Ok(())
    }

    /// Called once, after the last response and also after an interruption. The run's folder holds
    /// all its files; summary and statistics are written anew after the hook.
    ///
    /// # Errors
    /// A failure is counted; the result stays.
    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        let _ = result;
        Ok(())
    }
}
