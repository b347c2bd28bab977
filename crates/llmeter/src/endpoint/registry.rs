//! The endpoint types of users that files can name.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use super::Endpoint;
use crate::base::error::Result;
use crate::saved::{Registry, Saved, SavedObject};

static REGISTRY: LazyLock<RwLock<Registry<dyn Endpoint>>> =
    LazyLock::new(|| RwLock::new(Registry::new("endpoint")));

/// Makes an endpoint type known to this process, so that saved runs with it load again. A type of the
/// same class is replaced.
///
/// ```
/// use std::sync::Arc;
/// # use llmeter::Failure;
/// # use llmeter::endpoint::{ResponseBuilder, Identity, Invoke, Transport, async_trait};
/// # use llmeter::payload::Payload;
/// use llmeter::endpoint::{self, Endpoint};
/// use llmeter::saved::{Saved, SavedObject};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Parrot {
///     name: String,
/// #   #[serde(skip, default = "identity")]
/// #   identity: Identity,
/// }
///
/// impl Saved for Parrot {
///     const CLASS: &'static str = "my_app.Parrot";
/// }
/// # fn identity() -> Identity {
/// #     let text = || "parrot".to_owned();
/// #     Identity { model_id: text(), endpoint_name: text(), provider: text() }
/// # }
/// # impl Endpoint for Parrot {
/// #     fn identity(&self) -> &Identity { &self.identity }
/// #     fn is_streaming(&self) -> bool { false }
/// #     fn transport(&self) -> Transport<'_> { Transport::Invoke(self) }
/// #     fn saved(&self) -> SavedObject { SavedObject::of(self).unwrap() }
/// # }
/// # #[async_trait]
/// # impl Invoke for Parrot {
/// #     async fn invoke(&self, _: &Payload, response: &mut ResponseBuilder) -> Result<(), Failure> {
/// #         response.text(&self.name);
/// #         Ok(())
/// #     }
/// # }
///
/// endpoint::register::<Parrot>();
/// let saved = SavedObject::of(&Parrot {
///     name: "Polly".into(),
/// #   identity: identity(),
/// })?;
/// let again: Arc<dyn Endpoint> = endpoint::from_saved(&saved, None)?;
/// assert_eq!(again.saved(), saved);
/// # Ok::<(), llmeter::Error>(())
/// ```
pub fn register<T: Endpoint + Saved + 'static>() {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    registry.register::<T>(|endpoint| Arc::new(endpoint));
}

/// The endpoint that a file describes, if its type is registered.
pub(super) fn build(saved: &SavedObject) -> Option<Result<Arc<dyn Endpoint>>> {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    registry.kind(&saved.class)?;
    Some(registry.build(saved))
}
