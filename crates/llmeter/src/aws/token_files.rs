//! Files that the chain of credentials reads whole: looked at before, since it has no limit of their
//! size and waits for the other end of a pipe; and the secrets in them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Profile, variable};
use crate::base::file::{self, FileProblem, MAX_TEXT_FILE};

/// Bytes of a file with a token.
const MAX_TOKEN: u64 = 1 << 20;
/// Files of a cache that are looked at.
const MAX_CACHED: usize = 200;
/// Fields of cached tokens that are secrets.
const SECRETS: [&str; 4] = ["accessToken", "refreshToken", "clientSecret", "idToken"];

/// Looks at the files that may be read for this profile.
///
/// # Errors
/// Which of them is no regular file or too large. That one is missing is not told here.
pub(super) fn check(profile: &Profile) -> Result<(), String> {
    let profiles = super::profile::files().into_iter().flatten();
    let tokens = token_files(profile)
        .into_iter()
        .map(|path| (path, MAX_TOKEN));
    for (path, limit) in profiles.map(|path| (path, MAX_TEXT_FILE)).chain(tokens) {
        if let Err(error) = file::read(&path, limit)
            && FileProblem::of(&error).is_some()
        {
            return Err(format!("{}: {error}", path.display()));
        }
    }
    Ok(())
}

/// The tokens in these files.
pub(super) fn secrets(profile: &Profile) -> Vec<String> {
    let files = token_files(profile).into_iter();
    let read = files.filter_map(|path| file::read(path, MAX_TOKEN).ok());
    let texts = read.filter_map(|content| String::from_utf8(content).ok());
    texts.flat_map(|text| secrets_in(&text)).collect()
}

fn secrets_in(text: &str) -> Vec<String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => {
            let found = SECRETS
                .iter()
                .filter_map(|name| fields.get(*name)?.as_str());
            found.map(str::to_owned).collect()
        }
        _ => vec![text.trim().to_owned()],
    }
}

fn token_files(profile: &Profile) -> Vec<PathBuf> {
    let named = [
        variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
        variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        profile.get("web_identity_token_file").map(str::to_owned),
    ];
    let mut files: Vec<PathBuf> = named.into_iter().flatten().map(PathBuf::from).collect();
    let has = |names: &[&str]| names.iter().any(|name| profile.get(name).is_some());
    let home = std::env::home_dir().unwrap_or_default().join(".aws");
    // A role may have its source in another profile.
    if has(&["sso_session", "sso_start_url", "role_arn"]) {
        files.extend(cached(&home.join("sso/cache")));
    }
    if has(&["login_session", "role_arn"]) {
        let folder = variable("AWS_LOGIN_CACHE_DIRECTORY").map(PathBuf::from);
        files.extend(cached(&folder.unwrap_or_else(|| home.join("login/cache"))));
    }
    files
}

fn cached(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_json = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
    paths.filter(is_json).take(MAX_CACHED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_files_are_secrets() {
        assert_eq!(secrets_in(" eyJ0.token\n"), ["eyJ0.token"]);
        let cached = r#"{"accessToken": "a1", "clientSecret": "c2", "region": "us-east-1"}"#;
        assert_eq!(secrets_in(cached), ["a1", "c2"]);
    }
}
