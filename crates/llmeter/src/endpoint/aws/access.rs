//! The way to AWS: the address, and requests that AWS accepts.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use secrecy::{ExposeSecret, SecretString};

use super::Service;
use super::options::{AccessKeys, AwsOptions};
use crate::endpoint::access::{Access, AccessSettings, api_key};
use crate::endpoint::{EndpointError, HttpRequest};
use crate::error::{Error, Result};
use crate::storage::AwsProfile;
use crate::wire::{Server, clock};

/// How long a signed request is sent. AWS refuses signatures that are five minutes old.
const LIFETIME: Duration = Duration::from_secs(120);

/// Region, address and credentials, checked.
#[derive(Debug, Clone)]
pub(crate) struct AwsAccess {
    service: Service,
    access: Access,
    region: Option<String>,
    identity: Identity,
}

#[derive(Debug, Clone)]
enum Identity {
    Bearer(SecretString),
    Keys(AccessKeys),
    Missing,
}

impl AwsAccess {
    /// # Errors
    /// When there is no region, or a setting cannot be used. Credentials that are missing are
    /// reported when a request is made.
    pub(crate) fn new(options: &AwsOptions, service: Service) -> Result<Self> {
        let profile = match options.from_environment {
            true => AwsProfile::read(),
            false => AwsProfile::default(),
        };
        let variable = |name: &str| {
            let value = options.from_environment.then(|| std::env::var(name).ok());
            value.flatten().filter(|value| !value.trim().is_empty())
        };
        let identity = identity(options, service, variable, profile.keys)?;
        let base_url = options
            .base_url
            .clone()
            .or_else(|| variable(service.endpoint_variable()))
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .or(profile.endpoint_url);
        let region = options
            .region
            .clone()
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or(profile.region);
        let region = match region.as_deref().map(str::trim) {
            Some(name) if is_region(name) => Some(name.to_owned()),
            Some(other) => return Err(Error::invalid("region", other, REGION)),
            None if base_url.is_some() && matches!(identity, Identity::Bearer(_)) => None,
            None => return Err(Error::invalid("region", "(missing)", REGION)),
        };
        let base_url = base_url
            .or_else(|| Some(service.address(region.as_deref()?)))
            .unwrap_or_default();
        let settings = AccessSettings {
            base_url,
            headers: options.headers.clone(),
            ..AccessSettings::default()
        };
        let secrets: Vec<SecretString> = match &identity {
            Identity::Bearer(token) => vec![token.clone()],
            Identity::Keys(keys) => [Some(keys.secret.clone()), keys.session_token.clone()]
                .into_iter()
                .flatten()
                .collect(),
            Identity::Missing => Vec::new(),
        };
        Ok(Self {
            service,
            access: Access::new(&settings, "", &secrets)?,
            region,
            identity,
        })
    }

    pub(crate) fn server(&self) -> &Server {
        self.access.server()
    }

