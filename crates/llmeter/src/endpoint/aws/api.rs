//! What the HTTP side of AWS's APIs has in common.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::{AwsAccess, with_base64};
use crate::base::error::Result;
use crate::endpoint::{EndpointError, FrameDecoder, Framing, HttpApi, HttpRequest};
use crate::payload::Payload;
use llmeter_wire::Server;
use llmeter_wire::clock::Stamp;

/// An API of AWS: what is its own.
pub(crate) trait AwsApi: Send + Sync {
    /// The way there.
    fn aws(&self) -> &AwsAccess;

    /// The path of a request below the base URL.
    fn path(&self) -> &str;

    /// What the answer is asked to be.
    fn accept(&self) -> &'static str {
        "application/json"
    }

    /// What of a prepared payload is not sent.
    fn without(&self) -> Option<&'static str> {
        None
    }

    /// A fresh decoder for one answer.
    fn frame_decoder(&self) -> Box<dyn FrameDecoder>;
}

impl<A: AwsApi> HttpApi for A {
    fn server(&self) -> &Server {
        self.aws().server()
    }

    fn check(&self) -> Result<()> {
        self.aws().check()
    }

    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        let mut body = payload.clone();
        if let Some(name) = self.without() {
            body.shift_remove(name);
        }
        let body = with_base64(&Value::Object(body)).to_string().into_bytes();
        self.aws().request(self.path(), self.accept(), &[], body)
    }

    fn request_lifetime(&self) -> Option<Duration> {
        self.aws().request_lifetime()
    }

    fn is_fresh(&self, made: Stamp) -> bool {
        self.aws().is_fresh(made)
    }

    fn framing(&self) -> Framing {
        Framing::EventStream
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        self.frame_decoder()
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.aws().redact(text)
    }
}
