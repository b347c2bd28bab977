//! What a probe saw.

use std::net::SocketAddr;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::diagnosis::{ApiKeyVariable, Diagnosis, FailureContext, diagnose};
use super::request::{HIDDEN, ProbeRequest};
use super::watch::{FrameLog, Watch};
use crate::api::TokenSource;
use crate::api::outside::ANNOTATION;
use crate::base::failure::Failure;
use crate::base::setting::Setting;
use crate::base::shown::{SHOWN, one_line};
use crate::endpoint::{Delivery, Endpoint, InvocationResponse, Transport};
use crate::run::RunConfig;
use llmeter_wire::clock::Stamp;
use llmeter_wire::{Phase, Proxy, StampSource, TlsInfo};

/// Headers of a response that say who somebody is, not what the response is.
const PRIVATE_HEADERS: [&str; 2] = ["set-cookie", "set-cookie2"];

/// What a probe saw. Times are seconds; secrets are hidden.
#[derive(Debug, Clone, Default)]
pub struct ProbeReport {
    /// The endpoint's name, its provider and the model.
    pub endpoint_name: String,
    /// Who runs the endpoint.
    pub provider: String,
    /// The model that was asked for.
    pub model_id: String,
    /// Host and port, or the Unix socket; empty for an endpoint that is no HTTP API.
    pub server: String,
    /// Whether the server is reached with TLS.
    pub is_encrypted: bool,
    /// The proxy that was gone through, without credentials.
    pub proxy: Option<String>,
    /// The addresses of the server, or of the proxy.
    pub addresses: Vec<SocketAddr>,
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// Time to resolve the name; an address needs none.
    pub time_to_resolve: Option<f64>,
    /// Time to connect: TCP's, and a proxy's way to an https server.
    pub time_to_connect: Option<f64>,
    /// Time of the TLS handshake.
    pub time_to_tls: Option<f64>,
    /// What the handshake agreed on.
    pub tls: Option<TlsInfo>,
    /// The request, if it is HTTP.
    pub request: Option<ProbeRequest>,
    /// The head of the response, if it came.
    pub head: Option<ProbeHead>,
    /// The frames of a stream, or the body of a non-streaming response.
    pub frames: Vec<ProbeFrame>,
    /// Frames beyond those that are kept.
    pub frames_dropped: u64,
    /// Whose stamps the times are.
    pub stamps: StampSource,
    /// What the response says, with its times and counts.
    pub response: Option<InvocationResponse>,
    /// Why the request failed; `None` is success.
    pub error: Option<Failure>,
    /// What is most likely wrong, and what to do.
    pub diagnosis: Option<Diagnosis>,
    /// What is odd about a response that did not fail.
    pub remarks: Vec<String>,
    /// Whether the user interrupted it.
    pub is_interrupted: bool,
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeHead {
    /// The status code.
    pub status: u16,
    /// Names and values of the headers, as sent.
    pub headers: Vec<(String, String)>,
}

/// One frame of a response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeFrame {
    /// Time from the request's first byte to the frame's last; `None` for the body of a refusal.
    pub time: Option<f64>,
    /// The frame's type, if the stream names one.
    pub event: Option<String>,
    /// The beginning of its data.
    pub data: String,
    /// The length of its data.
    pub bytes: usize,
    /// Whether it carries generated content.
    pub has_content: bool,
}

impl ProbeReport {
    pub(super) fn new(config: &RunConfig, proxy: Option<&Proxy>, request: &[u8]) -> Self {
        let identity = config.endpoint.identity();
        let mut report = Self {
            endpoint_name: identity.endpoint_name.clone(),
            provider: identity.provider.clone(),
            model_id: identity.model_id.clone(),
            proxy: proxy.map(|proxy| proxy.shown().to_owned()),
            ..Self::default()
        };
        if let Transport::Http(api) = config.endpoint.transport() {
            report.server = api.server().shown();
            report.is_encrypted = api.server().tls;
            let redacted = |text: &str| api.redact(text).into_owned();
            let sent = ProbeRequest::new(request, redacted);
            report.request = Some(match config.http2 {
                true => sent.by_http2(api.server().tls, request),
                false => sent,
            });
        }
        report
    }

    pub(super) fn take_connection(&mut self, watch: &Watch) {
        if let Some(opened) = watch.opened() {
            self.address = opened.address;
            self.time_to_connect = Some(opened.time_to_connect);
            self.time_to_tls = opened.time_to_tls;
            self.tls = opened.tls;
        } else if let Some(opening) = watch.opening() {
            self.time_to_connect = opening.time_to_connect;
        }
    }

