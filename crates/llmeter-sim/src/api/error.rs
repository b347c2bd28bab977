//! What is wrong with a request, before an API words it.

use serde_json::Value;

use crate::http::Reject;

/// Why a request is refused, in the terms that APIs share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// What the API calls it; `None`: what it calls most errors of this status.
    pub(crate) kind: Option<&'static str>,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
}

/// An error as an API words it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            headers: Vec::new(),
        }
    }
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: None,
            param: None,
            code: None,
        }
    }

    pub(super) fn kind(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }

    pub(super) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// A parameter that must be there is not.
    pub(super) fn missing(param: &str) -> Self {
        Self::new(400, format!("Missing required parameter: '{param}'."))
            .param(param)
            .code("missing_required_parameter")
    }

    /// A parameter is of the wrong type.
    pub(super) fn wrong_type(param: &str, expected: &str, got: &Value) -> Self {
        let got = match got {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_f64() => "a decimal number",
            Value::Number(_) => "an integer",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let message =
            format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Self::new(400, message).param(param).code("invalid_type")
    }

    /// A parameter has a value that is not accepted.
    pub(crate) fn wrong_value(param: &str, reason: &str) -> Self {
        Self::new(400, format!("Invalid value for '{param}': {reason}"))
            .param(param)
            .code("invalid_value")
    }

    /// A key is asked for and none, or another, was given.
    pub(crate) fn unauthorized(given: Option<&str>) -> Self {
        let Some(key) = given else {
            return Self::new(
                401,
                "You didn't provide an API key. You need to provide your API key in an \
                 Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or \
                 as the password field (with blank username) if you're accessing the API from \
                 your browser and are prompted for a username and password.",
            );
        };
        let characters: Vec<char> = key.chars().collect();
        let shown: String = if characters.len() > 16 {
            let (head, tail) = (&characters[..8], &characters[characters.len() - 4..]);
            let stars = "*".repeat(characters.len() - 12);
            head.iter().collect::<String>() + &stars + &tail.iter().collect::<String>()
        } else {
            "*".repeat(characters.len())
        };
        let message = format!(
            "Incorrect API key provided: {shown}. You can find your API key at \
             https://platform.openai.com/account/api-keys."
        );
        Self::new(401, message).code("invalid_api_key")
    }

    pub(crate) fn unknown_path(method: &str, path: &str) -> Self {
        Self::new(404, format!("Invalid URL ({method} {path})"))
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        Self::new(404, format!("The model '{model}' does not exist"))
            .param("model")
            .code("model_not_found")
    }

    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        let message = format!(
            "Not allowed to {method} on {path}. (HINT: Perhaps you meant to make your HTTP \
             request using a different method?)"
        );
        Self::new(405, message).code("method_not_supported")
    }

    /// The simulated breakdown.
    pub(crate) fn server_error() -> Self {
        let message = "The server had an error while processing your request. Sorry about that!";
        Self::new(500, message)
    }
}

impl From<Reject> for ApiError {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::Malformed(reason) => Self::new(400, format!("Bad request: {reason}")),
            Reject::HeadTooLarge => Self::new(431, "Request header fields too large"),
            Reject::BodyTooLarge => {
                let limit = crate::http::MAX_BODY;
                Self::new(
                    413,
                    format!("Maximum content size limit ({limit} bytes) exceeded"),
                )
            }
            Reject::Expectation => Self::new(417, "Only '100-continue' can be expected"),
            Reject::TransferEncoding => {
                Self::new(501, "The only supported transfer encoding is 'chunked'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_masked() {
        let message = ApiError::unauthorized(Some("sk-1234567890abcdefghij")).message;
        assert!(message.contains(": sk-12345***********ghij."), "{message}");
        let message = ApiError::unauthorized(Some("short")).message;
        assert!(message.contains(": *****."), "{message}");
    }
}
