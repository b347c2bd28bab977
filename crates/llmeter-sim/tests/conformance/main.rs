//! Endpoints and the cases of the conformance suite: those of llmeter, and those of users.
#![allow(clippy::unwrap_used, reason = "a test helper may panic")]

mod catalogue;
mod own_endpoint;
