//! Wakes tasks at points of the monotonic clock.
//!
//! Belongs here: one alarm clock per worker thread. What a task does when it wakes, and whether
//! it is due at all, is the task's own business: a wake-up may come for no reason.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::Pacer;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::Pacer;
