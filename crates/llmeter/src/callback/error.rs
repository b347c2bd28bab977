//! What goes wrong in hooks.

use std::fmt;
use std::sync::Arc;

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
