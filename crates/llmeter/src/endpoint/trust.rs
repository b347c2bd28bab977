//! Where secrets would go because a file says so, and whom the user trusts with them.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use url::{Host, Url};

use crate::api::APIS;
use crate::base::error::{Error, Result};
use crate::base::file;
use crate::base::setting::Setting;
use llmeter_wire::unix_address;

/// The environment variables in which users name servers to programs that send secrets there, beside those
/// of single APIs.
const VARIABLES: [&str; 6] = [
    "HF_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
    "MLFLOW_TRACKING_URI",
    "LLMETER_TRUSTED_HOSTS",
];

/// The user's own configuration, below `$XDG_CONFIG_HOME` or `~/.config`.
const OWN_FILE: &str = "llmeter/config.toml";

/// A secret that would go to a server because a file says so: a run's folder, a saved endpoint, a
/// callback.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The secret by its name, never its value: an environment variable, `AWS credentials`, `the header
    /// X-Team`.
    pub secret: String,
    /// The server's address, without credentials and query.
    pub address: String,
    /// Whether it is the address that llmeter knows for this API.
    pub is_default: bool,
}

impl Destination {
    /// A secret that goes to an address which a file names.
    pub fn new(secret: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            secret: secret.into(),
            address: address.into(),
            is_default: false,
        }
    }
}

/// `OPENAI_API_KEY to https://api.example.com/v1`.
impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {}", self.secret, self.address)
    }
}

/// The servers that the user trusts with secrets.
///
/// An endpoint or a callback that was made from a file does not send secrets to a server that the file
/// alone names: a run refuses with [`Error::Untrusted`]. Trusted are, beside the API's own address, the
/// servers that are named here. An address that a program gives itself needs no trust.
///
/// ```
/// use llmeter::endpoint::{Destination, Trust};
///
/// let trust = Trust::nobody().host("https://llm.example.com/v1")?.host("gpu.internal")?;
/// let key_to = |address| Destination::new("OPENAI_API_KEY", address);
/// assert!(trust.includes(&key_to("https://llm.example.com/other")));
/// assert!(trust.includes(&key_to("https://gpu.internal:8443/v1")));
/// assert!(!trust.includes(&key_to("http://gpu.internal/v1")), "anybody could listen");
/// assert!(!trust.includes(&key_to("https://example.com/v1")));
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Trust {
    hosts: Vec<Trusted>,
    is_everybody: bool,
}

/// A server that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trusted {
    /// This host over TLS, at this port or at any.
    Host(String, Option<u16>),
    /// Exactly this server.
    Server(Origin),
}

/// A server, as far as trust goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Network {
        tls: bool,
        host: String,
        port: u16,
    },
    /// The path of a Unix socket.
    Socket(PathBuf),
}

impl Origin {
    fn of(address: &str) -> Option<Self> {
        if let Some((socket, _)) = unix_address(address) {
            return Some(Self::Socket(socket.to_path_buf()));
        }
        let url = Url::parse(address).ok()?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        Some(Self::Network {
            tls,
            host: host_of(&url)?,
            port: url.port_or_known_default()?,
        })
    }
}

/// Whether two addresses are of the same server.
pub(super) fn is_same_server(one: &str, other: &str) -> bool {
    Origin::of(one).is_some_and(|one| Some(one) == Origin::of(other))
}

fn host_of(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        address => address.to_string(),
    })
}

impl Trust {
    /// Trusts no server but the APIs' own.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Trusts every server: the user has seen where secrets go, and agreed.
    pub fn everybody() -> Self {
        Self {
            is_everybody: true,
            ..Self::default()
        }
    }

    /// Trusts the servers that the environment names (`OPENAI_BASE_URL`, `MLFLOW_TRACKING_URI` and the
    /// like; `LLMETER_TRUSTED_HOSTS`, separated by commas), and those in the list `trusted_hosts` of
    /// the user's own configuration: `$XDG_CONFIG_HOME/llmeter/config.toml`, by default
    /// `~/.config/llmeter/config.toml`.
    ///
    /// # Errors
    /// If that file is there and cannot be read or used. What a variable holds beside addresses names no
    /// server.
    pub fn of_user() -> Result<Self> {
        let mut trust = Self::nobody();
        let of_apis = APIS.iter().flat_map(|api| api.spec().address_variables);
        for name in of_apis.copied().chain(VARIABLES) {
            let Some(text) = std::env::var_os(name).and_then(|text| text.into_string().ok()) else {
                continue;
            };
            for address in text.split(',').map(str::trim) {
                trust.hosts.extend(Trusted::parse(address));
            }
        }
        let Some(path) = own_configuration() else {
            return Ok(trust);
        };
        let content = match file::read_text(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(trust),
            Err(error) => return Err(Error::io("reading", &path)(error)),
        };
        let refused = |reason: String| Error::Content {
            path: path.clone(),
            line: None,
            column: None,
            reason,
            source: None,
        };
        let own: OwnConfiguration = toml::from_str(&content)
            .map_err(|error| refused(error.message().replace('\n', " ")))?;
        for host in &own.trusted_hosts {
            trust = trust
                .host(host)
                .map_err(|error| refused(error.to_string()))?;
        }
        Ok(trust)
    }

