//! The profile of the AWS tools: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::base::file;

/// What a profile says. Has no `Debug`: it may hold keys and must not be printed.
#[cfg_attr(
    not(feature = "aws"),
    allow(dead_code, reason = "only the chain of credentials asks for all of it")
)]
pub(crate) struct Profile {
    /// Its name.
    pub(crate) name: String,
    /// Whether there is such a profile.
    pub(crate) is_there: bool,
    settings: HashMap<String, String>,
}

impl Profile {
    /// Reads the profile that `AWS_PROFILE` names, by default `default`. What is not there is left
    /// out.
    pub(crate) fn read() -> Self {
        let name = super::variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
        let text = |file: Option<PathBuf>| file::read_text(file?).ok();
        let [config, credentials] = files().map(text);
        Self::parse(
            name,
            &config.unwrap_or_default(),
            &credentials.unwrap_or_default(),
        )
    }

    fn parse(name: String, config: &str, credentials: &str) -> Self {
        let mut settings = HashMap::new();
        let mut is_there = false;
        // Of keys in both files, those of the credentials file count.
        let found = [
            section(config, &format!("profile {name}")),
            section(config, &name).filter(|_| name == "default"),
            section(credentials, &name),
        ];
        for found in found.into_iter().flatten() {
            settings.extend(found);
            is_there = true;
        }
        Self {
            name,
            is_there,
            settings,
        }
    }

    /// A setting, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.settings.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

/// The files of profiles: the configuration, and the credentials.
pub(super) fn files() -> [Option<PathBuf>; 2] {
    let file = |variable: &str, name: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".aws").join(name)))
    };
    [
        file("AWS_CONFIG_FILE", "config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ]
}

/// The settings of one section of such a file; `None` if there is no such section.
fn section(text: &str, name: &str) -> Option<HashMap<String, String>> {
    let mut settings = HashMap::new();
    let mut is_in = false;
    let mut is_there = false;
    for line in text.lines() {
        let is_comment = line.starts_with(['#', ';']);
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            is_in = header.split_whitespace().eq(name.split_whitespace());
            is_there |= is_in;
        } else if is_in
            && !is_comment
            // Indented lines belong to a nested setting.
            && !line.starts_with([' ', '\t'])
            && let Some((key, value)) = line.split_once('=')
        {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    is_there.then_some(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
[default]
region = eu-central-1
s3 =
    region = nested
[profile  other]
region=us-west-2
endpoint_url = http://localhost:9000
aws_access_key_id = from-config
aws_secret_access_key = x
";
    const CREDENTIALS: &str = "\
# a comment
[default]
aws_access_key_id = id
;aws_secret_access_key = commented
[other]
aws_access_key_id=other-id
aws_secret_access_key = se=cret
aws_session_token = token
";

    #[test]
    fn a_profile_is_put_together_from_both_files() {
        let other = Profile::parse("other".into(), CONFIG, CREDENTIALS);
        for (name, value) in [
            ("aws_access_key_id", "other-id"),
            ("aws_secret_access_key", "se=cret"),
            ("aws_session_token", "token"),
            ("region", "us-west-2"),
            ("endpoint_url", "http://localhost:9000"),
        ] {
            assert_eq!(other.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn comments_and_nested_settings_are_left_out() {
        let default = Profile::parse("default".into(), CONFIG, CREDENTIALS);
        assert_eq!(default.get("aws_secret_access_key"), None);
        assert_eq!(default.get("region"), Some("eu-central-1"));
        assert!(default.is_there);
        let none = Profile::parse("none".into(), CONFIG, CREDENTIALS);
        assert!(!none.is_there && none.get("region").is_none());
    }
}
