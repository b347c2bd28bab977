//! Endpoints as they are saved, and back: one form for all APIs, whose fields are the API's.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::access::pairs;
use super::{ApiEndpoint, Endpoint, EndpointBuilder, SavedObject, registry};
use crate::api::ApiMode;
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingProblem};

/// The fields of saved endpoints that are no setting of the API's own.
const SHARED: [&str; 9] = [
    "model_id",
    "endpoint_name",
    "provider",
    "base_url",
    "region",
    "aws_region",
    "project",
    "project_id",
    "max_retries",
];

/// Whether a field of a saved endpoint is no setting of the API's own.
pub(super) fn is_shared(name: &str) -> bool {
    SHARED.contains(&name)
}

/// The names of what users add to each request.
pub(super) const HEADERS: &str = "default_headers";
const QUERY: &str = "default_query";
/// The names of those that may be secrets: what a repeated run must be given again.
const UNSAVED_HEADERS: &str = "unsaved_headers";
pub(super) const UNSAVED_QUERY: &str = "unsaved_query";

impl SavedObject {
    /// The class of a saved endpoint without its module, in the present form or the one before 0.2.0.
    pub(crate) fn endpoint_class(&self) -> &str {
        match self.state.get("endpoint_type").and_then(Value::as_str) {
            Some(class) if self.class.is_empty() => class,
            _ => self.name(),
        }
    }

    /// A text; null is none.
    ///
    /// # Errors
    /// If it is anything else.
    fn text(&self, name: &'static str) -> Result<Option<&str>> {
        match self.state.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::field(name, other, "a text")),
        }
    }
}

impl SavedObject {
    /// Makes sure that nothing is missing of what was not saved, since it may have been a secret.
    ///
    /// # Errors
    /// The setting that has to be given again.
    pub(crate) fn check_additions(&self) -> Result<()> {
        let missing = |unsaved: &str, kept: &str| {
            let given = pairs(&self.state, kept);
            let names = self.state.get(unsaved).and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            let is_given = |name: &str| {
                given
                    .iter()
                    .any(|(known, _)| known.eq_ignore_ascii_case(name))
            };
            names
                .filter(|name| !is_given(name))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let refuse = |setting, names: &[String], hint: String| {
            let (names, verb) = (
                names.join(", "),
                if names.len() == 1 { "was" } else { "were" },
            );
            let reason = format!(
                "{names} {verb} sent in the saved run, with a value that is not saved because it may \
                 be a secret"
            );
            Err(Error::Invalid {
                setting,
                problem: SettingProblem::Refused { reason },
                hint: Some(hint),
            })
        };
        let headers = missing(UNSAVED_HEADERS, HEADERS);
        if !headers.is_empty() {
            let lines = headers.iter().map(|name| format!("`header` '{name}: …'"));
            let hint = format!("give it again: {}", lines.collect::<Vec<_>>().join(" "));
            return refuse(Setting::Header, &headers, hint);
        }
        let query = missing(UNSAVED_QUERY, QUERY);
        if !query.is_empty() {
            let hint = "give `base_url` again, with its query".to_owned();
            return refuse(Setting::BaseUrl, &query, hint);
        }
        Ok(())
    }
}

impl ApiEndpoint {
    /// What the user added to requests and `run_config.json` has no place for.
    pub(super) fn additions_apart(&self) -> Map<String, Value> {
        let access = self.route.access();
        let fields = self.api.saved_fields(self.setup.streaming);
        let has_place = fields.iter().any(|(name, _)| *name == "base_url");
        let mut state = Map::new();
        let additions = [
            (HEADERS, access.saved_headers()),
            (QUERY, access.saved_query()),
        ];
        for (name, values) in additions {
            if !has_place && !values.is_empty() {
                state.insert(name.to_owned(), values.into());
            }
        }
        let unsaved = [
            (UNSAVED_HEADERS, access.unsaved_headers()),
            (UNSAVED_QUERY, access.unsaved_query()),
        ];
        for (name, names) in unsaved {
            if !names.is_empty() {
                state.insert(name.to_owned(), names.into());
            }
        }
        state
    }

    pub(super) fn to_saved(&self) -> SavedObject {
        let (spec, setup) = (self.api.spec(), &self.setup);
        let fields = self.api.saved_fields(setup.streaming);
        let has = |name: &str| fields.iter().any(|(field, _)| *field == name);
        let mut state = Map::new();
        for (name, _) in &fields {
            let value = match *name {
                "model_id" => json!(setup.identity.model_id),
                "endpoint_name" => json!(setup.identity.endpoint_name),
                "provider" => json!(setup.identity.provider),
                "base_url" => match setup.own_text("base_url") {
                    Some(given) => json!(given),
                    None if spec.base_url.is_some() => json!(self.base_url().trim_end_matches('/')),
                    // Where the Python system's client takes the address to pieces, it ends in a
                    // slash.
                    None => json!(self.base_url()),
                },
                "aws_region" if has("region") => Value::Null,
                "region" | "aws_region" => json!(setup.region),
                "project" | "project_id" => json!(setup.project),
                "max_retries" => json!(0),
                name => setup.own.get(name).cloned().unwrap_or_default(),
            };
            state.insert((*name).to_owned(), value);
        }
        let access = self.route.access();
        let additions = [
            (HEADERS, access.saved_headers()),
            (QUERY, access.saved_query()),
        ];
        for (name, values) in additions {
            // Where there is no place for an address, there is none for these: they are kept apart.
            if has("base_url") && !values.is_empty() {
                state.insert(name.to_owned(), Value::Object(values));
            }
        }
        SavedObject {
            class: format!("{}.{}", spec.module, self.class),
            state,
        }
    }

