//! Errors in the API's shape and, where it matters, its words.

use serde_json::json;

use crate::http::Reject;

/// An answer that says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) kind: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
    /// The type of the error in AWS's form, if that is the form to use.
    pub(crate) aws_type: Option<&'static str>,
}

impl ApiError {
    pub(crate) fn invalid(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind: "invalid_request_error",
            param: None,
            code: None,
            aws_type: None,
        }
    }

    pub(crate) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// A parameter that must be there is not.
    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(400, format!("Missing required parameter: '{param}'."))
            .param(param)
            .code("missing_required_parameter")
    }

    /// A parameter is of the wrong type.
    pub(crate) fn wrong_type(param: &str, expected: &str, got: &serde_json::Value) -> Self {
        let got = match got {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "a boolean",
            serde_json::Value::Number(number) if number.is_f64() => "a decimal number",
            serde_json::Value::Number(_) => "an integer",
            serde_json::Value::String(_) => "a string",
            serde_json::Value::Array(_) => "an array",
            serde_json::Value::Object(_) => "an object",
        };
        Self::invalid(
            400,
            format!("Invalid type for '{param}': expected {expected}, but got {got} instead."),
        )
        .param(param)
        .code("invalid_type")
    }

    /// A parameter has a value that is not accepted.
    pub(crate) fn wrong_value(param: &str, reason: &str) -> Self {
        Self::invalid(400, format!("Invalid value for '{param}': {reason}"))
            .param(param)
            .code("invalid_value")
    }

    /// The body is not JSON.
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self::invalid(
            400,
            format!(
                "We could not parse the JSON body of your request. (HINT: This likely means you \
                 aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, \
                 but what was sent was not valid JSON: {error}.)"
            ),
        )
    }

    /// A key is asked for and none, or another, was given.
    pub(crate) fn unauthorized(given: Option<&str>) -> Self {
        let Some(key) = given else {
            return Self::invalid(
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
        Self::invalid(
            401,
            format!(
                "Incorrect API key provided: {shown}. You can find your API key at \
                 https://platform.openai.com/account/api-keys."
            ),
        )
        .code("invalid_api_key")
    }

    pub(crate) fn unknown_path(method: &str, path: &str) -> Self {
        Self::invalid(404, format!("Invalid URL ({method} {path})"))
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        Self::invalid(404, format!("The model '{model}' does not exist"))
            .param("model")
            .code("model_not_found")
    }

    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        Self::invalid(
            405,
            format!(
                "Not allowed to {method} on {path}. (HINT: Perhaps you meant to make your HTTP \
                 request using a different method?)"
            ),
        )
        .code("method_not_supported")
    }

    /// The simulated breakdown.
    pub(crate) fn server_error() -> Self {
        Self {
            kind: "server_error",
            ..Self::invalid(
                500,
                "The server had an error while processing your request. Sorry about that!",
            )
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        if self.aws_type.is_some() {
            return json!({"message": self.message}).to_string().into_bytes();
        }
        json!({
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        })
        .to_string()
        .into_bytes()
    }
}

impl From<Reject> for ApiError {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::Malformed(reason) => Self::invalid(400, format!("Bad request: {reason}")),
            Reject::HeadTooLarge => Self::invalid(431, "Request header fields too large"),
            Reject::BodyTooLarge => Self::invalid(
                413,
                format!(
                    "Maximum content size limit ({} bytes) exceeded",
                    crate::http::MAX_BODY
                ),
            ),
            Reject::Expectation => Self::invalid(417, "Only '100-continue' can be expected"),
            Reject::TransferEncoding => {
                Self::invalid(501, "The only supported transfer encoding is 'chunked'")
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

    #[test]
    fn the_shape_has_all_four_fields() {
        let body: serde_json::Value =
            serde_json::from_slice(&ApiError::missing("model").body()).unwrap();
        assert_eq!(
            body,
            json!({"error": {
                "message": "Missing required parameter: 'model'.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "missing_required_parameter",
            }})
        );
    }
}
