//! Who sends when.
//!
//! Belongs here: the order of payloads and the times of requests.
//! Does not belong here: sending itself (`run`, `wire`).

mod closed_loop;

pub(crate) use closed_loop::{ClientPlan, plan_clients};
