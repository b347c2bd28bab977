//! Which tracking server is meant, and how llmeter proves who it is: settings and environment.

use std::borrow::Cow;
use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::MlflowError;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use llmeter_wire::redaction::Redaction;

/// The variables that MLflow's own clients read.
pub(super) const TRACKING_URI: &str = "MLFLOW_TRACKING_URI";
pub(super) const USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
pub(super) const PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";
pub(super) const TOKEN: &str = "MLFLOW_TRACKING_TOKEN";
pub(super) const CERTIFICATES: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";
pub(super) const EXPERIMENT_NAME: &str = "MLFLOW_EXPERIMENT_NAME";
pub(super) const EXPERIMENT_ID: &str = "MLFLOW_EXPERIMENT_ID";
pub(super) const RUN_ID: &str = "MLFLOW_RUN_ID";

/// The environment, through which tests put their own.
pub(super) type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// A variable of this process; an empty one counts as unset.
pub(super) fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The address of a tracking server. A user name and password in it are used, but neither saved
/// nor shown.
#[derive(Clone)]
pub(super) struct TrackingUri {
    url: Url,
    credentials: Option<(String, SecretString)>,
}

impl TrackingUri {
    /// # Errors
    /// If it is no http or https address; the message does not repeat what may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let expected = |what: &str| {
            format!(
                "the http or https address of a tracking server, like http://localhost:5000 ({what})"
            )
        };
        let refused =
            |shown: &str, what: &str| Error::invalid(Setting::Mlflow, shown, expected(what));
        let hidden = |what: &str| Error::hidden(Setting::Mlflow, expected(what));
        let text = text.trim();
        let url = Url::parse(text);
        let scheme = text.split([':', '/']).next().unwrap_or_default();
        let mut url = match url {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            Err(reason) if matches!(scheme, "http" | "https") => {
                return Err(hidden(&reason.to_string()));
            }
            _ if scheme.starts_with("databricks") => {
                return Err(refused("databricks", "Databricks is not supported"));
            }
            Ok(url) => {
                let shown = format!("{}:…", url.scheme());
                return Err(refused(&shown, "it is no http or https address"));
            }
            // It may be a path, or a host with its password.
            Err(_) => {
                let what = "it has no http:// or https://";
                return Err(match text.contains('@') {
                    true => hidden(what),
                    false => refused(text, what),
                });
            }
        };
        if url.query().is_some() || url.fragment().is_some() {
            let reason = "it has a query (?…) or a fragment (#…)";
            return Err(hidden(reason));
        }
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let password = decoded(password.unwrap_or_default());
                Some((decoded(user), SecretString::from(password)))
            }
        };
        // Neither fails for an address that has a host, which http addresses have.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url, credentials })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// What of the environment's credentials goes to this server, by name: those of
    /// [`Authorization::of`].
    pub(super) fn secret(&self, lookup: Lookup<'_>) -> Option<&'static str> {
        let has = |name| lookup(name).is_some();
        if self.credentials.is_some() {
            // The address has its own.
            None
        } else if has(USERNAME) && has(PASSWORD) {
            Some(PASSWORD)
        } else {
            has(TOKEN).then_some(TOKEN)
        }
    }
}

