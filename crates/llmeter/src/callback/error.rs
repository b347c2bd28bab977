//! What goes wrong in hooks.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Hook;

/// Why a hook failed. Any error becomes one by `?`.
///
/// Like `anyhow::Error` it is no [`std::error::Error`] itself, which is what makes `?` work for all.
#[derive(Debug, Clone)]
pub struct HookError {
    text: String,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl HookError {
    /// A failure in one's own words. They end up in files: keep secrets out of them.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self {
            text: reason.to_string(),
            cause: None,
        }
    }

    /// The error that it was made of.
    pub fn cause(&self) -> Option<&Arc<dyn std::error::Error + Send + Sync>> {
        self.cause.as_ref()
    }
}

impl fmt::Display for HookError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for HookError {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(reason) = source {
            let reason_text = reason.to_string();
            if !text.contains(&reason_text) {
                text.push_str(": ");
                text.push_str(&reason_text);
            }
            source = reason.source();
        }
        Self {
            text,
            cause: Some(Arc::new(error)),
        }
    }
}

/// How often one hook of one callback failed during a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackFailure {
    /// The callback's type, without its module.
    pub callback: String,
    /// Which hook.
    pub hook: Hook,
    /// How often.
    pub count: u64,
    /// The first failure's reason.
    pub first: String,
}

impl CallbackFailure {
    /// As `stats.json` holds it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "callback": self.callback,
            "hook": self.hook.as_str(),
            "count": self.count,
            "first": self.first,
        })
    }

    /// The way back; `None` if it is none.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let hook = value["hook"].as_str()?;
        Some(Self {
            callback: value["callback"].as_str()?.to_owned(),
            hook: *Hook::ALL.iter().find(|known| known.as_str() == hook)?,
            count: value["count"].as_u64()?,
            first: value["first"].as_str()?.to_owned(),
        })
    }
}

impl fmt::Display for CallbackFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            callback,
            hook,
            count,
            first,
        } = self;
        match count {
            1 => write!(formatter, "{callback} failed in {hook}: {first}"),
            _ => write!(
                formatter,
                "{callback} failed in {hook} {count} times, first: {first}"
            ),
        }
    }
}
