//! Calls into code that is not llmeter's: an endpoint's, a decoder's, an observer's. Its panics
//! become failures of what it was doing and nothing more.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, Once, PoisonError};
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

thread_local! {
    static SHOWS_PANICS_ONCE: Cell<bool> = const { Cell::new(false) };
}

/// From here on this thread's panics are shown on standard error by their first only: foreign code
/// that panics at each response would fill the terminal, and who called it counts them anyway.
///
/// The first call puts a hook before the process's panic hook, to which all others go as before.
pub(super) fn show_panics_once() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !is_repeated(panic) {
                show(panic);
            }
        }));
    });
    SHOWS_PANICS_ONCE.set(true);
}

/// Whether a panic at this place was shown before.
fn is_repeated(panic: &PanicHookInfo<'_>) -> bool {
    static SHOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // A thread that ends has no such variable any more.
    let applies = SHOWS_PANICS_ONCE.try_with(Cell::get).unwrap_or(false);
    let Some(place) = panic.location().filter(|_| applies) else {
        return false;
    };
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    !shown.insert(place.to_string())
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
