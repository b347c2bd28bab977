//! Texts of servers that most responses have in common, such as `stop`.

use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static LAST: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The text, which shares its memory with the one before on this thread if both say the same.
pub(super) fn common_text(text: &str) -> Arc<str> {
    LAST.with_borrow_mut(|last| match last {
        Some(last) if **last == *text => last.clone(),
        _ => last.insert(text.into()).clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_kept_once() {
        let [one, again, other] = ["stop", "stop", "length"].map(common_text);
        assert!(Arc::ptr_eq(&one, &again));
        assert_eq!((&*one, &*other), ("stop", "length"));
    }
}
