//! Proxies: which one leads to a server, and how it is asked.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

use crate::error::{Result, SetupError};
use crate::http1::ResponseReader;
use crate::redaction::Redaction;
use crate::{ConnectError, Server};

const ACCEPTED: &str = "an HTTP proxy, like http://proxy.example.com:3128 or \
                        http://user:password@proxy.example.com:3128";

/// An HTTP proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Host name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// `http://host:port`, without credentials.
    shown: String,
    /// The value of `Proxy-Authorization`.
    authorization: Option<SecretString>,
    /// Hides the credentials in what proxies and servers say.
    redaction: Redaction,
}

impl Proxy {
    /// The proxy of a URL, which may carry a user name and password. A text without `://` is taken
    /// for host and port.
    ///
    /// # Errors
    /// When it is no HTTP proxy that is reached without encryption. No message holds credentials.
    pub fn from_url(url: &str) -> Result<Self> {
        Self::named(None, url)
    }

    fn named(variable: Option<&'static str>, text: &str) -> Result<Self> {
        let refuse = |expected: &str| {
            let shown = match text.contains('@') {
                true => "(a URL with a user name or password)",
                false => text,
            };
            SetupError::Proxy {
                variable,
                value: shown.to_owned(),
                expected: expected.to_owned(),
            }
        };
        let text = text.trim();
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let url: Url = whole.parse().map_err(|_| refuse(ACCEPTED))?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err(refuse(
                    "a proxy that is itself reached over http:// (what goes to an https endpoint \
                     is encrypted all the same)",
                ));
            }
            scheme if scheme.starts_with("socks") => {
                return Err(refuse(&format!("{ACCEPTED}; SOCKS is not supported")));
            }
            _ => return Err(refuse(ACCEPTED)),
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(refuse(&format!("{ACCEPTED}, without a path")));
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let (mut authorization, mut redaction) = (None, Redaction::default());
        if has_credentials {
            let password: Vec<u8> =
                percent_decode_str(url.password().unwrap_or_default()).collect();
            let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
            pair.push(b':');
            pair.extend(&password);
            let encoded = BASE64_STANDARD.encode(&pair);
            let value = format!("Basic {encoded}");
            let [pair, password] = [&pair, &password].map(|text| String::from_utf8_lossy(text));
            redaction = Redaction::new([&*value, &*encoded, &*pair, &*password]);
            authorization = Some(SecretString::from(value));
        }
        let mut bare = url.clone();
        // Neither can fail for a URL that has a host.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let server = Server::from_url(&bare).map_err(|_| refuse(ACCEPTED))?;
        Ok(Self {
            shown: format!("http://{}", server.authority),
            host: server.host,
            port: server.port,
            authorization,
            redaction,
        })
    }

    /// The proxy's URL without credentials.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The header line that says who asks the proxy, if it has to be told.
    pub(super) fn authorization(&self) -> Option<&SecretString> {
        self.authorization.as_ref()
    }

    /// A text from elsewhere without the proxy's credentials, which every request to an http server
    /// carries.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redaction.apply(text)
    }

    /// Asks the proxy to connect this stream with the server.
    pub(super) async fn open_tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        server: &Server,
    ) -> Result<(), ConnectError> {
        let refused = |reason: String| ConnectError::Proxy {
            proxy: self.shown.clone(),
            server: server.authority.clone(),
            reason: self.redact(&reason).into_owned(),
        };
        let broken = |reason: std::io::Error| refused(format!("the connection broke ({reason})"));
        let host = match server.host.contains(':') {
            true => format!("[{}]", server.host),
            false => server.host.clone(),
        };
        let target = format!("{host}:{}", server.port);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization.expose_secret());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        let mut reader = ResponseReader::new();
        let mut body = Vec::new();
        let status = loop {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.map_err(broken)?;
            if count == 0 {
                return Err(refused("it closed the connection".to_owned()));
            }
            reader
                .feed(&buffer[..count], &mut body)
                .map_err(|reason| refused(reason.to_string()))?;
            if let Some(head) = reader.head() {
                break head.status;
            }
        };
        match status {
            200..300 if body.is_empty() => Ok(()),
            200..300 => Err(refused("it sent bytes that nobody asked for".to_owned())),
            407 if self.authorization.is_some() => Err(refused(
                "HTTP 407, it does not accept the user name and password of its URL".to_owned(),
            )),
            407 => Err(refused(
                "HTTP 407, it wants a user name and password: http://user:password@host:port"
                    .to_owned(),
            )),
            status => Err(refused(format!("HTTP {status}"))),
        }
    }
}

