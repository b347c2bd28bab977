//! The names of settings, and the one wording for what is wrong with one.

use std::fmt;

macro_rules! settings {
    ($($variant:ident $name:literal $(like $example:literal)?, $about:literal;)+) => {
        /// A setting, as errors name it.
        ///
        /// It displays as its name in files (`base_url`); the command line shows the flag instead.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Setting {
            $(#[doc = $about] $variant,)+
            /// The API key.
            ApiKey,
            /// Credentials for AWS.
            AwsCredentials,
            /// An environment variable.
            Variable(&'static str),
        }

        impl Setting {
            /// Every setting of a run.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// A text in which settings stand in backticks (`` `base_url` ``), with each of them called
            /// as `name` says.
            pub fn word(text: &str, name: &dyn Fn(Self) -> String) -> String {
                Self::ALL.iter().fold(text.to_owned(), |text, setting| {
                    text.replace(&format!("`{setting}`"), &name(*setting))
                })
            }

            /// Its name in files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::ApiKey => "api_key",
                    Self::AwsCredentials => "an AWS access key",
                    Self::Variable(name) => name,
                }
            }

            /// A value that it may have, if one tells more than its name.
            pub const fn example(self) -> Option<&'static str> {
                match self {
                    $($(Self::$variant => Some($example),)?)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    Endpoint "endpoint" like "openai-chat-stream", "The API.";
    BaseUrl "base_url" like "http://localhost:8000/v1", "The API's address.";
    Model "model" like "gpt-4o-mini", "The model.";
    Provider "provider", "Who serves the API.";
    Region "region" like "us-east-1", "The region of AWS or Vertex.";
    ApiKeyEnv "api_key_env" like "OPENAI_API_KEY", "The variable that holds the API key.";
    Header "header" like "Name: value", "Headers of each request.";
    CaFile "ca_file" like "ca.pem", "Certificates to trust.";
    Insecure "insecure", "Any certificate is taken.";
    Proxy "proxy" like "http://proxy:3128", "The HTTP proxy.";
    NoProxy "no_proxy", "No proxy is used.";
    Http2 "http2", "HTTP/2 is spoken.";
    Body "body", "The template of a request's body.";
    Framing "framing" like "sse", "How a response is framed.";
    Jmespath "jmespath" like "text=choices[0].text", "Where the parts of a response are.";
    Method "method" like "POST", "The HTTP method.";
    Prompt "prompt" like "Hello", "The prompt's text.";
    System "system", "The system text.";
    Image "image" like "photo.png", "Images of the prompt.";
    Document "document" like "report.pdf", "Documents of the prompt.";
    Audio "audio" like "speech.wav", "Audio of the prompt.";
    Video "video" like "clip.mp4", "Videos of the prompt.";
    Payload "payload" like "prompts.jsonl", "Payloads from files.";
    MaxTokens "max_tokens" like "256", "The limit of output tokens.";
    Tokenizer "tokenizer" like "tiktoken:o200k_base", "What counts tokens.";
    Clients "clients" like "8", "Clients with one request in flight each.";
    Requests "requests" like "100", "Requests per client.";
    Duration "duration" like "30s", "How long requests are sent.";
    Timeout "timeout" like "60s", "The longest time of one request.";
    MaxRetries "max_retries" like "2", "Retries of a request.";
    Connections "connections" like "keep", "Whether connections are reused.";
    Warmup "warmup" like "10", "Requests sent first and not counted.";
    Seed "seed" like "0", "The seed of the order of payloads.";
    Callbacks "callbacks", "Callbacks of the run.";
    CacheBuster "cache_buster", "Every prompt begins differently.";
    Mlflow "mlflow" like "http://localhost:5000", "The MLflow tracking server.";
    MlflowExperiment "mlflow_experiment", "The MLflow experiment.";
    MlflowArtifacts "mlflow_artifacts", "Files are uploaded to MLflow.";
    CostInput "cost_input" like "0.5", "The price of a million input tokens.";
    CostOutput "cost_output" like "1.5", "The price of a million output tokens.";
    CostCachedInput "cost_cached_input", "The price of a million cached input tokens.";
    CostHour "cost_hour", "The price of an hour of the endpoint.";
    MaxCost "max_cost" like "2.5", "The most that a run may cost.";
    Stamps "stamps" like "kernel", "Who takes receive stamps.";
    Calibrate "calibrate", "The machine is measured first.";
    Strict "strict", "Only a clean measurement succeeds.";
    Workers "workers" like "2", "Threads that send and read.";
    LowMemory "low_memory", "No responses are kept in memory.";
    Output "output" like "runs", "The folder for run folders.";
    RunName "run_name", "The name of the run and its folder.";
    Description "description", "Free text about the run.";
    Overwrite "overwrite", "A run in the folder is replaced.";
    Quiet "quiet", "No progress is shown.";
    Json "json", "Only statistics are printed.";
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What is wrong with a setting or a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It has to be given.
    Missing {
        /// A value that it may have.
        example: Option<String>,
    },
    /// Its value is not accepted.
    Value {
        /// The value; `None` for one that may be a secret.
        value: Option<String>,
        /// What is accepted.
        expected: String,
    },
    /// It is refused for another reason.
    Refused {
        /// Why.
        reason: String,
    },
    /// It means something only if another setting has one of these values.
    NotApplicable {
        /// The other setting.
        to: Setting,
        /// Its values, as a sentence has them.
        values: String,
    },
    /// What is in use does not support it.
    Unsupported {
        /// An API, or what else does not support it.
        by: String,
    },
    /// Another setting excludes it.
    Conflict {
        /// The other setting.
        with: Setting,
    },
    /// It means something only together with another setting.
    Requires {
        /// The other setting.
        other: Setting,
    },
}

impl Problem {
    /// The sentence about `subject`; `name` says how settings are called where it is read.
    pub(super) fn describe(&self, subject: &str, name: &dyn Fn(Setting) -> String) -> String {
        match self {
            Self::Missing { example: None } => format!("{subject} is required"),
            Self::Missing {
                example: Some(example),
            } => format!("{subject} is required, e.g. {example}"),
            Self::Value {
                value: Some(value),
                expected,
            } => format!("{subject} {value}: expected {expected}"),
            Self::Value {
                value: None,
                expected,
            } => format!("{subject}: expected {expected}"),
            Self::Refused { reason } => format!("{subject}: {reason}"),
            Self::NotApplicable { to, values } => {
                format!("{subject} only applies to {} {values}", name(*to))
            }
            Self::Unsupported { by } => format!("{subject} is not supported by {by}"),
            Self::Conflict { with } => format!("{subject} excludes {}", name(*with)),
            Self::Requires { other } => format!("{subject} requires {}", name(*other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Error;

    use super::*;

    #[test]
    fn one_sentence_for_each_problem() {
        let http = Error::not_applicable(Setting::Body, Setting::Endpoint, "http");
        for (error, sentence) in [
            (
                Error::missing(Setting::BaseUrl),
                "base_url is required, e.g. http://localhost:8000/v1",
            ),
            (
                Error::invalid(Setting::Clients, 0, "1 or more"),
                "clients 0: expected 1 or more",
            ),
            (
                Error::hidden(Setting::Header, "a line like 'Name: value'"),
                "header: expected a line like 'Name: value'",
            ),
            (http, "body only applies to endpoint http"),
            (
                Error::unsupported(Setting::System, "OpenAI embeddings"),
                "system is not supported by OpenAI embeddings",
            ),
            (
                Error::conflict(Setting::Requests, Setting::Duration),
                "requests excludes duration",
            ),
            (
                Error::requires(Setting::MlflowArtifacts, Setting::Mlflow),
                "mlflow_artifacts requires mlflow",
            ),
            (
                Error::field("granularity", 0, "a number above 0"),
                "granularity 0: expected a number above 0",
            ),
        ] {
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn a_reader_chooses_how_settings_are_called() {
        let flag = |setting: Setting| format!("--{}", setting.name());
        let error = Error::not_applicable(Setting::Body, Setting::Endpoint, "http");
        assert_eq!(
            error.worded(&flag),
            "--body only applies to --endpoint http"
        );
        assert_eq!(
            Setting::word("check `base_url`, `model` and `this`", &flag),
            "check --base_url, --model and `this`"
        );
        let error = Error::invalid(Setting::Prompt, "x", "y").with_hint("try z");
        assert_eq!(
            (error.worded(&flag), error.hint()),
            ("--prompt x: expected y".into(), Some("try z"))
        );
    }
}
