//! Where to connect.

use std::path::{Path, PathBuf};

use url::{Host, Url};

use crate::error::{Result, SetupError};

/// The network address of an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The `Host` header's value.
    pub authority: String,
    /// The Unix socket that stands in the place of host and port.
    pub socket: Option<PathBuf>,
}

/// What stands before the path of a Unix socket.
const UNIX: &str = "unix:";
/// Longest path of a Unix socket, in bytes: the kernel's structure has room for 108, one of them
/// for the end mark, and some systems have 104.
const LONGEST_SOCKET: usize = 103;

impl Server {
    /// The server of an `http` or `https` URL.
    ///
    /// # Errors
    /// When the URL has another scheme, no host, or carries a user name or password.
    ///
    /// ```
    /// # use llmeter_wire::Server;
    /// let server = Server::from_url(&"https://api.example.com/v1".parse()?)?;
    /// assert_eq!((server.host.as_str(), server.port, server.tls), ("api.example.com", 443, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_url(url: &Url) -> Result<Self> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(SetupError::address(
                    format!("{other}:…"),
                    "a URL that begins with http://, https:// or unix:",
                ));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SetupError::address(
                "(a URL with a user name or password)",
                "a URL without credentials; pass an Authorization header instead",
            ));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(SetupError::address(url, "a URL with a host"));
        };
        let bracketed = host.to_string();
        let authority = match url.port() {
            Some(port) => format!("{bracketed}:{port}"),
            None => bracketed,
        };
        let host = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self {
            host,
            port,
            tls,
            authority,
            socket: None,
        })
    }

    /// The server behind a Unix socket. It is never encrypted, and is called `localhost`.
    ///
    /// # Errors
    /// When the path cannot be a socket's, or the system has no Unix sockets.
    pub fn from_socket(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let refuse = |expected: &str| {
            let given = format!("{UNIX}{}", path.display());
            Err(SetupError::address(given, expected))
        };
        if cfg!(not(unix)) {
            return refuse("a URL with http:// or https://: this system has no Unix sockets");
        }
        if path.as_os_str().is_empty() {
            return refuse("the path of a Unix socket, written like unix:/run/llm.sock:/v1");
        }
        if path.as_os_str().len() > LONGEST_SOCKET {
            return refuse("a path of at most 103 bytes, which is all that a Unix socket can have");
        }
        let host = "localhost".to_owned();
        Ok(Self {
            port: 80,
            tls: false,
            authority: host.clone(),
            host,
            socket: Some(path),
        })
    }

    /// The address for people: host and port, or the socket.
    pub fn shown(&self) -> String {
        match &self.socket {
            Some(path) => format!("{UNIX}{}", path.display()),
            None => self.authority.clone(),
        }
    }
}

/// Takes `unix:SOCKET:PATH` apart into the socket and the path of the API, which may be missing.
/// `None` is a text that names no socket.
pub fn unix_address(text: &str) -> Option<(&Path, &str)> {
    let rest = text.strip_prefix(UNIX)?;
    // As other programs write it: unix:///run/llm.sock.
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (socket, path) = match rest.rfind(":/") {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest.strip_suffix(':').unwrap_or(rest), ""),
    };
    Some((Path::new(socket), path))
}

/// The base URL of an API behind a Unix socket, as [`unix_address`] takes it apart.
pub fn unix_base_url(socket: &Path, path: &str) -> String {
    format!("{UNIX}{}:{path}", socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_written_with_the_path_of_the_api_after_them() {
        for (text, socket, path) in [
            ("unix:/run/llm.sock:/v1", "/run/llm.sock", "/v1"),
            ("unix:///run/llm.sock:/v1/", "/run/llm.sock", "/v1/"),
            ("unix:/run/llm.sock", "/run/llm.sock", ""),
            ("unix:/run/llm.sock:", "/run/llm.sock", ""),
            ("unix:llm.sock:/", "llm.sock", "/"),
            ("unix:/run/a:b.sock:/v1", "/run/a:b.sock", "/v1"),
            ("unix:", "", ""),
        ] {
            assert_eq!(
                unix_address(text),
                Some((Path::new(socket), path)),
                "{text}"
            );
        }
        assert_eq!(unix_address("http://localhost/v1"), None);
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_no_socket_can_have_are_refused() {
        assert!(Server::from_socket("x".repeat(103)).is_ok());
        let error = Server::from_socket("x".repeat(104)).unwrap_err();
        assert!(error.to_string().contains("103 bytes"), "{error}");
        let error = Server::from_socket("").unwrap_err();
        assert!(
            error.to_string().contains("unix:/run/llm.sock:/v1"),
            "{error}"
        );
    }
}
