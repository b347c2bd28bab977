//! The table of settings: names, types, examples and help.
//!
//! Flags, configuration files, their JSON Schema, errors and [`RunSettings`](crate::RunSettings)
//! come from it. A new setting is a row here and a line where the run reads it.

use std::fmt;

use super::nearest::nearest;

mod problem;

/// What an arrival rate is.
pub(crate) const RATE: &str = "a rate like 20/s, 90/min or 500/h, above 0 and up to 1000000/s";
/// What stages are.
pub(crate) const STAGES: &str = "stages like '10/s for 30s, ramp to 50/s over 2m' or 'ramp to 64 clients over \
                                 1m, 64 clients for 5m', or of sessions: '64 sessions for 5m', '2 sessions/s for 5m'";
/// What requests are cancelled.
pub(crate) const CANCEL: &str = "a share of the requests and a time like 5%@2s";
/// How slowly responses are read.
pub(crate) const READ_RATE: &str = "a size in a second like 20KB/s, or with a share of the requests like \
                                    20KB/s@10%; units are B, KB, KiB, MB and MiB";
/// What a call of the server is.
pub(crate) const BEFORE_RUN: &str =
    "a method and a path like 'POST /reset_prefix_cache', or a list of them";
/// What think times are.
pub(crate) const THINK_TIME: &str = "a time like 2s, up to a day, or a distribution like exponential:5s, \
                                     uniform:1s..5s, normal:5s,1s, lognormal:5s,2s or histogram:FILE";
/// What kinds of arrivals there are.
pub(crate) const ARRIVALS: &str = "poisson, constant, gamma:CV with a coefficient of variation from 0.01 to \
                                   10, or burst:N";

pub use problem::SettingProblem;

