//! The table of settings: their names, forms, examples and help.
//!
//! Flags, configuration files, their JSON Schema, errors and
//! [`RunSettings`](crate::RunSettings) are all made from it. A new setting is a row here, and a line
//! where a run reads it.

use std::fmt;

/// Calls a macro with the table. A row: variant, field and type; kind, group, name of the value,
/// example; help in one line, and what there is to say beyond it.
macro_rules! with_settings {
    ($then:ident) => {
        $then! {
            Endpoint endpoint: String, Api, Endpoint, "API", "openai-chat-stream",
                "API to speak [default: openai-chat-stream]", "";
            BaseUrl base_url: String, Text, Endpoint, "URL", "http://localhost:8000/v1",
                "Address of the API, as its own SDK takes it: for OpenAI's with /v1; behind a Unix \
                 socket written like unix:/run/llm.sock:/v1", "";
            Model model: String, Text, Endpoint, "ID", "gpt-4o-mini",
                "Model to ask for", "";
            Provider provider: String, Text, Endpoint, "NAME", "anthropic",
                "Who runs the API: for anthropic-messages anthropic, bedrock, bedrock-mantle, vertex \
                 or foundry",
                "Each has its own address and its own credentials. For other APIs it is a name in \
                 the results.";
            Region region: String, Text, Endpoint, "REGION", "us-east-1",
                "Region, for AWS and Vertex [default: AWS_REGION, AWS_DEFAULT_REGION, the \
                 profile's, or the instance's; for Vertex CLOUD_ML_REGION]", "";
            ApiKeyEnv api_key_env: String, Text, Endpoint, "VAR", "OPENAI_API_KEY",
                "Environment variable that holds the API key [default: OPENAI_API_KEY, or the usual \
                 one of the API]",
                "A variable that is not set is fine for a server that needs no key.";
            Header header: Vec<String>, Texts, Endpoint, "K: V", "Name: value",
                "Header line to send with every request (repeatable)", "";
            CaFile ca_file: PathBuf, File, Endpoint, "FILE", "ca.pem",
                "Certificates to trust instead of the system's, as a PEM file", "";
            Insecure insecure: bool, Switch, Endpoint, "", "true",
                "Take any certificate: anybody could be the server", "";
            Proxy proxy: String, Text, Endpoint, "URL", "http://proxy:3128",
                "HTTP proxy, like http://user:password@proxy:3128 [default: what HTTPS_PROXY, \
                 HTTP_PROXY, ALL_PROXY and NO_PROXY say; never for this machine's own addresses]", "";
            NoProxy no_proxy: bool, Switch, Endpoint, "", "true",
                "Use no proxy, whatever the environment says", "";
            Http2 http2: bool, Switch, Endpoint, "", "true",
                "Speak HTTP/2: over TLS if the server agrees, without TLS without asking",
                "Each client still has a connection of its own with one request on it, so that the \
                 load is the same. Receive stamps are then taken after the read.";
            Body body: String, Text, AnyApi, "TEMPLATE", "{\"q\": {{ prompt }}}",
                "Template of a request's body, or @FILE with one [default: {{ payload }}]",
                "A minijinja template of a JSON document in which every value is written as JSON, \
                 texts with their quotes. It knows the fields of the payload (for a prompt: prompt \
                 and max_tokens), payload (all of it), model, and api_key: '{\"inputs\": {{ prompt \
                 }}, \"limit\": {{ max_tokens }}}'.";
            Framing framing: String, Choice(&["none", "sse", "ndjson", "event-stream"]), AnyApi,
                "FORM", "sse",
                "How a response is framed; none if it is not streamed [default: none]", "";
            Jmespath jmespath: Vec<(String, String)>, Expressions, AnyApi, "PART=EXPRESSION",
                "text=choices[0].text",
                "Where a part of the response, or of a frame of it, is (repeatable)",
                "Parts: text, reasoning, tool-call, id, error, end (true in the last frame, or why \
                 it ended), input-tokens, output-tokens, cached-tokens, reasoning-tokens, and, in \
                 the payload, prompt. bedrock-invoke and sagemaker take text, prompt, output-tokens \
                 (bedrock-invoke: input-tokens).";
            Method method: String, Text, AnyApi, "METHOD", "PUT",
                "HTTP method [default: POST]", "";

            Prompt prompt: String, Text, Payload, "TEXT", "Hello",
                "Text to send as one user message, or @FILE with it (@@… for a text that begins \
                 with @)", "";
            System system: String, Text, Payload, "TEXT", "Be brief.",
                "System text or instructions, or @FILE with it", "";
            Image image: Vec<Location>, Files, Payload, "FILE", "photo.png",
                "Image to send with the prompt (repeatable)",
                "The content of a file tells its type, or else how its name ends. A message has its \
                 images first, then documents, audio and videos, each in the order given, and then \
                 the text, which may be missing.";
            Document document: Vec<Location>, Files, Payload, "FILE", "report.pdf",
                "Document to send with the prompt: PDF, text, … (repeatable)", "";
            Audio audio: Vec<Location>, Files, Payload, "FILE", "speech.wav",
                "Audio to send with the prompt (repeatable)", "";
            Video video: Vec<Location>, Files, Payload, "FILE", "clip.mp4",
                "Video to send with the prompt (repeatable)", "";
            Payload payload: Location, File, Payload, "FILE", "prompts.jsonl",
                "Payloads to send: a JSON or JSONL file, or a folder of them", "";
            MaxTokens max_tokens: u64, Count, Payload, "N", "256",
                "Limit of output tokens for a prompt [default: 256]", "";
            Tokenizer tokenizer: String, Text, Payload, "HOW", "tiktoken:o200k_base",
                "How to count tokens that the server does not report: whitespace, tiktoken:NAME or \
                 hf:FILE [default: whitespace]", "";

            Clients clients: usize, Count, Load, "N", "8",
                "Clients, each with one request in flight at a time [default: 1]", "";
            Requests requests: u64, Count, Load, "N", "100",
                "Requests per client [default: each payload once]", "";
            Duration duration: Duration, Time, Load, "TIME", "30s",
                "How long to send, like 30s or 5m", "";
            Timeout timeout: Duration, Time, Load, "TIME", "90s",
                "Longest time of one request, connecting included [default: 60s]", "";
            MaxRetries max_retries: u32, Count, Load, "N", "2",
                "Retries of a request that finds no connection or is answered with 429 or 503 \
                 [default: 0]", "";
            Connections connections: Connections, Choice(&["keep", "new"]), Load, "USE", "new",
                "Whether a client keeps its connection for its next request or opens a new one \
                 [default: keep]", "";
            Warmup warmup: u64, Count, Load, "N", "10",
                "Requests that are sent first and kept out of every figure [default: 0]", "";
            Seed seed: u64, Count, Load, "N", "7",
                "Decides the order of payloads; the same seed repeats a run [default: 0]", "";

            Callbacks callbacks: Vec<Object>, Tables, Callbacks, "", "",
                "Callbacks of the run: tables with a type and its fields, or with a file", "";
            CacheBuster cache_buster: bool, Switch, Callbacks, "", "true",
                "Make every prompt begin differently, against prompt caches", "";
            Mlflow mlflow: String, Address, Callbacks, "URI", "http://localhost:5000",
                "Log the run to an MLflow tracking server; without URI to that of MLFLOW_TRACKING_URI",
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, \
                 authenticate.";
            MlflowExperiment mlflow_experiment: String, Text, Callbacks, "NAME", "nightly",
                "MLflow experiment to log to, made if it is missing [default: \
                 MLFLOW_EXPERIMENT_NAME, else \"Default\"]", "";
            MlflowArtifacts mlflow_artifacts: bool, Switch, Callbacks, "", "true",
                "Upload the run's files and charts of its latencies to MLflow", "";

            CostInput cost_input: f64, Number, Costs, "PRICE", "0.5",
                "Price of a million input tokens",
                "Prices put costs on every response and on the run, in their own currency.";
            CostOutput cost_output: f64, Number, Costs, "PRICE", "1.5",
                "Price of a million output tokens", "";
            CostCachedInput cost_cached_input: f64, Number, Costs, "PRICE", "0.25",
                "Price of a million cached input tokens, instead of that of other input tokens", "";
            CostHour cost_hour: f64, Number, Costs, "PRICE", "3.6",
                "Price of an hour of the endpoint", "";
            MaxCost max_cost: f64, Number, Costs, "AMOUNT", "2.5",
                "Stop sending before the estimated cost, warm-up included, passes this",
                "Needs prices. What is in flight finishes, results are kept, and the exit code is 0; \
                 the statistic cost_limit_reached tells. A request is estimated by its prompt and by \
                 the payload's output limit, or, without one, to be as dear as the dearest so far.";

            Stamps stamps: StampSource, Choice(&["kernel", "user"]), Measurement, "WHO", "user",
                "Who takes the receive stamps: the kernel, as packets arrive (Linux), or llmeter, \
                 after each read [default: kernel]", "";
            Calibrate calibrate: bool, Switch, Measurement, "", "true",
                "First measure what this machine adds, against the built-in simulator", "";
            Strict strict: bool, Switch, Measurement, "", "true",
                "Exit with code 4 unless the measurement's verdict is clean", "";
            Workers workers: usize, Count, Measurement, "N", "2",
                "Threads that send and read [default: one less than there are cores]", "";
            LowMemory low_memory: bool, Switch, Measurement, "", "true",
                "Keep no responses in memory; percentiles then come from a sketch", "";

            Output output: Location, File, Output, "DIR", "results",
                "Folder for run folders: the run goes to DIR/RUN-NAME; s3://bucket/prefix, gs:// and \
                 az:// URLs are folders, too [default: runs]", "";
            RunName run_name: String, Text, Output, "NAME", "baseline",
                "Name of the run and its folder [default: the local time]", "";
            Description description: String, Text, Output, "TEXT", "before the upgrade",
                "Free text about the run", "";
            Overwrite overwrite: bool, Switch, Output, "", "true",
                "Replace a run that the folder already holds", "";
            Quiet quiet: bool, Switch, Output, "", "true",
                "Show no progress", "";
            Json json: bool, Switch, Output, "", "true",
                "Print only the statistics, as a JSON object", "";
        }
    };
}
pub(crate) use with_settings;

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A text.
    Text,
    /// One text or several.
    Texts,
    /// The path or URL of a file or folder.
    File,
    /// One such path or several.
    Files,
    /// A whole number.
    Count,
    /// A number.
    Number,
    /// A time like `30s`, or a number of seconds.
    Time,
    /// True or false.
    Switch,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// The name of an API.
    Api,
    /// JMESPath expressions by the part of a response that they find.
    Expressions,
    /// An address, or true for that of the environment, which is the empty text.
    Address,
    /// Tables, which only files can have.
    Tables,
}

