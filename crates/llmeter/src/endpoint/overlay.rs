//! Other settings over a saved endpoint, for a run that is repeated with changes.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::saved::{HEADERS, UNSAVED_QUERY};
use super::{EndpointSettings, SavedObject};
use crate::api::ApiMode;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

impl SavedObject {
    /// Lays the settings that are given over a saved endpoint; `api` replaces its API. Keys and
    /// credentials are left out.
    ///
    /// An address that belongs to another provider or region goes, and another API, which has
    /// another key, is not reached at the address of this one: a key must not go to an address that
    /// it was not given for.
    ///
    /// # Errors
    /// When the saved endpoint's class is not known here, another API needs an address of its own,
    /// or a setting has no meaning for the API.
    pub fn apply_overrides(
        &mut self,
        api: Option<&ApiMode>,
        given: &EndpointSettings,
    ) -> Result<()> {
        if let Some(api) = api
            && given.base_url.is_none()
        {
            let old = ApiMode::of_saved(self)?;
            if old.key_variable() != api.key_variable() {
                let expected = format!("an API with the key and the address of {}", old.name);
                let error = Error::invalid(Setting::Endpoint, api.name, expected);
                return Err(error.with_hint("give the address of this API with `base_url`"));
            }
        }
        if given.base_url.is_some() {
            self.state.remove(UNSAVED_QUERY);
        }
        for field in self.fields_elsewhere(given) {
            self.state.remove(*field);
        }
        self.replace([
            ("base_url", &given.base_url),
            ("model_id", &given.model),
            ("region", &given.region),
            ("provider", &given.provider),
        ]);
        if !given.headers.is_empty() {
            let mut headers = match self.state.remove(HEADERS) {
                Some(Value::Object(headers)) => headers,
                _ => Map::new(),
            };
            for (name, value) in &given.headers {
                headers.insert(name.clone(), value.expose_secret().into());
            }
            self.state.insert(HEADERS.to_owned(), headers.into());
        }
        if let Some(api) = api {
            api.class.clone_into(&mut self.class);
            self.state.remove("endpoint_type");
        }
        self.apply_format_overrides(given)
    }

    /// The fields that do not hold at the provider or in the region that is given.
    fn fields_elsewhere(&self, given: &EndpointSettings) -> &'static [&'static str] {
        let Some(api) = ApiMode::of_saved(self).ok().filter(ApiMode::has_providers) else {
            return &[];
        };
        let text = |name: &str| self.state.get(name).and_then(Value::as_str);
        let provider = text("provider");
        if given.provider.is_some()
            && given.provider.as_deref() != provider
            && given.base_url.is_none()
        {
            return &["base_url", "region", "aws_region", "project_id"];
        }
        let usual = text("region").or(text("aws_region"));
        let usual = usual.and_then(|region| api.address_at(provider, region));
        let is_of_region = usual.zip(text("base_url")).is_some_and(|(usual, address)| {
            usual.trim_end_matches('/') == address.trim_end_matches('/')
        });
        match given.region.is_some() && is_of_region {
            true => &["base_url"],
            false => &[],
        }
    }

    /// Lays what is said of the API's shape over the endpoint, which only some APIs leave to users.
    fn apply_format_overrides(&mut self, given: &EndpointSettings) -> Result<()> {
        let shape = [
            ("body", Setting::Body, &given.body),
            ("method", Setting::Method, &given.method),
            ("framing", Setting::Framing, &given.framing),
        ];
        let first = shape.iter().find(|(_, _, value)| value.is_some());
        if first.is_none() && given.jmespath.is_empty() {
            return Ok(());
        }
        let fields = ApiMode::of_saved(self)?.api.saved_fields(true);
        if !fields.iter().any(|(field, _)| *field == "jmespath") {
            let setting = first.map_or(Setting::Jmespath, |(_, setting, _)| *setting);
            return Err(Error::not_applicable(setting, Setting::Endpoint, "http"));
        }
        self.replace(shape.map(|(field, _, value)| (field, value)));
        if let Some(Value::Object(places)) = self.state.get_mut("jmespath") {
            for (part, path) in &given.jmespath {
                places.insert(part.clone(), path.as_str().into());
            }
        }
        Ok(())
    }

    /// Sets the fields that are given.
    fn replace<const N: usize>(&mut self, fields: [(&str, &Option<String>); N]) {
        for (field, value) in fields {
            if let Some(value) = value {
                self.state.insert(field.to_owned(), value.as_str().into());
            }
        }
    }
}