    pub(super) fn take_frames(
        &mut self,
        log: FrameLog,
        sent: Option<Stamp>,
        endpoint: &dyn Endpoint,
        proxy: Option<&Proxy>,
    ) {
        let Transport::Http(api) = endpoint.transport() else {
            return;
        };
        let redacted = |text: &str| {
            let text = api.redact(text);
            match proxy {
                Some(proxy) => proxy.redact(&text).into_owned(),
                None => text.into_owned(),
            }
        };
        self.head = log.head.map(|head| ProbeHead {
            status: head.status,
            headers: head
                .headers()
                .map(|(name, value)| {
                    let is_private = PRIVATE_HEADERS.contains(&name.to_ascii_lowercase().as_str());
                    let value = match is_private {
                        true => HIDDEN.to_owned(),
                        false => redacted(value),
                    };
                    (redacted(name), value)
                })
                .collect(),
        });
        self.frames_dropped = log.dropped;
        let frames = log.frames.into_iter().map(|frame| ProbeFrame {
            time: frame.at.zip(sent).map(|(at, sent)| at.seconds_since(sent)),
            event: frame.event.map(|event| redacted(&event)),
            data: redacted(&String::from_utf8_lossy(&frame.data)),
            bytes: frame.bytes,
            has_content: frame.has_content,
        });
        self.frames = frames.collect();
    }

    /// Takes the response; `asked_for_stream` says whether a stream was asked for.
    pub(super) fn take_response(&mut self, response: InvocationResponse, asked_for_stream: bool) {
        self.error.clone_from(&response.error);
        if self.error.is_none() {
            let remarks = remarks(&response, asked_for_stream);
            self.remarks.extend(remarks.map(str::to_owned));
            self.remarks.extend(marks(&response));
        }
        self.response = Some(response);
    }

    pub(super) fn diagnose(&mut self, key: Option<&ApiKeyVariable>) {
        let Some(failure) = &self.error else { return };
        self.diagnosis = diagnose(&FailureContext {
            failure,
            is_encrypted: self.is_encrypted,
            target: self.request.as_ref().map(ProbeRequest::target),
            key,
            is_load: false,
        });
    }

    /// The same with settings called as `name` says in what is to be done.
    #[must_use]
    pub fn with_setting_names(mut self, name: &dyn Fn(Setting) -> String) -> Self {
        self.diagnosis = self
            .diagnosis
            .map(|diagnosis| diagnosis.with_setting_names(name));
        for remark in &mut self.remarks {
            *remark = Setting::rename_all(remark, name);
        }
        self
    }

    /// The phase in which the request failed.
    pub fn failed_phase(&self) -> Option<Phase> {
        self.error.as_ref()?.phase()
    }

    /// Whether the request succeeded.
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.response.is_some()
    }

    /// The server's id for the response. The response's own may be one that llmeter made.
    pub fn server_id(&self) -> Option<&str> {
        let id = self.response.as_ref()?.id.as_deref()?;
        let mut headers = self.head.iter().flat_map(|head| &head.headers);
        let is_in_head = headers.any(|(_, value)| value == id);
        let is_in_frames = self.frames.iter().any(|frame| frame.data.contains(id));
        (is_in_head || is_in_frames).then_some(id)
    }

    /// Time from the request's first byte to the first and the last frame.
    pub fn frame_times(&self) -> Option<(f64, f64)> {
        let mut times = self.frames.iter().filter_map(|frame| frame.time);
        let first = times.next()?;
        Some((first, times.next_back().unwrap_or(first)))
    }

    /// Everything as JSON, with at most `frames` frames.
    pub fn to_json(&self, frames: usize) -> Map<String, Value> {
        let none = InvocationResponse::default();
        let response = self.response.as_ref().unwrap_or(&none);
        let (detail, path) = (&response.detail, response.path());
        let object = json!({
            "succeeded": self.is_success(),
            "error": self.error.as_ref().map(Failure::message),
            "error_kind": self.error.as_ref().map(Failure::kind_name),
            "diagnosis": self.diagnosis,
            "remarks": self.remarks,
            "interrupted": self.is_interrupted,
            "endpoint_name": self.endpoint_name,
            "provider": self.provider,
            "model_id": self.model_id,
            "server": self.server,
            "proxy": self.proxy,
            "addresses": self.addresses,
            "address": self.address,
            "tls": self.tls.as_ref().map(|tls| json!({
                "version": tls.version,
                "cipher": tls.cipher,
                "alpn": tls.alpn,
            })),
            "failed_phase": self.failed_phase().map(Phase::as_str),
            "stamps": match self.stamps {
                StampSource::Auto | StampSource::Kernel => "kernel",
                StampSource::Packet => "packet",
                StampSource::User => "user",
            },
            "time_to_resolve": self.time_to_resolve,
            "time_to_connect": self.time_to_connect,
            "time_to_tls": self.time_to_tls,
            "time_to_headers": detail.time_to_headers,
            "time_to_first_frame": self.frame_times().map(|(first, _)| first),
            "time_to_first_token": response.time_to_first_token,
            "time_to_first_answer_token": detail.time_to_first_answer_token,
            "time_to_last_token": response.time_to_last_token,
            "time_to_last_frame": self.frame_times().map(|(_, last)| last),
            "time_per_output_token": response.time_per_output_token,
            "request": self.request,
            "response": self.head,
            "frames": self.frames[..frames.min(self.frames.len())],
            "frames_total": self.frames.len() as u64 + self.frames_dropped,
            "id": self.server_id(),
            "response_text": response.response_text,
            "reasoning_text": detail.reasoning_text,
            "finish_reason": detail.finish_reason,
            "num_tokens_input": response.num_tokens_input,
            "num_tokens_input_cached": response.num_tokens_input_cached,
            "num_tokens_output": response.num_tokens_output,
            "num_tokens_output_reasoning": response.num_tokens_output_reasoning,
            "annotations": self.response.as_ref().map(|response| &response.annotations),
        });
        let mut object = match object {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        object.extend(
            [
                ("send_delay", path.send_delay),
                ("network_round_trip", path.network_round_trip),
                ("network_min_round_trip", path.network_min_round_trip),
                ("network_hole_wait", path.network_hole_wait),
                ("server_time", path.server_time),
                ("server_queue_time", path.server_queue_time),
                ("server_prompt_time", path.server_prompt_time),
                ("server_generation_time", path.server_generation_time),
                ("server_gateway_time", path.server_gateway_time),
                (
                    "server_time_to_first_token",
                    path.server_time_to_first_token,
                ),
                ("time_to_first_token_rest", path.time_to_first_token_rest),
            ]
            .map(|(name, time)| (name.to_owned(), json!(time))),
        );
        object
    }
}

