//! What an object store's error means, in one line and without secrets.

use object_store::Error as StoreError;

use super::buckets::{self, StoreSecrets};
use super::cloud_url::CloudUrl;
use crate::base::shown::{cut, one_line};
use llmeter_wire::tls_words;

/// What a machine of Amazon's is asked for its credentials by if there are no others.
const INSTANCE_METADATA: [&str; 2] = ["/latest/api/token", "/latest/meta-data/"];
/// Longest quotation of a server's own words, in characters, and of what it is taken from.
const MAX_QUOTED: usize = 200;
const MAX_FOREIGN: usize = 100_000;
/// Longest reason, in characters: with a hint.
const MAX_REASON: usize = 1000;

/// Why something could not be done under `url`. `secrets`: those that requests carried.
pub(super) fn of(error: &StoreError, url: &CloudUrl, secrets: &StoreSecrets) -> String {
    one_line(&secrets.redact(&in_words(error, url, secrets)), MAX_REASON)
}

fn in_words(error: &StoreError, url: &CloudUrl, secrets: &StoreSecrets) -> String {
    let whole = cut(&error.to_string(), MAX_FOREIGN).into_owned();
    let words = |error: &StoreError, whole: &str| words(error, whole, secrets);
    let hint = buckets::hint(url.provider);
    if INSTANCE_METADATA.iter().any(|path| whole.contains(path)) {
        return format!("no credentials were found: {hint}");
    }
    if is_bucket_missing(error) {
        return format!(
            "there is no bucket {:?}; make it first, or check its name and the region",
            url.bucket
        );
    }
    if is_refused(error, &whole) {
        return format!("access was refused ({}); {hint}", words(error, &whole));
    }
    if let StoreError::Generic { source, .. } = error
        && let Some(own) = source.downcast_ref::<crate::Error>()
    {
        return match own {
            crate::Error::Invalid { .. } => format!("no credentials were found: {hint}"),
            own => own.to_string(),
        };
    }
    match error {
        StoreError::NotFound { .. } => "there is no such object".to_owned(),
        // Raised before anything is sent: what is missing or wrong in the environment.
        StoreError::Generic { source, .. } if source.source().is_none() => {
            format!("{}; {hint}", shortened(&source.to_string(), secrets))
        }
        _ => words(error, &whole),
    }
}

/// Whether it is a matter of credentials. Listing has no error of its own for that.
fn is_refused(error: &StoreError, whole: &str) -> bool {
    let kinds = matches!(
        error,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }
    );
    kinds || whole.contains("status code: 403") || whole.contains("status code: 401")
}

/// Whether the server has no conditional writes. The crate has a variant for what it does not
/// implement itself; that a server does not is told by the status alone. Some call the condition a bad
/// request; whatever else is bad is so without the condition, too.
pub(super) fn is_unsupported(error: &StoreError) -> bool {
    matches!(error, StoreError::NotImplemented { .. })
        || ["status code: 501", "status code: 400"]
            .iter()
            .any(|status| error.to_string().contains(status))
}

/// Whether an object was written and only its ETag, which nobody here needs, is not in the response.
pub(super) fn is_etag_missing(error: &StoreError) -> bool {
    error.to_string().contains("ETag Header missing")
}

/// Whether there is not even a bucket.
pub(super) fn is_bucket_missing(error: &StoreError) -> bool {
    let whole = error.to_string();
    element(&whole, "Code").is_some_and(|code| matches!(code, "NoSuchBucket" | "ContainerNotFound"))
        || whole.contains("The specified bucket does not exist")
}

/// The server's own words, or those of the innermost cause.
fn words(error: &StoreError, whole: &str, secrets: &StoreSecrets) -> String {
    match (element(whole, "Code"), element(whole, "Message")) {
        (Some(code), Some(message)) => shortened(&format!("{code}: {message}"), secrets),
        (Some(code), None) => shortened(code, secrets),
        _ => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            shortened(
                &tls_words(cause).unwrap_or_else(|| cause.to_string()),
                secrets,
            )
        }
    }
}

/// The content of the first element of that name in an XML text.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0.trim())
}

/// One line of bounded length, without what comes after a question mark: in a URL that may be a
/// signature.
fn shortened(text: &str, secrets: &StoreSecrets) -> String {
    // Whole, before anything is cut.
    let text = cut(text, MAX_FOREIGN);
    let text = secrets.redact(&text);
    let text = text.split(['\n', '?']).next().unwrap_or_default();
    one_line(text, MAX_QUOTED)
}
