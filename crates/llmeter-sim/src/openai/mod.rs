//! The OpenAI API as data.
//!
//! Belongs here: what requests, answers, stream frames and errors look like. Does not belong
//! here: when anything is sent.

mod answer;
mod error;
mod frame;
pub(crate) mod request;
pub(crate) mod words;

pub(crate) use answer::{Answer, Finish, Times, arguments, completion};
pub(crate) use error::ApiError;
pub(crate) use frame::{FrameWriter, Piece, Wrap};
pub(crate) use request::{ChatRequest, Tool};
