//! Requests that can be sent for a short time only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmeter::callback::{Hook, HookResult};
use llmeter::endpoint::{
    ApiEndpoint, EndpointError, FrameDecoder, HttpApi, HttpRequest, Identity, SavedObject,
    Transport, async_trait,
};
use llmeter::payload::Payload;
use llmeter::wire::Server;
use llmeter::wire::clock::{self, Stamp};
use llmeter::{Callback, Endpoint, Load, OpenAiChat, RunConfig};
use serde_json::Value;

use super::assert_streamed;
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, run, write};

/// How long a request can be sent; it is made anew after half of that.
const LIFETIME: Duration = Duration::from_millis(200);
/// How long the server has the next request wait.
const LONG: Duration = Duration::from_millis(400);

/// The chat API with requests that say when they were made, and soon are too old.
struct Ageing(ApiEndpoint);

impl Ageing {
    fn chat(&self) -> &dyn HttpApi {
        match self.0.transport() {
            Transport::Http(api) => api,
            Transport::Invoke(_) => unreachable!(),
        }
    }
}

impl Endpoint for Ageing {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }
    fn is_streaming(&self) -> bool {
        true
    }
    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        self.0.prepare_payload(payload)
    }
    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        self.0.prompt_text(payload)
    }
    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }
    fn saved(&self) -> SavedObject {
        self.0.saved()
    }
}

impl HttpApi for Ageing {
    fn server(&self) -> &Server {
        self.chat().server()
    }
    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        let mut payload = payload.clone();
        payload.insert("made".into(), clock::now().0.into());
        self.chat().request(&payload)
    }
    fn request_lifetime(&self) -> Option<Duration> {
        Some(LIFETIME)
    }
    fn decoder(&self) -> Box<dyn FrameDecoder> {
        self.chat().decoder()
    }
}

fn config(server: &Scripted) -> RunConfig {
    let mut config = server.config();
    let chat = OpenAiChat::builder(&server.base_url, "m").build().unwrap();
    config.endpoint = Arc::new(Ageing(chat));
    config
}

/// What the server got.
fn bodies(server: &Scripted) -> Vec<Value> {
    let requests = server.bodies();
    let bodies = requests.iter();
    bodies
        .map(|body| serde_json::from_str(body).unwrap())
        .collect()
}

/// Asserts that a request was made no longer than half its life before it could be sent.
#[track_caller]
fn assert_fresh(body: &Value, sendable: Stamp) {
    let made = Stamp(body["made"].as_i64().unwrap());
    let age = sendable.seconds_since(made);
    assert!(age < LIFETIME.as_secs_f64() / 2.0, "{age} s old");
}

/// Gives each request a number.
#[derive(Default)]
struct Numbering(AtomicUsize);

#[async_trait]
impl Callback for Numbering {
    fn hooks(&self) -> &'static [Hook] {
        &[Hook::BeforeInvoke]
    }
    async fn change_payload(&self, payload: &mut Payload) -> HookResult {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        payload.insert("number".into(), number.into());
        Ok(())
    }
}

#[test]
fn a_request_that_waited_for_a_long_answer_is_made_anew() {
    let answer = chunked(&whole_stream(&["all"]));
    let long = vec![Step::Pause(LONG), write(answer.clone())];
    let server = Scripted::start(vec![long.clone(), long, vec![write(answer)]]);
    let mut config = config(&server).load(Load::Requests(3));
    config.callbacks = vec![Arc::new(Numbering::default())];
    let result = run(config);
    for response in &result.responses {
        assert_eq!(response.error, None);
    }
    let bodies = bodies(&server);
    let writes = server.writes();
    assert_fresh(&bodies[1], writes[0].0);
    assert_fresh(&bodies[2], writes[1].0);
    // Callbacks saw each request once.
    let numbers: Vec<_> = bodies.iter().map(|body| body["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
}

#[test]
fn a_request_that_waited_to_be_sent_again_is_made_anew() {
    let refusal = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0.4\r\nContent-Length: 0\r\n\r\n";
    let answer = chunked(&whole_stream(&["all"]));
    let server = Scripted::start(vec![vec![write(refusal)], vec![write(answer)]]);
    let mut config = config(&server);
    config.max_retries = 1;
    let result = run(config);
    assert_streamed(&result.responses[0], &["all"]);
    assert_eq!(result.responses[0].retries, Some(1));
    let refused = server.writes()[0].0;
    assert_fresh(&bodies(&server)[1], refused.after(LONG));
}
