//! Ctrl-C and SIGTERM: the first stops the load and saves, the second leaves at once.

use llmeter::Interrupt;

use crate::exit::Exit;

/// Blocks until the first signal.
pub(crate) fn wait() -> std::io::Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async { Ok(Signals::new()?.next().await) })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
}

/// Lets the signals stop what `interrupt` belongs to.
pub(crate) fn stop_on_signals(interrupt: Interrupt) -> std::io::Result<()> {
    let runtime = runtime()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(signals.next());
            eprintln!("stopping: waiting for what is in flight (once more leaves at once)");
            interrupt.stop();
            runtime.block_on(signals.next());
            eprintln!("left at once; the run folder holds what was recorded so far");
            std::process::exit(Exit::Interrupted as i32);
        })?;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
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
}
