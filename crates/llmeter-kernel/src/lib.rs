//! What the kernel shows of packets and connections (Linux), as no other crate of the workspace can read it: only
//! this one may have unsafe code, and has nothing else in it.
//!
//! | module | what lives there |
//! | --- | --- |
//! | `ring`, `memory` | heads of packets in memory that is shared with the kernel |
//! | `tcp` | what TCP knows of a connection |
//!
//! A packet socket that is read by calls costs its reader a call, a copy and the release of another core's buffer
//! for each packet, and holds no more than `net.core.rmem_max` lets it. A ring costs a few loads, and has memory of
//! its own. What packets mean is for others.

#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod tcp;

#[cfg(target_os = "linux")]
pub use ring::{Frame, HEAD, PacketRing};
#[cfg(target_os = "linux")]
pub use socket2::SockFilter;
#[cfg(target_os = "linux")]
pub use tcp::TcpInfo;
