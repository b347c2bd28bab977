//! llmeter measures how fast, how steady and how costly an LLM endpoint is.

pub mod endpoint;
mod error;
pub mod payload;
pub mod result;
pub mod stats;
pub mod wire;

pub use endpoint::{Endpoint, InvocationResponse};
pub use error::{Error, Result};
