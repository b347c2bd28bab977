//! The program that a profile names to be asked for credentials, `credential_process`. It is run here,
//! since what it says must have a limit.

use std::process::Stdio;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::Profile;

/// Bytes that are read of what it says on each way out.
const MAX_OUTPUT: u64 = 64 << 10;
/// Settings of a profile that go before its process.
const BEFORE: [&str; 5] = [
    "role_arn",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "login_session",
];

/// The command that this profile asks for credentials, and nothing before it.
pub(super) fn command(profile: &Profile) -> Option<&str> {
    let has_other = BEFORE.iter().any(|name| profile.get(name).is_some());
    profile.get("credential_process").filter(|_| !has_other)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<Timestamp>,
}

/// Runs the command and reads its credentials. It ends when the future is dropped.
///
/// # Errors
/// Why there are none, with what the command says on standard error.
pub(super) async fn credentials(command: &str) -> Result<Credentials, String> {
    let failed = |reason: std::io::Error| format!("credential_process: {reason}");
    let (shell, flag) = match cfg!(windows) {
        true => ("cmd.exe", "/C"),
        false => ("sh", "-c"),
    };
    let mut child = Command::new(shell)
        .args([flag, command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let outputs = (child.stdout.take(), child.stderr.take());
    let (out, err) = futures_util::future::try_join(within(outputs.0), within(outputs.1)).await?;
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        let said = String::from_utf8_lossy(&err);
        return Err(format!("credential_process: {status}: {said}"));
    }
    // Errors of the parser quote nothing but names and places.
    let output: Output = serde_json::from_slice(&out)
        .map_err(|_| "credential_process: what it printed are no credentials".to_owned())?;
    if output.version != 1 {
        let version = output.version;
        return Err(format!(
            "credential_process: version {version} is not known"
        ));
    }
    Ok(Credentials::new(
        output.access_key_id,
        output.secret_access_key,
        output.session_token,
        output.expiration.map(SystemTime::from),
        "credential_process",
    ))
}

async fn within(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut said = Vec::new();
    if let Some(from) = from {
        let read = from.take(MAX_OUTPUT + 1).read_to_end(&mut said).await;
        read.map_err(|reason| format!("credential_process: {reason}"))?;
    }
    match said.len() as u64 > MAX_OUTPUT {
        true => Err(format!(
            "credential_process: it prints more than {MAX_OUTPUT} bytes"
        )),
        false => Ok(said),
    }
}
