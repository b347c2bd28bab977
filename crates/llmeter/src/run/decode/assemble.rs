//! Making the record of a response out of what was collected of it.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;

use crate::api::{CHOICES, CheckedUsage, Evidence, OwnMeasurement, SharedName, TokenSource};
use crate::endpoint::{InvocationResponse, ResponseBuilder, ResponseDetail};
use crate::payload::{Tokenizer, counted};
use crate::run::prepare::Prepared;
use llmeter_wire::clock::Stamp;

/// What a response can have.
pub(super) struct Form {
    pub(super) is_stream: bool,
    /// Whether it is generated content, which is made of output tokens.
    pub(super) is_generated: bool,
    /// Bytes of the body; `None` if they are not seen.
    pub(super) bytes: Option<u64>,
}

/// The fields that come from the response itself, estimated where the server did not say, and whether
/// the tokenizer failed at one of its texts.
pub(super) fn assemble(
    builder: &mut ResponseBuilder,
    form: Form,
    end: Stamp,
    tokenizer: &dyn Tokenizer,
    prepared: &Prepared,
) -> (InvocationResponse, bool) {
    let Form {
        is_stream,
        is_generated,
        bytes,
    } = form;
    let [first, first_answer, last] = builder.times();
    let succeeded = builder.error.is_none();
    let own = builder.own.as_ref();
    let own_prompt = own.and_then(|own| own.response.input_prompt.clone());
    let prompt = own_prompt.as_deref().or(prepared.prompt.as_deref());
    let texts = [&*builder.reasoning, &builder.text, &builder.tool_calls];
    let CheckedUsage {
        usage,
        input: input_source,
        output: output_source,
    } = builder.usage.checked(Evidence {
        has_prompt: prompt.is_some_and(has_text),
        has_content: builder.content_frames() > 0,
        words: texts.map(words).iter().sum(),
        bytes,
        output_limit: prepared.output_limit,
    });
    let estimate = Estimate::new(tokenizer);
    let input = match (usage.input, prompt.filter(|_| succeeded)) {
        (Some(count), _) => Some((count, input_source)),
        (None, Some(Value::String(text))) => estimate.count(&[text]),
        (None, Some(prompt)) => estimate.count(&[&prompt.to_string()]),
        (None, None) => None,
    };
    let output = match usage.output {
        Some(count) if is_generated || count > 0 => Some((count, output_source)),
        None if succeeded && is_generated => {
            let frames = builder.content_frames();
            let count = estimate.count_of_stream(&texts, if is_stream { frames } else { 0 });
            match builder.text_dropped {
                0 => count,
                // At least as many: the tokenizer has not seen all of it.
                _ => count.map(|(count, _)| (count.max(frames.into()), TokenSource::Estimated)),
            }
        }
        _ => None,
    };
    let (input, num_tokens_input_source) = input.unzip();
    let (output, num_tokens_output_source) = output.unzip();
    // What a success lacks is not nothing.
    let unknown = |is_missing: bool| (succeeded && is_missing).then_some(TokenSource::Unknown);
    let num_tokens_input_source = num_tokens_input_source.or_else(|| unknown(true));
    let num_tokens_output_source = num_tokens_output_source.or_else(|| unknown(is_generated));
    if builder.choices > 1 {
        let choices = builder.choices;
        builder
            .annotations
            .entry(CHOICES)
            .or_insert_with(|| choices.into());
    }
    let longest_gap = builder.longest_gap().filter(|_| is_stream);
    let (inter_token_latencies, inter_token_latencies_dropped) = builder.take_gaps();
    let time_to_first_token = first.filter(|_| is_stream);
    let time_to_last_token = last.or_else(|| builder.since_sent(end).filter(|_| succeeded));
    // A copy of its size: what shrinks in its place leaves holes between responses.
    let kept = |text: &mut String| std::mem::take(text).as_str().to_owned();
    let nonempty = |text: &mut String| (!text.is_empty()).then(|| kept(text));
    let has_text = builder.has_text && (succeeded || !builder.text.is_empty());
    let response = InvocationResponse {
        id: builder.id.take(),
        response_text: has_text.then(|| kept(&mut builder.text)),
        input_payload: Some(prepared.payload.clone()),
        input_prompt: prepared.prompt.clone(),
        time_to_first_token,
        time_to_last_token,
        num_tokens_input: input,
        num_tokens_output: output,
        num_tokens_input_cached: usage.input_cached,
        num_tokens_output_reasoning: usage.output_reasoning,
        time_per_output_token: time_per_output_token(
            time_to_first_token,
            time_to_last_token,
            // Their tokens came side by side.
            output.filter(|_| builder.choices <= 1),
        ),
        error: builder.error.take(),
        annotations: std::mem::take(&mut builder.annotations).into(),
        detail: ResponseDetail {
            payload_index: prepared.index,
            asked_input_tokens: few(prepared.asked.prompt_tokens),
            asked_output_tokens: few(prepared.asked.output_tokens),
            time_to_first_answer_token: first_answer.filter(|_| is_stream),
            inter_token_latencies,
            inter_token_latencies_dropped,
            longest_gap,
            num_tokens_input_source,
            num_tokens_output_source,
            text_dropped: u32::try_from(builder.text_dropped).unwrap_or(u32::MAX),
            content_frames: is_stream.then(|| builder.content_frames()),
            finish_reason: builder.finish_reason.take(),
            reasoning_text: nonempty(&mut builder.reasoning),
            ..ResponseDetail::default()
        },
        ..InvocationResponse::default()
    };
    (response, estimate.has_failed.get())
}

