//! Calls into code that is not llmeter's: an endpoint's, a decoder's, an observer's. Its panics
//! become failures of what it was doing and nothing more.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A panic's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic(pub(crate) String);

impl From<Box<dyn Any + Send>> for Panic {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload
                .downcast_ref::<&str>()
                .map_or_else(|| "no message".to_owned(), |text| (*text).to_owned()),
        };
        Self(text)
    }
}

/// Calls `work`. What it changed before a panic stays changed: it must not be relied on.
pub(crate) fn catch_panic<R>(work: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panic::from)
}

/// Awaits `work`.
pub(crate) async fn catch_panic_async<R>(work: impl Future<Output = R>) -> Result<R, Panic> {
    let mut work = pin!(work);
    poll_fn(
        |context| match catch_panic(|| work.as_mut().poll(context)) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_their_messages() {
        assert_eq!(catch_panic(|| 1), Ok(1));
        assert_eq!(
            catch_panic(|| panic!("plain")),
            Err::<(), _>(Panic("plain".into()))
        );
        assert_eq!(
            catch_panic(|| panic!("with {}", 1)),
            Err::<(), _>(Panic("with 1".into()))
        );
        let odd = catch_panic(|| std::panic::panic_any(7));
        assert_eq!(odd, Err::<(), _>(Panic("no message".into())));
    }
}
