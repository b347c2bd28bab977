//! The memory that is shared with the kernel: the one place with unsafe code.
//!
//! The kernel's side of it is `Documentation/networking/packet_mmap.rst`, version 2 of the format: slots of
//! one size, each of which begins with a header whose first word says whose it is. A slot with
//! `TP_STATUS_USER` is the process's until the process gives it back by writing `TP_STATUS_KERNEL`.
#![allow(unsafe_code, reason = "see above")]

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::Socket;

/// Bytes of a slot: the kernel's header and addresses (80), and the head of a packet.
pub(crate) const SLOT: usize = 256;
/// Bytes that the kernel allocates in one piece.
const BLOCK: usize = 64 * 1024;

/// A socket, and the slots that it fills.
#[derive(Debug)]
pub(crate) struct SharedSlots {
    memory: NonNull<u8>,
    count: usize,
    /// After the memory, so that it is closed last.
    socket: Socket,
}

// SAFETY: the memory belongs to this value alone, and the slots' owners are told by atomic words.
unsafe impl Send for SharedSlots {}

impl SharedSlots {
    /// Makes so many slots, rounded up to whole blocks, for the packets of a packet socket.
    pub(crate) fn new(socket: Socket, slots: usize) -> io::Result<Self> {
        let blocks = (slots * SLOT).div_ceil(BLOCK).max(1);
        let count = blocks * (BLOCK / SLOT);
        let number = |value: usize| u32::try_from(value).map_err(io::Error::other);
        let fd = socket.as_raw_fd();
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        set(fd, libc::PACKET_VERSION, &version)?;
        let request = libc::tpacket_req {
            tp_block_size: number(BLOCK)?,
            tp_block_nr: number(blocks)?,
            tp_frame_size: number(SLOT)?,
            tp_frame_nr: number(count)?,
        };
        set(fd, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping, wherever the kernel likes, of exactly the bytes that were just asked for.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                count * SLOT,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            memory,
            count,
            socket,
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Lends a slot to `see` if it is the process's, and gives it back to the kernel. `false` if it is not.
    pub(crate) fn take(&mut self, slot: usize, see: impl FnOnce(&[u8; SLOT])) -> bool {
        let begin = self.begin(slot);
        // SAFETY: a slot lies within the memory and begins with its state, at an address that is a multiple of
        // the slot's size; the kernel writes it whole.
        let state = unsafe { AtomicU32::from_ptr(begin.cast().as_ptr()) };
        if state.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: the slot is the process's now, the kernel has written it before it said so, and `&mut self`
        // keeps everybody else away from it until it is given back below.
        see(unsafe { begin.cast::<[u8; SLOT]>().as_ref() });
        state.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        true
    }

    /// Packets that found no slot since the last call.
    pub(crate) fn dropped(&self) -> io::Result<u32> {
        let mut stats = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of_val(&stats) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, which the structure has; both outlive the call.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        };
        match result {
            0 => Ok(stats.tp_drops),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn begin(&self, slot: usize) -> NonNull<u8> {
        assert!(slot < self.count);
        // SAFETY: within the mapping, since there are `count` slots of `SLOT` bytes.
        unsafe { self.memory.add(slot * SLOT) }
    }
}

impl Drop for SharedSlots {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nothing refers to any more.
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.count * SLOT);
        }
    }
}

fn set<T>(socket: RawFd, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads the bytes of `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_PACKET,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
