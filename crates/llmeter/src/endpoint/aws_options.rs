//! What a user says of the way to AWS.

use secrecy::SecretString;

use crate::aws::AccessKeys;

/// Region, address and credentials of an AWS endpoint.
///
/// ```
/// use llmeter::endpoint::AwsOptions;
///
/// let options = AwsOptions::from_environment().region("eu-central-1");
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "options do nothing until they are given to an endpoint"]
pub struct AwsOptions {
    pub(crate) from_environment: bool,
    pub(crate) region: Option<String>,
    pub(crate) base_url: Option<String>,
    pub(crate) keys: Option<AccessKeys>,
    pub(crate) bearer_token: Option<SecretString>,
    pub(crate) headers: Vec<(String, SecretString)>,
}

impl AwsOptions {
    /// Options that are taken only from what is said here.
    pub fn new() -> Self {
        Self::default()
    }

    /// Options that are taken from the environment where nothing is said here.
    ///
    /// - The region from `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, or the instance.
    /// - Credentials from `AWS_BEARER_TOKEN_BEDROCK` (Bedrock only); `AWS_ACCESS_KEY_ID`,
    ///   `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; or else where the AWS tools look: the
    ///   profile (keys, single sign-on, role, process), a web identity token, the container, the
    ///   instance. What these give is renewed before it expires.
    /// - The address from `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, `AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME`,
    ///   `AWS_ENDPOINT_URL`, or the profile.
    ///
    /// The profile is the one that `AWS_PROFILE` names, by default `default`.
    pub fn from_environment() -> Self {
        Self {
            from_environment: true,
            ..Self::default()
        }
    }

    /// The region, like `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// An address other than Amazon's.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Access keys, and the session token of temporary ones.
    pub fn access_keys(
        mut self,
        id: impl Into<String>,
        secret: impl Into<SecretString>,
        session_token: Option<SecretString>,
    ) -> Self {
        self.keys = Some(AccessKeys {
            id: id.into(),
            secret: secret.into(),
            session_token,
        });
        self
    }

    /// A Bedrock API key, which goes before access keys. SageMaker knows none.
    pub fn bearer_token(mut self, token: impl Into<SecretString>) -> Self {
        self.bearer_token = Some(token.into());
        self
    }

    /// A further header of every request; it is not signed.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}
