//! The APIs of Amazon Web Services as data: Bedrock's Converse and InvokeModel, SageMaker's
//! InvokeEndpoint.
//!
//! Belongs here: what requests, answers, messages of event streams, errors and signatures look
//! like. Does not belong here: when anything is sent.

mod event_stream;
mod frame;
mod request;
mod signature;
mod whole;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::openai::ApiError;

pub(crate) use frame::{EventWriter, frame};
pub(crate) use request::parse;
pub(crate) use signature::verify;
pub(crate) use whole::whole;

/// What a request to AWS wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Converse { stream: bool },
    Invoke { stream: bool },
    SageMaker { stream: bool },
}

impl Operation {
    /// The operation that a path names, and the model or endpoint within it, still escaped.
    pub(crate) fn of(path: &str) -> Option<(Self, &str)> {
        if let Some(rest) = path.strip_prefix("/model/") {
            let (model, operation) = rest.rsplit_once('/')?;
            let operation = match operation {
                "converse" => Self::Converse { stream: false },
                "converse-stream" => Self::Converse { stream: true },
                "invoke" => Self::Invoke { stream: false },
                "invoke-with-response-stream" => Self::Invoke { stream: true },
                _ => return None,
            };
            return Some((operation, model));
        }
        let (name, operation) = path.strip_prefix("/endpoints/")?.rsplit_once('/')?;
        let stream = match operation {
            "invocations" => false,
            "invocations-response-stream" => true,
            _ => return None,
        };
        Some((Self::SageMaker { stream }, name))
    }

    pub(crate) fn is_stream(self) -> bool {
        let (Self::Converse { stream } | Self::Invoke { stream } | Self::SageMaker { stream }) =
            self;
        stream
    }

    /// The service's name in signatures.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::SageMaker { .. } => "sagemaker",
            _ => "bedrock",
        }
    }
}

const JSON: &str = "application/json";

/// Appends a chunk of an InvokeModel stream.
pub(crate) fn chunk(out: &mut Vec<u8>, value: &Value) {
    let bytes = STANDARD.encode(value.to_string());
    // Bedrock pads its events with `p`, so that their length tells nothing.
    let payload = json!({"bytes": bytes, "p": "abcdefgh"}).to_string();
    event_stream::event(out, "chunk", JSON, payload.as_bytes());
}

/// An error in AWS's form.
pub(crate) fn error(status: u16, kind: &'static str, message: impl Into<String>) -> ApiError {
    ApiError {
        aws_type: Some(kind),
        ..ApiError::invalid(status, message)
    }
}

/// The message that ends a stream which fails.
pub(crate) fn stream_error(error: &ApiError) -> Vec<u8> {
    let mut out = Vec::new();
    event_stream::exception(
        &mut out,
        "modelStreamErrorException",
        &translated(error.clone()).body(),
    );
    out
}

/// An error that was made for another API, in AWS's form.
pub(crate) fn translated(error: ApiError) -> ApiError {
    let kind = match error.status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        429 => "ThrottlingException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    };
    ApiError {
        aws_type: error.aws_type.or(Some(kind)),
        ..error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_operations() {
        let converse = Operation::Converse { stream: true };
        assert_eq!(
            Operation::of("/model/a%2Fb/converse-stream"),
            Some((converse, "a%2Fb"))
        );
        let invoke = Operation::SageMaker { stream: false };
        assert_eq!(
            Operation::of("/endpoints/e/invocations"),
            Some((invoke, "e"))
        );
        assert_eq!(Operation::of("/model/a/other"), None);
        assert_eq!(Operation::of("/models/a"), None);
    }
}
