//! What the machine is doing beside the run.

use crate::base::error::{Error, Result};

/// The host's processor time so far, in clock ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HostTimes {
    busy: u64,
    steal: u64,
    total: u64,
}

impl HostTimes {
    /// Reads the counters; `None` where the system has none.
    pub(crate) fn read() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let fields: Vec<u64> = text
            .lines()
            .next()?
            .split_ascii_whitespace()
            .skip(1)
            .map_while(|field| field.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = fields[..] else {
            return None;
        };
        let busy = user + nice + system + irq + softirq;
        Some(Self {
            busy,
            steal,
            total: busy + idle + iowait + steal,
        })
    }

    /// Shares of the machine's time since `earlier` that were busy, and taken by the hypervisor.
    pub(crate) fn shares_since(self, earlier: Self) -> Option<(f64, f64)> {
        let total = self.total.checked_sub(earlier.total).filter(|&t| t > 0)? as f64;
        Some((
            self.busy.saturating_sub(earlier.busy) as f64 / total,
            self.steal.saturating_sub(earlier.steal) as f64 / total,
        ))
    }
}

/// Seconds that the calling thread was runnable without a core, where the system counts them.
pub(crate) fn thread_wait_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(nanoseconds as f64 * 1e-9)
}

/// How far the recorder stands back behind the workers. On one core with both, a worker that falls
/// behind for the length of a token gap finds tokens merged.
#[cfg(target_os = "linux")]
const RECORDER_NICENESS: i32 = 10;

/// Lets the calling thread yield to others, as far as the system allows.
pub(super) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(reason) =
        rustix::process::setpriority_process(Some(rustix::thread::gettid()), RECORDER_NICENESS)
    {
        tracing::debug!(%reason, "the recorder keeps its priority");
    }
}

/// Raises this process's limit on open files as far as it may. Returns the limit; a system without
/// one has the largest there is.
///
/// # Errors
/// When the limit cannot be read.
#[cfg_attr(
    not(unix),
    expect(clippy::unnecessary_wraps, reason = "it fails on Unix only")
)]
pub fn raise_open_file_limit() -> Result<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
            .map_err(|reason| Error::system("read the limit of open files")(reason.into()))?;
        // Some systems report no upper limit but refuse it; half a million is beyond any use here.
        let wanted = hard.min(1 << 19).max(soft);
        let is_raised = wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok();
        Ok(if is_raised { wanted } else { soft })
    }
    #[cfg(not(unix))]
    Ok(u64::MAX)
}

/// Files that llmeter needs beside one for each client.
const OTHER_FILES: u64 = 64;

/// Checks that so many clients can have a connection each.
pub(crate) fn check_open_files(clients: usize) -> Result<()> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit};
        if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE)
            && limit < clients as u64 + OTHER_FILES
        {
            let purpose = match clients {
                1 => "1 client needs".to_owned(),
                _ => format!("{clients} clients need"),
            };
            return Err(Error::OpenFiles {
                purpose,
                needed: clients as u64 + OTHER_FILES,
                limit,
            });
        }
    }
    Ok(())
}
