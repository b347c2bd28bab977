//! Turns the chunks of an InvokeModel stream, or a non-streaming response, into content.

use serde_json::Value;

use super::BedrockInvoke;
use crate::api::aws::{CHAT_REASONING, is_filled, text_at};
use crate::api::json_frames::{Decoded, Meaning};
use crate::api::{Frame, ResponseBuilder, Usage};
use crate::base::failure::FailureKind;

/// Where models of several families say why they ended.
const FINISH_REASONS: &[&str] = &[
    "/choices/0/finish_reason",
    "/choices/0/stop_reason",
    "/stop_reason",
    "/delta/stop_reason",
    "/completionReason",
    "/outputs/0/stop_reason",
];

/// Where Claude's chunks have what stands for thoughts that are kept back.
const HIDDEN_REASONING: &[&str] = &["/delta/signature", "/content_block/data"];

/// Where models of several families call tools.
const TOOL_CALLS: &[&str] = &[
    "/choices/0/delta/tool_calls",
    "/choices/0/message/tool_calls",
    "/content_block/name",
    "/delta/partial_json",
];

/// Where responses and chunks of several families have reasoning, beside those of chats.
const REASONING: &[&str] = &["/delta/thinking", "/choices/0/message/reasoning_content"];

impl Meaning for BedrockInvoke {
    const OBJECTS_ONLY: bool = false;
    const READS_LISTS: bool = false;

    /// Whatever is no chunk has nothing to read.
    fn try_fast_path(&mut self, frame: Frame<'_>, _: &mut ResponseBuilder) -> bool {
        frame.event.is_some()
    }

    /// Each model has a shape of its own.
    fn error(&self, _: &Value, _: &[u8]) -> Option<String> {
        None
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        self.take(value, response);
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        self.take(value, response);
        let has_content =
            |response: &ResponseBuilder| response.has_text || response.content_frames() > 0;
        // The expressions may be meant for the elements of a list, which stand for chunks.
        if let Value::Array(list) = value
            && !has_content(response)
        {
            list.iter().for_each(|chunk| self.take(chunk, response));
        }
        if has_content(response) {
            return Ok(());
        }
        let place = self.generated_text.text();
        Err(format!("has no text at {place} (generated_text_jmespath)"))
    }

    /// Models end in ways of their own; a truncated stream is noticed by its framing.
    fn end(&mut self, response: &mut ResponseBuilder) {
        if response.has_text || response.content_frames() > 0 || response.is_complete() {
            return response.complete();
        }
        let place = self.generated_text.text();
        let reason = format!("no chunk had a text at {place} (generated_text_jmespath)");
        response.fail(FailureKind::Malformed, reason);
    }
}

impl BedrockInvoke {
    fn take(&self, value: &Value, response: &mut ResponseBuilder) {
        let reasoning = text_at(value, CHAT_REASONING).or_else(|| text_at(value, REASONING));
        if let Some(text) = reasoning {
            response.reasoning(text);
        }
        // Thoughts whose text is kept back count by what stands for them.
        if response.reasoning.is_empty() && is_filled(value, HIDDEN_REASONING) {
            response.hidden_reasoning();
        }
        if let Some(Value::String(id)) = value.get("id") {
            response.own_id(id);
        }
        if let Some(text) = self.generated_text.find_text(value) {
            response.text(&text);
        }
        if is_filled(value, TOOL_CALLS) {
            response.other_content();
        }
        response.usage(Usage {
            input: self.input_token_count.find_count(value),
            output: self.generated_token_count.find_count(value),
            ..Usage::default()
        });
        if let Some(reason) = text_at(value, FINISH_REASONS) {
            response.finish_reason(reason);
        }
        if value.get("amazon-bedrock-invocationMetrics").is_some() {
            response.complete();
        }
    }
}
