//! Whether the last content frame's stamp is its own.
//!
//! What ends a response (a finish reason, usage, `[DONE]`) may be merged with the last content frame by
//! the kernel, and that frame then bears the stamp of the end. How late it looks cannot be known, but how
//! long this server takes from the one to the other can: from the responses in which they came apart.

use super::TOLERATED_ERROR_NS;
use llmeter_wire::Arrival;

/// How the first frame after the last content frame came.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Ending {
    /// There was none, or none whose stamp says anything.
    #[default]
    Unknown,
    /// So many nanoseconds after it, within what is tolerated if they were merged.
    After(i64),
    /// With the same stamp, which may be so many nanoseconds later than the content.
    Merged(u32),
}

/// The endings of a run.
#[derive(Debug, Default)]
pub(super) struct Endings {
    known: u64,
    late: u64,
    merged: Merged,
}

/// Requests whose end was merged with their last content frame.
#[derive(Debug, Default)]
struct Merged {
    uncertain: u64,
    doubtful: u64,
}

impl Ending {
    /// The ending by a frame that came at `end`, the last content frame having come at `content`.
    pub(super) fn of(content: Arrival, end: Arrival) -> Self {
        match end.at == content.at {
            _ if !end.is_kernel => Self::Unknown,
            true if end.blur_ns > TOLERATED_ERROR_NS => Self::Merged(end.blur_ns),
            true => Self::After(0),
            false => Self::After(end.at.0 - content.at.0),
        }
    }
}

impl Endings {
    /// Counts a request whose times are not uncertain for another reason. `unseen_ns` is the error that
    /// does not show in its TTLT.
    pub(super) fn record(&mut self, ending: Ending, unseen_ns: f64) {
        match ending {
            Ending::Unknown => {}
            Ending::After(gap) => {
                self.known += 1;
                self.late += u64::from(gap > i64::from(TOLERATED_ERROR_NS));
            }
            Ending::Merged(blur_ns) => {
                self.merged.uncertain += 1;
                self.merged.doubtful += u64::from(f64::from(blur_ns) > unseen_ns);
            }
        }
    }

    /// How many requests' TTLT is uncertain, and of how many that shows: of the merged endings as large
    /// a share as came late where that is known, and all where it is not.
    pub(super) fn uncertain_and_doubtful(&self) -> (f64, f64) {
        let late = match self.known {
            0 => 1.0,
            known => self.late as f64 / known as f64,
        };
        let Merged {
            uncertain,
            doubtful,
        } = self.merged;
        (uncertain as f64 * late, doubtful as f64 * late)
    }
}
