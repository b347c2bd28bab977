//! Connections of which nobody knows yet whether they are the user's own.
//!
//! Any user of the machine can open as many as they like: they are few at a time, and the oldest gives way to
//! a new one, so that the user's browser always gets in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// At a time.
const MAX: usize = 64;

/// The connections, the oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Strangers(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    next: u64,
    waiting: VecDeque<(u64, Option<AbortHandle>)>,
}

/// One of them; no longer when it is dropped.
#[derive(Debug)]
pub(super) struct Stranger {
    all: Strangers,
    id: u64,
}

impl Strangers {
    /// Takes in another; the oldest ends if they are too many.
    pub(super) fn arrive(&self) -> Stranger {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.waiting.len() >= MAX
            && let Some((_, Some(oldest))) = known.waiting.pop_front()
        {
            oldest.abort();
        }
        let id = known.next;
        known.next += 1;
        known.waiting.push_back((id, None));
        Stranger {
            all: self.clone(),
            id,
        }
    }

    /// Says how the connection with this number is ended.
    pub(super) fn ends_by(&self, id: u64, handle: AbortHandle) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.waiting.iter_mut().find(|one| one.0 == id) {
            one.1 = Some(handle);
        }
    }
}

impl Stranger {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Lets it stay: it knows the secret.
    pub(super) fn is_admitted(&self) {
        let mut known = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.waiting.retain(|one| one.0 != self.id);
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.is_admitted();
    }
}
