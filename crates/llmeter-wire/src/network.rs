//! What the network had to do with an answer.

/// What TCP knows of a connection at the end of an answer, and what happened on it since the answer before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NetworkState {
    /// The smoothed round-trip time, in seconds.
    pub round_trip: f64,
    /// The shortest round-trip time of late, in seconds.
    pub min_round_trip: Option<f64>,
    /// Segments that this machine had to send again.
    pub retransmissions: u32,
    /// Segments that came before one that was missing.
    pub out_of_order: Option<u32>,
}

/// What happened on a connection before, as far as it was told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is known")
    )]
    retransmissions: u32,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is known")
    )]
    out_of_order: u32,
}

#[cfg(target_os = "linux")]
impl Told {
    /// Asks the kernel. `None` for what is no connection of TCP's, or has no round-trip time.
    pub(crate) fn state(&mut self, socket: &impl std::os::fd::AsFd) -> Option<NetworkState> {
        let info = llmeter_kernel::TcpInfo::of(socket.as_fd()).ok()?;
        if info.round_trip_us == 0 {
            return None;
        }
        let seconds = |microseconds: u32| f64::from(microseconds) * 1e-6;
        let before = *self;
        self.retransmissions = info.retransmissions;
        self.out_of_order = info.out_of_order.unwrap_or(0);
        Some(NetworkState {
            round_trip: seconds(info.round_trip_us),
            min_round_trip: info.min_round_trip_us.map(seconds),
            retransmissions: info.retransmissions.wrapping_sub(before.retransmissions),
            out_of_order: info
                .out_of_order
                .map(|count| count.wrapping_sub(before.out_of_order)),
        })
    }
}

#[cfg(not(target_os = "linux"))]
impl Told {
    /// Nothing is known here.
    pub(crate) fn state<T>(&mut self, _: &T) -> Option<NetworkState> {
        None
    }
}
