//! A request as callbacks see it, and what they keep beside it.

use std::any::Any;
use std::fmt;

use secrecy::SecretString;

use super::{HookError, HookResult};
use crate::endpoint::header;
use crate::payload::Payload;

/// A request that is about to be made.
///
/// It holds no secret: the endpoint adds its own headers and fields later.
#[derive(Debug)]
#[non_exhaustive]
pub struct InvokeRequest {
    /// A copy of the payload that is this request's own, before the endpoint adds its fields.
    pub payload: Payload,
    /// The client that sends it.
    pub client: u32,
    /// How many requests of its kind the client has before it. A repeated run has the same numbers.
    pub sequence: u64,
    /// Whether it belongs to the warm-up; `after_invoke` is not called then.
    pub is_warmup: bool,
    /// Room for data of the callback's own, which its `after_invoke` gets with the response. Each
    /// callback has its own.
    pub data: RequestData,
    /// Headers that callbacks add.
    pub(crate) headers: Vec<(String, SecretString)>,
}

impl InvokeRequest {
    /// A request as the first callback gets it.
    pub fn new(payload: Payload, client: u32, sequence: u64, is_warmup: bool) -> Self {
        Self {
            payload,
            client,
            sequence,
            is_warmup,
            data: RequestData::default(),
            headers: Vec::new(),
        }
    }

    /// Adds a header, in place of one of this name that a callback added before. A header that the
    /// endpoint sends itself cannot be replaced: the request fails then. Its value is not hidden
    /// from error messages that repeat it.
    ///
    /// # Errors
    /// If the name or the value cannot be a header's.
    pub fn add_header(&mut self, name: &str, value: &str) -> HookResult {
        let value = header(name, &value.into()).map_err(HookError::new)?;
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value));
        Ok(())
    }
}

/// One callback's own data on one request: a value of any type.
///
/// ```
/// use llmeter::callback::RequestData;
///
/// struct Topic(&'static str);
///
/// let mut data = RequestData::default();
/// data.set(Topic("lighthouses"));
/// assert_eq!(data.get::<Topic>().unwrap().0, "lighthouses");
/// assert!(data.get::<String>().is_none());
/// ```
#[derive(Default)]
pub struct RequestData(Option<Box<dyn Any + Send + Sync>>);

impl RequestData {
    /// Keeps a value in place of the one before.
    pub fn set<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0 = Some(Box::new(value));
    }

    /// The value, if there is one of this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }

    /// Takes the value out, if there is one of this type.
    pub fn take<T: 'static>(&mut self) -> Option<T> {
        let value = self.0.take_if(|value| value.is::<T>())?;
        value.downcast().ok().map(|value| *value)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for RequestData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Some(_) => "RequestData(..)",
            None => "RequestData",
        })
    }
}
