//! Streams as servers send them.

/// Frames of a stream.
pub(crate) const FRAMES: usize = 1000;

/// A chat completion chunk of about 200 bytes.
pub(crate) fn chat_chunk(text: &str, created: usize) -> String {
    format!(
        "{{\"id\":\"chatcmpl-123456789\",\"object\":\"chat.completion.chunk\",\
         \"created\":{created},\"model\":\"some-model\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}]}}"
    )
}