impl OwnMeasurement {
    /// Puts what the endpoint measured in the place of what was seen of it from here. The times, and by how
    /// much they may be wrong.
    pub(super) fn lay_over(self, seen: &mut InvocationResponse) -> ([Option<f64>; 2], Duration) {
        let own = self.response;
        let times = [own.time_to_first_token, own.time_to_last_token];
        [seen.time_to_first_token, seen.time_to_last_token] = times;
        seen.num_tokens_input = own.num_tokens_input.or(seen.num_tokens_input);
        seen.num_tokens_output = own.num_tokens_output.or(seen.num_tokens_output);
        seen.time_per_output_token = own
            .time_per_output_token
            .or_else(|| time_per_output_token(times[0], times[1], seen.num_tokens_output));
        seen.input_payload = own.input_payload.or(seen.input_payload.take());
        seen.input_prompt = own.input_prompt.or(seen.input_prompt.take());
        seen.request_time = own.request_time.or(seen.request_time);
        seen.retries = own.retries.or(seen.retries);
        seen.detail = ResponseDetail {
            payload_index: seen.detail.payload_index,
            asked_input_tokens: seen.detail.asked_input_tokens,
            asked_output_tokens: seen.detail.asked_output_tokens,
            num_tokens_input_source: seen.detail.num_tokens_input_source.take(),
            num_tokens_output_source: seen.detail.num_tokens_output_source.take(),
            text_dropped: seen.detail.text_dropped,
            ..own.detail
        };
        (times, self.uncertainty)
    }
}

/// (time to last token − time to first token) / (output tokens − 1), where that has a meaning.
pub(super) fn time_per_output_token(
    first: Option<f64>,
    last: Option<f64>,
    tokens: Option<u64>,
) -> Option<f64> {
    let (first, last, tokens) = (first?, last?, tokens?);
    (tokens > 1 && first > 0.0 && last > 0.0).then(|| (last - first) / (tokens - 1) as f64)
}

/// Whether there is anything in a prompt to count.
fn has_text(prompt: &Value) -> bool {
    match prompt {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Words, the least number of tokens that a text can be.
fn words(text: &str) -> u64 {
    text.split_ascii_whitespace().count() as u64
}

/// Bytes of text per frame up to which frames are about tokens.
const MAX_FRAME: u64 = 16;

/// Counts what the server did not report.
struct Estimate<'a> {
    tokenizer: &'a dyn Tokenizer,
    /// Whether a tokenizer that is more than an estimate had no count.
    has_failed: Cell<bool>,
}

impl<'a> Estimate<'a> {
    fn new(tokenizer: &'a dyn Tokenizer) -> Self {
        Self {
            tokenizer,
            has_failed: Cell::new(false),
        }
    }

    /// The tokens of texts, unless the tokenizer cannot tell.
    fn count(&self, texts: &[&str]) -> Option<(u64, TokenSource)> {
        let mut counts = texts.iter().map(|text| counted(self.tokenizer, text));
        match counts.try_fold(0, |sum, count| Some(sum + count? as u64)) {
            Some(count) => Some((count, self.source())),
            None => {
                if self.tokenizer.name().is_some() {
                    self.has_failed.set(true);
                }
                None
            }
        }
    }

    /// The same of a stream's texts. An estimate is no lower than the number of content frames, each
    /// of which brought a token.
    fn count_of_stream(&self, texts: &[&str], frames: u32) -> Option<(u64, TokenSource)> {
        let frames = u64::from(frames);
        match self.count(texts) {
            Some((count, TokenSource::Estimated)) => {
                Some((count.max(frames), TokenSource::Estimated))
            }
            // Where frames are few for the text, they bring many tokens each.
            None if frames * MAX_FRAME >= texts.iter().map(|text| text.len() as u64).sum() => {
                Some((frames, TokenSource::Estimated))
            }
            counted => counted,
        }
    }

    fn source(&self) -> TokenSource {
        match self.tokenizer.name() {
            Some(name) => TokenSource::Tokenizer(SharedName::new(&format!("tokenizer {name}"))),
            None => TokenSource::Estimated,
        }
    }
}

/// 0 where nothing was asked for. No prompt or answer has more tokens than fit.
fn few(tokens: Option<u64>) -> u32 {
    tokens.map_or(0, |tokens| u32::try_from(tokens).unwrap_or(u32::MAX))
}