    pub(crate) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Hides the secrets of requests in a text, and signatures, of which each request has its own.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.identity {
            Identity::Keys(_) => Cow::Owned(without_signatures(&self.access.redact(text))),
            _ => self.access.redact(text),
        }
    }

    /// How long a request can be sent after it was made.
    pub(crate) fn request_lifetime(&self) -> Option<Duration> {
        matches!(self.identity, Identity::Keys(_)).then_some(LIFETIME)
    }

    /// A request, signed now. `path` is below the base URL.
    ///
    /// # Errors
    /// When there are no credentials, or the request cannot be signed.
    pub(crate) fn request(
        &self,
        path: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<HttpRequest, EndpointError> {
        let target = self.access.target(path);
        let of_api = match &self.identity {
            Identity::Bearer(token) => {
                let value = format!("Bearer {}", token.expose_secret());
                vec![("Authorization".to_owned(), value.into())]
            }
            Identity::Keys(keys) => self.signature(keys, &target, &body)?,
            // A header of the user's may be what an own gateway wants.
            Identity::Missing if self.has_own_authorization() => Vec::new(),
            Identity::Missing => return Err(EndpointError(self.no_credentials())),
        };
        Ok(HttpRequest {
            headers: self.access.headers(accept, of_api),
            target,
            body,
        })
    }

    fn has_own_authorization(&self) -> bool {
        let mut names = self.access.header_names();
        names.any(|name| name.eq_ignore_ascii_case("authorization"))
    }

    /// The headers that sign a request: only what is not the user's own is signed.
    fn signature(
        &self,
        keys: &AccessKeys,
        target: &str,
        body: &[u8],
    ) -> Result<Vec<(String, SecretString)>, EndpointError> {
        let refuse = |reason: &dyn std::fmt::Display| {
            EndpointError(format!("cannot sign the request: {reason}"))
        };
        let token = keys.session_token.as_ref();
        let credentials = Credentials::new(
            &keys.id,
            keys.secret.expose_secret(),
            token.map(|token| token.expose_secret().to_owned()),
            None,
            "llmeter",
        );
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region.as_deref().unwrap_or_default())
            .name(self.service.signing_name())
            .time(SystemTime::from(clock::wall()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|reason| refuse(&reason))?;
        let server = self.server();
        let scheme = if server.tls { "https" } else { "http" };
        let url = format!("{scheme}://{}{target}", server.authority);
        let request =
            SignableRequest::new("POST", url, std::iter::empty(), SignableBody::Bytes(body))
                .map_err(|reason| refuse(&reason))?;
        // The signer would write the request that it signs, token and all, into a detailed log.
        let signed = tracing::dispatcher::with_default(&tracing::Dispatch::none(), || {
            sign(request, &parameters.into())
        });
        let (instructions, _) = signed.map_err(|reason| refuse(&reason))?.into_parts();
        Ok(instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect())
    }

    fn no_credentials(&self) -> String {
        let bearer = match self.service {
            Service::Bedrock => " or AWS_BEARER_TOKEN_BEDROCK",
            Service::SageMaker => "",
        };
        format!(
            "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{bearer}, \
             or AWS_PROFILE to a profile with keys; for single sign-on, roles and other profiles run \
             eval \"$(aws configure export-credentials --format env)\""
        )
    }
}

/// Digits of a signature, and of the other hashes in signed requests.
const SIGNATURE: usize = 64;
/// What stands before a signature in a header; in a URL `3D` follows, which are digits, too.
const SIGNATURE_NAMES: [&str; 2] = ["Signature=", "Signature%"];

/// A text without hexadecimal numbers of a signature's length, or those that are called so, should
/// they have been cut.
fn without_signatures(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        out.push_str(&rest[..start]);
        let digits = &rest[start..];
        let end = digits.find(|c: char| !c.is_ascii_hexdigit());
        let (digits, after) = digits.split_at(end.unwrap_or(digits.len()));
        let is_named = SIGNATURE_NAMES.iter().any(|name| out.ends_with(name));
        match is_named || digits.len() >= SIGNATURE {
            true => out.push_str("<redacted>"),
            false => out.push_str(digits),
        }
        rest = after;
    }
    out + rest
}

const REGION: &str = "a region like us-east-1: --region, AWS_REGION, AWS_DEFAULT_REGION, or the \
                      region of the profile";

fn is_region(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_usual)
}

fn identity(
    options: &AwsOptions,
    service: Service,
    variable: impl Fn(&str) -> Option<String>,
    profile: Option<crate::storage::AwsKeys>,
) -> Result<Identity> {
    let token = options
        .bearer_token
        .clone()
        .or_else(|| variable("AWS_BEARER_TOKEN_BEDROCK").map(SecretString::from));
    if service == Service::Bedrock
        && let Some(token) = token
        && let Some(token) = api_key(&token)?
    {
        return Ok(Identity::Bearer(token));
    }
    if let Some(keys) = &options.keys {
        return checked(keys.clone());
    }
    match (
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
    ) {
        (Some(id), Some(secret)) => {
            return checked(AccessKeys {
                id,
                secret: secret.into(),
                session_token: variable("AWS_SESSION_TOKEN").map(SecretString::from),
            });
        }
        (Some(_), None) => {
            return Err(Error::invalid(
                "AWS_SECRET_ACCESS_KEY",
                "(missing)",
                "the secret that belongs to AWS_ACCESS_KEY_ID",
            ));
        }
        _ => {}
    }
    match profile {
        Some(keys) => checked(AccessKeys {
            id: keys.id,
            secret: keys.secret.into(),
            session_token: keys.token.map(SecretString::from),
        }),
        None => Ok(Identity::Missing),
    }
}

