//! Times that servers and gateways state of themselves: one table of where, and what they mean.
//!
//! They are by clocks that llmeter does not know, and are shown beside its own times, never in their place.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::PathDetail;
use llmeter_wire::ResponseHead;

/// The annotation with what a response's body says, by the names that the API gives.
const IN_BODY: &str = "server_timings";
/// The annotation with what its headers say.
const IN_HEADERS: &str = "server_time_headers";
/// No time of one request is longer, in seconds: what says so is no time.
const LONGEST: f64 = 1e6;
/// The longest value of a header that is kept.
const MAX_VALUE: usize = 200;

/// What a stated time is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The whole request; of a header before a stream, until that header was sent.
    Whole,
    /// Until the first token.
    FirstToken,
    /// Waiting until work on the request began; loading a model counts.
    Queue,
    /// Reading the prompt.
    Prompt,
    /// Generating tokens.
    Generation,
    /// What a gateway adds of its own.
    Gateway,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

use Part::{FirstToken, Gateway, Generation, Prompt, Queue, Whole};
use Unit::{Microseconds, Milliseconds, Nanoseconds, Seconds};

/// Headers. Where several state the same, the first in the table counts: servers stand before the gateways that
/// are in front of them.
const HEADERS: &[(&str, Part, Unit)] = &[
    // OpenAI, and Azure by the same name.
    ("openai-processing-ms", Whole, Milliseconds),
    // Text Generation Inference.
    ("x-total-time", Whole, Milliseconds),
    ("x-compute-time", Whole, Seconds),
    ("x-queue-time", Queue, Milliseconds),
    ("x-inference-time", Generation, Milliseconds),
    // Amazon Bedrock.
    ("x-amzn-bedrock-invocation-latency", Whole, Milliseconds),
    // Fireworks.
    ("fireworks-server-processing-time", Whole, Seconds),
    ("fireworks-server-time-to-first-token", FirstToken, Seconds),
    ("fireworks-prefill-queue-duration", Queue, Seconds),
    ("fireworks-prefill-duration", Prompt, Seconds),
    // Gateways: Envoy (OpenAI's and others'), Kong, LiteLLM.
    ("x-envoy-upstream-service-time", Whole, Milliseconds),
    ("x-kong-upstream-latency", Whole, Milliseconds),
    ("x-kong-proxy-latency", Gateway, Milliseconds),
    ("x-litellm-response-duration-ms", Whole, Milliseconds),
    ("x-litellm-overhead-duration-ms", Gateway, Milliseconds),
];

/// Metrics of a `Server-Timing` header (W3C), whose times are milliseconds.
const SERVER_TIMING: &str = "server-timing";
const METRICS: &[(&str, Part)] = &[
    ("total", Whole),
    ("ttft", FirstToken),
    ("queue", Queue),
    ("prompt", Prompt),
    ("prefill", Prompt),
    ("generation", Generation),
    ("decode", Generation),
    ("inference", Generation),
];

/// Fields of a response's body.
const FIELDS: &[(&str, Part, Unit)] = &[
    // llama.cpp.
    ("prompt_ms", Prompt, Milliseconds),
    ("predicted_ms", Generation, Milliseconds),
    // Ollama.
    ("total_duration", Whole, Nanoseconds),
    ("load_duration", Queue, Nanoseconds),
    ("prompt_eval_duration", Prompt, Nanoseconds),
    ("eval_duration", Generation, Nanoseconds),
    // Text Generation Inference, of whose headers the API makes fields.
    ("total_time", Whole, Milliseconds),
    ("queue_time", Queue, Milliseconds),
    ("inference_time", Generation, Milliseconds),
    // Amazon Bedrock.
    ("latencyMs", Whole, Milliseconds),
];

/// A header that states how long the server took, and its unit: `x-my-time`, which is milliseconds, or
/// `x-my-time=s`.
///
/// ```
/// use llmeter::api::ServerTimeHeader;
///
/// let header: ServerTimeHeader = "x-my-time=s".parse().unwrap();
/// assert_eq!(header.to_string(), "x-my-time=s");
/// assert!("x-my-time=h".parse::<ServerTimeHeader>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTimeHeader {
    name: String,
    unit: Unit,
}

impl ServerTimeHeader {
    /// What is accepted.
    pub(crate) const EXPECTED: &str =
        "the name of a header, and =s, =ms, =us or =ns after it unless its unit is milliseconds";
}

impl FromStr for ServerTimeHeader {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, unit) = match text.split_once('=') {
            None => (text, Milliseconds),
            Some((name, unit)) => (name, Unit::named(unit).ok_or(Self::EXPECTED)?),
        };
        let is_of_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match !name.is_empty() && name.bytes().all(is_of_token) {
            true => Ok(Self {
                name: name.to_ascii_lowercase(),
                unit,
            }),
            false => Err(Self::EXPECTED),
        }
    }
}

impl fmt::Display for ServerTimeHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Milliseconds => f.write_str(&self.name),
            unit => write!(f, "{}={}", self.name, unit.name()),
        }
    }
}

