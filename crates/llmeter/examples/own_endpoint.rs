//! An endpoint for an API that llmeter does not know, in one file.
//!
//! The API of this example is a toy: over TCP, a client sends a prompt as one line; the server
//! sends each token as a line of its own, and an empty line at the end. A line that begins with `!`
//! is a failure. `cargo run -p llmeter --example own_endpoint` measures such a server.

use std::io;
use std::sync::Arc;

use llmeter::endpoint::{
    self, EndpointError, Identity, Invoke, ResponseBuilder, SavedObject, Transport, Usage,
    async_trait,
};
use llmeter::payload::Payload;
use llmeter::saved::Saved;
use llmeter::{Endpoint, Failure, FailureKind, Load, RunConfig, Runner, report};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The toy API at one address.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineEndpoint {
    #[serde(skip, default = "identity")]
    identity: Identity,
    address: String,
}

/// With this name, and registered in `main`, a saved run with it loads again.
impl Saved for LineEndpoint {
    const CLASS: &'static str = "own_endpoint.LineEndpoint";
}

fn identity() -> Identity {
    Identity {
        model_id: "toy".to_owned(),
        endpoint_name: "line".to_owned(),
        provider: "example".to_owned(),
    }
}

impl LineEndpoint {
    /// An endpoint at an address such as `127.0.0.1:7000`.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            identity: identity(),
            address: address.into(),
        }
    }
}

/// What llmeter asks of every endpoint.
impl Endpoint for LineEndpoint {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn is_streaming(&self) -> bool {
        true
    }

    /// Refuse here what cannot be sent: it stops the run before it begins.
    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        match payload.get("prompt") {
            Some(Value::String(prompt)) if !prompt.contains('\n') => Ok(()),
            _ => Err(EndpointError("needs a `prompt` of one line".to_owned())),
        }
    }

    /// Input tokens are counted in this text if the API does not report them.
    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        payload.get("prompt").cloned()
    }

    /// This endpoint does the work itself. One that speaks HTTP says `Transport::Http` instead, and only
    /// how to build a request and how to read a frame; llmeter then takes exact times on the wire.
    fn transport(&self) -> Transport<'_> {
        Transport::Invoke(self)
    }

    /// As `run_config.json` holds it; no secret belongs here.
    fn saved(&self) -> SavedObject {
        let state = json!({"address": self.address});
        SavedObject {
            class: Self::CLASS.to_owned(),
            state: state.as_object().cloned().unwrap_or_default(),
        }
    }
}

/// One request: send it, and report each piece of the answer as it comes.
#[async_trait]
impl Invoke for LineEndpoint {
    async fn invoke(&self, payload: &Payload, answer: &mut ResponseBuilder) -> Result<(), Failure> {
        let stream = TcpStream::connect(&self.address).await?;
        let mut stream = BufReader::new(stream);
        let prompt = payload["prompt"].as_str().unwrap_or_default();
        let request = format!("{prompt}\n");

        answer.sent(); // The clock starts.
        stream.write_all(request.as_bytes()).await?;
        let mut tokens = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(Failure::new(
                    FailureKind::Truncated,
                    "the response broke off",
                ));
            }
            match line.trim_end() {
                "" => break,
                failure if failure.starts_with('!') => {
                    return Err(Failure::new(FailureKind::ServerError, &failure[1..]));
                }
                token => answer.text(token), // Takes the time of this token.
            }
            tokens += 1;
        }
        answer.usage(Usage {
            output: Some(tokens),
            ..Usage::default()
        });
        answer.finish_reason("stop");
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    endpoint::register::<LineEndpoint>();
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || toy_server(&listener));

    let payload = json!({"prompt": "tell me something"});
    let payload = payload.as_object().cloned().unwrap_or_default();
    let config = RunConfig::new(Arc::new(LineEndpoint::new(address)), [payload])
        .clients(4)
        .load(Load::Requests(25));
    let result = Runner::new(config).run_blocking()?;
    println!("{}", report::summary(&result));
    Ok(())
}

/// Answers each prompt with its own words, one every 5 ms.
pub fn toy_server(listener: &std::net::TcpListener) {
    use std::io::{BufRead, Write};
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || -> io::Result<()> {
            let mut reader = io::BufReader::new(stream);
            let mut prompt = String::new();
            reader.read_line(&mut prompt)?;
            for word in prompt.split_whitespace() {
                std::thread::sleep(std::time::Duration::from_millis(5));
                reader.get_mut().write_all(format!("{word}\n").as_bytes())?;
            }
            reader.get_mut().write_all(b"\n")
        });
    }
}
