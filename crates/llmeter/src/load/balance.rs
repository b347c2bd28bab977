//! How requests are spread over several servers.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

/// How requests are spread over several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// One request after the other goes to the next server.
    #[default]
    RoundRobin,
    /// A session stays at its server, as with a router that knows where its cache is: a client of a closed
    /// loop, a conversation. One session after the other goes to the next server.
    Session,
}

/// Deals out servers, over all workers.
#[derive(Debug)]
pub(crate) struct Balancer {
    balance: Balance,
    servers: usize,
    next: AtomicUsize,
}

impl Balancer {
    /// Of servers that are counted from 0.
    pub(crate) fn new(balance: Balance, servers: usize) -> Self {
        Self {
            balance,
            servers: servers.max(1),
            next: AtomicUsize::new(0),
        }
    }

    /// The server of a session that begins: that of its first request, and of all if sessions stay.
    pub(crate) fn of_session(&self) -> Option<u16> {
        (self.balance == Balance::Session).then(|| self.take())
    }

    /// The server of a request of a session that has this one of its own.
    pub(crate) fn of_request(&self, own: Option<u16>) -> u16 {
        own.unwrap_or_else(|| self.take())
    }

    fn take(&self) -> u16 {
        match self.servers {
            1 => 0,
            servers => (self.next.fetch_add(1, Ordering::Relaxed) % servers) as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_or_sessions_go_round() {
        let by_request = Balancer::new(Balance::RoundRobin, 3);
        let own = by_request.of_session();
        let dealt: Vec<_> = (0..5).map(|_| by_request.of_request(own)).collect();
        assert_eq!((own, dealt), (None, vec![0, 1, 2, 0, 1]));

        let by_session = Balancer::new(Balance::Session, 2);
        let sessions: Vec<_> = (0..3).map(|_| by_session.of_session()).collect();
        assert_eq!(sessions, [Some(0), Some(1), Some(0)]);
        assert_eq!(by_session.of_request(sessions[1]), 1);

        let alone = Balancer::new(Balance::RoundRobin, 1);
        assert_eq!((alone.of_request(None), alone.of_request(None)), (0, 0));
    }
}
