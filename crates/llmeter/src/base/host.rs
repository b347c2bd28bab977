//! What the machine is doing beside the run.

use serde_json::{Value, json};

use crate::base::error::{Error, Result};

/// The host's processor time so far, in clock ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HostTimes {
    busy: u64,
    steal: u64,
    total: u64,
    cores: u64,
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
        let cores = text
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("cpu"));
        Some(Self {
            cores: cores.count() as u64,
            busy,
            steal,
            total: busy + idle + iowait + steal,
        })
    }

    /// Shares of the machine's time since `earlier`.
    pub(crate) fn shares_since(self, earlier: Self) -> Option<HostShares> {
        let total = self.total.checked_sub(earlier.total).filter(|&t| t > 0)? as f64;
        let steal = self.steal.saturating_sub(earlier.steal);
        Some(HostShares {
            busy: self.busy.saturating_sub(earlier.busy) as f64 / total,
            steal: steal as f64 / total,
            // Each core's time is counted in ticks: one of them may be of before or after.
            certain_steal: steal.saturating_sub(self.cores) as f64 / total,
        })
    }
}

/// How the machine's time was spent, as shares of all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct HostShares {
    /// What was busy, llmeter included.
    pub(crate) busy: f64,
    /// What the hypervisor gave to others.
    pub(crate) steal: f64,
    /// What it gave to others for certain, given how coarsely the system counts.
    pub(crate) certain_steal: f64,
}

/// How long the calling thread was runnable without a core, in seconds, and how often it got one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadWaits {
    seconds: f64,
    turns: u64,
}

impl ThreadWaits {
    /// The waits until now, where the system counts them.
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
    }

    /// Nanoseconds with a core and without one, and the number of turns.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace().skip(1);
        let nanoseconds: u64 = numbers.next()?.parse().ok()?;
        Some(Self {
            seconds: nanoseconds as f64 * 1e-9,
            turns: numbers.next()?.parse().ok()?,
        })
    }

    /// Seconds of waiting since then, in all and before each turn on average.
    pub(crate) fn since(self, before: Self) -> (f64, f64) {
        let seconds = (self.seconds - before.seconds).max(0.0);
        let turns = self.turns.saturating_sub(before.turns).max(1);
        (seconds, seconds / turns as f64)
    }
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

/// What this machine is, as far as it says: system and kernel, architecture, cores, processor, memory.
pub(crate) fn machine() -> Value {
    let mut machine = json!({
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    });
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let kernel = read("/proc/sys/kernel/osrelease");
    if !kernel.is_empty() {
        machine["kernel"] = kernel.trim().into();
    }
    if let Some(cpu) = value(&read("/proc/cpuinfo"), "model name") {
        machine["processor"] = cpu.into();
    }
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let kilobytes = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    if let Some(kilobytes) = kilobytes {
        machine["memory_mib"] = (kilobytes >> 10).into();
    }
    machine
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_and_turns() {
        let read = |text| ThreadWaits::parse(text).unwrap();
        let (before, after) = (read("900 1000000 10\n"), read("5000 9000000 14\n"));
        let (seconds, mean) = after.since(before);
        assert!((seconds - 0.008).abs() < 1e-12 && (mean - 0.002).abs() < 1e-12);
        assert!(ThreadWaits::parse("900 1000000").is_none());
    }

    #[test]
    fn one_tick_in_a_short_run_is_no_theft_for_certain() {
        let since = |steal, total| {
            let times = HostTimes {
                busy: 4,
                steal,
                total,
                cores: 2,
            };
            times.shares_since(HostTimes::default()).unwrap()
        };
        let short = since(1, 15);
        assert_eq!(short.steal, 1.0 / 15.0);
        assert_eq!(short.certain_steal, 0.0);
        assert_eq!(since(102, 1000).certain_steal, 0.1);
    }
}