/// What is odd about a response that did not fail.
fn remarks(
    response: &InvocationResponse,
    asked_for_stream: bool,
) -> impl Iterator<Item = &'static str> {
    let frames = response.detail.content_frames;
    let is_silent = response.response_text.as_ref().is_none_or(String::is_empty);
    let delivery = response.detail.delivery;
    let content = match delivery {
        _ if is_silent && response.detail.reasoning_text.is_some() => Some(
            "there is reasoning and no text: it took all the tokens that were allowed; raise \
             `max_tokens`",
        ),
        Some(Delivery::Empty) if frames.is_some() => Some("the stream was complete and empty"),
        Some(Delivery::Empty) => Some("the response was complete and empty"),
        _ => None,
    };
    let streaming = match frames {
        Some(1) => Some(
            "the whole response came in one frame: the server does not send as it generates, or \
             the response is that short",
        ),
        Some(_) if delivery == Some(Delivery::Buffered) => Some(
            "all frames came at the same time: something between holds the stream back (a proxy \
             that buffers), or the server does not send as it generates",
        ),
        None if asked_for_stream => Some(
            "a stream was asked for, and a non-streaming response came: there is no time to first \
             token; take the `endpoint` without -stream, or find out what turns streaming off",
        ),
        _ => None,
    };
    content.into_iter().chain(streaming)
}

/// What a run would mark of a response that did not fail.
fn marks(response: &InvocationResponse) -> Vec<String> {
    let detail = &response.detail;
    let mut marks = Vec::new();
    for (what, source) in [
        ("input", &detail.num_tokens_input_source),
        ("output", &detail.num_tokens_output_source),
    ] {
        let how = match source {
            None | Some(TokenSource::Reported) => continue,
            Some(TokenSource::Corrected) => "corrected: the server's counts contradict each other",
            Some(TokenSource::Contradictory) => {
                "as reported, and contradicts the other counts, the response's size or the \
                 request's output limit"
            }
            Some(TokenSource::Tokenizer(name)) => {
                let name = name.as_str().unwrap_or_default();
                let name = name.trim_start_matches("tokenizer ");
                marks.push(format!(
                    "the number of {what} tokens was counted by the tokenizer {name}"
                ));
                continue;
            }
            Some(TokenSource::Estimated) => "estimated: the server reported none that can be",
            Some(TokenSource::Unknown) => {
                "unknown: the server reported none, and it takes a tokenizer to count them"
            }
        };
        marks.push(format!("the number of {what} tokens is {how}"));
    }
    if let Some(end) = detail.transport_end.as_str() {
        let how = match end {
            "left_open" => "was left open",
            "closed_early" => "was closed early",
            "reset" => "was reset",
            _ => "went on with something that is no HTTP",
        };
        marks.push(format!(
            "the response was complete, but its connection {how} ({end})"
        ));
    }
    if let Some(Value::String(outside)) = response.annotations.get(ANNOTATION) {
        let outside = one_line(outside, SHOWN);
        marks.push(format!(
            "there were bytes outside of the stream's frames: {outside}"
        ));
    }
    marks
}
