//! When bytes arrived, and how long they waited to be read.

use std::cell::{Cell, RefCell};

use crate::clock::{self, Stamp};

/// Who takes the receive stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StampSource {
    /// What is best and cheap: [`Kernel`](Self::Kernel), since stamps of packets cost more.
    #[default]
    Auto,
    /// The kernel, as the packet arrives (Linux); where it gives none, as [`User`](Self::User).
    Kernel,
    /// llmeter, right after the read returns.
    User,
    /// The kernel, for each packet by itself, from copies of them ([`packet`](crate::packet)); of what no
    /// copy was seen as [`Kernel`](Self::Kernel).
    Packet,
}

/// The arrival of the bytes that one read returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// When the last of the bytes arrived.
    pub at: Stamp,
    /// Nanoseconds from the arrival to the end of the read: llmeter's own lateness. Without a
    /// kernel stamp it is an upper bound, the time since this thread last had nothing to do.
    pub delay_ns: u32,
    /// Nanoseconds by which the first of the bytes may have arrived before `at`. The kernel keeps
    /// one stamp for bytes that it merges, so that frames which came apart but were read together
    /// all bear the last one's.
    pub blur_ns: u32,
    /// Whether `at` is the kernel's stamp.
    pub is_kernel: bool,
    /// Whether `at` is that of the packet that brought the last of the bytes.
    pub is_packet: bool,
    /// Bytes that the connection had brought with these, from its beginning; those of TLS and HTTP count.
    pub position: u64,
}

impl Arrival {
    /// When the bytes were read.
    pub fn read(self) -> Stamp {
        match self.is_kernel {
            true => Stamp(self.at.0 + i64::from(self.delay_ns)),
            false => self.at,
        }
    }

    /// The same bytes, whose last came with a packet that arrived then.
    #[must_use]
    pub fn by_packet(self, at: Stamp) -> Self {
        Self {
            at,
            delay_ns: nanoseconds(self.read().0 - at.0),
            blur_ns: 0,
            is_kernel: true,
            is_packet: true,
            ..self
        }
    }
}

thread_local! {
    /// The worker that this thread runs.
    pub static WORKER: WorkerState = WorkerState::default();
}

/// What all streams of one worker share. A worker is a thread, so this is thread-local.
#[derive(Debug, Default)]
pub struct WorkerState {
    #[cfg(target_os = "linux")]
    offset: RefCell<clock::RealtimeOffset>,
    woke: Cell<Stamp>,
    busy_ns: Cell<i64>,
    scratch: RefCell<Vec<u8>>,
    #[cfg(target_os = "linux")]
    control: RefCell<Vec<u8>>,
}

/// A worker that woke so long after a packet arrived had no core meanwhile.
#[cfg(target_os = "linux")]
const LATE_WAKE_NS: i64 = 1_000_000;

/// Bytes that one read may return.
const READ_SIZE: usize = 64 * 1024;

impl WorkerState {
    /// The thread has work again.
    pub fn woke(&self) {
        self.woke.set(clock::now());
    }

    /// The thread has nothing to do.
    pub fn parks(&self) {
        let busy = clock::now().0 - self.woke.get().0;
        self.busy_ns.set(self.busy_ns.get() + busy);
    }

    /// Nanoseconds that this thread was at work, up to its last pause.
    pub fn busy_ns(&self) -> i64 {
        self.busy_ns.get()
    }

    /// How often the realtime clock was seen to jump.
    pub fn clock_steps(&self) -> u32 {
        #[cfg(target_os = "linux")]
        return self.offset.borrow().steps();
        #[cfg(not(target_os = "linux"))]
        0
    }

    /// Lends the worker's read buffer.
    pub fn with_scratch<R>(&self, work: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut scratch = self.scratch.borrow_mut();
        if scratch.is_empty() {
            scratch.resize(READ_SIZE, 0);
        }
        work(&mut scratch)
    }

    /// An arrival for which the kernel gave no stamp. `drained` is when the stream was last empty.
    pub fn arrival_now(&self, drained: Stamp) -> Arrival {
        let at = clock::now();
        let delay_ns = nanoseconds(at.0 - self.woke.get().max(drained).0);
        Arrival {
            at,
            delay_ns,
            blur_ns: delay_ns,
            ..Arrival::default()
        }
    }

    /// An arrival that the kernel stamped with its realtime clock. `drained` is when the stream
    /// was last empty.
    #[cfg(target_os = "linux")]
    pub fn arrival_at(&self, realtime_ns: i64, drained: Stamp) -> Arrival {
        let read = clock::now();
        let at = self
            .offset
            .borrow_mut()
            .to_monotonic(realtime_ns, read)
            .min(read);
        let woke = self.woke.get();
        // A worker sleeps only when it has read everything. Bytes that came after it woke may have
        // been preceded by others since then; bytes that it woke for promptly had none before them.
        let blur = if at > woke {
            at.0 - woke.max(drained).0
        } else if woke.0 - at.0 > LATE_WAKE_NS {
            at.0 - drained.0
        } else {
            0
        };
        Arrival {
            at,
            delay_ns: nanoseconds(read.0 - at.0),
            blur_ns: nanoseconds(blur),
            is_kernel: true,
            ..Arrival::default()
        }
    }

    /// Reads from a socket and takes the kernel's receive stamp along.
    #[cfg(target_os = "linux")]
    pub fn receive(
        &self,
        socket: std::os::fd::RawFd,
        buffer: &mut [u8],
        drained: Stamp,
    ) -> std::io::Result<(usize, Arrival)> {
        use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

        let mut control = self.control.borrow_mut();
        if control.capacity() == 0 {
            *control = nix::cmsg_space!([nix::sys::time::TimeSpec; 3]);
        }
        let mut parts = [std::io::IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(socket, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let stamp = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampsns(stamps) => Some(stamps.system),
                _ => None,
            })
        });
        let arrival = match stamp {
            Some(stamp) if stamp.tv_sec() != 0 => {
                self.arrival_at(stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec(), drained)
            }
            _ => self.arrival_now(drained),
        };
        Ok((message.bytes, arrival))
    }
}

fn nanoseconds(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}
