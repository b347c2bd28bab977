//! The meter's dialer by itself: opens connections to a simulator, one after another.
//!
//! When each begins is read from the clock here and not by the meter, whose times are what is
//! judged.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use llmeter::wire::{Dialer, Server, StampSource};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Args)]
pub(crate) struct DialArguments {
    /// Where the simulator serves
    #[arg(long)]
    base_url: String,
    /// The certificate that it made
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Connections
    #[arg(long)]
    count: usize,
}

/// A connection that was opened.
#[derive(Serialize, Deserialize)]
pub(crate) struct Dialled {
    /// When the opening began, in nanoseconds of the monotonic clock.
    pub(crate) begun_ns: i64,
    /// What the meter says, in seconds.
    pub(crate) time_to_connect: f64,
    pub(crate) time_to_tls: Option<f64>,
}

/// Between a handshake and a request, so that the server reads one without the other.
const PAUSE: Duration = Duration::from_millis(5);

/// Prints one line of JSON for each connection.
pub(crate) fn dial(arguments: &DialArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::from_url(&arguments.base_url.parse()?)?;
        let dialer = match &arguments.ca_file {
            Some(file) => Dialer::with_ca_file(&server, None, StampSource::Kernel, file)?,
            None => Dialer::new(&server, None, StampSource::Kernel)?,
        };
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        for _ in 0..arguments.count {
            let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
            let begun_ns = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
            let mut connection = dialer.dial(0).await?;
            // The truth log has a line for each request.
            tokio::time::sleep(PAUSE).await;
            connection.write_all(request.as_bytes()).await?;
            connection.flush().await?;
            let mut response = Vec::new();
            // The simulator closes without a TLS goodbye.
            let _ = connection.read_to_end(&mut response).await;
            ensure!(
                response.starts_with(b"HTTP/1.1 200"),
                "the simulator said {:?}",
                String::from_utf8_lossy(&response)
            );
            let dialled = Dialled {
                begun_ns,
                time_to_connect: connection.time_to_connect,
                time_to_tls: connection.time_to_tls,
            };
            println!("{}", serde_json::to_string(&dialled)?);
        }
        Ok(())
    })
}
