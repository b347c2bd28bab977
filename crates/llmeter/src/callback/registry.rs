//! The callback types that files can name.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde_json::Value;

use super::{CacheBuster, Callback};
use crate::base::error::Result;
use crate::cost::CostModel;
use crate::saved::{Kind, Registry, Saved};

static REGISTRY: LazyLock<RwLock<Registry<dyn Callback>>> = LazyLock::new(|| {
    let mut registry = Registry::<dyn Callback>::new("callback");
    registry.register::<CacheBuster>(|callback| Arc::new(callback));
    #[cfg(feature = "mlflow")]
    registry.register::<crate::mlflow::MlflowCallback>(|callback| Arc::new(callback));
    registry.register::<CostModel>(|model| Arc::new(model));
    RwLock::new(registry)
});

/// Makes a callback type known to this process, so that files can name it. A type of the same
/// class is replaced.
pub fn register<T: Callback + Saved>() {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
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
    if CostModel::is_bare(value) {
        // Python packages before 0.2.0 wrote it to `run_config.json` without its type.
        return Ok(Arc::new(CostModel::from_json(value)?));
    }
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    registry.build_json(value)
}
