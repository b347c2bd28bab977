//! Where credentials and regions are looked for: the chain that all tools of AWS follow.
//!
//! The environment; the profile, with its roles, single sign-on and processes; web identity tokens;
//! containers; the instance.

use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;

use super::http::ReqwestHttpClient;
use super::{Profile, process, token_files, variable};
use crate::base::shown::{cut, one_line};
use llmeter_wire::redaction::Redaction;
use llmeter_wire::tls_words;

/// Timeout of the metadata service of an instance. Elsewhere there is none, and
/// nobody wants to wait for it.
const METADATA_LIMIT: Duration = Duration::from_secs(1);
/// Timeout of everything: a process may ask somebody, and a role needs several requests.
const LIMIT: Duration = Duration::from_secs(60);

/// Characters of what a place says, before and after secrets are hidden in it.
const MAX_FOREIGN: usize = 100_000;
const MAX_QUOTED: usize = 600;

/// Why there are no credentials.
#[derive(Debug, Clone)]
pub(super) enum Missing {
    /// No place has any.
    Nowhere,
    /// A place should have some, but does not.
    Failed(String),
}

/// Looks for credentials. `region` is where roles and single sign-on are asked for.
pub(super) async fn credentials(region: Option<String>) -> Result<Credentials, Missing> {
    let profile = Profile::read();
    let is_elsewhere = !is_in_environment();
    if is_elsewhere {
        token_files::check(&profile).map_err(failed)?;
    }
    if let Some(command) = process::command(&profile).filter(|_| is_elsewhere) {
        let asked = tokio::time::timeout(LIMIT, process::credentials(command)).await;
        return asked.unwrap_or_else(|_| Err(timed_out())).map_err(failed);
    }
    let looking = async {
        let chain = DefaultCredentialsChain::builder()
            .configure(configuration())
            .region(region.map(Region::new))
            .imds_client(metadata())
            .build()
            .await;
        chain.provide_credentials().await
    };
    match tokio::time::timeout(LIMIT, looking).await {
        Ok(Ok(credentials)) => Ok(credentials),
        Ok(Err(CredentialsError::CredentialsNotLoaded(_))) => Err(Missing::Nowhere),
        // The instance is asked last, and what is no instance answers anything.
        Ok(Err(reason)) if causes(&reason).any(|cause| cause.is::<ImdsError>()) => {
            Err(Missing::Nowhere)
        }
        Ok(Err(reason)) => Err(Missing::Failed(in_one_line(&reason))),
        Err(_) => Err(Missing::Failed(timed_out())),
    }
}

/// Whether the environment has keys, which go before everything else.
fn is_in_environment() -> bool {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    keys.iter().all(|name| variable(name).is_some())
}

fn timed_out() -> String {
    format!("timed out after {} s", LIMIT.as_secs())
}

fn failed(reason: String) -> Missing {
    Missing::Failed(shown(&reason))
}

/// The region of the instance this runs on.
pub(crate) async fn metadata_region() -> Option<String> {
    let provider = ImdsRegionProvider::builder().imds_client(metadata());
    let region = provider.build().region().await?;
    Some(region.to_string())
}

fn metadata() -> imds::Client {
    imds::Client::builder()
        .configure(&configuration())
        .max_attempts(1)
        .connect_timeout(METADATA_LIMIT)
        .read_timeout(METADATA_LIMIT)
        .build()
}

fn configuration() -> ProviderConfig {
    ProviderConfig::without_region().with_http_client(ReqwestHttpClient)
}

/// An error and what caused it.
fn causes<'e>(
    reason: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(reason), |reason| reason.source())
}

/// An error and what caused it, on one line.
fn in_one_line(reason: &(dyn std::error::Error + 'static)) -> String {
    let text = |cause| tls_words(cause).unwrap_or_else(|| cause.to_string());
    let mut texts: Vec<String> = causes(reason).map(text).collect();
    texts.dedup();
    shown(&texts.join(": "))
}

/// What a place says, on one line and without secrets.
fn shown(text: &str) -> String {
    let text = cut(text, MAX_FOREIGN);
    one_line(&known_secrets().apply(&text), MAX_QUOTED)
}

/// What requests for credentials are signed with, which a server may repeat.
fn known_secrets() -> Redaction {
    let variables = [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    ];
    let names = ["aws_secret_access_key", "aws_session_token"];
    let profile = Profile::read();
    let of_profile = names.iter().filter_map(|name| profile.get(name));
    let of_environment: Vec<String> = variables.iter().filter_map(|name| variable(name)).collect();
    let of_files = token_files::secrets(&profile);
    let owned = of_environment.iter().chain(&of_files).map(String::as_str);
    Redaction::new(owned.chain(of_profile))
}
