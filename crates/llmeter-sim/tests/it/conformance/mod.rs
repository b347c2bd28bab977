//! Endpoints and the cases of the conformance suite: those of llmeter, and those of users.

mod catalogue;
mod own_endpoint;
