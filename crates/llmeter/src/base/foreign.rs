//! Calls into code that is not llmeter's: an endpoint's, a decoder's, an observer's. Its panics
//! become failures of what it was doing and nothing more.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, Once};
use std::task::Poll;
use std::thread::LocalKey;

use super::lock::lock;
use super::shown::{cut, escaped_lines};
use llmeter_wire::redaction::Redaction;

/// A panic's message, as it may be shown.
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
        Self(harmless(&text))
    }
}

thread_local! {
    static SHOWS_PANICS_ONCE: Cell<bool> = const { Cell::new(false) };
    static IS_FOREIGN: Cell<bool> = const { Cell::new(false) };
}

/// Characters of a panic's message that are shown.
const MAX_MESSAGE: usize = 4_000;

/// From here on this thread's panics are shown on standard error by their first only: foreign code
/// that panics at each response would fill the terminal, and who called it counts them anyway.
pub(super) fn show_panics_once() {
    watch_panics();
    SHOWS_PANICS_ONCE.set(true);
}

/// The first call puts a hook before the process's panic hook, to which panics go as before unless
/// they are foreign code's and repeated, or say what must not be shown as it is.
fn watch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if is_repeated(panic) {
                return;
            }
            match harmful(panic) {
                Some(shown) => report(panic, &shown),
                None => show(panic),
            }
        }));
    });
}

/// The message of a panic in foreign code, escaped and without secrets; `None` if that is how it is.
fn harmful(panic: &PanicHookInfo<'_>) -> Option<String> {
    // A thread that ends has no such variables any more.
    let is_set = |flag: &'static LocalKey<Cell<bool>>| flag.try_with(Cell::get).unwrap_or(false);
    if !is_set(&SHOWS_PANICS_ONCE) && !is_set(&IS_FOREIGN) {
        return None;
    }
    let text = panic.payload_as_str()?;
    let shown = harmless(text);
    (shown != text).then_some(shown)
}

/// A foreign message as it may be shown: without secrets, escaped, not too long.
fn harmless(text: &str) -> String {
    escaped_lines(&Redaction::apply_all(&cut(text, MAX_MESSAGE))).into_owned()
}

/// What the usual hook says, which cannot be given another message.
#[expect(clippy::print_stderr, reason = "in the place of the usual panic hook")]
fn report(panic: &PanicHookInfo<'_>, shown: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let place = panic.location().map(|place| format!(" at {place}"));
    eprintln!(
        "\nthread '{name}' panicked{}:\n{shown}",
        place.unwrap_or_default()
    );
}

/// Whether a panic at this place was shown before.
fn is_repeated(panic: &PanicHookInfo<'_>) -> bool {
    static SHOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // A thread that ends has no such variable any more.
    let applies = SHOWS_PANICS_ONCE.try_with(Cell::get).unwrap_or(false);
    let Some(place) = panic.location().filter(|_| applies) else {
        return false;
    };
    let mut shown = lock(&SHOWN);
    !shown.insert(place.to_string())
}

/// Calls `work`. What it changed before a panic stays changed: it must not be relied on.
pub(crate) fn catch_panic<R>(work: impl FnOnce() -> R) -> Result<R, Panic> {
    watch_panics();
    let was_foreign = IS_FOREIGN.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    IS_FOREIGN.set(was_foreign);
    outcome.map_err(Panic::from)
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
        let odd_text = catch_panic(|| panic!("\u{1b}[2J of Hq4Tz9Wm2Kx\nin a line"));
        assert_eq!(
            odd_text,
            Err::<(), _>(Panic("\\x1b[2J of Hq4Tz9Wm2Kx\nin a line".into()))
        );
        let known = Redaction::new(["Hq4Tz9Wm2Kx"]);
        assert_eq!(harmless("of Hq4Tz9Wm2Kx"), "of <redacted>");
        drop(known);
        let odd = catch_panic(|| std::panic::panic_any(7));
        assert_eq!(odd, Err::<(), _>(Panic("no message".into())));
    }
}
