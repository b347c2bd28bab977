//! The profile of the AWS tools: `~/.aws/credentials` and `~/.aws/config`.

use std::collections::HashMap;
use std::path::PathBuf;

/// What a profile says.
#[derive(Default)]
pub(crate) struct AwsProfile {
    pub(crate) keys: Option<Keys>,
    pub(crate) region: Option<String>,
    pub(crate) endpoint_url: Option<String>,
}

/// Has no `Debug`: it must not be printed.
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl AwsProfile {
    /// Reads the profile that `AWS_PROFILE` names, by default `default`. What is not there is left
    /// out.
    pub(crate) fn read() -> Self {
        let name = std::env::var("AWS_PROFILE")
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "default".to_owned());
        let text = |variable: &str, file: &str| {
            let path = std::env::var_os(variable)
                .map(PathBuf::from)
                .or_else(|| Some(std::env::home_dir()?.join(".aws").join(file)))?;
            std::fs::read_to_string(path).ok()
        };
        Self::parse(
            &name,
            &text("AWS_CONFIG_FILE", "config").unwrap_or_default(),
            &text("AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default(),
        )
    }

    fn parse(name: &str, config: &str, credentials: &str) -> Self {
        let mut settings = section(config, &format!("profile {name}"));
        if name == "default" {
            settings.extend(section(config, "default"));
        }
        // Of keys in both files, those of the credentials file count.
        settings.extend(section(credentials, name));
        let mut take = |name: &str| settings.remove(name).filter(|value| !value.is_empty());
        let keys = match (take("aws_access_key_id"), take("aws_secret_access_key")) {
            (Some(id), Some(secret)) => Some(Keys {
                id,
                secret,
                token: take("aws_session_token"),
            }),
            _ => None,
        };
        Self {
            keys,
            region: take("region"),
            endpoint_url: take("endpoint_url"),
        }
    }
}

/// The settings of one section of such a file.
fn section(text: &str, name: &str) -> HashMap<String, String> {
    let mut settings = HashMap::new();
    let mut is_in = false;
    for line in text.lines() {
        let is_comment = line.starts_with(['#', ';']);
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            is_in = header.split_whitespace().eq(name.split_whitespace());
        } else if is_in
            && !is_comment
            // Indented lines belong to a nested setting.
            && !line.starts_with([' ', '\t'])
            && let Some((key, value)) = line.split_once('=')
        {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    settings
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
        let other = AwsProfile::parse("other", CONFIG, CREDENTIALS);
        let keys = other.keys.unwrap();
        assert_eq!(keys.id, "other-id");
        assert_eq!(keys.secret, "se=cret");
        assert_eq!(keys.token.as_deref(), Some("token"));
        assert_eq!(other.region.as_deref(), Some("us-west-2"));
        assert_eq!(other.endpoint_url.as_deref(), Some("http://localhost:9000"));
    }

    #[test]
    fn half_a_key_is_none_and_nested_settings_are_others() {
        let default = AwsProfile::parse("default", CONFIG, CREDENTIALS);
        assert!(default.keys.is_none());
        assert_eq!(default.region.as_deref(), Some("eu-central-1"));
        let none = AwsProfile::parse("none", CONFIG, CREDENTIALS);
        assert!(none.keys.is_none() && none.region.is_none());
    }
}