/// Which proxy leads to which server.
#[derive(Debug, Clone, Default)]
pub enum Proxies {
    /// None to any.
    #[default]
    None,
    /// This one to all.
    All(Proxy),
    /// What the environment says.
    Environment(EnvironmentProxies),
}

/// What the environment says of proxies.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentProxies {
    http: Option<Setting>,
    https: Option<Setting>,
    except: String,
}

/// A variable and its value.
type Setting = (&'static str, SecretString);

impl Proxies {
    /// What the variables `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` say now; each may
    /// be in capitals as well.
    ///
    /// `no_proxy` lists what is reached without a proxy: host names with all that are below them,
    /// addresses, networks like `10.0.0.0/8`, each perhaps with a port, or `*` for all. Addresses of
    /// this machine (`localhost`, `127.0.0.1`, `::1`) are always reached without one.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some((*name, SecretString::from(value)))
            })
        };
        let http = first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]);
        let https = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let except = first(&["no_proxy", "NO_PROXY"]);
        Self::Environment(EnvironmentProxies {
            http,
            https,
            except: except.map_or_else(String::new, |(_, list)| list.expose_secret().to_owned()),
        })
    }

    /// The proxy that leads to this server. There is none to a Unix socket.
    ///
    /// # Errors
    /// When the environment names one that cannot be used.
    pub fn to(&self, server: &Server) -> Result<Option<Proxy>> {
        match self {
            _ if server.socket.is_some() => Ok(None),
            Self::None => Ok(None),
            Self::All(proxy) => Ok(Some(proxy.clone())),
            Self::Environment(said) => said.to(server),
        }
    }
}

impl EnvironmentProxies {
    fn to(&self, server: &Server) -> Result<Option<Proxy>> {
        let setting = match server.tls {
            true => &self.https,
            false => &self.http,
        };
        match setting {
            Some((name, url)) if !is_loopback(&server.host) && !self.excepts(server) => {
                Proxy::named(Some(name), url.expose_secret()).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn excepts(&self, server: &Server) -> bool {
        let entries = self.except.split([',', ' ', '\t']);
        let mut entries = entries.filter(|entry| !entry.is_empty());
        entries.any(|entry| covers(entry, server))
    }
}

fn is_loopback(host: &str) -> bool {
    let is_local_name = |name: &str| {
        let name = name.trim_end_matches('.');
        name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
    };
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => is_local_name(host),
    }
}

/// Whether an entry of `no_proxy` covers a server.
fn covers(entry: &str, server: &Server) -> bool {
    if entry == "*" {
        return true;
    }
    let host = server.host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if let (Some((network, length)), Some(address)) = (entry.split_once('/'), address) {
        let (length, port) = match length.split_once(':') {
            Some((length, port)) => (length, Some(port)),
            None => (length, None),
        };
        return port.is_none_or(|port| port.parse() == Ok(server.port))
            && in_network(network, length, address);
    }
    let entry = entry.to_ascii_lowercase();
    let (name, port) = match entry.rsplit_once(':') {
        // One colon: a port follows. More of them: an IPv6 address without brackets.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (entry.as_str(), None),
    };
    if port.is_some_and(|port| port.parse() != Ok(server.port)) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    match (name.parse::<IpAddr>(), address) {
        (Ok(listed), Some(address)) => listed == address,
        (_, Some(_)) => false,
        _ => {
            let name = name.trim_start_matches("*.").trim_matches('.');
            let below = host.strip_suffix(name);
            !name.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
    }
}

fn in_network(network: &str, length: &str, address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let (Ok(network), Ok(length)) = (network.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let ((network, width), (address, other_width)) = (bits(network), bits(address));
    let mask = u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0);
    width == other_width && length <= width && (network ^ address) & mask == 0
}

#[cfg(test)]
mod tests;
