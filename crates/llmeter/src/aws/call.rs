//! Calls of AWS's JSON APIs that are no part of a measurement.

use std::time::Duration;

use serde_json::Value;

use super::{
    CredentialSource, Profile, Refusal, Scope, host_suffix, metadata_region, signed_headers,
    variable,
};
use crate::base::error::{Cause, Error, Result};
use crate::base::runtime::block_on;
use crate::base::shown::one_line;
use crate::base::side_traffic::{self, BodyError, body_of};
use llmeter_wire::ResponseHead;

/// Timeout of a call.
const LIMIT: Duration = Duration::from_secs(30);
/// Characters of a refusal that are passed on.
const MAX_QUOTED: usize = 600;

/// An API that is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AwsService {
    /// As messages call it.
    pub(crate) about: &'static str,
    /// The name in signatures.
    pub(crate) name: &'static str,
    /// What the host begins with.
    pub(crate) host: &'static str,
    /// The name in `X-Amz-Target`.
    pub(crate) target: &'static str,
    /// The variable with an address to use instead of Amazon's.
    pub(crate) variable: &'static str,
}

/// Calls an operation, with the credentials that the AWS tools would take.
///
/// # Errors
/// If there are no credentials, AWS cannot be reached or refuses.
pub(crate) async fn call(
    service: AwsService,
    region: &str,
    operation: &str,
    body: &Value,
) -> Result<Value> {
    let refused = |reason: String, source: Option<Cause>| Error::Service {
        service: service.about,
        operation: operation.to_owned(),
        reason,
        source,
    };
    let failed = |reason: Cause| refused(reason.to_string(), Some(reason));
    let source = CredentialSource::of_chain(Some(region.to_owned()));
    let asked = source.clone();
    let credentials = tokio::task::spawn_blocking(move || asked.current())
        .await
        .map_err(|reason| failed(reason.into()))??;
    let address = variable(service.variable)
        .or_else(|| variable("AWS_ENDPOINT_URL"))
        .or_else(|| Profile::read().get("endpoint_url").map(str::to_owned))
        .unwrap_or_else(|| format!("https://{}.{region}.{}", service.host, host_suffix(region)));
    let url = format!("{}/", address.trim_end_matches('/'));
    let target = format!("{}.{operation}", service.target);
    let named = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
    ];
    let body = body.to_string();
    let scope = Scope {
        region,
        service: service.name,
    };
    let signed = signed_headers(credentials, scope, &url, &named, body.as_bytes())
        .map_err(|reason| refused(reason, None))?;
    let client = side_traffic::client()
        .timeout(LIMIT)
        .build()
        .map_err(|reason| failed(reason.into()))?;
    let mut request = client.post(&url).body(body);
    for (name, value) in named {
        request = request.header(name, value);
    }
    for (name, value) in &signed {
        use secrecy::ExposeSecret;
        request = request.header(name, value.expose_secret());
    }
    let unreachable = |reason: reqwest::Error| {
        let reason = reason.without_url();
        let cause = std::error::Error::source(&reason).map(ToString::to_string);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        refused(format!("{reason}{cause}"), Some(reason.into()))
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let headers = response.headers().iter();
    let head = headers.fold(ResponseHead::new(status.as_u16()), |head, (name, value)| {
        head.with(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))
    });
    let refusal = Refusal::of(&head).of_call(format!("{}:{operation}", service.name));
    let body = body_of(response).await.map_err(|reason| match reason {
        BodyError::Broken(reason) => unreachable(reason),
        BodyError::TooLarge => failed(reason.into()),
    })?;
    if !status.is_success() {
        let reason = refusal.message(&body).unwrap_or_default();
        let reason = one_line(&source.redact(&reason), MAX_QUOTED);
        return Err(refused(format!("HTTP {status}: {reason}"), None));
    }
    serde_json::from_slice(&body).map_err(|reason| {
        let text = format!("the response is not valid JSON: {reason}");
        refused(text, Some(reason.into()))
    })
}

/// The region that is given, or else the environment's, the profile's or the instance's. Blocks if
/// the instance is asked.
///
/// # Errors
/// If there is none.
pub(crate) fn region_or_default(region: Option<&str>) -> Result<String> {
    let region = region
        .map(str::to_owned)
        .or_else(|| variable("AWS_REGION"))
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .or_else(|| Profile::read().get("region").map(str::to_owned));
    let region = match region {
        None => block_on(async { Ok(metadata_region().await) })?,
        known => known,
    };
    match region {
        Some(region) if super::is_region(&region) => Ok(region),
        Some(other) => Err(super::bad_region(&other)),
        None => Err(super::missing_region()),
    }
}