impl Unit {
    const ALL: [(Unit, &'static str, f64); 4] = [
        (Milliseconds, "ms", 1e-3),
        (Microseconds, "us", 1e-6),
        (Nanoseconds, "ns", 1e-9),
        (Seconds, "s", 1.0),
    ];

    fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        found.map(|(unit, ..)| *unit)
    }

    fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(unit, ..)| *unit == self);
        found.map_or("", |(_, name, _)| name)
    }

    fn seconds(self, count: f64) -> Option<f64> {
        let (_, _, size) = Self::ALL.iter().find(|(unit, ..)| *unit == self)?;
        let seconds = count * size;
        (0.0..=LONGEST).contains(&seconds).then_some(seconds)
    }

    /// The seconds that a text states, whose unit is this one unless it says another.
    fn read(self, text: &str) -> Option<f64> {
        let text = text.trim();
        let suffix = Self::ALL.iter().find_map(|(unit, name, _)| {
            let number = text.strip_suffix(name)?.trim_end();
            Some((*unit, number))
        });
        let (unit, number) = suffix.unwrap_or((self, text));
        let is_number = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
        let number = Some(number).filter(|text| text.bytes().all(is_number));
        unit.seconds(number?.parse().ok()?)
    }
}

/// What was stated of one response, in seconds, each part by the first that states it.
#[derive(Debug, Default)]
struct Stated {
    whole: Option<f64>,
    first_token: Option<f64>,
    queue: Option<f64>,
    prompt: Option<f64>,
    generation: Option<f64>,
    gateway: Option<f64>,
    /// Whether the whole was stated before the first token.
    is_whole_early: bool,
}

impl Stated {
    fn part(&mut self, part: Part) -> &mut Option<f64> {
        match part {
            Whole => &mut self.whole,
            FirstToken => &mut self.first_token,
            Queue => &mut self.queue,
            Prompt => &mut self.prompt,
            Generation => &mut self.generation,
            Gateway => &mut self.gateway,
        }
    }

    fn note(&mut self, part: Part, seconds: Option<f64>) {
        let place = self.part(part);
        *place = place.or(seconds);
    }
}

/// Lays what servers and gateways state over what is known of a response's way.
///
/// `ttft` is the response's own time to first token, in seconds, if it is a stream.
pub(crate) fn add_server_times(
    path: &mut PathDetail,
    head: Option<&ResponseHead>,
    annotations: &mut Map<String, Value>,
    further: &[ServerTimeHeader],
    is_stream: bool,
    ttft: Option<f64>,
) {
    let mut stated = Stated::default();
    if let Some(Value::Object(fields)) = annotations.get(IN_BODY) {
        for (name, part, unit) in FIELDS {
            let number = fields.get(*name).and_then(Value::as_f64);
            stated.note(*part, number.and_then(|number| unit.seconds(number)));
        }
    }
    if let Some(head) = head {
        let has_whole = stated.whole.is_some();
        let kept = of_headers(head, further, &mut stated);
        stated.is_whole_early = is_stream && !has_whole;
        if !kept.is_empty() {
            annotations.insert(IN_HEADERS.to_owned(), kept.into());
        }
    }
    path.server_time = stated.whole;
    path.server_queue_time = stated.queue;
    path.server_prompt_time = stated.prompt;
    path.server_generation_time = stated.generation;
    path.server_gateway_time = stated.gateway;
    let Some(ttft) = ttft else {
        return;
    };
    let prompt = stated
        .prompt
        .map(|prompt| stated.queue.unwrap_or(0.0) + prompt);
    let early = stated.whole.filter(|_| stated.is_whole_early);
    path.server_time_to_first_token = stated.first_token.or(prompt).or(early);
    let round_trip = path.network_min_round_trip.or(path.network_round_trip);
    path.time_to_first_token_rest = path
        .server_time_to_first_token
        .map(|server| ttft - server - round_trip.unwrap_or(0.0));
}

/// What headers state; gives those that do.
fn of_headers(
    head: &ResponseHead,
    further: &[ServerTimeHeader],
    stated: &mut Stated,
) -> Map<String, Value> {
    let mut kept = Map::new();
    // The place in the table of who stated a part: an earlier one replaces it.
    let mut found: Vec<(usize, Part, f64)> = Vec::new();
    for (name, value) in head.headers() {
        let is = |known: &str| known.len() == name.len() && known.eq_ignore_ascii_case(name);
        let own = further.iter().position(|header| is(&header.name));
        let known = HEADERS.iter().position(|(known, ..)| is(known));
        let before = found.len();
        if let Some(place) = own {
            let seconds = further[place].unit.read(value);
            found.extend(seconds.map(|seconds| (place, Whole, seconds)));
        } else if let Some(place) = known {
            let (_, part, unit) = HEADERS[place];
            let seconds = unit.read(value);
            found.extend(seconds.map(|seconds| (further.len() + place, part, seconds)));
        } else if is(SERVER_TIMING) {
            let place = further.len() + HEADERS.len();
            let metrics = value.split(',').filter_map(metric);
            found.extend(metrics.map(|(part, seconds)| (place, part, seconds)));
        }
        let is_timing = is(SERVER_TIMING) || found.len() > before;
        if is_timing && value.len() <= MAX_VALUE {
            kept.insert(name.to_ascii_lowercase(), value.into());
        }
    }
    found.sort_by_key(|(place, ..)| *place);
    for (_, part, seconds) in found {
        stated.note(part, Some(seconds));
    }
    kept
}

