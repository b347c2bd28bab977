//! Failures of callbacks, as a result keeps them.

use std::fmt;

use serde_json::{Value, json};

use crate::base::hook::Hook;

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
