//! What is to be sent when.
//!
//! Belongs here: [`Schedule`] and its implementations: sessions, their turns, the times of both.
//! Does not belong here: sending (`run`), payloads themselves (`payload`), sockets (the wire).
//!
//! A schedule is pure: it reads no clock and waits for nothing. A run asks it for the sessions of
//! each worker and carries them out.

mod arrivals;
mod balance;
mod closed_loop;
mod conversations;
mod data_loop;
mod disturbance;
mod live;
mod open_loop;
mod profile;
mod queue;
mod rate;
mod replay;
mod schedule;
mod session_loop;
mod shard;
mod staged_clients;
mod stages;
mod think_time;

use std::sync::Arc;
use std::time::Duration;

pub use arrivals::Arrivals;
pub use balance::Balance;
pub(crate) use balance::Balancer;
pub(crate) use closed_loop::ClosedLoop;
pub use conversations::History;
pub(crate) use conversations::{Conversations, TraceSessions};
pub(crate) use data_loop::DataLoop;
pub use disturbance::{Cancellation, SlowReaders};
pub(crate) use live::Live;
#[doc(hidden)]
pub use live::{Adjustable, Lever};
pub(crate) use open_loop::OpenLoop;
pub(crate) use profile::Profile;
pub(crate) use queue::SharedQueue;
pub use rate::Rate;
pub(crate) use replay::Replay;
pub use schedule::{
    ConversationTurn, RequestClass, Schedule, Session, SubAgent, Turn, WorkerShare,
};
pub(crate) use session_loop::SessionLoop;
pub(crate) use shard::Sharded;
pub use shard::{NotAShard, Shard};
pub(crate) use staged_clients::StagedClients;
pub use stages::{Stage, StageLevel, Stages};
pub use think_time::{ThinkBin, ThinkTime};

/// How much is sent.
#[derive(Debug, Clone, Default)]
pub enum Load {
    /// Each client sends every payload once; in an open loop each is sent once in all.
    #[default]
    EachPayloadOnce,
    /// Each client sends so many requests, cycling through the payloads; in an open loop, so many are sent
    /// in all.
    Requests(u64),
    /// Each client sends, or requests arrive, until this time has passed; what is in flight then is waited
    /// for.
    Duration(Duration),
    /// What a schedule says, in place of clients that send one request after the other.
    Schedule(Arc<dyn Schedule>),
}

impl Load {
    /// All clients together send each of so many payloads once, in their order.
    pub fn each_payload_once_in_all(clients: usize, payloads: usize, warmup: u64) -> Self {
        let order = (0..payloads as u32).collect();
        Self::Schedule(Arc::new(SharedQueue::new(clients, order, warmup)))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::EachPayloadOnce, Self::EachPayloadOnce) => true,
            (Self::Requests(one), Self::Requests(other)) => one == other,
            (Self::Duration(one), Self::Duration(other)) => one == other,
            (Self::Schedule(one), Self::Schedule(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}