/// A metric of a `Server-Timing` header: `queue;desc="in line";dur=12.5`.
fn metric(text: &str) -> Option<(Part, f64)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?;
    let is_named = |(known, _): &&(&str, Part)| known.eq_ignore_ascii_case(name);
    let (_, part) = METRICS.iter().find(is_named)?;
    let duration = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_duration = name.trim().eq_ignore_ascii_case("dur");
        is_duration.then(|| value.trim().trim_matches('"'))
    });
    Some((*part, Milliseconds.read(duration?)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn times(head: &ResponseHead, body: Value, further: &[&str], ttft: Option<f64>) -> PathDetail {
        let further: Vec<ServerTimeHeader> =
            further.iter().map(|text| text.parse().unwrap()).collect();
        let mut path = PathDetail {
            network_min_round_trip: Some(0.010),
            ..PathDetail::default()
        };
        let mut annotations = Map::new();
        if body.is_object() {
            annotations.insert(IN_BODY.to_owned(), body);
        }
        let is_stream = ttft.is_some();
        add_server_times(
            &mut path,
            Some(head),
            &mut annotations,
            &further,
            is_stream,
            ttft,
        );
        path
    }

    fn near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn the_server_stands_before_its_gateway_and_the_user_before_both() {
        let head = ResponseHead::new(200)
            .with("X-Envoy-Upstream-Service-Time", "250")
            .with("OpenAI-Processing-Ms", "200")
            .with("X-Mine", "0.15");
        let path = times(&head, Value::Null, &[], None);
        assert!(near(path.server_time, 0.2), "{path:?}");
        assert_eq!(path.server_time_to_first_token, None, "no stream");
        let path = times(&head, Value::Null, &["x-mine=s"], Some(0.3));
        assert!(near(path.server_time, 0.15), "{path:?}");
        assert!(near(path.server_time_to_first_token, 0.15), "{path:?}");
        assert!(near(path.time_to_first_token_rest, 0.14), "{path:?}");
    }

    #[test]
    fn queue_and_prompt_make_the_server_s_part_of_ttft() {
        let body = json!({"total_duration": 900_000_000, "load_duration": 100_000_000,
            "prompt_eval_duration": 200_000_000, "eval_duration": 600_000_000});
        let path = times(&ResponseHead::new(200), body, &[], Some(0.35));
        assert!(near(path.server_time, 0.9) && near(path.server_generation_time, 0.6));
        assert!(near(path.server_time_to_first_token, 0.3), "{path:?}");
        assert!(near(path.time_to_first_token_rest, 0.04), "{path:?}");
        // What the body says of the whole is no time to the first token.
        let path = times(
            &ResponseHead::new(200),
            json!({"latencyMs": 900}),
            &[],
            Some(0.35),
        );
        assert!(near(path.server_time, 0.9));
        assert_eq!(path.server_time_to_first_token, None);
    }

    #[test]
    fn server_timing_is_read_by_metric() {
        let value =
            "cache;desc=\"hit, warm\", queue;dur=5, PREFILL;desc=p;dur=\"20.5\", decode;dur=x";
        let head = ResponseHead::new(200).with("server-timing", value);
        let path = times(&head, Value::Null, &[], Some(0.05));
        assert!(near(path.server_queue_time, 0.005) && near(path.server_prompt_time, 0.0205));
        assert!(near(path.server_time_to_first_token, 0.0255), "{path:?}");
        assert_eq!(path.server_generation_time, None);
    }

    #[test]
    fn what_is_no_time_is_passed_over() {
        for value in ["", "soon", "-1", "inf", "NaN", "1e99", "1 2"] {
            let head = ResponseHead::new(200).with("openai-processing-ms", value);
            let path = times(&head, json!({"prompt_ms": "3"}), &[], Some(1.0));
            let nothing = PathDetail {
                network_min_round_trip: Some(0.010),
                ..PathDetail::default()
            };
            assert_eq!(path, nothing, "{value}");
        }
        for (value, seconds) in [("12", 0.012), ("1.5s", 1.5), ("7 ms", 0.007), ("9us", 9e-6)] {
            assert!(near(Milliseconds.read(value), seconds), "{value}");
        }
        for name in ["", "=s", "a b", "a=h", "a:b"] {
            assert!(name.parse::<ServerTimeHeader>().is_err(), "{name}");
        }
    }
}