/// `%40` as `@`.
fn decoded(text: &str) -> String {
    // A form's decoder, for which a plus must be kept from becoming a space.
    let pair = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

impl fmt::Debug for TrackingUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for TrackingUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl Serialize for TrackingUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TrackingUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The server's address, from the settings or else from the environment.
///
/// # Errors
/// If neither names one that can be used.
pub(super) fn tracking_uri(
    setting: Option<&TrackingUri>,
    lookup: Lookup<'_>,
) -> Result<TrackingUri, MlflowError> {
    match (setting, lookup(TRACKING_URI)) {
        (Some(uri), _) => Ok(uri.clone()),
        (None, Some(text)) => TrackingUri::parse(&text)
            .map_err(|reason| MlflowError::Setting(format!("{TRACKING_URI}: {reason}"))),
        (None, None) => Err(MlflowError::Setting(format!(
            "no tracking server is named: set {TRACKING_URI} or the callback's tracking_uri to its \
             address, like http://localhost:5000"
        ))),
    }
}

/// What a request says about who sends it, and the words that must not be shown.
#[derive(Default)]
pub(super) struct Authorization {
    pub(super) header: Option<HeaderValue>,
    redaction: Redaction,
}

impl Authorization {
    /// The address's own user and password, else the environment's, else its token: the order of
    /// MLflow's own client.
    ///
    /// # Errors
    /// If they cannot be written in a header.
    pub(super) fn of(uri: &TrackingUri, lookup: Lookup<'_>) -> Result<Self, MlflowError> {
        let from_environment = || Some((lookup(USERNAME)?, SecretString::from(lookup(PASSWORD)?)));
        let (text, secret) = match uri.credentials.clone().or_else(from_environment) {
            Some((user, password)) => {
                use base64::Engine;
                let pair = format!("{user}:{}", password.expose_secret());
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                (format!("Basic {encoded}"), password)
            }
            None => match lookup(TOKEN) {
                Some(token) => (format!("Bearer {token}"), SecretString::from(token)),
                None => return Ok(Self::default()),
            },
        };
        let mut header = HeaderValue::from_str(&text).map_err(|_| {
            MlflowError::Setting(format!(
                "{TOKEN} holds characters that no header can, like a line break"
            ))
        })?;
        header.set_sensitive(true);
        let credentials = text.split_once(' ').map_or("", |(_, rest)| rest);
        Ok(Self {
            header: Some(header),
            redaction: Redaction::new([secret.expose_secret(), credentials]),
        })
    }

    /// A text without the secrets, should a server repeat them.
    pub(super) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redaction.apply(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        TrackingUri::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn only_addresses_of_servers_are_accepted() {
        for (text, reason) in [
            ("databricks", "Databricks is not supported"),
            ("databricks://profile", "Databricks is not supported"),
            ("sqlite:///mlflow.db", "sqlite:…"),
            ("file:///tmp/mlruns", "file:…"),
            ("./mlruns", "mlflow ./mlruns: expected"),
            ("//me:hush@host", "mlflow: expected"),
            ("localhost:5000", "no http or https address"),
            ("http://", "empty host"),
            ("http://host/?token=hush", "has a query"),
        ] {
            let error = error(text);
            assert!(error.contains(reason), "{text}: {error}");
            assert!(error.contains("http://localhost:5000"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
        for text in ["http://host:5000/", " https://host/mlflow/ "] {
            let uri = TrackingUri::parse(text).unwrap().to_string();
            assert_eq!(uri, text.trim().trim_end_matches('/'));
        }
    }

    #[test]
    fn credentials_are_used_and_never_shown() {
        let uri = TrackingUri::parse("http://me%40work:p+ss%3Aw@host/").unwrap();
        for shown in [
            uri.to_string(),
            format!("{uri:?}"),
            serde_json::to_string(&uri).unwrap(),
        ] {
            assert!(shown.contains("http://host"), "{shown}");
            assert!(!shown.contains("p+ss") && !shown.contains("me"), "{shown}");
        }
        let authorization = Authorization::of(&uri, &|_| None).unwrap();
        let header = authorization.header.clone().unwrap();
        assert!(header.is_sensitive());
        // me@work:p+ss:w
        assert_eq!(header, "Basic bWVAd29yazpwK3NzOnc=");
        assert_eq!(
            authorization.redact("p+ss:w and bWVAd29yazpwK3NzOnc= and more"),
            "<redacted> and <redacted> and more"
        );
        // Even where the address is wrong in another way.
        for text in [
            "http://me:hush@host:port/",
            "me:hush@host",
            "//me:hush@host",
        ] {
            assert!(!error(text).contains("hush"), "{}", error(text));
        }
    }

    #[test]
    fn the_environment_is_read_as_mlflow_reads_it() {
        let none = |_: &str| None;
        let missing = tracking_uri(None, &none).unwrap_err().to_string();
        assert!(missing.contains(TRACKING_URI) && missing.contains("tracking_uri"));
        let all = |name: &str| {
            Some(match name {
                TRACKING_URI => "http://host".to_owned(),
                USERNAME => "me".to_owned(),
                PASSWORD => "pass".to_owned(),
                TOKEN => "tok".to_owned(),
                _ => return None,
            })
        };
        let uri = tracking_uri(None, &all).unwrap();
        assert_eq!(uri.to_string(), "http://host");
        let header = |lookup: Lookup<'_>| Authorization::of(&uri, lookup).unwrap().header;
        assert_eq!(header(&all).unwrap(), "Basic bWU6cGFzcw==");
        let no_password = |name: &str| (name != PASSWORD).then(|| all(name)).flatten();
        assert_eq!(header(&no_password).unwrap(), "Bearer tok");
        assert_eq!(header(&none), None);
        let broken = |name: &str| (name == TOKEN).then(|| "to\nken".to_owned());
        let error = Authorization::of(&uri, &broken).err().unwrap().to_string();
        assert!(error.contains(TOKEN) && !error.contains("ken\""), "{error}");
        assert!(!error.contains("to\nken"));
    }
}
