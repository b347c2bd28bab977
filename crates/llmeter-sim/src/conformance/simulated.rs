//! The wordings of the APIs that the simulator speaks.

use super::wording::{Says, Streamed, Wording};
use super::{Case, Request};
use crate::aws::Operation;
use crate::dialect::Dialect;
use crate::error::SimError;
use crate::openai::{Answer, ApiError, Finish, Piece, Times, Tool, Wrap};

/// An API as the simulator words it.
#[derive(Debug, Clone, Copy)]
pub struct Simulated {
    dialect: Dialect,
}

/// The id of every answer of an API that has ids.
const ID: &str = "answer-7";

impl Simulated {
    /// The API of this name in llmeter's catalogue, streamed or not.
    ///
    /// # Errors
    /// [`SimError::Invalid`] if the simulator does not speak it.
    pub fn api(name: &str) -> Result<Self, SimError> {
        let whole = name.strip_suffix("-stream");
        let stream = whole.is_some();
        let dialect = match whole.unwrap_or(name) {
            "openai-chat" | "azure-openai-chat" => Dialect::OpenAiChat,
            "openai-responses" => Dialect::Responses,
            "openai-completions" => Dialect::Completions,
            "openai-embeddings" => Dialect::Embeddings,
            "anthropic-messages" => Dialect::AnthropicMessages,
            "gemini" => Dialect::Gemini,
            "ollama" => Dialect::Ollama,
            "tgi" => Dialect::Tgi,
            "bedrock-converse" => Dialect::Aws(Operation::Converse { stream }),
            "bedrock-invoke" => Dialect::Aws(Operation::Invoke { stream }),
            "sagemaker" => Dialect::Aws(Operation::SageMaker { stream }),
            _ => {
                return Err(SimError::Invalid {
                    field: "api",
                    value: name.to_owned(),
                    accepted: "an API that the simulator speaks, such as openai-chat-stream",
                });
            }
        };
        Ok(Self { dialect })
    }

    /// Claude's messages as Bedrock passes them on, streamed or not.
    pub fn claude_on_bedrock(stream: bool) -> Self {
        Self {
            dialect: Dialect::ClaudeOnBedrock { stream },
        }
    }

