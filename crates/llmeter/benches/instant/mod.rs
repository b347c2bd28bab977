//! An endpoint in this process that answers with a fixed number of tokens.

use std::sync::Arc;
use std::time::Duration;

use llmeter::endpoint::{Identity, Invoke, ResponseBuilder, SavedObject, Transport, async_trait};
use llmeter::payload::Payload;
use llmeter::{Endpoint, Failure};

/// Answers after `latency`, at once if that is none, with so many tokens.
pub(crate) struct Instant {
    identity: Identity,
    latency: Option<Duration>,
    tokens: usize,
}

impl Instant {
    pub(crate) fn new(latency: Option<Duration>, tokens: usize) -> Arc<Self> {
        Arc::new(Self {
            identity: Identity {
                model_id: "instant".to_owned(),
                endpoint_name: "in process".to_owned(),
                provider: "bench".to_owned(),
            },
            latency,
            tokens,
        })
    }
}

impl Endpoint for Instant {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        true
    }

    fn transport(&self) -> Transport<'_> {
        Transport::Invoke(self)
    }

    fn saved(&self) -> SavedObject {
        SavedObject {
            class: "bench.Instant".to_owned(),
            state: Payload::new(),
        }
    }
}

#[async_trait]
impl Invoke for Instant {
    async fn invoke(&self, _: &Payload, answer: &mut ResponseBuilder) -> Result<(), Failure> {
        answer.sent();
        if let Some(latency) = self.latency {
            tokio::time::sleep(latency).await;
        }
        for _ in 0..self.tokens {
            answer.text("token ");
        }
        answer.complete();
        Ok(())
    }
}
