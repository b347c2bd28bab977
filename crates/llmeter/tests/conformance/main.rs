//! What becomes of an API's answers, good and bad, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test helper may panic")]

#[cfg(feature = "aws")]
mod aws;
mod openai;
mod openai_cases;
#[path = "../scripted/mod.rs"]
mod scripted;
