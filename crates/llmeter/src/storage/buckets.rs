//! Opening a bucket: endpoint, credentials, time limits.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use serde_json::Value;

use super::aws_credentials;
use super::cloud_url::{CloudUrl, Provider};
use super::limits::{Carried, Limited};
use crate::aws::Profile;
use llmeter_wire::redaction::Redaction;

/// Limits of one request. A request that sends has to send some 5 MiB; one that reads may go on
/// for as long as bytes come.
const LIMITS: [(ClientConfigKey, &str); 3] = [
    (ClientConfigKey::ConnectTimeout, "5 seconds"),
    (ClientConfigKey::ReadTimeout, "60 seconds"),
    (ClientConfigKey::Timeout, "1 day"),
];

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: Duration::from_secs(5),
            ..BackoffConfig::default()
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(30),
    }
}

/// Hides secrets that change while they are used.
pub(super) type Hide = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What requests to a store carry and its errors must not show.
#[derive(Default)]
pub(super) struct StoreSecrets {
    fixed: Redaction,
    renewed: Option<Hide>,
    /// Those that the store's client got by itself, as tokens for a key.
    carried: Carried,
}

impl StoreSecrets {
    fn new(
        values: impl IntoIterator<Item = Option<String>>,
        renewed: Option<Hide>,
        connector: &Limited,
    ) -> Self {
        let values: Vec<String> = values.into_iter().flatten().collect();
        Self {
            fixed: Redaction::new(values.iter().map(String::as_str)),
            renewed,
            carried: connector.carried(),
        }
    }

    /// A store's text without the secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        let text = self.carried.redact(&self.fixed.apply(text));
        match &self.renewed {
            Some(hide) => hide(&text),
            None => text,
        }
    }
}

/// The bucket that a URL names, with what the environment says about its provider.
pub(super) fn open(url: &CloudUrl) -> object_store::Result<(Arc<dyn ObjectStore>, StoreSecrets)> {
    let connector = Limited::default();
    Ok(match url.provider {
        Provider::S3 => {
            let (builder, secrets) = s3(&url.bucket, &connector);
            (
                Arc::new(builder.with_http_connector(connector).build()?),
                secrets,
            )
        }
        Provider::GoogleCloud => {
            let from_env = GoogleCloudStorageBuilder::from_env();
            let limited = LIMITS.iter().fold(from_env, |builder, (key, limit)| {
                builder.with_config(GoogleConfigKey::Client(*key), *limit)
            });
            let builder = limited.with_bucket_name(&url.bucket);
            let secret = builder.get_config_value(&GoogleConfigKey::ServiceAccountKey);
            let secrets = StoreSecrets::new(account_secrets(secret), None, &connector);
            (
                Arc::new(
                    builder
                        .with_http_connector(connector)
                        .with_retry(retries())
                        .build()?,
                ),
                secrets,
            )
        }
        Provider::Azure => {
            let from_env = MicrosoftAzureBuilder::from_env();
            let limited = LIMITS.iter().fold(from_env, |builder, (key, limit)| {
                builder.with_config(AzureConfigKey::Client(*key), *limit)
            });
            let builder = limited.with_container_name(&url.bucket);
            let keys = [
                AzureConfigKey::AccessKey,
                AzureConfigKey::ClientSecret,
                AzureConfigKey::SasKey,
                AzureConfigKey::Token,
            ];
            let values = keys.iter().map(|key| builder.get_config_value(key));
            let secrets = StoreSecrets::new(values, None, &connector);
            (
                Arc::new(
                    builder
                        .with_http_connector(connector)
                        .with_retry(retries())
                        .build()?,
                ),
                secrets,
            )
        }
    })
}

fn s3(bucket: &str, connector: &Limited) -> (AmazonS3Builder, StoreSecrets) {
    let from_env = AmazonS3Builder::from_env();
    let limited = LIMITS.iter().fold(from_env, |builder, (key, limit)| {
        builder.with_config(AmazonS3ConfigKey::Client(*key), *limit)
    });
    let mut builder = limited.with_bucket_name(bucket).with_retry(retries());
    let profile = Profile::read();
    let has_credentials = [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::SecretAccessKey,
    ]
    .iter()
    .any(|key| builder.get_config_value(key).is_some());
    let mut renewed = None;
    if !has_credentials {
        (builder, renewed) = aws_credentials::with_found(builder, &profile);
    }
    let keys = [AmazonS3ConfigKey::SecretAccessKey, AmazonS3ConfigKey::Token];
    let known = keys.iter().map(|key| builder.get_config_value(key));
    let secrets = StoreSecrets::new(known, renewed, connector);
    let is_unset = |builder: &AmazonS3Builder, keys: &[AmazonS3ConfigKey]| {
        keys.iter()
            .all(|key| builder.get_config_value(key).is_none())
    };
    let regions = [AmazonS3ConfigKey::Region, AmazonS3ConfigKey::DefaultRegion];
    if let Some(region) = profile.get("region")
        && is_unset(&builder, &regions)
    {
        builder = builder.with_region(region);
    }
    let endpoints = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    if let Some(endpoint) = profile.get("endpoint_url")
        && is_unset(&builder, &endpoints)
    {
        builder = builder.with_endpoint(endpoint);
    }
    let endpoint = endpoints
        .iter()
        .find_map(|key| builder.get_config_value(key));
    if endpoint.is_some_and(|url| url.starts_with("http://")) {
        // Who writes http:// means it.
        builder = builder.with_allow_http(true);
    }
    (builder, secrets)
}

/// The secrets of a service account's key, which is JSON: all of it would hide words like its project's.
fn account_secrets(key: Option<String>) -> Vec<Option<String>> {
    let Some(key) = key else { return Vec::new() };
    let Ok(Value::Object(fields)) = serde_json::from_str(&key) else {
        return vec![Some(key)];
    };
    let secret = [
        "private_key",
        "private_key_id",
        "client_secret",
        "refresh_token",
    ];
    let values = secret.iter().filter_map(|name| fields.get(*name)?.as_str());
    // The lines of a PEM file; the marks around them are no secret.
    let lines = values
        .flat_map(str::lines)
        .filter(|line| !line.starts_with("-----"));
    lines.map(|line| Some(line.to_owned())).collect()
}

/// Where credentials for a provider come from, for messages.
pub(super) fn hint(provider: Provider) -> &'static str {
    match provider {
        Provider::S3 => {
            "credentials are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or else those \
             of the profile AWS_PROFILE, the container or the instance; AWS_REGION names the region, \
             AWS_ENDPOINT_URL a server other than Amazon's"
        }
        Provider::GoogleCloud => {
            "credentials are those of GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT"
        }
        Provider::Azure => {
            "AZURE_STORAGE_ACCOUNT_NAME names the account; credentials are those of \
             AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT_ID"
        }
    }
}