/// Keys without white space around them.
fn checked(keys: AccessKeys) -> Result<Identity> {
    let id = keys.id.trim().to_owned();
    if id.is_empty()
        || !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Err(Error::invalid(
            "AWS_ACCESS_KEY_ID",
            "(hidden)",
            "an access key's id, of letters and digits",
        ));
    }
    let Some(secret) = api_key(&keys.secret).map_err(|_| bad("AWS_SECRET_ACCESS_KEY"))? else {
        return Err(bad("AWS_SECRET_ACCESS_KEY"));
    };
    let token = keys.session_token.as_ref();
    Ok(Identity::Keys(AccessKeys {
        id,
        secret,
        session_token: token
            .map(|token| api_key(token).map_err(|_| bad("AWS_SESSION_TOKEN")))
            .transpose()?
            .flatten(),
    }))
}

fn bad(field: &'static str) -> Error {
    Error::invalid(field, "(hidden)", "visible ASCII characters without spaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> AwsOptions {
        AwsOptions::new().region("us-east-1")
    }

    fn lines(access: &AwsAccess) -> Vec<(String, String)> {
        let request = access.request("model/a%3Ab/converse", "*/*", b"{}".to_vec());
        let headers = request.unwrap().headers.into_iter();
        headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.expose_secret().to_owned()))
            .collect()
    }

    #[test]
    fn the_address_follows_from_service_and_region() {
        let host = |region: &str, service| {
            let access = AwsAccess::new(&AwsOptions::new().region(region), service).unwrap();
            access.server().authority.clone()
        };
        assert_eq!(
            host("us-east-1", Service::Bedrock),
            "bedrock-runtime.us-east-1.amazonaws.com"
        );
        assert_eq!(
            host("cn-north-1", Service::SageMaker),
            "runtime.sagemaker.cn-north-1.amazonaws.com.cn"
        );
    }

    #[test]
    fn temporary_keys_sign_with_their_token() {
        let keyed = options().access_keys("AKID", "s3cret", Some("t0ken".into()));
        let access = AwsAccess::new(&keyed, Service::Bedrock).unwrap();
        let lines = lines(&access);
        let value = |name: &str| &lines.iter().find(|line| line.0 == name).unwrap().1;
        let authorization = value("authorization");
        assert!(
            authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
                && authorization.contains("/us-east-1/bedrock/aws4_request")
                && authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"),
            "{authorization}"
        );
        assert_eq!(value("x-amz-security-token"), "t0ken");
        assert!(access.request_lifetime().is_some());
        assert_eq!(
            access.redact("s3cret and t0ken"),
            "<redacted> and <redacted>"
        );
    }

    #[test]
    fn a_bearer_token_goes_before_keys_and_never_grows_old() {
        let both = options()
            .access_keys("AKID", "s", None)
            .bearer_token("key1");
        let access = AwsAccess::new(&both, Service::Bedrock).unwrap();
        assert!(lines(&access).contains(&("authorization".into(), "Bearer key1".into())));
        assert_eq!(access.request_lifetime(), None);
        let sagemaker = AwsAccess::new(&both, Service::SageMaker).unwrap();
        assert!(sagemaker.request_lifetime().is_some());
    }

    #[test]
    fn signatures_are_hidden_whole_or_cut() {
        let signature = "0123456789abcdef".repeat(4);
        let cut = &signature[..9];
        for (text, expected) in [
            (
                format!("Signature={signature}, more"),
                "Signature=<redacted>, more",
            ),
            (
                format!("Signature%3D{signature}&more"),
                "Signature%<redacted>&more",
            ),
            (format!("bad hash {signature}"), "bad hash <redacted>"),
            (format!("Signature={cut}…"), "Signature=<redacted>…"),
            (
                "request 1a-2b at 7 was refused".to_owned(),
                "request 1a-2b at 7 was refused",
            ),
        ] {
            assert_eq!(without_signatures(&text), expected);
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let missing = AwsAccess::new(&AwsOptions::new(), Service::Bedrock).unwrap_err();
        assert!(missing.to_string().contains("--region"), "{missing}");
        let access = AwsAccess::new(&options(), Service::Bedrock).unwrap();
        let error = access.request("x", "*/*", Vec::new()).unwrap_err().0;
        assert!(
            error.contains("AWS_PROFILE") && error.contains("export-credentials"),
            "{error}"
        );
        let error = AwsAccess::new(
            &options().access_keys("AKID", "s 3", None),
            Service::Bedrock,
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("AWS_SECRET_ACCESS_KEY") && !error.contains("s 3"),
            "{error}"
        );
    }
}
