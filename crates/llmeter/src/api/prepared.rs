//! A payload as an API is sent it, without an endpoint to send it to.

use super::{Api, EndpointSettings};
use crate::base::error::{Error, Result};
use crate::payload::Payload;

/// Stands where settings must be that a payload does not depend on.
const NOWHERE: &str = "http://localhost/";
const REGION: &str = "us-east-1";

/// Stands for a model that is not known yet; no model is called that.
const NO_MODEL: &str = "llmeter-without-a-model";

impl Api {
    /// The payload with what a run adds to it before it is sent. Needs no address, no key and no
    /// network. Without a model, the fields that name one are missing; a run adds them.
    ///
    /// ```
    /// use llmeter::endpoint::Api;
    ///
    /// let api = Api::named("openai-chat-stream")?;
    /// let payload = api.create_payload("Hello", 64)?;
    /// let payload = api.prepared(payload, Some("my-model"))?;
    /// assert_eq!(payload["model"], "my-model");
    /// assert_eq!(payload["stream"], true);
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the payload cannot be sent to this API, or the model's name cannot be used.
    pub fn prepared(&self, mut payload: Payload, model: Option<&str>) -> Result<Payload> {
        let endpoint = self.endpoint(&EndpointSettings {
            base_url: Some(NOWHERE.to_owned()),
            model: Some(model.unwrap_or(NO_MODEL).to_owned()),
            region: Some(REGION.to_owned()),
            ..EndpointSettings::default()
        })?;
        endpoint
            .prepare_payload(&mut payload)
            .map_err(|reason| Error::refused("payload", reason))?;
        payload.retain(|_, value| value != NO_MODEL);
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::APIS;
    use super::*;
    use crate::payload::bytes_value;

    #[test]
    fn every_api_prepares_without_an_address() {
        for api in APIS {
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
        let refused = Api::named("gemini").unwrap().prepared(payload, None);
        let error = refused.unwrap_err().to_string();
        assert!(
            error.starts_with("payload: ") && error.contains("a.0"),
            "{error}"
        );
    }
}
