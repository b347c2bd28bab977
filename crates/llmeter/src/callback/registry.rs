//! The callback types that files can name.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde_json::Value;

use super::Callback;
use crate::base::error::Result;
use crate::saved::{Kind, Registry, Saved};

static REGISTRY: LazyLock<RwLock<Registry<dyn Callback>>> = LazyLock::new(|| {
    let mut registry = Registry::new("callback");
    // The crate's root knows those of every layer.
    for add in crate::CALLBACKS {
        add(&mut registry);
    }
    RwLock::new(registry)
});

/// Makes a callback type known to this process, so that files can name it. A type of the same
/// class is replaced.
pub fn register<T: Callback + Saved>() {
    add::<T>(&mut REGISTRY.write().unwrap_or_else(PoisonError::into_inner));
}

/// Adds a callback type to a registry.
pub(crate) fn add<T: Callback + Saved>(registry: &mut Registry<dyn Callback>) {
    registry.register::<T>(|callback| Arc::new(callback));
}

/// The known callback types in the order of their classes.
pub fn kinds() -> Vec<Kind> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    registry.kinds().cloned().collect()
}

/// Builds the callback that an envelope describes.
///
/// # Errors
/// If its type is unknown, its fields are wrong, or it was written by a newer llmeter; the message
/// lists the known types.
pub fn from_json(value: &Value) -> Result<Arc<dyn Callback>> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    registry.build_json(value)
}