/// What a setting is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// Where requests go.
    Endpoint,
    /// The shape of an API that llmeter does not know.
    AnyApi,
    /// What is sent.
    Payload,
    /// How much is sent.
    Load,
    /// Code that is hooked in.
    Callbacks,
    /// Prices.
    Costs,
    /// How it is measured.
    Measurement,
    /// Where results go.
    Output,
}

macro_rules! enumerate {
    ($($variant:ident $field:ident: $type:ty, $kind:expr, $group:ident, $value:literal,
       $example:literal, $help:literal, $more:literal;)+) => {
        /// A setting, as errors name it.
        ///
        /// It displays as its name in files (`base_url`); the command line shows the flag instead.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Setting {
            $(#[doc = $help] $variant,)+
            /// The API key.
            ApiKey,
            /// Credentials for AWS.
            AwsCredentials,
            /// An environment variable.
            Variable(&'static str),
        }

        impl Setting {
            /// Every setting of a run, in the order of help and files.
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
                    $(Self::$variant => stringify!($field),)+
                    Self::ApiKey => "api_key",
                    Self::AwsCredentials => "an AWS access key",
                    Self::Variable(name) => name,
                }
            }

            /// What it takes.
            pub const fn kind(self) -> Kind {
                use Kind::*;
                match self {
                    $(Self::$variant => $kind,)+
                    _ => Text,
                }
            }

            /// What it is about.
            pub const fn group(self) -> Group {
                match self {
                    $(Self::$variant => Group::$group,)+
                    _ => Group::Endpoint,
                }
            }

            /// A name for its value in help; empty for a switch.
            pub const fn value_name(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                    _ => "",
                }
            }

            /// A value that it may have, as text.
            pub const fn example(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => if $example.is_empty() { None } else { Some($example) },)+
                    _ => None,
                }
            }

            /// What it is, in a line of help.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$variant => $help,)+
                    _ => "",
                }
            }

            /// What there is to say beyond [`help`](Self::help); often nothing.
            pub const fn more_help(self) -> &'static str {
                match self {
                    $(Self::$variant => $more,)+
                    _ => "",
                }
            }
        }
    };
}
with_settings!(enumerate);

impl Setting {
    /// The setting of this name, written with `_` or `-`, or of an older name.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name.replace('-', "_") {
            old if old == "lanes" => "workers".to_owned(),
            name => name,
        };
        Self::ALL
            .iter()
            .copied()
            .find(|setting| setting.name() == name)
    }

    /// The settings that it excludes. Where it is given, it drops those of a lower layer.
    pub const fn excludes(self) -> &'static [Self] {
        match self {
            Self::Requests => &[Self::Duration],
            Self::Duration => &[Self::Requests],
            Self::CaFile => &[Self::Insecure],
            Self::Insecure => &[Self::CaFile],
            Self::Proxy => &[Self::NoProxy],
            Self::NoProxy => &[Self::Proxy],
            Self::Payload => &[
                Self::Prompt,
                Self::System,
                Self::Image,
                Self::Document,
                Self::Audio,
                Self::Video,
                Self::MaxTokens,
            ],
            Self::Prompt
            | Self::System
            | Self::Image
            | Self::Document
            | Self::Audio
            | Self::Video
            | Self::MaxTokens => &[Self::Payload],
            _ => &[],
        }
    }
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
            Self::Conflict { with } => format!("give {subject} or {}, not both", name(*with)),
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
                "give requests or duration, not both",
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
