//! The connections of one worker that no session holds.

use std::sync::{Mutex, PoisonError};

use llmeter_wire::Connection;
use llmeter_wire::http2::Http2;

/// A connection, and the protocol that is spoken on it. One request is in flight on it at most.
pub(crate) enum Channel {
    Http1(Box<Connection>),
    Http2(Box<Http2>),
}

impl Channel {
    /// Whether the idle connection can carry another request.
    pub(crate) async fn is_usable(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_idle(),
            Self::Http2(http2) => http2.is_usable().await,
        }
    }
}

/// Idle connections, the one that was used last on top. A session takes one for its first request,
/// keeps it from turn to turn, as a client does, and gives it back at its end.
///
/// A pool belongs to one worker, so that nobody ever waits for its lock.
#[derive(Default)]
pub(crate) struct Pool {
    /// Each with the number of its server.
    idle: Mutex<Vec<(u16, Channel)>>,
}

impl Pool {
    /// One to a server.
    pub(crate) fn take(&self, server: u16) -> Option<Channel> {
        let mut idle = self.lock();
        let at = idle.iter().rposition(|(to, _)| *to == server)?;
        Some(idle.remove(at).1)
    }

    pub(crate) fn put(&self, server: u16, connection: Channel) {
        self.lock().push((server, connection));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(u16, Channel)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
