//! What makes servers generate exactly as many tokens as asked for.

use serde_json::{Value, json};

use crate::api::ApiMode;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::Payload;

/// A server with fields of its own for the length of responses.
///
/// An API's limit is only an upper bound: a model that ends its answer earlier gives fewer tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForcedOutput {
    /// None: the model decides when it is done.
    #[default]
    None,
    /// vLLM: `ignore_eos` and `min_tokens`.
    Vllm,
    /// SGLang: `ignore_eos` and `min_tokens`.
    Sglang,
    /// Servers of TGI's own API that take `ignore_eos_token` among the parameters.
    Tgi,
    /// llama.cpp: `ignore_eos`.
    LlamaCpp,
    /// TensorRT-LLM: `ignore_eos` and `min_tokens`.
    TrtLlm,
}

/// One row for each server: its name, whether it takes the number of tokens, too, and the APIs of its fields.
const SERVERS: [(&str, ForcedOutput, Fields); 6] = [
    (
        "vllm",
        ForcedOutput::Vllm,
        Fields::OpenAi { min_tokens: true },
    ),
    (
        "sglang",
        ForcedOutput::Sglang,
        Fields::OpenAi { min_tokens: true },
    ),
    ("tgi", ForcedOutput::Tgi, Fields::Parameters),
    (
        "llamacpp",
        ForcedOutput::LlamaCpp,
        Fields::OpenAi { min_tokens: false },
    ),
    (
        "trtllm",
        ForcedOutput::TrtLlm,
        Fields::OpenAi { min_tokens: true },
    ),
    ("none", ForcedOutput::None, Fields::Nothing),
];

#[derive(Clone, Copy)]
enum Fields {
    Nothing,
    /// Beside the other fields, as servers of OpenAI's APIs have theirs.
    OpenAi {
        min_tokens: bool,
    },
    /// In `parameters`.
    Parameters,
}

impl ForcedOutput {
    /// The names by which users choose one.
    pub const NAMES: &'static [&'static str] =
        &["vllm", "sglang", "tgi", "llamacpp", "trtllm", "none"];

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        let found = SERVERS.iter().find(|(known, ..)| *known == name);
        found.map(|(_, server, _)| *server)
    }

    fn row(self) -> (&'static str, Fields) {
        let found = SERVERS.iter().find(|(_, server, _)| *server == self);
        found.map_or(("none", Fields::Nothing), |(name, _, fields)| {
            (name, *fields)
        })
    }

    /// The name by which users choose it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Has a payload of this API ask for exactly so many tokens.
    ///
    /// # Errors
    /// If the API has no place for the server's fields.
    pub(super) fn add_to(self, payload: &mut Payload, api: ApiMode, tokens: u64) -> Result<()> {
        let (name, fields) = self.row();
        let refuse = |expected: &str| {
            let expected = format!("{expected}, not {}", api.name);
            let given = format!("{name} with another API");
            Err(Error::invalid(Setting::ForceOutputLength, given, expected))
        };
        match fields {
            Fields::Nothing => Ok(()),
            Fields::OpenAi { min_tokens } => {
                if !payload.contains_key("messages") && !payload.contains_key("prompt")
                    || !(api.name.starts_with("openai") || api.name == "http")
                {
                    return refuse("openai-chat or openai-completions");
                }
                payload.insert("ignore_eos".into(), json!(true));
                if min_tokens {
                    payload.insert("min_tokens".into(), json!(tokens));
                }
                Ok(())
            }
            Fields::Parameters => match payload.get_mut("parameters") {
                Some(Value::Object(parameters)) if api.name.starts_with("tgi") => {
                    parameters.insert("ignore_eos_token".into(), json!(true));
                    Ok(())
                }
                _ => refuse("tgi or tgi-stream"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(api: &str, server: &str) -> Result<Payload> {
        let api = ApiMode::named(api)?;
        let mut payload = api.create_payload("Hello", 7)?;
        ForcedOutput::named(server)
            .unwrap()
            .add_to(&mut payload, api, 7)?;
        Ok(payload)
    }

    #[test]
    fn every_server_gets_its_own_fields() {
        for name in ForcedOutput::NAMES {
            assert_eq!(ForcedOutput::named(name).unwrap().name(), *name);
        }
        for api in ["openai-chat-stream", "openai-completions"] {
            for server in ["vllm", "sglang", "trtllm"] {
                let payload = payload(api, server).unwrap();
                assert_eq!(
                    (&payload["ignore_eos"], &payload["min_tokens"]),
                    (&json!(true), &json!(7))
                );
            }
            let payload = payload(api, "llamacpp").unwrap();
            assert_eq!(payload["ignore_eos"], true);
            assert!(!payload.contains_key("min_tokens"));
        }
        let tgi = payload("tgi-stream", "tgi").unwrap();
        assert_eq!(tgi["parameters"]["ignore_eos_token"], true);
        let none = payload("gemini", "none").unwrap();
        assert!(!none.contains_key("ignore_eos"));
    }

    #[test]
    fn an_api_without_a_place_for_the_fields_is_refused() {
        for (api, server) in [
            ("anthropic-messages", "vllm"),
            ("openai-responses", "vllm"),
            ("openai-chat", "tgi"),
        ] {
            let error = payload(api, server).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("force_output_length {server}")),
                "{error}"
            );
            assert!(error.contains(api), "{error}");
        }
    }
}
