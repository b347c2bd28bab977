//! What becomes of an API's answers, good and bad, over real sockets: the same questions to each.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test helper may panic")]

mod anthropic_messages;
#[cfg(feature = "aws")]
mod aws;
mod cases;
mod gemini;
mod ollama;
mod openai;
mod openai_cases;
#[path = "../scripted/mod.rs"]
mod scripted;
mod tgi;
