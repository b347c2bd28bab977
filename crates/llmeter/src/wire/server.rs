//! Where to connect.

use url::{Host, Url};

use crate::error::{Error, Result};

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
}

impl Server {
    /// The server of an `http` or `https` URL.
    ///
    /// # Errors
    /// When the URL has another scheme, no host, or carries a user name or password.
    ///
    /// ```
    /// # use llmeter::wire::Server;
    /// let server = Server::from_url(&"https://api.example.com/v1".parse()?)?;
    /// assert_eq!((server.host.as_str(), server.port, server.tls), ("api.example.com", 443, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_url(url: &Url) -> Result<Self> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(Error::invalid(
                    "base_url",
                    format!("{other}:…"),
                    "a URL that begins with http:// or https://",
                ));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid(
                "base_url",
                "(a URL with a user name or password)",
                "a URL without credentials; pass an Authorization header instead",
            ));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Error::invalid("base_url", url, "a URL with a host"));
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
        })
    }
}
