//! What is said of an API as data: its names, and where things are in its payloads.

use super::SupportedInputs;
#[cfg(feature = "aws")]
use super::aws::Service;
use llmeter_wire::framing::Framing;

/// Names of an API, its default address, and where things are in its payloads.
#[derive(Debug)]
pub struct ApiSpec {
    /// The API's name, for people.
    pub about: &'static str,
    /// Streaming, non-streaming, or both, in the order in which users see them.
    pub modes: &'static [Mode],
    /// The module by which files name its classes.
    pub module: &'static str,
    /// What an endpoint is called if the user does not say; empty if it is called as its model.
    pub endpoint_name: &'static str,
    /// Who runs it by default.
    pub provider: &'static str,
    /// The default environment variable of its key; `None` if it takes no key.
    pub key_variable: Option<&'static str>,
    /// The environment variables in which users name its server to programs that send secrets there: a
    /// file may send them to the same one.
    pub address_variables: &'static [&'static str],
    /// Headers of its own, in lower case, whose values are no secret and are saved.
    pub plain_headers: &'static [&'static str],
    /// Its default address.
    pub base_url: Option<&'static str>,
    /// Where a saved endpoint is that names no address.
    pub saved_base_url: Option<&'static str>,
    /// A base URL, as messages and tests write it.
    pub example_base_url: &'static str,
    /// Settings of an API whose shape is not known with which it speaks to llmeter's simulator: names
    /// of [`EndpointSettings`](crate::endpoint::EndpointSettings) or of response parts.
    pub example_settings: &'static [(&'static str, &'static str)],
    /// The paths that are added to the base URL and that users may give as well; the longest first.
    pub appended: &'static [&'static str],
    /// The model if none is given; `None` if there must be one.
    pub default_model: Option<&'static str>,
    /// The providers among which there is a choice, with the variables of their keys.
    pub providers: &'static [(&'static str, &'static str)],
    /// The parts of a response whose place users can say in JMESPath, each with the field of the
    /// saved endpoint that has the expression, or `jmespath` for the object of all of them.
    pub response_parts: &'static [(&'static str, &'static str)],
    /// What it takes of a prompt.
    pub inputs: SupportedInputs,
    /// Whether payloads may hold raw bytes, which [`Api::body`](super::Api::body) then writes in the
    /// API's way.
    pub takes_bytes: bool,
    /// The path of every request below the base URL, if it depends on nothing.
    pub path: &'static str,
    /// How a streaming response is cut into frames.
    pub framing: Framing,
    /// The service of AWS for which requests are signed.
    #[cfg(feature = "aws")]
    pub service: Option<Service>,
    /// Where a payload has its system text.
    pub system_fields: &'static [&'static str],
    /// Where a payload has its prompt.
    pub prompt_fields: &'static [&'static str],
    /// Where a payload has the limit on generated tokens: paths of field names.
    pub limit_fields: &'static [&'static [&'static str]],
}

impl ApiSpec {
    /// What most APIs have in common, to be completed.
    pub const DEFAULT: Self = Self {
        about: "",
        modes: &[],
        module: "",
        endpoint_name: "",
        provider: "",
        key_variable: None,
        address_variables: &[],
        plain_headers: &[],
        base_url: None,
        saved_base_url: None,
        example_base_url: "http://localhost:8000",
        example_settings: &[],
        appended: &[],
        default_model: None,
        providers: &[],
        response_parts: &[],
        inputs: SupportedInputs::of_texts(""),
        takes_bytes: false,
        path: "",
        framing: Framing::Sse,
        #[cfg(feature = "aws")]
        service: None,
        system_fields: &[],
        prompt_fields: &[],
        limit_fields: &[],
    };
}

/// An API as users choose it: streaming or not.
#[derive(Debug)]
pub struct Mode {
    /// The name by which users choose it.
    pub name: &'static str,
    /// The class by which files name it, without its module.
    pub class: &'static str,
    /// What its endpoints are called if the user does not say and it is not the API's default name.
    pub endpoint_name: Option<&'static str>,
    /// Whether the response is a stream; `None` if the endpoint's settings say so.
    pub streaming: Option<bool>,
}

impl Mode {
    /// A mode with a streaming response.
    pub const fn streaming(name: &'static str, class: &'static str) -> Self {
        Self {
            name,
            class,
            endpoint_name: None,
            streaming: Some(true),
        }
    }

    /// A mode with a non-streaming response.
    pub const fn non_streaming(name: &'static str, class: &'static str) -> Self {
        Self {
            streaming: Some(false),
            ..Self::streaming(name, class)
        }
    }

    /// A mode whose endpoints' settings say whether the response is a stream.
    pub const fn either(name: &'static str, class: &'static str) -> Self {
        Self {
            streaming: None,
            ..Self::streaming(name, class)
        }
    }
}
