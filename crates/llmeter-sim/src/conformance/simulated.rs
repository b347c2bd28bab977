//! The wordings of the APIs that the simulator speaks.

use super::wording::{Says, StreamingResponse, Wording};
use super::{Case, Request};
use crate::api::{
    self, Api, ApiError, Completion, Delta, Finish, FrameBuffer, Stream, Times, Tool,
};
use crate::error::SimError;

/// An API as the simulator words it.
#[derive(Debug, Clone, Copy)]
pub struct Simulated {
    api: &'static dyn Api,
}

/// The id of every response of an API that has ids.
const ID: &str = "response-7";

impl Simulated {
    /// The API of this name in llmeter's table, streaming or not. `anthropic-messages-on-bedrock`
    /// is Claude as Bedrock's InvokeModel passes it on.
    ///
    /// # Errors
    /// [`SimError::Invalid`] if the simulator does not speak it.
    pub fn api(name: &str) -> Result<Self, SimError> {
        let api = api::named(name).ok_or_else(|| SimError::Invalid {
            field: "api",
            value: name.to_owned(),
            accepted: "an API that the simulator speaks, such as openai-chat-stream",
        })?;
        Ok(Self { api })
    }

    fn completion(self, says: &Says) -> Completion {
        let tool = says.tool.as_ref().map(|call| Tool {
            name: call.name.clone(),
            argument: "query".to_owned(),
            named: false,
        });
        let visible = match tool {
            // The name, and the words of the argument.
            Some(_) => 3,
            None => says.text.iter().map(|chunk| words(chunk)).sum(),
        };
        Completion {
            id: ID.to_owned(),
            created: 0,
            model: "simulated".to_owned(),
            choices: 1,
            prompt_tokens: says.usage.map_or(0, |usage| usage.input),
            cached_tokens: 0,
            reasoning: says.reasoning.iter().map(|chunk| words(chunk)).sum(),
            visible,
            finish: match tool {
                Some(_) => Finish::ToolCalls,
                None => Finish::Stop,
            },
            tool,
            words: 0,
            usage: says.usage.is_some(),
            times: Times::default(),
        }
    }

    fn deltas(self, says: &Says) -> Vec<Delta> {
        let ranges = |chunks: &[String]| {
            let mut from = 0;
            let range = |chunk: &String| {
                let start = from;
                from += words(chunk);
                start..from
            };
            chunks.iter().map(range).collect::<Vec<_>>()
        };
        let mut all: Vec<Delta> = ranges(&says.reasoning)
            .into_iter()
            .map(Delta::Reasoning)
            .collect();
        match says.tool {
            Some(_) if self.api.about().calls_in_one_chunk => all.push(Delta::Visible(0..3)),
            Some(_) => all.extend([0..1, 1..2, 2..3].map(Delta::Visible)),
            None => all.extend(ranges(&says.text).into_iter().map(Delta::Visible)),
        }
        all
    }
}

fn words(chunk: &str) -> u32 {
    chunk.split_whitespace().count() as u32
}

impl Wording for Simulated {
    fn streaming(&self, says: &Says) -> Option<StreamingResponse> {
        let mut stream = Stream::new(self.completion(says));
        let mut bytes = |write: &dyn Fn(&mut Stream, &mut FrameBuffer)| {
            let mut buffer = FrameBuffer::new(false);
            write(&mut stream, &mut buffer);
            buffer.bytes().to_vec()
        };
        let opening = bytes(&|stream, out| self.api.opening(stream, 0, out));
        let deltas = self.deltas(says).into_iter();
        let content =
            deltas.map(|delta| bytes(&|stream, out| self.api.content(stream, 0, &delta, out)));
        Some(StreamingResponse {
            opening,
            content: content.collect(),
            closing: bytes(&|stream, out| self.api.closing(stream, out)),
        })
    }

    fn non_streaming(&self, says: &Says) -> Option<Vec<u8>> {
        let body = self.api.body(&self.completion(says));
        Some(body.to_string().into_bytes())
    }

    fn stream_error(&self, message: &str) -> Option<Vec<u8>> {
        let error = ApiError::new(503, message);
        Some(api::stream_error(self.api, &error))
    }

    fn refusal(&self, status: u16, message: &str) -> Option<Vec<u8>> {
        let refusal = (self.api.about().refusal)(&ApiError::new(status, message));
        Some(refusal.body.to_string().into_bytes())
    }

    fn frame(&self, event: Option<&str>, data: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        (self.api.about().frame)(&mut out, event, data);
        Some(out)
    }

    fn stream_type(&self) -> &str {
        self.api.about().stream_type
    }

    fn headers(&self, says: &Says, streaming: bool) -> Vec<(String, String)> {
        let id = self.api.about().id_header.map(|name| (name, ID.to_owned()));
        let more = match says.usage.is_some() && !streaming {
            true => self.api.headers(&self.completion(says)),
            false => Vec::new(),
        };
        let all = id.into_iter().chain(more);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn id(&self) -> Option<&str> {
        self.api.about().has_id.then_some(ID)
    }

    fn finish_reason(&self) -> Option<&str> {
        self.api.about().finish_reason
    }

    fn generates_text(&self) -> bool {
        self.finish_reason().is_some()
    }

    fn counts_input(&self) -> bool {
        self.api.about().counts_input
    }

    /// The simulator reads the request as it would if it had to respond.
    fn check_request(&self, request: &Request, streaming: bool) -> Result<(), String> {
        let path = request.target.split('?').next().unwrap_or_default();
        let names = self.api.about().names;
        let found = api::find(path).filter(|(api, _)| api.about().names == names);
        let Some((api, route)) = found.filter(|_| request.method == "POST") else {
            return Err(format!(
                "{} {path} is no request of {names:?}",
                request.method
            ));
        };
        let parsed = api::parse(api, &route, &request.body);
        let parsed = parsed.map_err(|error| error.message)?;
        if parsed.stream != streaming {
            return Err(format!("asks for a stream: {}", parsed.stream));
        }
        if streaming && !parsed.include_usage {
            return Err("asks for no token counts".to_owned());
        }
        Ok(())
    }

    fn cannot(&self, case: Case, streaming: bool) -> Option<&'static str> {
        self.api.cannot(case, streaming)
    }
}
