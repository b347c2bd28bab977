//! How an API gets what the data has.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ForcedOutput;
use crate::api::{ApiMode, add_history, output_limit};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::{ExtraFields, Message, Payload, Prompt, Role};

/// The output limit of data that has none of its own.
const DEFAULT_MAX_TOKENS: u64 = 256;

/// The shape of requests: an API, and what every request of a run says beside its prompt.
#[derive(Debug, Clone)]
pub struct RequestForm {
    api: ApiMode,
    system: Option<String>,
    extra: ExtraFields,
    max_tokens: Option<u64>,
    forced: ForcedOutput,
    /// The model that is asked, if it is known.
    model: Option<String>,
}

/// Models of bodies that are named.
const NAMED_MODELS: usize = 3;

/// Takes the model that a body names, if it names one.
pub(super) fn note_model(body: &Payload, models: &mut BTreeSet<String>) {
    if models.len() <= NAMED_MODELS
        && let Some(model) = body.get("model").and_then(Value::as_str)
        && !models.contains(model)
    {
        models.insert(model.to_owned());
    }
}

impl RequestForm {
    /// Requests of an API, with nothing that the data does not say.
    pub fn new(api: ApiMode) -> Self {
        Self {
            api,
            system: None,
            extra: ExtraFields::default(),
            max_tokens: None,
            forced: ForcedOutput::None,
            model: None,
        }
    }

    /// The same for requests to this model.
    #[must_use]
    pub fn model(mut self, model: Option<String>) -> Self {
        self.model = model.filter(|model| !model.is_empty());
        self
    }

    /// What is to be said of bodies that name these models, and are sent to the run's.
    pub(super) fn note_of_models(&self, models: &BTreeSet<String>) -> Option<String> {
        let others = models
            .iter()
            .filter(|name| self.model.as_ref() != Some(*name));
        let others: Vec<_> = others.map(String::as_str).collect();
        let named = others.iter().take(NAMED_MODELS).copied();
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match others.len() > NAMED_MODELS {
            true => " and others",
            false => "",
        };
        let own = match &self.model {
            Some(model) => format!("the run's ({model})"),
            None => "the run's".to_owned(),
        };
        (!others.is_empty()).then(|| {
            format!("bodies of the data name the model {named}{more}; {own} is sent in its place")
        })
    }

    /// The same with this system text where the data has none.
    #[must_use]
    pub fn system(mut self, text: Option<String>) -> Self {
        self.system = text;
        self
    }

    /// The same with these fields in every payload; they win.
    #[must_use]
    pub fn extra(mut self, fields: Option<ExtraFields>) -> Self {
        self.extra = fields.unwrap_or_default();
        self
    }

    /// The same with this output limit where the data has none.
    #[must_use]
    pub fn max_tokens(mut self, tokens: Option<u64>) -> Self {
        self.max_tokens = tokens;
        self
    }

    /// The same with a server's own switches for the length of responses.
    #[must_use]
    pub fn forced_output(mut self, forced: ForcedOutput) -> Self {
        self.forced = forced;
        self
    }

    /// The output limit where the data has none, if one is given.
    pub(super) fn own_max_tokens(&self) -> Option<u64> {
        self.max_tokens
    }

    /// The API.
    pub fn api(&self) -> ApiMode {
        self.api
    }

    /// What is given of it, as settings have it.
    pub(super) fn settings(&self) -> Payload {
        let mut settings = Payload::new();
        if let Some(system) = &self.system {
            settings.insert(Setting::System.name().into(), system.as_str().into());
        }
        if !self.extra.fields().is_empty() {
            let extra = self.extra.fields().clone();
            settings.insert(Setting::Extra.name().into(), extra.into());
        }
        if let Some(tokens) = self.max_tokens {
            settings.insert(Setting::MaxTokens.name().into(), tokens.into());
        }
        if self.forced != ForcedOutput::None {
            let name = Setting::ForceOutputLength.name();
            settings.insert(name.into(), self.forced.name().into());
        }
        settings
    }

