//! The Unix socket at which a run in progress listens.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::SOCKET_FILE;

/// What a socket's path may take: `sun_path` has 104 bytes on some systems and 108 on Linux, with a zero.
const MAX_PATH: usize = 103;
/// The longest line that is read.
const MAX_LINE: u64 = 64 * 1024;
/// How long one who asks may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket of a run, which goes with this value.
///
/// It is in the run's folder, where nobody but its user may use it. Where that path is too long for one, it is
/// in a folder of its own among the temporary ones, and a link in the run's folder says where.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: std::os::unix::net::UnixListener,
    place: PathBuf,
    /// Where the socket is if that is not in the run's folder.
    _elsewhere: Option<tempfile::TempDir>,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.place);
    }
}

impl ControlSocket {
    /// Listens in a folder whose only run this is. What a run that was killed left there gives way.
    ///
    /// # Errors
    /// When the file system has no sockets.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        // Who asks may stand elsewhere.
        let place = folder.canonicalize()?.join(SOCKET_FILE);
        let is_ours = |kind: std::fs::FileType| kind.is_socket() || kind.is_symlink();
        if place
            .symlink_metadata()
            .is_ok_and(|there| is_ours(there.file_type()))
        {
            std::fs::remove_file(&place)?;
        }
        let is_short = place.as_os_str().len() <= MAX_PATH;
        let elsewhere = match is_short {
            true => None,
            // Only its user may enter it.
            false => Some(
                tempfile::Builder::new()
                    .prefix("llmeter-")
                    .permissions(Permissions::from_mode(0o700))
                    .tempdir_in(runtime_folder())?,
            ),
        };
        let path = match &elsewhere {
            Some(folder) => folder.path().join(SOCKET_FILE),
            None => place.clone(),
        };
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        let socket = Self {
            listener,
            place,
            _elsewhere: elsewhere,
        };
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        if !is_short {
            symlink(&path, &socket.place)?;
        }
        socket.listener.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Answers, one after the other, until this is dropped. Never returns.
    pub(crate) async fn serve(&self, mut answer: impl FnMut(&str) -> String) {
        let listener = self.listener.try_clone().and_then(UnixListener::from_std);
        let listener = match listener {
            Ok(listener) => listener,
            Err(reason) => {
                tracing::warn!(%reason, "the run cannot be controlled");
                return std::future::pending().await;
            }
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let served = tokio::time::timeout(PATIENCE, one(stream, &mut answer)).await;
                    if let Ok(Err(reason)) = served {
                        tracing::debug!(%reason, "who asked the run is gone");
                    }
                }
                // As when too many files are open.
                Err(reason) => {
                    tracing::debug!(%reason, "nobody can ask the run at this moment");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }
}

/// Reads a line and answers it.
async fn one(stream: UnixStream, answer: &mut impl FnMut(&str) -> String) -> io::Result<()> {
    // The socket had other permissions for a moment.
    let asks = stream.peer_cred()?.uid();
    if asks != rustix::process::geteuid().as_raw() && asks != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    BufReader::new(from.take(MAX_LINE))
        .read_line(&mut line)
        .await?;
    to.write_all(format!("{}\n", answer(&line)).as_bytes())
        .await
}

/// Where sockets are that have no place in their run's folder.
fn runtime_folder() -> PathBuf {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usable = named.filter(|path| path.is_absolute() && path.is_dir() && is_short(path));
    usable.unwrap_or_else(std::env::temp_dir)
}

fn is_short(path: &Path) -> bool {
    // With the name of a folder and the socket's.
    path.as_os_str().len() + 32 <= MAX_PATH
}

/// Asks the run in a folder; gives its answer.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] or [`io::ErrorKind::ConnectionRefused`] if there is none in progress.
pub(crate) fn ask(folder: &Path, request: &str) -> io::Result<String> {
    use std::io::{BufRead, BufReader, Read, Write};
    let mut path = folder.canonicalize()?.join(SOCKET_FILE);
    if path.symlink_metadata()?.is_symlink() {
        path = std::fs::read_link(&path)?;
    }
    // A folder may come from elsewhere; what it names must be this user's own.
    let (uid, own) = (std::fs::metadata(&path)?.uid(), rustix::process::geteuid());
    if uid != own.as_raw() && own.as_raw() != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut stream = std::os::unix::net::UnixStream::connect(&path)?;
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(1 << 24)).read_line(&mut line)?;
    match line.is_empty() {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a socket that gives back what it is told.
    fn echo(folder: &Path, socket: &ControlSocket, said: &str) -> io::Result<String> {
        let runtime = crate::base::runtime::runtime().unwrap();
        let (folder, said) = (folder.to_path_buf(), said.to_owned());
        let asks = std::thread::spawn(move || ask(&folder, &said));
        runtime.block_on(async {
            tokio::select! {
                () = socket.serve(|line| line.trim().to_owned()) => {}
                () = async { while !asks.is_finished() { tokio::task::yield_now().await } } => {}
            }
        });
        asks.join().unwrap()
    }

    #[test]
    fn a_socket_is_its_users_alone_and_goes_with_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let missing = ask(folder.path(), "x").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let socket = ControlSocket::open(folder.path()).unwrap();
        let place = folder.path().join(SOCKET_FILE);
        assert_eq!(place.metadata().unwrap().mode() & 0o777, 0o600);
        for said in ["one", "two"] {
            assert_eq!(
                echo(folder.path(), &socket, said).unwrap(),
                format!("{said}\n")
            );
        }
        drop(socket);
        assert!(!place.exists());
    }

    #[test]
    fn what_a_killed_run_left_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        // A socket that nobody listens at any more stays where it is.
        let place = folder.path().join(SOCKET_FILE);
        drop(std::os::unix::net::UnixListener::bind(&place).unwrap());
        let refused = ask(folder.path(), "x").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let socket = ControlSocket::open(folder.path()).unwrap();
        assert_eq!(echo(folder.path(), &socket, "one").unwrap(), "one\n");
    }

    #[test]
    fn a_path_that_is_too_long_leads_elsewhere() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("x".repeat(120));
        std::fs::create_dir(&folder).unwrap();
        let socket = ControlSocket::open(&folder).unwrap();
        let place = folder.join(SOCKET_FILE);
        let elsewhere = std::fs::read_link(&place).unwrap();
        assert!(elsewhere.as_os_str().len() <= MAX_PATH);
        let around = elsewhere.parent().unwrap().to_path_buf();
        assert_eq!(around.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(echo(&folder, &socket, "one").unwrap(), "one\n");
        drop(socket);
        assert!(place.symlink_metadata().is_err() && !around.exists());
    }
}
