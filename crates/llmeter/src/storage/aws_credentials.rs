//! The credentials of S3: those that the AWS tools would take, renewed before they expire.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::{CredentialProvider, Error, Result};

use super::buckets::Hide;
use crate::aws::{CredentialSource, Profile, variable};

/// The builder, with what the chain of the AWS tools finds, and how that is hidden.
pub(super) fn with_found(
    builder: AmazonS3Builder,
    profile: &Profile,
) -> (AmazonS3Builder, Option<Hide>) {
    let region = variable("AWS_REGION")
        .or_else(|| variable("AWS_DEFAULT_REGION"))
        .or_else(|| profile.get("region").map(str::to_owned));
    let source = CredentialSource::of_chain(region);
    let builder = builder.with_credentials(Arc::new(Found(source.clone())));
    let hide: Hide = Arc::new(move |text| source.redact(text).into_owned());
    (builder, Some(hide))
}

#[derive(Debug)]
struct Found(Arc<CredentialSource>);

#[async_trait]
impl CredentialProvider for Found {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let source = self.0.clone();
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic {
            store: "S3",
            source,
        };
        let found = tokio::task::spawn_blocking(move || source.current())
            .await
            .map_err(|reason| failed(Box::new(reason)))?
            .map_err(|reason| failed(Box::new(reason)))?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