    /// Rebuilds an endpoint of an API from `run_config.json`, in its present form or the one before
    /// 0.2.0 of the Python system. No file holds an API key; it is read from the environment variable
    /// `api_key_env`, by default the API's default. A key that is not there is no error, nor are
    /// settings that have no meaning here.
    ///
    /// Nothing is sent by this. A run sends secrets to the address that is saved only if it is the
    /// API's own or one that is trusted: [`RunConfig::trust`](crate::RunConfig::trust).
    ///
    /// # Errors
    /// If the class is not known here, or a setting is missing or cannot be used.
    pub fn from_saved(saved: &SavedObject, api_key_env: Option<&str>) -> Result<Self> {
        let mode = ApiMode::of_saved(saved)?;
        let mut builder = Self::builder_from_saved(saved)?.address_from_file();
        let default = mode.key_variable_at(saved.text("provider")?);
        if let Some(variable) = api_key_env.or(default)
            && let Ok(key) = std::env::var(variable)
        {
            builder = builder.api_key(key).api_key_name(variable);
        }
        builder.build()
    }

    /// The settings of a saved endpoint, to be completed by what no file holds. Its address is taken for the
    /// program's own: see [`EndpointBuilder::address_from_file`].
    ///
    /// # Errors
    /// If the class is not known here, or a setting is missing or cannot be used.
    pub fn builder_from_saved(saved: &SavedObject) -> Result<EndpointBuilder> {
        let mode = ApiMode::of_saved(saved)?;
        let spec = mode.api.spec();
        let provider = match saved.state.get("provider").and_then(Value::as_str) {
            None => mode.api,
            Some(provider) => mode.api.at_provider(provider)?.unwrap_or(mode.api),
        };
        let streaming = mode.streaming.unwrap_or(true);
        let fields = provider.saved_fields(streaming);
        let name = saved.text("endpoint_name")?;
        // What is called as its model may lack the model's name.
        let other_name = name.filter(|_| spec.endpoint_name.is_empty());
        let model_id = saved
            .text("model_id")?
            .or(other_name)
            .or(spec.default_model);
        let missing = || Error::missing_field("model_id");
        let base_url = saved.text("base_url")?.or(spec.saved_base_url);
        let mut builder = EndpointBuilder::new(
            mode.api,
            base_url.unwrap_or_default(),
            model_id.ok_or_else(missing)?,
        )
        .streaming(streaming);
        if let Some(name) = name {
            builder = builder.endpoint_name(name);
        }
        if let Some(provider) = saved.text("provider")?
            && fields.iter().any(|(field, _)| *field == "provider")
        {
            builder = builder.provider(provider);
        }
        // The Python system has a name of its own for AWS's regions.
        if let Some(region) = saved.text("region")?.or(saved.text("aws_region")?) {
            builder = builder.region(region);
        }
        if let Some(project) = saved.text("project")?.or(saved.text("project_id")?) {
            builder = builder.project(project);
        }
        for (name, _) in fields.into_iter().filter(|(name, _)| !is_shared(name)) {
            if let Some(value) = saved.state.get(name).filter(|value| !value.is_null()) {
                builder = builder.set(name, value.clone());
            }
        }
        for (name, value) in pairs(&saved.state, HEADERS) {
            builder = builder.header(name, value);
        }
        for (name, value) in pairs(&saved.state, QUERY) {
            builder = builder.query(name, value);
        }
        Ok(builder)
    }
}

/// Rebuilds an endpoint from a file: one of an API ([`ApiEndpoint::from_saved`]) or of a type that
/// was [registered](super::register).
///
/// # Errors
/// If the class is not known here, or a setting is missing or cannot be used.
pub fn from_saved(saved: &SavedObject, api_key_env: Option<&str>) -> Result<Arc<dyn Endpoint>> {
    if let Some(built) = registry::build(saved) {
        return built;
    }
    Ok(Arc::new(ApiEndpoint::from_saved(saved, api_key_env)?))
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use super::*;
    use crate::endpoint::{AwsOptions, BedrockConverse};

    #[test]
    fn headers_without_a_place_are_kept_apart_and_secret_ones_by_name() {
        let keys =
            AwsOptions::new()
                .region("us-east-1")
                .access_keys("AKIDEXAMPLE", "made-up", None);
        let endpoint = BedrockConverse::builder("m")
            .aws(keys)
            .header("Accept-Language", "de")
            .header("X-Team", "blue")
            .build()
            .unwrap();
        let apart = endpoint.extra_state();
        assert_eq!(
            Value::Object(apart.clone()),
            json!({"default_headers": {"Accept-Language": "de"}, "unsaved_headers": ["X-Team"]})
        );
        let mut saved = endpoint.saved();
        saved.state.extend(apart);
        let error = saved.check_additions().unwrap_err();
        assert!(
            error.to_string().starts_with("header: X-Team was sent"),
            "{error}"
        );
        let headers = saved.state.get_mut("default_headers").unwrap();
        headers["x-team"] = json!("red");
        saved.check_additions().unwrap();
    }
}
