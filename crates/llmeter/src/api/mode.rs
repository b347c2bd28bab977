//! APIs as users and files name them, and payloads in their shape.

use super::{APIS, Api, Mode, PromptParts};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::{Payload, Prompt};
use crate::saved::SavedObject;

/// An API, streaming or not, as users and files name it.
#[derive(Debug, Clone, Copy)]
pub struct ApiMode {
    /// The API.
    pub api: &'static dyn Api,
    /// The name by which users choose it.
    pub name: &'static str,
    /// The class by which files name it, without its module.
    pub class: &'static str,
    /// Whether the response is a stream; `None` if the endpoint's settings say so.
    pub streaming: Option<bool>,
}

impl Default for ApiMode {
    /// The first of the table.
    fn default() -> Self {
        let api = APIS[0];
        Self::new(api, &api.spec().modes[0])
    }
}

impl ApiMode {
    fn new(api: &'static dyn Api, mode: &'static Mode) -> Self {
        Self {
            api,
            name: mode.name,
            class: mode.class,
            streaming: mode.streaming,
        }
    }

    /// All of them. The first is the default.
    pub fn all() -> impl Iterator<Item = Self> {
        APIS.iter().flat_map(|api| {
            let modes = api.spec().modes.iter();
            modes.map(|mode| Self::new(*api, mode))
        })
    }

    /// The one of this name.
    ///
    /// ```
    /// use llmeter::api::ApiMode;
    ///
    /// let mode = ApiMode::named("ollama-stream")?;
    /// let payload = mode.create_payload("Hello", 64)?;
    /// let payload = mode.prepared(payload, Some("my-model"))?;
    /// assert_eq!(payload["model"], "my-model");
    /// assert_eq!(payload["stream"], true);
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is none; the message lists all.
    pub fn named(name: &str) -> Result<Self> {
        Self::all().find(|mode| mode.name == name).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(|mode| mode.name).collect();
            Error::invalid(
                Setting::Endpoint,
                name,
                format!("one of {}", names.join(", ")),
            )
        })
    }

    /// The one that a saved endpoint speaks.
    ///
    /// # Errors
    /// If the class is not known here; the message lists those that are.
    pub fn of_saved(saved: &SavedObject) -> Result<Self> {
        let class = saved.endpoint_class();
        Self::all().find(|mode| mode.class == class).ok_or_else(|| {
            let classes: Vec<_> = Self::all().map(|mode| mode.class).collect();
            let given = if class.is_empty() {
                "(no class)"
            } else {
                class
            };
            let expected = format!(
                "a saved endpoint of one of the types {}",
                classes.join(", ")
            );
            Error::field("endpoint", given, expected)
        })
    }

    /// One line for people.
    pub fn about(&self) -> String {
        let manner = match self.streaming {
            Some(true) => ", streaming",
            Some(false) => ", non-streaming",
            None => "",
        };
        format!("{}{manner}", self.api.spec().about)
    }

    /// Whether its response can be a stream.
    pub fn can_stream(&self) -> bool {
        self.streaming != Some(false)
    }

    /// The default environment variable of its key; `None` if it takes no key.
    pub fn key_variable(&self) -> Option<&'static str> {
        self.api.spec().key_variable
    }

    /// As [`key_variable`](Self::key_variable), at a provider among which there is a choice.
    pub fn key_variable_at(&self, provider: Option<&str>) -> Option<&'static str> {
        let mut providers = self.api.spec().providers.iter();
        let found = providers.find(|(name, _)| Some(*name) == provider);
        found.map(|(_, variable)| *variable).or(self.key_variable())
    }

    /// Whether a provider says where requests go and how they are signed in, and is not but a name.
    pub fn has_providers(&self) -> bool {
        !self.api.spec().providers.is_empty()
    }

    /// Where a provider serves it in a region; `None` for an API without a choice of providers, whose
    /// saved endpoints name an address only if it is the user's.
    pub fn address_at(&self, provider: Option<&str>, region: &str) -> Option<String> {
        let provider = provider.unwrap_or(self.api.spec().provider);
        let api = self.api.at_provider(provider).ok()??;
        #[cfg(feature = "aws")]
        if let Some(service) = api.spec().service {
            return Some(service.address(region));
        }
        api.address(Some(region))
    }

    /// Makes a payload of a user's message.
    ///
    /// # Errors
    /// If the API cannot take it.
    pub fn create_payload(&self, prompt: impl Into<Prompt>, max_tokens: u64) -> Result<Payload> {
        let streaming = self.streaming.unwrap_or_default();
        create_payload(
            self.api,
            &prompt.into(),
            max_tokens,
            streaming,
            Payload::new(),
        )
    }

    /// The payload with what a run adds to it before it is sent. Needs no address, no key and no
    /// network. Without a model, the fields that name one are missing; a run adds them.
    ///
    /// # Errors
    /// If the payload cannot be sent to this API.
    pub fn prepared(&self, mut payload: Payload, model: Option<&str>) -> Result<Payload> {
        super::prepare(self.api, &mut payload, model, self.can_stream())
            .map_err(|reason| Error::refused("payload", reason))?;
        Ok(payload)
    }
}

/// A payload of a user's message in an API's shape. `extra` is added last and wins.
///
/// # Errors
/// When `max_tokens` is 0, the prompt has no item, or the API does not take one.
pub(crate) fn create_payload(
    api: &dyn Api,
    prompt: &Prompt,
    max_tokens: u64,
    streaming: bool,
    extra: Payload,
) -> Result<Payload> {
    if max_tokens == 0 {
        return Err(Error::invalid(Setting::MaxTokens, 0, "1 or more"));
    }
    let parts = PromptParts {
        parts: api.spec().inputs.parts(prompt)?,
        system: prompt.system.as_deref(),
    };
    let mut payload = api.payload(&parts, max_tokens, streaming);
    api.add_extra(&mut payload, extra);
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::payload::bytes_value;

    #[test]
    fn every_api_prepares_without_an_address() {
        for api in ApiMode::all() {
            let made = api.create_payload("Hello", 5).unwrap();
            let without = api.prepared(made.clone(), None).unwrap();
            let with = api.prepared(made.clone(), Some("some-model")).unwrap();
            let names: Vec<_> = with
                .iter()
                .filter(|(_, value)| *value == "some-model")
                .map(|(field, _)| field.as_str())
                .collect();
            assert!(
                names
                    .iter()
                    .all(|field| *field == "model" || *field == "modelId")
            );
            assert_eq!(without.len() + names.len(), with.len(), "{}", api.name);
            assert!(
                made.keys().all(|field| with.contains_key(field)),
                "{}",
                api.name
            );
            // A run does the same to what is prepared already.
            assert_eq!(api.prepared(without, Some("some-model")).unwrap(), with);
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let mut payload = Payload::new();
        payload.insert("a".into(), json!([bytes_value(b"x")]));
        let refused = ApiMode::named("gemini").unwrap().prepared(payload, None);
        let error = refused.unwrap_err().to_string();
        assert!(
            error.starts_with("payload: ") && error.contains("a.0"),
            "{error}"
        );
    }

    #[test]
    fn names_and_classes_are_of_one_api_each() {
        for mode in ApiMode::all() {
            let same = |other: &ApiMode| other.name == mode.name || other.class == mode.class;
            assert_eq!(ApiMode::all().filter(same).count(), 1, "{}", mode.name);
        }
    }
}
