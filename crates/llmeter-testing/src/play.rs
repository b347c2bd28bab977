//! A client's connection, and what can be done to it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::Step;

/// Bytes of a flood that are written in one call.
const FLOOD: usize = 64 * 1024;

pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Socket {
    pub(crate) fn encrypted(
        self,
        config: &std::sync::Arc<rustls::ServerConfig>,
    ) -> io::Result<Self> {
        let Self::Tcp(stream) = self else {
            return Ok(self);
        };
        let config = std::sync::Arc::clone(config);
        let connection = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(rustls::StreamOwned::new(
            connection, stream,
        ))))
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => stream.into(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.into(),
            Self::Tls(stream) => (&stream.sock).into(),
        }
    }

    fn is_unix(&self) -> bool {
        #[cfg(unix)]
        return matches!(self, Self::Unix(_));
        #[cfg(not(unix))]
        false
    }

    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self.is_unix() {
            true => Ok(()),
            false => self.raw().set_tcp_nodelay(true),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Plays a step. An error means that the connection is over.
    pub(crate) fn play(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write(bytes) => return self.write(bytes),
            Step::Trickle(bytes) => {
                return bytes.chunks(1).try_for_each(|byte| {
                    self.write(byte)?;
                    thread::yield_now();
                    Ok(())
                });
            }
            Step::Flood(bytes) => {
                let many = bytes.repeat((FLOOD / bytes.len().max(1)).max(1));
                loop {
                    self.write(&many)?;
                }
            }
            Step::Pause(time) => {
                thread::sleep(*time);
                return Ok(());
            }
            Step::WaitForRelease => return Ok(()),
            Step::Close => self.raw().shutdown(Shutdown::Both)?,
            Step::WriteAndClose(bytes) => {
                #[cfg(target_os = "linux")]
                if !self.is_unix() {
                    self.raw().set_tcp_cork(true)?;
                }
                self.write(bytes)?;
                self.raw().shutdown(Shutdown::Write)?;
                self.drain()?;
            }
            // The caller drops the socket now, which resets the connection.
            Step::Reset => self.raw().set_linger(Some(Duration::ZERO))?,
            Step::Hold => self.drain()?,
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}
