//! What one request gave: its text, its times, its counts, its failure.
//!
//! The structs and the table of their fields come from the same rows: files, dimensions and
//! schemas follow the table, so that a field is added here and nowhere else.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::field::{FailurePart, FieldSlot, FieldValue, PartSlot, PathSlot, ResponseField};
use super::packed_path::{PackedPath, Word};
use super::{Annotations, Delivery, SharedName, TokenSource};
use crate::base::failure::{Failure, FailureKind};
use crate::payload::Payload;
use llmeter_wire::Phase;

/// The annotation that says how many vectors came.
pub(super) const VECTORS: &str = "vectors";
/// The annotation that says how many choices came, if more than one did.
pub(crate) const CHOICES: &str = "choices";

macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

/// Declares the two structs and the table of all their fields.
///
/// A field's type decides its kind ([`FieldValue`]), its doc comment is its description
/// everywhere, and `#[unit = …]` is the unit of a count.
macro_rules! response_fields {
    (
        $(#[doc = $contract_doc:literal])+
        pub struct InvocationResponse {$(
            $(#[doc = $doc:literal])+
            $(#[unit = $unit:literal])?
            pub $key:ident: $type:ty,
        )+}

        $(#[doc = $own_doc:literal])+
        pub struct ResponseDetail {$(
            $(#[doc = $detail_doc:literal])+
            $(#[unit = $detail_unit:literal])?
            pub $detail_key:ident: $detail_type:ty,
        )+}

        $(#[doc = $schedule_doc:literal])+
        pub struct ScheduleDetail {$(
            $(#[doc = $scheduled_doc:literal])+
            pub $scheduled_key:ident: Option<f64>,
        )+}

        $(#[doc = $path_doc:literal])+
        pub struct PathDetail {$(
            $(#[doc = $way_doc:literal])+
            $(#[unit = $way_unit:literal])?
            pub $way_key:ident: $way_type:ty,
        )+}
    ) => {
        $(#[doc = $contract_doc])+
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct InvocationResponse {
            $($(#[doc = $doc])+ pub $key: $type,)+
            /// What llmeter measures beyond the fields above.
            pub detail: ResponseDetail,
        }

        $(#[doc = $own_doc])+
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct ResponseDetail {
            $($(#[doc = $detail_doc])+ pub $detail_key: $detail_type,)+
            /// Of a request that was due by the clock, or that is a turn of a conversation.
            pub schedule: Option<Box<ScheduleDetail>>,
            /// What network and server say of the response's times, if anything is known.
            pub path: PackedPath,
        }

        $(#[doc = $schedule_doc])+
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct ScheduleDetail {
            $($(#[doc = $scheduled_doc])+ pub $scheduled_key: Option<f64>,)+
        }

        $(#[doc = $path_doc])+
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct PathDetail {
            $($(#[doc = $way_doc])+ pub $way_key: $way_type,)+
        }

        impl PathDetail {
            /// The values of all fields, in their order.
            pub(super) fn words(&self) -> impl IntoIterator<Item = Option<u64>> + AsRef<[Option<u64>]> {
                [$(self.$way_key.map(Word::to_word)),+]
            }

            /// The detail of these values, in the order of the fields.
            pub(super) fn of_words(mut next: impl FnMut() -> Option<u64>) -> Self {
                Self { $($way_key: next().map(Word::of_word),)+ }
            }
        }

        impl InvocationResponse {
            /// Every field that a line of `responses.jsonl` can have, in the order of the line.
            pub const FIELDS: &'static [ResponseField] = &[
                $(ResponseField {
                    key: stringify!($key),
                    doc: concat!($($doc),+).trim_ascii_start(),
                    unit: optional!($($unit)?),
                    is_contract: true,
                    get: |response| FieldValue::from(&response.$key),
                    slot: |response| FieldSlot::from(&mut response.$key),
                },)+
                ResponseField {
                    key: "error_kind",
                    doc: "The failure's kind, like `connection_refused`.",
                    unit: None,
                    is_contract: false,
                    get: |response| FieldValue::Text(kind_of(response)),
                    slot: |_| FieldSlot::Failure(FailurePart::Kind),
                },
                ResponseField {
                    key: "error_phase",
                    doc: "What was being done when the request failed, like `connect`.",
                    unit: None,
                    is_contract: false,
                    get: |response| FieldValue::Text(phase_of(response)),
                    slot: |_| FieldSlot::Failure(FailurePart::Phase),
                },
                $(ResponseField {
                    key: stringify!($detail_key),
                    doc: concat!($($detail_doc),+).trim_ascii_start(),
                    unit: optional!($($detail_unit)?),
                    is_contract: false,
                    get: |response| FieldValue::from(&response.detail.$detail_key),
                    slot: |response| FieldSlot::from(&mut response.detail.$detail_key),
                },)+
                $(ResponseField {
                    key: stringify!($scheduled_key),
                    doc: concat!($($scheduled_doc),+).trim_ascii_start(),
                    unit: None,
                    is_contract: false,
                    get: |response| FieldValue::Seconds(response.schedule().$scheduled_key),
                    slot: |response| FieldSlot::Schedule(PartSlot {
                        part: &mut response.detail.schedule,
                        field: |schedule| &mut schedule.$scheduled_key,
                    }),
                },)+
                $(ResponseField {
                    key: stringify!($way_key),
                    doc: concat!($($way_doc),+).trim_ascii_start(),
                    unit: optional!($($way_unit)?),
                    is_contract: false,
                    get: |response| FieldValue::from(response.path().$way_key),
                    slot: |response| FieldSlot::from(PathSlot {
                        path: &mut response.detail.path,
                        field: |path| &mut path.$way_key,
                    }),
                },)+
            ];
        }
    };
}

impl ResponseDetail {
    /// The tokens of prompt and response by the data that they come from.
    pub(crate) fn asked_tokens(&self) -> [Option<u64>; 2] {
        [self.asked_input_tokens, self.asked_output_tokens]
            .map(|tokens| (tokens > 0).then_some(tokens.into()))
    }
}

fn kind_of(response: &InvocationResponse) -> Option<&str> {
    response.error.as_ref()?.recorded_kind()
}

fn phase_of(response: &InvocationResponse) -> Option<&str> {
    response.error.as_ref()?.phase().map(Phase::as_str)
}

impl InvocationResponse {
    /// Why the request failed, in words.
    pub fn error_text(&self) -> Option<&str> {
        self.error.as_ref().map(Failure::message)
    }

    /// Whether the run closed the request on purpose. It is no failure then, although it has an error.
    pub fn is_cancelled(&self) -> bool {
        let kind = self.error.as_ref().map(Failure::kind);
        kind == Some(FailureKind::Cancelled)
    }

    /// What is known of when the request was due; nothing in a closed loop.
    pub fn schedule(&self) -> ScheduleDetail {
        self.detail.schedule.as_deref().copied().unwrap_or_default()
    }

    /// What network and server say of the response's times, as far as it is known.
    pub fn path(&self) -> PathDetail {
        self.detail.path.get()
    }

    /// How long the request was in flight, as far as is known: until its last token, or until it had failed.
    pub fn time_in_flight(&self) -> Option<f64> {
        self.detail.time_to_failure.or(self.time_to_last_token)
    }

    /// Whether the server sent several choices, of which the text is the first.
    pub(crate) fn has_several_choices(&self) -> bool {
        let choices = self.annotations.get(CHOICES).and_then(Value::as_u64);
        choices.is_some_and(|choices| choices > 1)
    }

    /// How many vectors an embeddings API returned.
    pub(crate) fn vectors(&self) -> Option<u64> {
        self.annotations.get(VECTORS)?.as_u64()
    }
}

response_fields! {
    /// The record of one request, as it is kept in memory and written to `responses.jsonl`.
    ///
    /// All durations are seconds. The clock starts at the system call that hands the first byte of the
    /// request to the kernel on a ready connection.
    pub struct InvocationResponse {
        /// The visible text; kept as far as it came when the request failed.
        pub response_text: Option<String>,
        /// The payload as it was sent. Requests with the same payload share it.
        pub input_payload: Option<Arc<Payload>>,
        /// The server's id for the response, else one made by llmeter.
        pub id: Option<String>,
        /// The prompt's text, or the part of the payload that stands for it.
        pub input_prompt: Option<Arc<Value>>,
        /// Time to the first frame with generated content of any kind. Unset when not streaming.
        pub time_to_first_token: Option<f64>,
        /// Time to the last frame with generated content. Unset for an empty response.
        pub time_to_last_token: Option<f64>,
        /// Input tokens, reported by the server or else estimated.
        #[unit = "tokens"]
        pub num_tokens_input: Option<u64>,
        /// Output tokens (reasoning included), reported by the server or else estimated.
        #[unit = "tokens"]
        pub num_tokens_output: Option<u64>,
        /// The part of the input tokens that came from the server's cache.
        #[unit = "tokens"]
        pub num_tokens_input_cached: Option<u64>,
        /// The part of the output tokens that was reasoning.
        #[unit = "tokens"]
        pub num_tokens_output_reasoning: Option<u64>,
        /// (time to last token − time to first token) / (output tokens − 1). Unset for a response that
        /// came in one burst or has several choices.
        pub time_per_output_token: Option<f64>,
        /// Why the request failed; unset is success.
        pub error: Option<Failure>,
        /// How often the request was sent again.
        #[unit = "retries"]
        pub retries: Option<u32>,
        /// When the request was sent.
        pub request_time: Option<Timestamp>,
        /// Free data: what callbacks add, and what the server says beyond its API (`server_timings`:
        /// how long the server took by its own clock, with the names that it gives).
        pub annotations: Annotations,
    }

    /// Measurements that the Python system's format has no field for.
    ///
    /// On disk they are further top-level keys of the response's line, each left out when unset.
    pub struct ResponseDetail {
        /// Time to the first *answer* token (TTFAT): the first frame with content that is not reasoning.
        pub time_to_first_answer_token: Option<f64>,
        /// Where the number of input tokens comes from: `reported`, `corrected` or `contradictory` (the
        /// server's counts contradict each other, the response's size or the request's output limit),
        /// `tokenizer NAME`, `estimated`, or `unknown` where there is no count.
        pub num_tokens_input_source: Option<TokenSource>,
        /// The same of the number of output tokens.
        pub num_tokens_output_source: Option<TokenSource>,
        /// Gaps between consecutive content frames, in order; of a very long stream a fair sample of
        /// them.
        pub inter_token_latencies: Vec<f32>,
        /// Gaps for which the sample stands beside its own.
        #[unit = "gaps"]
        pub inter_token_latencies_dropped: u32,
        /// The longest gap between consecutive content frames, those outside a sample included.
        pub longest_gap: Option<f64>,
        /// How the response came, if not piece by piece as asked for: `empty` (no content),
        /// `non_streaming` (one document in the place of a stream) or `buffered` (all content in one
        /// burst: all tokens at once, or eight frames or more within a hundredth of the response's time
        /// and 0.1 ms from frame to frame at most).
        pub delivery: Option<Delivery>,
        /// Bytes of text beyond what is kept of one response: 2 MiB, reasoning and tool calls included.
        #[unit = "bytes"]
        pub text_dropped: u32,
        /// Frames with generated content.
        #[unit = "frames"]
        pub content_frames: Option<u32>,
        /// Time to open the connection, if this request had to open one.
        pub time_to_connect: Option<f64>,
        /// Time of the TLS handshake, from its first byte to its last, if this request had to make one.
        pub time_to_tls: Option<f64>,
        /// Time to the end of the response's head (status line and headers).
        pub time_to_headers: Option<f64>,
        /// The HTTP status.
        pub status: Option<u16>,
        /// Why generation ended, as the server said (`stop`, `length`, …).
        pub finish_reason: Option<Arc<str>>,
        /// The reasoning text.
        pub reasoning_text: Option<String>,
        /// Time that was waited before retries.
        pub retry_wait: Option<f64>,
        /// Time that was lost to an attempt on a kept connection that the server had given up, before the
        /// one that was answered. No other time has it in it.
        pub stale_connection_wait: Option<f64>,
        /// Time from sending a request that failed until its failure was known: for a timeout, all that was
        /// waited.
        pub time_to_failure: Option<f64>,
        /// Time that the client waited before it sent this request, because its last one had failed.
        pub failure_pause: Option<f64>,
        /// How the connection ended the complete response, if not as the protocol has it: `left_open`
        /// (the server sent no end), `closed_early`, `reset` or `garbled`.
        pub transport_end: SharedName,
        /// Time that the client waited after the complete response for the end that the server did not send.
        /// No other time has it in it.
        pub left_open_wait: Option<f64>,
        /// How long after its intended time the request was sent. In an open loop that is when it was due,
        /// so that it includes what was waited for: others in flight, a connection, the recorder, callbacks.
        pub send_lateness: Option<f64>,
        /// The stage of the load, counted from 1.
        #[unit = "stage"]
        pub stage: u32,
        /// The conversation that the request is a turn of, counted from 1.
        #[unit = "session"]
        pub session: u32,
        /// Which turn of its conversation the request is, counted from 1.
        #[unit = "turn"]
        pub turn: u32,
        /// How many bytes of the response were read in a second, where that was slow on purpose.
        #[unit = "bytes/s"]
        pub read_rate: u32,
        /// The longest time that a byte of this response waited in the kernel for llmeter to read it.
        pub receive_delay: Option<f64>,
        /// The client that sent the request, counted from 0.
        pub client: Option<u32>,
        /// The class of workload that the request belongs to, where there are several.
        pub workload: SharedName,
        /// The server that the request went to, where there are several.
        pub server: SharedName,
        /// Which one of several payloads was sent: its line in `payload.jsonl`, or its index in the data,
        /// counted from 0.
        pub payload_index: Option<u32>,
        /// Tokens of the prompt by the data, in the run's tokenizer.
        #[unit = "tokens"]
        pub asked_input_tokens: u32,
        /// Tokens that the response was to have, by the data.
        #[unit = "tokens"]
        pub asked_output_tokens: u32,
    }

    /// What only a request has whose time the clock decides, an open loop's, or that is a turn of a
    /// conversation.
    ///
    /// On disk these are further top-level keys as well.
    pub struct ScheduleDetail {
        /// When the request was due, after the start of the run (open loop).
        pub due_time: Option<f64>,
        /// The part of the lateness in which as many requests were in flight as may be.
        pub in_flight_wait: Option<f64>,
        /// The part of the lateness in which a connection was opened, TLS and waiting for others to connect
        /// included (open loop).
        pub connection_wait: Option<f64>,
        /// Time to first token from when the request was due (open loop).
        pub scheduled_time_to_first_token: Option<f64>,
        /// Time to last token from when the request was due (open loop).
        pub scheduled_time_to_last_token: Option<f64>,
        /// The pause between the answer before it and this turn of a conversation.
        pub think_time: Option<f64>,
        /// On the last turn of a conversation: from when its first turn was sent to the last token of its last
        /// answer.
        pub session_time: Option<f64>,
        /// On the last turn of a conversation: the part of that which were think times.
        pub session_think_time: Option<f64>,
        /// On the last turn of a conversation: the part of that in which an answer was waited for.
        pub session_response_time: Option<f64>,
    }

    /// What network and server had to do with the times of a response.
    ///
    /// On disk these are further top-level keys as well.
    pub struct PathDetail {
        /// Round-trip time of the connection at the end of the response, smoothed, by the kernel's TCP. A request
        /// by a proxy has that to the proxy.
        pub network_round_trip: Option<f64>,
        /// The shortest round-trip time of the connection of late, by the kernel's TCP.
        pub network_min_round_trip: Option<f64>,
        /// Segments of TCP that this machine sent again since the response before on the connection.
        #[unit = "segments"]
        pub network_retransmissions: Option<u32>,
        /// Segments that came before one that was missing, since the response before on the connection.
        #[unit = "segments"]
        pub network_out_of_order: Option<u32>,
        /// Segments that came again although they had come (packet stamps).
        #[unit = "segments"]
        pub network_repeated: Option<u32>,
        /// Time that bytes of this response waited for others before them that were missing (packet stamps).
        pub network_hole_wait: Option<f64>,
        /// Time from the system call that wrote the first byte of the request until a packet left with it (packet
        /// stamps). It is in every time of the response.
        pub send_delay: Option<f64>,
        /// Time that the request took by the server's own word, or by that of a gateway before it; of a stream
        /// whose headers say so, the time until they were sent.
        pub server_time: Option<f64>,
        /// Time that the request waited with the server, by its own word. Loading the model counts.
        pub server_queue_time: Option<f64>,
        /// Time that the server took to read the prompt, by its own word.
        pub server_prompt_time: Option<f64>,
        /// Time that the server took to generate tokens, by its own word.
        pub server_generation_time: Option<f64>,
        /// Time that a gateway before the server added, by its own word.
        pub server_gateway_time: Option<f64>,
        /// The server's part of the time to first token by its own word: queue and prompt, or the time until it
        /// sent the response's head where it says no more.
        pub server_time_to_first_token: Option<f64>,
        /// What is left of the time to first token without the server's part and one (the shortest) round trip of
        /// the network.
        pub time_to_first_token_rest: Option<f64>,
    }
}