/// Calls a macro with the table. A row: variant, field and type; kind, group, name of the value,
/// example; help in one line, and what there is to say beyond it.
macro_rules! with_settings {
    ($then:ident) => {
        $then! {
            Endpoint endpoint: String, Api, Endpoint, "API", "openai-chat-stream",
                "API of the endpoint [default: openai-chat-stream]", "";
            BaseUrl base_url: Vec<String>, Texts, Endpoint, "URL", "http://localhost:8000/v1",
                "Base URL of the API, as its SDK takes it (OpenAI: ending in /v1); for a Unix socket \
                 unix:/run/llm.sock:/v1 (repeatable)",
                "Several are servers with the same API and model: --balance spreads requests over them, and \
                 figures are told of each, too.";
            Balance balance: Balance, Choice(&["round-robin", "session"]), Endpoint, "HOW", "session",
                "With several base URLs: how requests are spread over them [default: round-robin]",
                "round-robin sends each request to the next server; with session a client or a conversation \
                 stays at one server, as behind a router that knows where its cache is.";
            Model model: String, Text, Endpoint, "ID", "gpt-4o-mini",
                "Model ID", "";
            Provider provider: String, Text, Endpoint, "NAME", "anthropic",
                "Provider of the API; for anthropic-messages: anthropic, bedrock, bedrock-mantle, \
                 vertex or foundry",
                "Each has its own address and credentials. For other APIs it is only a label in \
                 the results.";
            Region region: String, Text, Endpoint, "REGION", "us-east-1",
                "Region, for AWS and Vertex [default: AWS_REGION, AWS_DEFAULT_REGION, the \
                 profile's, or the instance's; for Vertex CLOUD_ML_REGION]", "";
            ApiKeyEnv api_key_env: String, Text, Endpoint, "VAR", "OPENAI_API_KEY",
                "Environment variable that holds the API key [default: OPENAI_API_KEY, or that of the \
                 API's SDK]",
                "It may be unset for a server that needs no key.";
            Header header: Vec<String>, Texts, Endpoint, "K: V", "Name: value",
                "Header to add to every request (repeatable)", "";
            CaFile ca_file: PathBuf, File, Endpoint, "FILE", "ca.pem",
                "PEM file of certificates to trust instead of the system's", "";
            Insecure insecure: bool, Switch, Endpoint, "", "true",
                "Accept any TLS certificate; the server's identity is not verified", "";
            Proxy proxy: String, Text, Endpoint, "URL", "http://proxy:3128",
                "HTTP proxy, e.g. http://user:password@proxy:3128 [default: HTTPS_PROXY, HTTP_PROXY, \
                 ALL_PROXY and NO_PROXY; never for loopback addresses]", "";
            NoProxy no_proxy: bool, Switch, Endpoint, "", "true",
                "Ignore the proxies of the environment", "";
            SourceAddress source_address: Vec<String>, Texts, Endpoint, "IP", "10.0.0.5",
                "Address of this machine to connect from (repeatable)",
                "Connections take several in turn. Each address has some 28,000 local ports for a server: \
                 more of them help where every request opens a connection.";
            Http2 http2: bool, Switch, Endpoint, "", "true",
                "Use HTTP/2: with TLS if the server supports it, without TLS by prior knowledge",
                "Each client still has a connection of its own with one request in flight, so the \
                 load is the same.";
            Body body: String, Text, CustomApi, "TEMPLATE", "{\"q\": {{ prompt }}}",
                "Template of the request body, or @FILE [default: {{ payload }}]",
                "A minijinja template of a JSON document. Every value is written as JSON, so text \
                 gets its quotes. Variables: the fields of the payload (for a prompt: prompt and \
                 max_tokens), payload (the whole payload), model, api_key. Example: '{\"inputs\": {{ prompt \
                 }}, \"limit\": {{ max_tokens }}}'.";
            Framing framing: String, Choice(&["none", "sse", "ndjson", "event-stream"]), CustomApi,
                "FRAMING", "sse",
                "How responses are framed; none for non-streaming [default: none]", "";
            Jmespath jmespath: Vec<(String, String)>, Expressions, CustomApi, "PART=EXPRESSION",
                "text=choices[0].text",
                "Where to find a part of a response or frame (repeatable)",
                "Parts: text, reasoning, tool-call, id, error, end (true in the last frame, or the \
                 finish reason), input-tokens, output-tokens, cached-tokens, reasoning-tokens, and, in \
                 the payload, prompt. bedrock-invoke and sagemaker take text, prompt, output-tokens \
                 (bedrock-invoke: input-tokens).";
            Method method: String, Text, CustomApi, "METHOD", "PUT",
                "HTTP method [default: POST]", "";

            Prompt prompt: String, Text, Payload, "TEXT", "Hello",
                "Text of the user message, or @FILE (@@… for a text that begins with @)", "";
            System system: String, Text, Payload, "TEXT", "Be brief.",
                "System prompt, or @FILE", "";
            Image image: Vec<Location>, Files, Payload, "FILE", "photo.png",
                "Image to send with the prompt (repeatable)",
                "The file type is taken from its contents, else from its extension. A message has \
                 images first, then documents, audio and video, each in the order given, then the \
                 text, which is optional.";
            Document document: Vec<Location>, Files, Payload, "FILE", "report.pdf",
                "Document to send with the prompt: PDF, text, … (repeatable)", "";
            Audio audio: Vec<Location>, Files, Payload, "FILE", "speech.wav",
                "Audio to send with the prompt (repeatable)", "";
            Video video: Vec<Location>, Files, Payload, "FILE", "clip.mp4",
                "Video to send with the prompt (repeatable)", "";
            Payload payload: Location, File, Payload, "FILE", "prompts.jsonl",
                "Payloads to send: a JSON or JSONL file, or a folder of such files", "";
            Data data: String, Text, Payload, "SOURCE", "synthetic:prompt_tokens=512,output_tokens=128",
                "Data to send: a file of prompts or conversations, or synthetic:KEY=VALUE,… for prompts of \
                 exactly so many tokens",
                "A file is known by its content: ShareGPT, OpenAI batch, vLLM's {\"prompt\": …}, chat messages, \
                 JSON, JSONL, CSV or Parquet, also in gzip. Keys of synthetic data: prompt_tokens, output_tokens and turns, each with _stdev, _min, _max and \
                 _distribution (fixed, normal, lognormal, uniform), or =histogram:FILE; prefix_tokens, \
                 prefix_count and prefix_skew (uniform or zipf:S) for beginnings that prompts share; \
                 requests. Tokens are those of --tokenizer; docs/data.md has the details.";
            DataColumns data_columns: String, Text, Payload, "PART=COLUMN", "prompt=question,output_tokens=n",
                "With --data FILE: which columns are prompt, messages, system, output_tokens", "";
            DataFilter data_filter: Vec<String>, Texts, Payload, "CONDITION", "prompt_tokens < 2000",
                "With --data FILE: send only requests like this, e.g. 'prompt_tokens < 2000' (repeatable)",
                "Of a request: prompt_tokens, output_tokens, characters, turn (from 0), turns.";
            DataSample data_sample: u64, Count, Payload, "N", "1000",
                "With --data FILE: send so many of its rows, drawn by --seed [default: all]", "";
            Replay replay: String, Text, Payload, "TRACE", "trace.jsonl",
                "Replay a trace: its requests at its own times, a file or a folder",
                "Known by content: Mooncake and AIPerf's dialect of it, Bailian, BurstGPT, Azure, Weka's agentic \
                 sessions, recorded bodies, and run folders. Where a trace names blocks of prompts (hash_ids), \
                 prompts are made whose blocks are equal where the names are.";
            Speed speed: f64, Number, Payload, "FACTOR", "2",
                "With --replay: how much faster than the trace [default: 1]", "";
            Window window: String, Text, Payload, "FROM..TO", "10m..20m",
                "With --replay: the part of the trace that is sent, e.g. 10m..20m, 10m.. or ..20m", "";
            ForceOutputLength force_output_length: String,
                Choice(&["vllm", "sglang", "tgi", "llamacpp", "trtllm", "none"]), Payload, "SERVER",
                "vllm", "With --data or --replay: have this server generate exactly the output tokens asked for \
                 [default: none]",
                "Adds the server's own fields to every request, such as ignore_eos and min_tokens.";
            MaxTokens max_tokens: u64, Count, Payload, "N", "256",
                "Maximum output tokens per request [default: 256]", "";
            Extra extra: ExtraFields, Fields, Payload, "FIELD=VALUE", "temperature=0",
                "Field to add to every payload (repeatable): a JSON value, or else a text",
                "Dots lead into objects: options.num_ctx=4096. It wins over what the payload has, \
                 whether it is made of flags or read from a file.";
            Tokenizer tokenizer: String, Text, Payload, "SPEC", "tiktoken:o200k_base",
                "Tokenizer for counts that the server does not report: whitespace, tiktoken:NAME or \
                 hf:FILE [default: whitespace]", "";

            Clients clients: usize, Count, Load, "N", "8",
                "Concurrent clients, each with one request in flight [default: 1]", "";
            Requests requests: u64, Count, Load, "N", "100",
                "Requests per client [default: each payload once]", "";
            Duration duration: Duration, Time, Load, "TIME", "30s",
                "How long to send requests, e.g. 30s or 5m", "";
            Rate rate: Rate, Grammar(RATE), Load, "RATE", "20/s",
                "Arrival rate, e.g. 20/s or 90/min: requests are sent by the clock, whether those before \
                 have ended or not",
                "An open loop, as traffic of many users is; docs/load.md has more. --requests, \
                 --max-requests and --duration are those of the whole run, a warm-up comes at the same \
                 rate, and latencies are told from the actual and from the due time.";
            Arrivals arrivals: Arrivals, Grammar(ARRIVALS), Load, "KIND", "gamma:2",
                "How arrivals are spread around their rate: poisson, constant, gamma:CV or burst:N [default: \
                 poisson]",
                "gamma:CV has gaps with this coefficient of variation: 1 is poisson, below is more even, \
                 above comes in clusters. burst:N sends N at the same moment.";
            MaxInFlight max_in_flight: usize, Count, Load, "N", "256",
                "Most requests in flight with an arrival rate; others wait, and that is counted [default: no \
                 limit]",
                "What still waits when --duration has passed is not sent. Each request in flight has a \
                 connection of its own, and so an open file and a local port.";
            Sessions sessions: usize, Count, Load, "N", "8",
                "Concurrent conversations of --data or --replay: when one ends, the next begins",
                "A turn is sent when the answer before it has come and the think time has passed, with that \
                 answer in its history. A turn that fails ends its conversation. docs/load.md has more.";
            SessionRate session_rate: Rate, Grammar(RATE), Load, "RATE", "2/s",
                "Conversations of --data that begin in a time, e.g. 2/s, whether those before have ended or not",
                "--arrivals is how they are spread.";
            MaxSessions max_sessions: u64, Count, Load, "N", "100",
                "Most conversations that begin [default: those of the data, each once]", "";
            ThinkTime think_time: ThinkTime, Grammar(THINK_TIME), Load, "TIME", "2s",
                "Pause between an answer and the next turn of its conversation: a time like 2s or a \
                 distribution like exponential:5s [default: none, or the trace's own]",
                "Also uniform:FROM..TO, normal:MEAN,STDEV, lognormal:MEAN,STDEV and histogram:FILE, whose lines are \
                 a time or a range of times and how often it comes: '2s 30', '1s-5s 5'. It is in no latency.";
            History history: History, Choice(&["server", "data"]), Load, "SOURCE", "data",
                "Answers in the history of conversations: those that the server gives, or those of the data \
                 [default: server]",
                "What a trace records whole, as blocks or messages, is always sent as it is.";
            SessionHeader session_header: String, Text, Load, "NAME", "X-Session-ID",
                "Header that has the id of a request's conversation, for routers", "";
            SessionField session_field: String, Text, Load, "FIELD", "user",
                "Field of the payload that has the id of its conversation, for routers",
                "Dots lead into objects: metadata.user_id.";
            Stages stages: Stages, Grammar(STAGES), Load, "STAGES", "10/s for 30s, ramp to 50/s over 2m",
                "Stages of a load, e.g. '10/s for 30s, ramp to 50/s over 2m' or 'ramp to 64 clients over 1m, \
                 64 clients for 5m'",
                "Rates or numbers of clients, held for a time or approached in a straight line. Every figure \
                 is told of each stage, too. With --data also conversations: '64 sessions for 5m' has so many at a \
                 time, '2 sessions/s for 5m' so many begin.";
            Until until: Vec<PrecisionTarget>, Conditions, Load, "TARGET", "ttft-p90 ±5%",
                "Send until a figure is known this precisely, e.g. 'ttft-p90 ±5%' (repeatable)",
                "Its true value then lies within so much of the measured one with a probability of 95 %, \
                 also when a run is watched and stopped by it. Means and percentiles of values of single requests can \
                 be watched; +- stands for ±, and a unit like ms for a share. --max-requests, \
                 --max-duration, --max-cost, --requests or --duration end the run before.";
            MaxRequests max_requests: u64, Count, Load, "N", "5000",
                "Most requests over all clients, e.g. with --until", "";
            Shard shard: Shard, Text, Load, "I/N", "1/4",
                "Play the I-th of N parts of the load; `llmeter merge` makes one run of them",
                "Give every part the same settings and seed and start all at the same time. Client number \
                 k, counted from 0, is in part k mod N + 1. --clients, --max-requests and --max-cost are \
                 those of the whole load; --until, --max-failures and --stop-on-error-rate are judged by \
                 each part for itself.";
            MaxDuration max_duration: Duration, Time, Load, "TIME", "20m",
                "How long to send at most with --until [default: 10m]", "";
            Cancel cancel: Cancellation, Grammar(CANCEL), Load, "SHARE@TIME", "5%@2s",
                "Close a share of the requests after a time, as users who go away do, e.g. 5%@2s",
                "They are counted apart, and in no latency. The seed decides which they are.";
            ReadRate read_rate: SlowReaders, Grammar(READ_RATE), Load, "RATE[@SHARE]", "20KB/s@10%",
                "Read responses slowly, of all requests or of a share, e.g. 20KB/s@10%",
                "Does back-pressure of slow users hold up others? Slow responses are in no latency. What the \
                 kernels of both sides keep, some 100 KB, comes first.";
            WaitUntilReady wait_until_ready: Duration, Time, Load, "TIME", "10m",
                "Before the run, send a request again and again until the server answers, so long at most", "";
            BeforeRun before_run: Vec<ServerCall>, Calls, Load, "CALL", "POST /reset_prefix_cache",
                "Call the server before the run, e.g. 'POST /reset_prefix_cache' (repeatable)",
                "The path is below the server's address, not below the base URL's path; headers are those of \
                 requests. A status that is no success ends the run before it begins.";
            BeforeStage before_stage: Vec<ServerCall>, Calls, Load, "CALL", "POST /reset_prefix_cache",
                "Call the server before each stage of --stages (repeatable)",
                "Before the first one as --before-run does. Later it is called when a stage begins, beside the                  requests; a call that fails is a warning then.";
            Timeout timeout: Duration, Time, Load, "TIME", "90s",
                "Timeout of a request, connecting included [default: 60s]", "";
            MaxRetries max_retries: u32, Count, Load, "N", "2",
                "Retries of a request whose connection fails or whose status is 429 or 503 [default: \
                 0]", "";
            NoFailurePause no_failure_pause: bool, Switch, Load, "", "true",
                "Send on at once after failures, as an overload test does",
                "Otherwise a client whose request failed waits before its next: 0.1 s, doubled with each \
                 failure in a row up to 5 s. With this switch, a run also goes on if its first requests \
                 all fail in a way that does not pass by itself, like a wrong key.";
            MaxFailures max_failures: u64, Count, Load, "N", "10",
                "Stop sending once so many requests have failed", "";
            StopOnErrorRate stop_on_error_rate: f64, Number, Load, "RATE", "0.1",
                "Stop sending once a larger share of the requests has failed, from the twentieth on, like \
                 0.1 or 10%", "";
            MaxResponseSize max_response_size: u64, Count, Load, "MIB", "256",
                "Largest document, or frame of a stream, in MiB [default: 64]",
                "A larger one fails, and its connection is closed. All responses under way together may \
                 keep twice as much, and 128 MiB at least; of the text of one response 2 MiB are kept.";
            Connections connections: Connections, Choice(&["keep", "new"]), Load, "MODE", "new",
                "Keep connections alive between requests, or open a new one for each [default: keep]", "";
            Warmup warmup: Warmup, CountOrTime, Load, "N|TIME", "10",
                "Requests to send first and exclude from the statistics, or for how long, e.g. 10s \
                 [default: 0]", "";
            Seed seed: u64, Count, Load, "N", "7",
                "Random seed: the same seed gives the same order of payloads [default: 0]", "";

            Callbacks callbacks: Vec<Object>, Tables, Callbacks, "", "",
                "Callbacks of the run: tables with a type and its fields, or with a file name", "";
            CacheBuster cache_buster: bool, Switch, Callbacks, "", "true",
                "Give every prompt a unique prefix, so that prompt caches do not hit", "";
            Mlflow mlflow: String, Address, Callbacks, "URI", "http://localhost:5000",
                "Log the run to an MLflow tracking server [default URI: MLFLOW_TRACKING_URI]",
                "Credentials come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or from \
                 MLFLOW_TRACKING_TOKEN.";
            MlflowExperiment mlflow_experiment: String, Text, Callbacks, "NAME", "nightly",
                "MLflow experiment, created if it does not exist [default: MLFLOW_EXPERIMENT_NAME, \
                 else \"Default\"]", "";
            MlflowRequired mlflow_required: bool, Switch, Callbacks, "", "true",
                "Do not start a run that cannot be logged to MLflow",
                "Before the run the server is asked whether it answers and has the experiment and the \
                 parent run. If not, the default is to ask on a terminal and to go on with a warning \
                 elsewhere.";
            MlflowArtifacts mlflow_artifacts: bool, Switch, Callbacks, "", "true",
                "Upload the run's files and its report to MLflow", "";

            CostInput cost_input: f64, Number, Costs, "PRICE", "0.5",
                "Price per million input tokens",
                "Prices add costs to every response and to the run, in the currency of the prices.";
            CostOutput cost_output: f64, Number, Costs, "PRICE", "1.5",
                "Price per million output tokens", "";
            CostCachedInput cost_cached_input: f64, Number, Costs, "PRICE", "0.25",
                "Price per million cached input tokens, instead of the input price", "";
            CostHour cost_hour: f64, Number, Costs, "PRICE", "3.6",
                "Price of the endpoint per hour", "";
            MaxCost max_cost: f64, Number, Costs, "AMOUNT", "2.5",
                "Stop sending before the estimated cost, warm-up included, exceeds this",
                "Requires prices. Requests in flight finish, results are kept, the exit code is 0, \
                 and the statistic cost_limit_reached is set. A request is estimated from its prompt \
                 and its output limit, or, without a limit, at the highest cost so far.";

            Stamps stamps: StampSource, Choice(&["auto", "kernel", "packet", "user"]), Measurement, "SOURCE", "user",
                "Source of receive stamps: kernel, as packets arrive (Linux), packet, of each packet by \
                 itself, or user, after each read [default: auto]",
                "The kernel keeps one stamp for packets that wait to be read together. With packet, llmeter \
                 captures what the server sends (the first bytes of each packet), so that each token has the \
                 time of its own packet even where a worker falls behind. That needs Linux and CAP_NET_RAW. auto takes \
                 the kernel's, which cost less processor time.";
            ServerTimeHeader server_time_header: Vec<String>, Texts, Measurement, "NAME", "x-backend-time",
                "Response header that states how long the server took, in milliseconds, or NAME=s, =us, =ns \
                 (repeatable)",
                "Those of OpenAI, Envoy, TGI and others and Server-Timing are known. docs/network.md lists them.";
            Slo slo: Vec<Condition>, Conditions, Measurement, "CONDITION", "ttft < 500ms",
                "SLO that requests or the run are to meet, e.g. 'ttft < 500ms' or 'ttft-p99 < 1s' \
                 (repeatable)",
                "A metric of each request without a statistic gives goodput: the requests that meet all \
                 such SLOs, per second and as a share. A figure of the run is met or missed. \
                 docs/experiments.md has the grammar.";
            FailIf fail_if: Vec<Condition>, Conditions, Measurement, "CONDITION",
                "failed_requests_rate > 1%",
                "Exit with code 5 if a figure of the run fulfils this, e.g. 'ttft-p90 > 500ms' \
                 (repeatable)",
                "So it does if the run has no such figure.";
            Calibrate calibrate: bool, Switch, Measurement, "", "true",
                "First measure this machine's own error against the built-in simulator", "";
            Strict strict: bool, Switch, Measurement, "", "true",
                "Exit with code 4 unless the verdict is clean", "";
            Workers workers: usize, Count, Measurement, "N", "2",
                "Threads that send and receive [default: the number of cores minus one]", "";
            Steady steady: bool, Switch, Measurement, "", "true",
                "Show rates of the steady state, without ramp-up and tail",
                "It begins when as many requests are in flight as at the peak (95 %), and as many have \
                 ended; it ends when fewer are in flight for good. The summary says how many requests \
                 are left out. Needs the responses in memory.";
            Stall stall: Duration, Time, Measurement, "TIME", "1s",
                "Longest gap of a stream that is no stall [default: 1s]", "";
            ReadingSpeed reading_speed: f64, Number, Measurement, "TOKENS", "10",
                "Tokens that a reader reads in a second: counts what comes too late for that", "";
            LowMemory low_memory: bool, Switch, Measurement, "", "true",
                "Keep no responses in memory; percentiles come from a sketch", "";

            Output output: Location, File, Output, "DIR", "results",
                "Where to write the run folder, DIR/RUN-NAME; may be an s3://, gs:// or az:// URL \
                 [default: runs]", "";
            RunName run_name: String, Text, Output, "NAME", "baseline",
                "Name of the run and of its folder [default: the local time]", "";
            Description description: String, Text, Output, "TEXT", "before the upgrade",
                "Description of the run", "";
            Overwrite overwrite: bool, Switch, Output, "", "true",
                "Replace an existing run of this name", "";
            IgnoreWriteErrors ignore_write_errors: bool, Switch, Output, "", "true",
                "Go on sending when responses can no longer be written, as on a full disk",
                "Without it the run stops sending then. The summary is printed and what can be \
                 written is written in either case; the exit code is 7.";
            Quiet quiet: bool, Switch, Output, "", "true",
                "Hide progress", "";
            Json json: bool, Switch, Output, "", "true",
                "Print only the statistics, as JSON", "";
        }
    };
}
pub(crate) use with_settings;

