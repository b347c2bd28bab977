//! How much responses under way may keep in memory.

use super::body::Body;
use super::{Assembly, MAX_ERROR_BODY};
use crate::base::failure::{Failure, FailureKind};

const MIB: usize = 1 << 20;
/// What responses under way may keep together, at least.
const MIN_SHARED: usize = 128 * MIB;
/// What each of them may keep in any case.
const OWN_SHARE: usize = MIB;

/// How much responses under way may keep: of each what is needed until it is whole, and its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// In one response.
    response: usize,
    /// In all of a decoder's together.
    shared: usize,
    used: usize,
}

impl Room {
    /// `response_mib`: the setting; `decoders`: among which the room for all is divided.
    pub(super) fn new(response_mib: u64, decoders: usize) -> Self {
        let response = usize::try_from(response_mib).unwrap_or(usize::MAX);
        let response = response.saturating_mul(MIB);
        Self {
            response,
            shared: response.saturating_mul(2).max(MIN_SHARED) / decoders.max(1),
            used: 0,
        }
    }

    /// Counts what a response keeps now.
    pub(super) fn count(&mut self, assembly: &mut Assembly) {
        let kept = assembly.kept();
        self.used = self.used - assembly.counted + kept;
        assembly.counted = kept;
    }

    /// A response is over.
    pub(super) fn release(&mut self, assembly: &Assembly) {
        self.used -= assembly.counted;
    }

    /// Why nothing more of a response is to be read, if so.
    pub(super) fn refuse(&self, assembly: &Assembly) -> Option<Failure> {
        let mib = |bytes: usize| bytes / MIB;
        let reason = match assembly.counted {
            kept if kept > self.response => format!(
                "the response is too large: more than {} MiB would have to be kept until it is whole",
                mib(self.response)
            ),
            kept if kept > OWN_SHARE && self.used > self.shared => format!(
                "the response is too large: the responses under way keep more than {} MiB, this one {}",
                mib(self.shared),
                mib(kept)
            ),
            _ => return None,
        };
        Some(Failure::new(FailureKind::TooLarge, reason))
    }
}

impl Assembly {
    /// Bytes that are kept.
    fn kept(&self) -> usize {
        self.builder.text_len() + self.body.kept()
    }

    /// Whether all that will be said of the response is known, although more of it may come.
    pub(super) fn has_enough(&self) -> bool {
        matches!(&self.body, Body::Error(kept) | Body::Foreign(kept) if kept.len() >= MAX_ERROR_BODY)
    }
}
