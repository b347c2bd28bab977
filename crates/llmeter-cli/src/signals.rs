//! Ctrl-C, SIGTERM and SIGHUP: the first stops the load and saves, a second Ctrl-C or SIGTERM leaves at
//! once. SIGXFSZ does nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use llmeter::Interrupt;

use crate::exit::Exit;
use crate::{output, progress};

/// Signals that are caught from now on, so that none is missed before it is waited for.
pub(crate) struct Caught {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
}

/// Starts catching signals.
pub(crate) fn catch() -> std::io::Result<Caught> {
    let runtime = runtime()?;
    let signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    Ok(Caught { runtime, signals })
}

impl Caught {
    /// Blocks until a signal comes, or returns at once if one came before.
    pub(crate) fn wait(&mut self) {
        self.runtime.block_on(self.signals.next());
    }

    /// Blocks until somebody wants an end at once. A terminal that closes sends SIGHUP more than once.
    fn wait_for_impatience(&mut self) {
        self.runtime.block_on(self.signals.next_of_impatience());
    }

    /// Takes copies of a signal that just came out of the way.
    fn drop_repeats(&mut self) {
        self.runtime.block_on(async {
            let end = tokio::time::sleep(REPEATS);
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = &mut end => break,
                    () = self.signals.next() => {}
                }
            }
        });
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Whether nothing is in flight any more, so that there is nothing to say of a signal.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// How often [`wait_for_end`] looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Blocks until a signal comes that [`stop_on_signals`] hears, when the work is done.
pub(crate) fn wait_for_end(interrupt: &Interrupt) {
    IS_OVER.store(true, Ordering::Relaxed);
    while !interrupt.is_stopped() {
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Within this time signals are copies of one: a wrapper passes on what the whole process group got.
const REPEATS: Duration = Duration::from_millis(30);

/// Lets a write beyond the limit of the size of files (`ulimit -f`) fail as one to a full disk does,
/// instead of ending the process.
#[cfg(unix)]
pub(crate) fn outlive_file_limit() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    /// The same on Linux, macOS and the BSDs.
    const SIGXFSZ: i32 = 25;
    let runtime = runtime()?;
    let _context = runtime.enter();
    // The handler stays when the stream of its signals is gone.
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "there may be something to catch elsewhere"
)]
pub(crate) fn outlive_file_limit() -> std::io::Result<()> {
    Ok(())
}

/// Lets the signals stop what `interrupt` belongs to.
pub(crate) fn stop_on_signals(interrupt: Interrupt, quiet: bool) -> std::io::Result<()> {
    let mut caught = catch()?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let say = |line: &str| {
                if !quiet && !IS_OVER.load(Ordering::Relaxed) {
                    output::note(line);
                }
            };
            caught.wait();
            interrupt.stop();
            caught.drop_repeats();
            say(
                "stopping: waiting for requests in flight (press Ctrl-C again to exit immediately)",
            );
            caught.wait_for_impatience();
            progress::clear();
            say("aborted; what was recorded so far is in the run folder, if there is one");
            for folder in llmeter::result::staging_folders() {
                // Not only a courtesy: nobody would find them.
                output::note(&format!(
                    "upload incomplete; the remaining files are in {}",
                    folder.display()
                ));
            }
            std::process::exit(Exit::Interrupted as i32);
        })?;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// `None` where the process was started to ignore it, as by `nohup`.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: match is_hangup_ignored() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }

    async fn next_of_impatience(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whether the process ignores SIGHUP, as far as the system tells.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_hangup_in(&status)
}

/// Whether the first signal is among those that a process ignores, by its status.
#[cfg(unix)]
fn is_hangup_in(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }

    async fn next_of_impatience(&mut self) {
        self.next().await;
    }
}
