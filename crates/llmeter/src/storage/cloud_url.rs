//! URLs of object stores.

use std::fmt;

/// The schemes that a [`Location`](super::Location) can have, for messages.
pub(super) const ACCEPTED: &str = "a local path, file:///path, s3://bucket/prefix, \
                                   gs://bucket/prefix or az://container/prefix";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Provider {
    S3,
    GoogleCloud,
    Azure,
}

impl Provider {
    pub(super) fn from_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "gs" => Some(Self::GoogleCloud),
            "az" => Some(Self::Azure),
            _ => None,
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::GoogleCloud => "gs",
            Self::Azure => "az",
        }
    }
}

/// A bucket, or what lies under a key of it.
///
/// Keys are written as they are, without percent-encoding, as the providers' own tools do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CloudUrl {
    pub(crate) provider: Provider,
    pub(crate) bucket: String,
    /// Without slashes at its ends; empty for the bucket itself.
    pub(crate) key: String,
}

impl CloudUrl {
    /// Takes apart what follows `scheme://`; else says what would be accepted.
    pub(super) fn parse(provider: Provider, rest: &str) -> Result<Self, String> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains(['@', ':']) {
            return Err(
                "a URL without user and password; credentials belong in the environment".to_owned(),
            );
        }
        if rest.contains('?') {
            return Err(
                "a URL without ?; tokens and other credentials belong in the environment"
                    .to_owned(),
            );
        }
        if bucket.is_empty() {
            return Err(format!(
                "a URL that names a bucket, like {}://bucket/prefix",
                provider.scheme()
            ));
        }
        let key = key.trim_end_matches('/');
        let is_usable = key.is_empty()
            || key.split('/').all(|part| {
                !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_ascii_control())
            });
        if !is_usable {
            return Err(
                "names between single slashes, none of them . or .., without control characters"
                    .to_owned(),
            );
        }
        Ok(Self {
            provider,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// What `name` is under this key; the empty name is the key itself.
    #[cfg(feature = "cloud")]
    pub(super) fn below(&self, name: &str) -> Self {
        let key = match (self.key.as_str(), name) {
            (key, "") => key.to_owned(),
            ("", name) => name.to_owned(),
            (key, name) => format!("{key}/{name}"),
        };
        Self {
            key,
            ..self.clone()
        }
    }
}

impl fmt::Display for CloudUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.provider.scheme(), self.bucket)?;
        if !self.key.is_empty() {
            write!(formatter, "/{}", self.key)?;
        }
        Ok(())
    }
}
