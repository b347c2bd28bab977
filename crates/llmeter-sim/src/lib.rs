//! A simulated LLM server: an HTTP server that speaks the APIs of OpenAI, Anthropic, AWS, Gemini,
//! Ollama and TGI, keeps a given rhythm, fails on demand and logs what it truly did.
//!
//! It serves three purposes: trying a load test without a model, teaching a meter its own error
//! by comparing what it measured with the [truth](TruthRecord), and standing in for servers that
//! stall, break or queue.
//!
//! ```
//! use std::time::Duration;
//! use llmeter_sim::{SimConfig, Simulator};
//!
//! let simulator = Simulator::start(SimConfig {
//!     ttft: Duration::from_millis(50),
//!     itl: Duration::from_millis(10),
//!     output_tokens: 64,
//!     keep_truth: true,
//!     ..SimConfig::default()
//! })?;
//! println!("point a client at {}", simulator.base_url());
//! # assert!(simulator.truth().is_empty());
//! simulator.stop()?;
//! # Ok::<(), llmeter_sim::SimError>(())
//! ```
//!
//! # What it serves
//!
//! | request | response |
//! | --- | --- |
//! | `POST /v1/chat/completions` | a generated response, streaming or not |
//! | `POST /v1/responses`, `POST /v1/completions` | the same in OpenAI's other APIs |
//! | `POST /v1/embeddings` | a vector for each input, when a first token would be due |
//! | `POST /v1/messages` | the same as Anthropic Messages |
//! | `POST /v1beta/models/ID:generateContent`, `:streamGenerateContent` | the same as Gemini |
//! | `POST /api/chat` | the same as Ollama |
//! | `POST /generate`, `/generate_stream` | the same as TGI, which knows no reasoning and no tools |
//! | `GET /v1/models`, `GET /v1/models/ID` | the one model, [`SimConfig::model`] |
//! | `POST /model/ID/converse`, `…/converse-stream` | the same as Bedrock's Converse |
//! | `POST /model/ID/invoke`, `…/invoke-with-response-stream` | the same as a model behind Bedrock, in the shape of chat completions |
//! | `POST /endpoints/NAME/invocations`, `…/invocations-response-stream` | the same as a text generation container of SageMaker |
//! | `GET /health` | `{"status":"ok"}`, without a key |
//!
//! The paths work without `/v1` too, and below `/openai` and `/openai/deployments/NAME` as in Azure. Responses bear whatever model name the request used. Every
//! token is one plain word, so that counting words gives the usage's `completion_tokens`; prompt
//! tokens are the words of all texts in the messages. Honoured are `stream`,
//! `stream_options.include_usage`, `max_tokens`, `max_completion_tokens`, `n`, `tools` and
//! `tool_choice`, and what the other APIs call these; a tool is called only when the request insists
//! on it. Vectors have 16 numbers. Everything else is accepted and ignored. Errors have the shape of
//! the API that was asked. Keys may come as a bearer token, `api-key`, `x-api-key` or
//! `x-goog-api-key`. With [`SimConfig::verify_sigv4`] requests to AWS's must be signed.
//!
//! Clients speak HTTP/1.1 or HTTP/2 as they like: over TLS ([`SimConfig::tls`]) by agreement, without
//! by beginning so. By HTTP/2 they may send up to 1,024 requests at a time on a connection.
//!
//! # Rhythm
//!
//! Work on a request begins when its last byte has arrived, by the kernel's stamp; or, if that is
//! later, when the response before it on the same connection is complete or when the queue lets it
//! in, first come, first served: [`SimConfig::max_concurrency`] requests and
//! [`SimConfig::max_tokens_in_flight`] tokens are worked on at a time. A place becomes free when the
//! response that had it was *due* to be complete, so that waiting times are those of queueing theory. The first frame
//! with content is due [`SimConfig::ttft`] and the prompt's share of [`SimConfig::prefill_rate`]
//! later, and each further one [`SimConfig::itl`] after the moment at which the one before it was
//! *due*: being late never shifts what follows. No frame is early; on an idle Linux machine most
//! are late by 0.1 to 0.3 ms, and the log says when each was written. The opening (HTTP head and
//! role-only frame) is written immediately before the first frame with content, the closing
//! (finish reason, usage, `[DONE]`) immediately after the last one. Opening and closing are one
//! write each, and each frame between them is one chunk and one write. A non-streaming response comes when
//! its last frame would have been due. With both delays zero frames are written as fast as the
//! client takes them.
//!
//! # Prefix cache
//!
//! With [`SimConfig::prefix_cache`] the beginnings of earlier prompts, and what was generated after
//! them, are not read again: the usage of APIs that tell cached tokens has them, and only the rest
//! takes the time of [`SimConfig::prefill_rate`]. As in vLLM, blocks of [`SimConfig::cache_block`]
//! tokens are kept from a response's first token on, generated ones from its end on, those used
//! least recently go first, and a prompt's last token is always read. The next turn of a conversation,
//! which quotes the answer, so finds all but its new message in the cache; who says a word does not matter.
//!
//! # Faults
//!
//! A request struck by `error` gets status 500 immediately. `stall` and `cut` strike at
//! the middle frame, when it is due: the stream falls silent until the client leaves, or the
//! connection is closed; by HTTP/2 only the stream is reset. A non-streaming response breaks off in the middle of its body. A stalled request
//! keeps its slot.
//!
//! # Headers that change one request
//!
//! | header | value | changes |
//! | --- | --- | --- |
//! | `x-sim-ttft-ms` | milliseconds | [`SimConfig::ttft`] |
//! | `x-sim-itl-ms` | milliseconds | [`SimConfig::itl`] |
//! | `x-sim-output-tokens` | 1 or more | [`SimConfig::output_tokens`] |
//! | `x-sim-reasoning-tokens` | 0 or more | [`SimConfig::reasoning_tokens`] |
//! | `x-sim-fault` | `error`, `stall` or `cut` | whether and how it fails |
//!
//! # The truth file
//!
//! [`SimConfig::truth`] names a file of JSON lines, one [`TruthRecord`] per generating
//! request that was understood, in the order in which their responses ended:
//!
//! ```json
//! {"id":"chatcmpl-…","accepted_ns":1,"hello_ns":0,"handshake_ns":0,"arrival_ns":1,"arrival_last_ns":1,
//!  "kernel_arrival":true,"start_ns":1,"writes":[50000001,60000001],"reasoning_writes":0,"done_ns":60000009,"prompt_tokens":3,
//!  "cached_tokens":0,"completion_tokens":2,"outcome":"ok"}
//! ```
//!
//! (in one line). Times are nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine
//! share, read and translated by the simulator's own clock and not by the meter's. `arrival_ns` and `arrival_last_ns` are when the network stack received the request's
//! first and last byte, as the kernel saw it if `kernel_arrival` is true; bytes that one read
//! returned together share the stamp of the last of them, and so do those of one TLS record. `writes` has the time immediately
//! before the `write` call that handed the last byte of a frame with content to the kernel, whatever
//! is between: TLS, HTTP/2 or both. (The one frame of a non-streaming response by HTTP/1.1 has
//! the time before TLS seals it.) `accepted_ns`, `hello_ns` and
//! `handshake_ns` are of the request's connection: when it was accepted, and when the client's beginning
//! and end of the TLS handshake arrived, 0 without TLS. `outcome` is `ok`, `error`, `stall`,
//! `cut`, `client_gone` or `stopped`. Lines reach the file within a fraction of a second and all
//! of them before [`RunningSimulator::stop`] returns; [`read_truth`] reads them back.

pub mod calibration;
pub mod comparison;
pub mod conformance;

mod api;
mod clock;
mod config;
mod connection;
mod error;
mod exchange;
mod generate;
mod http;
mod http2;
mod incoming;
mod overrides;
mod pacer;
mod plan;
mod prefix_cache;
mod queue;
mod response;
mod server;
mod shared;
mod socket;
mod tls;
mod transport;
mod truth;

pub use config::SimConfig;
pub use error::SimError;
pub use server::{RunningSimulator, Simulator, Stopper};
pub use tls::Certificate;
pub use truth::{Outcome, TruthRecord, read_truth};
