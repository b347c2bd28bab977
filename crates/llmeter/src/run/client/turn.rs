//! Whose turn it is, on a worker whose connections are never empty.

/// Reads in a row after which others have their turn: other clients, and the request's own timeout.
const READS: u32 = 16;

/// The reads of one response since it last had nothing to read.
#[derive(Debug, Default)]
pub(super) struct Turn(u32);

impl Turn {
    /// There is nothing to read, which lets others have their turn anyway.
    pub(super) fn ends(&mut self) {
        self.0 = 0;
    }

    /// A read brought something. Lets others have their turn where that happens again and again.
    pub(super) async fn has_read(&mut self) {
        self.0 += 1;
        if self.0 == READS {
            self.ends();
            tokio::task::yield_now().await;
        }
    }
}