    /// Trusts one more server. An address with `http://` or `https://` or `unix:` stands for exactly that
    /// server, whatever its path; a bare host for this host over TLS, at any port if none is given.
    ///
    /// # Errors
    /// If it is no address and no host.
    pub fn host(mut self, host: &str) -> Result<Self> {
        let expected = "a host like llm.example.com, or an address like http://localhost:8000";
        let refuse = || match host.contains('@') {
            true => Error::refused("trusted_hosts", format!("expected {expected}")),
            false => Error::field("trusted_hosts", host, expected),
        };
        self.hosts.push(Trusted::parse(host).ok_or_else(refuse)?);
        Ok(self)
    }

    /// Whether a secret may go there.
    pub fn includes(&self, destination: &Destination) -> bool {
        self.is_everybody || destination.is_default || self.includes_address(&destination.address)
    }

    fn includes_address(&self, address: &str) -> bool {
        let Some(origin) = Origin::of(address) else {
            return false;
        };
        self.hosts.iter().any(|trusted| match (trusted, &origin) {
            (Trusted::Server(known), origin) => known == origin,
            (Trusted::Host(name, number), Origin::Network { tls, host, port }) => {
                *tls && name == host && number.is_none_or(|number| number == *port)
            }
            (Trusted::Host(..), Origin::Socket(_)) => false,
        })
    }

    /// Makes sure that secrets may go to all of these.
    ///
    /// # Errors
    /// [`Error::Untrusted`] with those to which they may not.
    pub fn check(&self, destinations: impl IntoIterator<Item = Destination>) -> Result<()> {
        let untrusted: Vec<_> = destinations
            .into_iter()
            .filter(|destination| !self.includes(destination))
            .collect();
        match untrusted.is_empty() {
            true => Ok(()),
            false => Err(Error::Untrusted {
                destinations: untrusted.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

impl Trusted {
    fn parse(text: &str) -> Option<Self> {
        if text.contains("://") || text.starts_with("unix:") {
            return Origin::of(text).map(Self::Server);
        }
        if text.is_empty() || text.contains(['/', '@', '?', '#', ' ']) {
            return None;
        }
        let url = Url::parse(&format!("https://{text}")).ok()?;
        // An own port of 443 is not told from none, and means the same.
        let has_port = text
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = has_port.then(|| url.port_or_known_default()).flatten();
        Some(Self::Host(host_of(&url)?, port))
    }
}

/// The user's own configuration as a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnConfiguration {
    #[serde(default, alias = "trusted-hosts")]
    trusted_hosts: Vec<String>,
}

/// The path of the user's own configuration, whether it is there or not; `None` without a home.
pub fn own_configuration() -> Option<PathBuf> {
    let variable = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = variable
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".config")))?;
    Some(folder.join(OWN_FILE))
}

/// The name of a setting that may hold a secret, as a destination shows it.
pub(super) fn header(name: &str) -> String {
    format!("the {} {name}", Setting::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_trusted(host: &str, address: &str) -> bool {
        let trust = Trust::nobody().host(host).unwrap();
        trust.includes(&Destination::new("KEY", address))
    }

    #[test]
    fn a_host_is_compared_as_a_whole() {
        for (host, address) in [
            ("llm.example", "https://llm.example/v1"),
            ("LLM.example", "https://llm.example./v1"),
            ("llm.example:443", "https://llm.example"),
            ("[::1]:8443", "https://[::1]:8443/v1"),
            ("http://localhost:8000/v1", "http://localhost:8000/"),
            ("unix:/run/llm.sock:/v1", "unix:/run/llm.sock:/v2"),
        ] {
            assert!(is_trusted(host, address), "{host} {address}");
        }
        for (host, address) in [
            ("llm.example", "http://llm.example/v1"),
            ("llm.example", "https://llm.example.evil/v1"),
            ("llm.example", "https://evil/llm.example"),
            ("llm.example", "https://llm.example@evil/"),
            ("llm.example", "https://sub.llm.example/"),
            ("llm.example:443", "https://llm.example:8443"),
            ("http://localhost:8000", "http://localhost:8001/"),
            ("http://localhost:8000", "https://localhost:8000/"),
            ("http://localhost", "unix:/run/llm.sock:/v1"),
            ("llm.example", "no address"),
        ] {
            assert!(!is_trusted(host, address), "{host} {address}");
        }
        for host in ["", "a/b", "me@host", "ftp://host", "https://", "a b"] {
            let error = Trust::nobody().host(host).unwrap_err().to_string();
            assert!(error.starts_with("trusted_hosts"), "{error}");
        }
    }

    #[test]
    fn what_is_not_trusted_is_refused_by_name() {
        let foreign = Destination::new("KEY", "https://evil.example/");
        let own = Destination {
            is_default: true,
            ..Destination::new("KEY", "https://api.example/")
        };
        Trust::nobody().check([own.clone()]).unwrap();
        Trust::everybody().check([foreign.clone()]).unwrap();
        let error = Trust::nobody().check([own, foreign]).unwrap_err();
        assert!(
            error.to_string().contains("KEY to https://evil.example/")
                && !error.to_string().contains("api.example"),
            "{error}"
        );
    }
}
