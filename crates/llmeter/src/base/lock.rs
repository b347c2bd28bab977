//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what a thread that panicked has left as it should be.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