    /// A payload of a user's message.
    ///
    /// # Errors
    /// If the API cannot take it.
    pub fn payload(
        &self,
        prompt: impl Into<Prompt>,
        output_tokens: Option<u64>,
    ) -> Result<Payload> {
        let mut prompt = prompt.into();
        if prompt.system.is_none() {
            prompt.system.clone_from(&self.system);
        }
        let tokens = output_tokens
            .or(self.max_tokens)
            .unwrap_or(DEFAULT_MAX_TOKENS);
        let mut payload = self.api.create_payload(prompt, tokens)?;
        self.complete(&mut payload, tokens)?;
        Ok(payload)
    }

    /// A payload of a conversation, which ends with a message of the user's.
    ///
    /// # Errors
    /// If there is no such message, or the API cannot take it.
    pub fn conversation(
        &self,
        system: Option<&str>,
        messages: &[Message],
        output_tokens: Option<u64>,
    ) -> Result<Payload> {
        let Some((last, history)) = messages.split_last() else {
            return Err(Error::refused("messages", "there is none"));
        };
        if last.role != Role::User {
            return Err(Error::refused("messages", "the last one is not the user's"));
        }
        let prompt = Prompt {
            system: system.map(str::to_owned),
            ..Prompt::from(last.text.as_str())
        };
        let mut payload = self.payload(prompt, output_tokens)?;
        add_history(&mut payload, self.api, history)
            .map_err(|reason| Error::refused("messages", reason))?;
        Ok(payload)
    }

    /// Adds what every request says.
    ///
    /// # Errors
    /// If the payload cannot take it.
    pub(super) fn complete(&self, payload: &mut Payload, output_tokens: u64) -> Result<()> {
        self.forced.add_to(payload, self.api, output_tokens)?;
        self.extra.add_to(payload)
    }

    /// Adds to a payload that the data has as it is to be sent what every request says.
    ///
    /// # Errors
    /// If the payload cannot take it.
    pub(super) fn complete_body(&self, payload: &mut Payload) -> Result<()> {
        match output_limit(payload) {
            Some(tokens) => self.complete(payload, tokens),
            None => self.extra.add_to(payload),
        }
    }

    /// Makes sure that the API sends the fields as they are given.
    ///
    /// # Errors
    /// The field that the API sets itself.
    pub fn check(&self) -> Result<()> {
        let payload = self.payload("Hello", None)?;
        let Ok(sent) = self.api.prepared(payload, Some("the model")) else {
            // Why it cannot be sent is said when it is prepared.
            return Ok(());
        };
        match self.extra.overruled_in(&sent) {
            None => Ok(()),
            Some(field) => {
                let expected = format!(
                    "a field that endpoint {} leaves to the payload",
                    self.api.name
                );
                Err(Error::invalid(Setting::Extra, field, expected))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_has_limit_system_text_and_fields() {
        let extra = ExtraFields::from_assignments(["temperature=0"]).unwrap();
        let form = RequestForm::new(ApiMode::named("anthropic-messages").unwrap())
            .system(Some("Be brief.".to_owned()))
            .extra(Some(extra))
            .max_tokens(Some(9));
        form.check().unwrap();
        let payload = form.payload("Hello", None).unwrap();
        assert_eq!(payload["max_tokens"], 9);
        assert_eq!(payload["temperature"], 0);
        assert_eq!(payload["system"], json!("Be brief."));
        let own = Prompt::from("Hello").system("Be long.");
        let payload = form.payload(own, Some(3)).unwrap();
        assert_eq!(
            (&payload["max_tokens"], &payload["system"]),
            (&json!(3), &json!("Be long."))
        );
    }

    #[test]
    fn a_field_that_the_api_sets_is_refused() {
        let extra = ExtraFields::from_assignments(["stream=false"]).unwrap();
        let form = RequestForm::new(ApiMode::default()).extra(Some(extra));
        let error = form.check().unwrap_err().to_string();
        assert!(
            error.starts_with("extra stream: expected a field that"),
            "{error}"
        );
    }
}
