//! A server that answers by a script and remembers what it was asked.

use llmeter_testing::{ScriptedServer, Step};

pub(crate) use llmeter_testing::Request;

/// The server, below whose `/v1` an API is.
pub(crate) struct Scripted {
    pub(crate) url: String,
    server: ScriptedServer,
}

impl Scripted {
    /// Starts a server whose responses `script` writes.
    pub(crate) fn start(script: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self::playing(move |request| vec![Step::write(script(request))])
    }

    pub(crate) fn playing(script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let server = ScriptedServer::respond(script).start().unwrap();
        let url = format!("http://{}/v1", server.address());
        Self { url, server }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

/// A complete response with a JSON body.
pub(crate) fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer of a few words, as a stream.
pub(crate) fn answer() -> String {
    let mut body = String::new();
    for content in ["Some", " words", " here"] {
        body.push_str(&format!(
            "data: {{\"id\":\"answer-1\",\"choices\":[{{\"index\":0,\"delta\":\
             {{\"content\":\"{content}\"}},\"finish_reason\":null}}]}}\n\n"
        ));
    }
    body.push_str(
        "data: {\"id\":\"answer-1\",\"choices\":[{\"index\":0,\"delta\":{},\
         \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An error in the shape of the OpenAI API.
pub(crate) fn refusal(status: &str, message: &str) -> String {
    let error = serde_json::json!({"error": {"message": message, "type": "refused"}});
    json(status, &error.to_string())
}
