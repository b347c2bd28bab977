//! One set of tests that every endpoint passes, also yours.
//!
//! A [`Suite`] starts a server on this machine that says what an API says, lets an endpoint ask it
//! as it would in any run, and looks at what became of the response: its text, its token counts, its
//! times, its failure. Each [`Case`] is one way in which a server responds, well or badly.
//!
//! What the server says in a case comes from a [`Wording`]. For the APIs that the simulator speaks
//! there is one by name, [`Simulated`]; for another API implement the trait, which is a dozen lines.
//!
//! ```
//! use std::sync::Arc;
//! use llmeter::OpenAiChat;
//! use llmeter_sim::conformance::{Case, Simulated, Suite};
//!
//! let payload = OpenAiChat::create_payload("one two three", 64, Default::default())?;
//! let suite = Suite::new(Simulated::api("openai-chat-stream")?, payload, |address| {
//!     let endpoint = OpenAiChat::builder(format!("http://{address}/v1"), "my-model").build()?;
//!     Ok(Arc::new(endpoint))
//! });
//! # let suite = suite.only(&[Case::Streaming, Case::Redirect]);
//! suite.run().assert_passes();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A case that an endpoint cannot be asked is [skipped](Suite::skip) with a reason, and the report
//! shows both. Nothing is skipped silently: a wording that has no words for a case fails it.
//!
//! Belongs here: what a server says in each case and what must become of it. Does not belong here:
//! how an API words it (`api`, and the user's [`Wording`]).

mod case;
mod checks;
mod simulated;
mod suite;
mod wording;

pub use case::Case;
pub use llmeter_testing::Request;
pub use simulated::Simulated;
pub use suite::{Outcome, Report, Suite};
pub use wording::{Says, StreamingResponse, TokenCounts, ToolCall, Transport, Wording};