/// The type of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingKind {
    /// A string.
    Text,
    /// One string or a list.
    Texts,
    /// The path or URL of a file or folder.
    File,
    /// One such path or a list.
    Files,
    /// An integer.
    Count,
    /// An integer, or a duration like `10s`.
    CountOrTime,
    /// A number.
    Number,
    /// A duration like `30s`, or a number of seconds.
    Time,
    /// True or false.
    Switch,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// The name of an API.
    Api,
    /// JMESPath expressions by the part of a response that they find.
    Expressions,
    /// Fields of a payload with JSON values.
    Fields,
    /// An address, or true for that of the environment, stored as an empty string.
    Address,
    /// One condition on a figure or a list.
    Conditions,
    /// A text in a grammar of its own: what it takes, for messages.
    Grammar(&'static str),
    /// One call of a server or a list.
    Calls,
    /// Tables, in files only.
    Tables,
}

/// The part of a run that a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingGroup {
    /// Where requests go.
    Endpoint,
    /// The format of an API that llmeter does not know.
    CustomApi,
    /// What is sent.
    Payload,
    /// How it is sent.
    Load,
    /// Callbacks.
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
            /// Every setting of a run, in the order of help.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Replaces settings in backticks (`` `base_url` ``) by what `name` calls them.
            pub fn rename_all(text: &str, name: &dyn Fn(Self) -> String) -> String {
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

            /// The type of its value.
            pub const fn kind(self) -> SettingKind {
                use SettingKind::*;
                match self {
                    $(Self::$variant => $kind,)+
                    _ => Text,
                }
            }

            /// Its group in help.
            pub const fn group(self) -> SettingGroup {
                match self {
                    $(Self::$variant => SettingGroup::$group,)+
                    _ => SettingGroup::Endpoint,
                }
            }

            /// The placeholder of its value in help; empty for a switch.
            pub const fn value_name(self) -> &'static str {
                match self {
                    $(Self::$variant => $value,)+
                    _ => "",
                }
            }

            /// An example value, as text.
            pub const fn example(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => if $example.is_empty() { None } else { Some($example) },)+
                    _ => None,
                }
            }

            /// One line of help.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$variant => $help,)+
                    _ => "",
                }
            }

            /// More help, below [`help`](Self::help); often empty.
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

    /// The setting whose name is most like this one, which none has.
    pub fn nearest(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        nearest(&name, Self::ALL.iter().map(|setting| setting.name())).and_then(Self::named)
    }

    /// The settings that it excludes. Giving it drops those of a lower layer.
    pub const fn excludes(self) -> &'static [Self] {
        match self {
            Self::Requests => &[
                Self::Duration,
                Self::MaxDuration,
                Self::Stages,
                Self::Replay,
                Self::Sessions,
                Self::SessionRate,
                Self::MaxSessions,
            ],
            Self::Duration => &[
                Self::Requests,
                Self::MaxDuration,
                Self::Stages,
                Self::Replay,
            ],
            Self::MaxDuration => &[Self::Requests, Self::Duration, Self::Stages],
            Self::Clients => &[
                Self::Rate,
                Self::Arrivals,
                Self::MaxInFlight,
                Self::Stages,
                Self::Replay,
                Self::Sessions,
                Self::SessionRate,
            ],
            Self::Rate => &[
                Self::Clients,
                Self::Stages,
                Self::Sessions,
                Self::SessionRate,
            ],
            Self::Arrivals => &[Self::Clients, Self::Sessions, Self::Replay],
            Self::MaxInFlight => &[Self::Clients, Self::Sessions],
            Self::Sessions => &[
                Self::Clients,
                Self::Rate,
                Self::SessionRate,
                Self::Arrivals,
                Self::MaxInFlight,
                Self::Stages,
                Self::Requests,
                Self::Payload,
            ],
            Self::SessionRate => &[
                Self::Clients,
                Self::Rate,
                Self::Sessions,
                Self::Stages,
                Self::Requests,
                Self::Replay,
                Self::Payload,
            ],
            Self::MaxSessions => &[Self::Requests],
            Self::Stages => &[
                Self::Sessions,
                Self::SessionRate,
                Self::Clients,
                Self::Rate,
                Self::Requests,
                Self::Duration,
                Self::MaxDuration,
                Self::Replay,
            ],
            Self::CaFile => &[Self::Insecure],
            Self::Insecure => &[Self::CaFile],
            Self::Proxy => &[Self::NoProxy],
            Self::NoProxy => &[Self::Proxy],
            Self::Replay => &[
                Self::SessionRate,
                Self::Clients,
                Self::Arrivals,
                Self::Data,
                Self::Payload,
                Self::Prompt,
                Self::Image,
                Self::Document,
                Self::Audio,
                Self::Video,
                Self::Requests,
                Self::Duration,
                Self::Stages,
            ],
            Self::Data => &[
                Self::Replay,
                Self::Payload,
                Self::Prompt,
                Self::Image,
                Self::Document,
                Self::Audio,
                Self::Video,
            ],
            Self::Payload => &[
                Self::Sessions,
                Self::SessionRate,
                Self::Replay,
                Self::Speed,
                Self::Window,
                Self::Data,
                Self::DataColumns,
                Self::DataFilter,
                Self::DataSample,
                Self::ForceOutputLength,
                Self::Prompt,
                Self::System,
                Self::Image,
                Self::Document,
                Self::Audio,
                Self::Video,
                Self::MaxTokens,
            ],
            Self::Prompt | Self::Image | Self::Document | Self::Audio | Self::Video => {
                &[Self::Payload, Self::Data, Self::Replay]
            }
            Self::System
            | Self::MaxTokens
            | Self::Speed
            | Self::Window
            | Self::DataColumns
            | Self::DataFilter
            | Self::DataSample
            | Self::ForceOutputLength => &[Self::Payload],
            _ => &[],
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
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
                Error::requires_any(
                    Setting::MaxInFlight,
                    &[Setting::Rate, Setting::Stages, Setting::Replay],
                ),
                "max_in_flight requires rate, stages or replay",
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
            error.with_setting_names(&flag),
            "--body only applies to --endpoint http"
        );
        assert_eq!(
            Setting::rename_all("check `base_url`, `model` and `this`", &flag),
            "check --base_url, --model and `this`"
        );
        let error = Error::invalid(Setting::Prompt, "x", "y").with_hint("try z");
        assert_eq!(
            (error.with_setting_names(&flag), error.hint()),
            ("--prompt x: expected y".into(), Some("try z"))
        );
    }
}