    fn answer(self, says: &Says) -> Answer {
        let tool = says.tool.as_ref().map(|call| Tool {
            name: call.name.clone(),
            argument: "query".to_owned(),
            named: false,
            at_once: self.calls_at_once(),
        });
        let visible = match tool {
            // The name, and the words of the argument.
            Some(_) => 3,
            None => says.text.iter().map(|piece| words(piece)).sum(),
        };
        Answer {
            id: ID.to_owned(),
            created: 0,
            model: "simulated".to_owned(),
            choices: 1,
            prompt_tokens: says.usage.map_or(0, |usage| usage.input),
            reasoning: says.reasoning.iter().map(|piece| words(piece)).sum(),
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

    /// Whether a call of a tool comes in one piece.
    fn calls_at_once(self) -> bool {
        matches!(self.dialect, Dialect::Gemini | Dialect::Ollama)
    }

    fn pieces(self, says: &Says) -> Vec<Piece> {
        let ranges = |pieces: &[String]| {
            let mut from = 0;
            let range = |piece: &String| {
                let start = from;
                from += words(piece);
                start..from
            };
            pieces.iter().map(range).collect::<Vec<_>>()
        };
        let mut all: Vec<Piece> = ranges(&says.reasoning)
            .into_iter()
            .map(Piece::Reasoning)
            .collect();
        match says.tool {
            Some(_) if self.calls_at_once() => all.push(Piece::Visible(0..3)),
            Some(_) => all.extend([0..1, 1..2, 2..3].map(Piece::Visible)),
            None => all.extend(ranges(&says.text).into_iter().map(Piece::Visible)),
        }
        all
    }
}

fn words(piece: &str) -> u32 {
    piece.split_whitespace().count() as u32
}

impl Wording for Simulated {
    fn streamed(&self, says: &Says) -> Option<Streamed> {
        let answer = self.answer(says);
        let mut frames = self
            .dialect
            .frames(answer, Wrap::Bare, says.usage.is_some());
        let mut streamed = Streamed::default();
        frames.opening(0, &mut streamed.opening);
        let pieces = self.pieces(says).into_iter();
        streamed.content = pieces
            .map(|piece| frames.content(0, piece).to_vec())
            .collect();
        streamed.closing = frames.closing();
        Some(streamed)
    }

    fn whole(&self, says: &Says) -> Option<Vec<u8>> {
        Some(self.dialect.whole(&self.answer(says)))
    }

    fn stream_error(&self, message: &str) -> Option<Vec<u8>> {
        Some(self.dialect.stream_error(&ApiError::invalid(503, message)))
    }

    fn refusal(&self, status: u16, message: &str) -> Option<Vec<u8>> {
        Some(self.dialect.error(&ApiError::invalid(status, message)))
    }

    fn frame(&self, event: Option<&str>, data: &str) -> Option<Vec<u8>> {
        Some(self.dialect.frame(event, data))
    }

    fn stream_type(&self) -> &str {
        self.dialect.stream_type()
    }

    fn headers(&self, says: &Says, streamed: bool) -> Vec<(String, String)> {
        if self.dialect.is_aws() {
            return vec![("x-amzn-requestid".to_owned(), ID.to_owned())];
        }
        let of_whole = self.dialect.whole_headers(&self.answer(says)).into_iter();
        of_whole
            .filter(|_| says.usage.is_some() && !streamed)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn id(&self) -> Option<&str> {
        match self.dialect {
            Dialect::Embeddings | Dialect::Ollama | Dialect::Tgi => None,
            _ => Some(ID),
        }
    }

    fn finish_reason(&self) -> Option<&str> {
        Some(match self.dialect {
            Dialect::OpenAiChat | Dialect::Completions | Dialect::Ollama => "stop",
            Dialect::Aws(Operation::Invoke { .. }) => "stop",
            Dialect::Responses => "completed",
            Dialect::AnthropicMessages | Dialect::ClaudeOnBedrock { .. } => "end_turn",
            Dialect::Aws(Operation::Converse { .. }) => "end_turn",
            Dialect::Gemini => "STOP",
            Dialect::Tgi | Dialect::Aws(Operation::SageMaker { .. }) => "eos_token",
            Dialect::Embeddings => return None,
        })
    }

    fn generates_text(&self) -> bool {
        self.dialect != Dialect::Embeddings
    }

    fn counts_input(&self) -> bool {
        !matches!(self.dialect, Dialect::Aws(Operation::SageMaker { .. }))
    }

    /// The simulator reads the request as it would if it had to answer it.
    fn check_request(&self, request: &Request, streaming: bool) -> Result<(), String> {
        let path = request.target.split('?').next().unwrap_or_default();
        if request.method != "POST" || Dialect::of(path) != Some(self.dialect) {
            return Err(format!(
                "{} {path} is no request of {:?}",
                request.method, self.dialect
            ));
        }
        let parsed = self.dialect.parse(path, &request.body);
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
        use Dialect::{Aws, Completions, Embeddings, Ollama, Tgi};
        Some(match (self.dialect, case) {
            (
                Embeddings,
                Case::Reasoning | Case::ToolCall | Case::EmptyAnswer | Case::HugeFrame,
            ) => "vectors say nothing",
            (Completions | Tgi | Aws(Operation::SageMaker { .. }), Case::Reasoning) => {
                "the API does not tell reasoning from text"
            }
            (Completions | Tgi | Aws(Operation::SageMaker { .. }), Case::ToolCall) => {
                "the API has no tools"
            }
            (Ollama, Case::Plain) if streaming => "a whole answer is a stream of one line",
            (Aws(Operation::Invoke { .. }), Case::Plain) if streaming => {
                "what a stream holds is found by other paths than what a whole answer holds"
            }
            (Aws(Operation::Invoke { .. }), Case::EarlyEnd) => {
                "each model ends its streams in a way of its own"
            }
            (Aws(Operation::SageMaker { .. }), Case::EarlyEnd) => {
                "containers need not mark the end of their streams"
            }
            _ => return None,
        })
    }
}
