//! The way to AWS: the address, and requests that AWS accepts.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::access::{AccessSettings, HttpAccess, api_key};
use super::aws_options::AwsOptions;
use super::{EndpointError, HttpRequest, trust};
use crate::api::Service;
use crate::aws::{
    AccessKeys, CredentialSource, Profile, Scope, bad_region, is_region, metadata_region,
    missing_region, signed_headers, variable,
};
use crate::base::error::{Error, Result};
use crate::base::runtime::block_on;
use crate::base::setting::Setting;
use llmeter_wire::Server;
use llmeter_wire::clock::{self, Stamp};

/// How long a signed request is sent. AWS refuses signatures that are five minutes old.
const LIFETIME: Duration = Duration::from_secs(120);

/// Region, address and credentials, checked.
#[derive(Debug, Clone)]
pub(super) struct AwsAccess {
    service: Service,
    access: HttpAccess,
    /// The address that the user gave.
    own_address: Option<String>,
    region: Option<String>,
    identity: Identity,
}

#[derive(Debug, Clone)]
enum Identity {
    Bearer(SecretString),
    Signed(Arc<CredentialSource>),
    Missing,
}

impl AwsAccess {
    /// # Errors
    /// When there is no region, or a setting cannot be used. Whether there are credentials tells
    /// [`check`](Self::check).
    pub(super) fn with(
        options: &AwsOptions,
        service: Service,
        more: &AccessSettings,
    ) -> Result<Self> {
        let profile = options.from_environment.then(Profile::read);
        let of_profile = |name: &str| Some(profile.as_ref()?.get(name)?.to_owned());
        let variable = |name: &str| variable(name).filter(|_| options.from_environment);
        let own_address = options.base_url.clone();
        let base_url = own_address.clone().or_else(|| {
            service
                .endpoint_variables()
                .iter()
                .find_map(|name| variable(name))
                .or_else(|| of_profile("endpoint_url").filter(|_| service.is_of_aws_tools()))
        });
        let bearer = bearer(options, service, variable)?;
        let region = options
            .region
            .clone()
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .or_else(|| of_profile("region"));
        let is_needed = base_url.is_none() || bearer.is_none();
        let region = match region.as_deref().map(str::trim) {
            Some(name) if is_region(name) => Some(name.to_owned()),
            Some(other) => return Err(bad_region(other)),
            None if !is_needed => None,
            None if options.from_environment => {
                block_on(async { Ok(metadata_region().await) })?.filter(|name| is_region(name))
            }
            None => None,
        };
        if region.is_none() && is_needed {
            return Err(missing_region());
        }
        let identity = match bearer {
            Some(token) => Identity::Bearer(token),
            None => signing(options, region.clone(), variable)?,
        };
        let base_url = base_url
            .or_else(|| Some(service.address(region.as_deref()?)))
            .unwrap_or_default();
        let mut settings = AccessSettings {
            base_url,
            ..more.clone()
        };
        settings.headers.extend(options.headers.iter().cloned());
        let secrets: Vec<SecretString> = match &identity {
            Identity::Bearer(token) => vec![token.clone()],
            Identity::Signed(_) | Identity::Missing => Vec::new(),
        };
        Ok(Self {
            service,
            access: HttpAccess::new(&settings, &[], &secrets)?,
            own_address,
            region,
            identity,
        })
    }

    pub(super) fn access(&self) -> &HttpAccess {
        &self.access
    }

    pub(super) fn server(&self) -> &Server {
        self.access.server()
    }

    pub(super) fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The address that the user gave, for which the Python package's endpoints have no field.
    pub(super) fn extra_state(&self) -> Map<String, Value> {
        let own = self.own_address.iter();
        own.map(|address| ("base_url".to_owned(), address.as_str().into()))
            .collect()
    }

    /// Whether the address is one that somebody gave, and not the environment's or Amazon's.
    pub(super) fn is_elsewhere(&self) -> bool {
        let usual = self.region().map(|region| self.service.address(region));
        let own = self.own_address.as_deref();
        own.is_some_and(|own| !usual.is_some_and(|usual| trust::is_same_server(own, &usual)))
    }

    /// What requests carry, by its name; `None` for nothing.
    pub(super) fn secret(&self) -> Option<&'static str> {
        match &self.identity {
            Identity::Bearer(_) => Some("AWS_BEARER_TOKEN_BEDROCK"),
            // The user's own is listed by its name.
            Identity::Signed(_) if self.has_own_authorization() => None,
            Identity::Signed(_) => Some("AWS credentials"),
            Identity::Missing => None,
        }
    }

    /// Hides the secrets of requests in a text, and signatures, of which each request has its own.
    pub(super) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = self.access.redact(text);
        let Identity::Signed(source) = &self.identity else {
            return text;
        };
        match source.redact(&text) {
            Cow::Owned(shown) => Cow::Owned(shown),
            Cow::Borrowed(_) => text,
        }
    }

    /// How long a request can be sent after it was made.
    pub(super) fn request_lifetime(&self) -> Option<Duration> {
        matches!(self.identity, Identity::Signed(_)).then_some(LIFETIME)
    }

    /// Whether a request that was made then can still be sent.
    pub(super) fn is_fresh(&self, made: Stamp) -> bool {
        match &self.identity {
            Identity::Signed(source) => {
                clock::now() < made.after(LIFETIME / 2) && source.signs_like(made, LIFETIME / 2)
            }
            Identity::Bearer(_) | Identity::Missing => true,
        }
    }

    /// Makes sure that requests can be made; may ask others for credentials.
    ///
    /// # Errors
    /// When there are no credentials.
    pub(super) fn check(&self) -> Result<()> {
        match &self.identity {
            Identity::Signed(source) if !self.has_own_authorization() => {
                source.current().map(|_| ())
            }
            Identity::Missing if !self.has_own_authorization() => {
                Err(Error::missing(Setting::AwsCredentials)
                    .with_hint("give access keys or a bearer token, or those of the environment"))
            }
            _ => Ok(()),
        }
    }

    /// A request, signed now. `path` is below the base URL; `own` are headers of the API's own.
    ///
    /// # Errors
    /// When there are no credentials, or the request cannot be signed.
    pub(super) fn request(
        &self,
        path: &str,
        accept: &str,
        own: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Result<HttpRequest, EndpointError> {
        let refuse = |reason: Error| EndpointError(reason.to_string());
        let target = self.access.target(path);
        let mut of_api: Vec<(String, SecretString)> = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        match &self.identity {
            Identity::Bearer(token) => {
                let value = format!("Bearer {}", token.expose_secret());
                of_api.push(("Authorization".to_owned(), value.into()));
            }
            // A header of the user's may be what an own gateway wants.
            _ if self.has_own_authorization() => {}
            Identity::Signed(source) => {
                let server = self.server();
                let scheme = if server.tls { "https" } else { "http" };
                let url = format!("{scheme}://{}{target}", server.authority);
                let scope = Scope {
                    region: self.region.as_deref().unwrap_or_default(),
                    service: self.service.signing_name(),
                };
                let credentials = source.current().map_err(refuse)?;
                // Only what is not the user's own is signed.
                let signed = signed_headers(credentials, scope, &url, &[], &body);
                of_api.extend(signed.map_err(EndpointError)?);
            }
            Identity::Missing => self.check().map_err(refuse)?,
        }
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
}

/// The API key that requests carry instead of a signature.
fn bearer(
    options: &AwsOptions,
    service: Service,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>> {
    if !service.takes_api_keys() {
        return Ok(None);
    }
    let token = options
        .bearer_token
        .clone()
        .or_else(|| variable("AWS_BEARER_TOKEN_BEDROCK").map(SecretString::from));
    token.map_or(Ok(None), |token| api_key(&token))
}

/// What signs requests.
fn signing(
    options: &AwsOptions,
    region: Option<String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Identity> {
    if let Some(keys) = &options.keys {
        return checked(keys.clone());
    }
    match (
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
    ) {
        (Some(id), Some(secret)) => checked(AccessKeys {
            id,
            secret: secret.into(),
            session_token: variable("AWS_SESSION_TOKEN").map(SecretString::from),
        }),
        (Some(_), None) => Err(Error::requires(
            Setting::Variable("AWS_ACCESS_KEY_ID"),
            Setting::Variable("AWS_SECRET_ACCESS_KEY"),
        )),
        _ if options.from_environment => Ok(Identity::Signed(CredentialSource::of_chain(region))),
        _ => Ok(Identity::Missing),
    }
}

/// Keys without white space around them.
fn checked(keys: AccessKeys) -> Result<Identity> {
    let id = keys.id.trim().to_owned();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if id.is_empty() || !id.bytes().all(is_allowed) {
        return Err(Error::hidden(
            Setting::Variable("AWS_ACCESS_KEY_ID"),
            "an access key's id, of letters and digits",
        ));
    }
    let Some(secret) = api_key(&keys.secret).map_err(|_| bad("AWS_SECRET_ACCESS_KEY"))? else {
        return Err(bad("AWS_SECRET_ACCESS_KEY"));
    };
    let token = keys.session_token.as_ref();
    let session_token = token
        .map(|token| api_key(token).map_err(|_| bad("AWS_SESSION_TOKEN")))
        .transpose()?
        .flatten();
    Ok(Identity::Signed(CredentialSource::fixed(&AccessKeys {
        id,
        secret,
        session_token,
    })))
}

fn bad(variable: &'static str) -> Error {
    Error::hidden(
        Setting::Variable(variable),
        "visible ASCII characters without spaces",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access_of(options: &AwsOptions, service: Service) -> Result<AwsAccess> {
        AwsAccess::with(options, service, &AccessSettings::default())
    }

    fn options() -> AwsOptions {
        AwsOptions::new().region("us-east-1")
    }

    fn lines(access: &AwsAccess) -> Vec<(String, String)> {
        let request = access.request("model/a%3Ab/converse", "*/*", Vec::new(), b"{}".to_vec());
        let headers = request.unwrap().headers.into_iter();
        headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.expose_secret().to_owned()))
            .collect()
    }

    #[test]
    fn the_address_follows_from_service_and_region() {
        let host = |region: &str, service| {
            let access = access_of(&AwsOptions::new().region(region), service).unwrap();
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
        let access = access_of(&keyed, Service::Bedrock).unwrap();
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
        let access = access_of(&both, Service::Bedrock).unwrap();
        assert!(lines(&access).contains(&("authorization".into(), "Bearer key1".into())));
        assert_eq!(access.request_lifetime(), None);
        let sagemaker = access_of(&both, Service::SageMaker).unwrap();
        assert!(sagemaker.request_lifetime().is_some());
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let missing = access_of(&AwsOptions::new(), Service::Bedrock).unwrap_err();
        assert!(
            missing.to_string().starts_with("region is required"),
            "{missing}"
        );
        let access = access_of(&options(), Service::Bedrock).unwrap();
        let error = access.check().unwrap_err().to_string();
        assert!(
            error.starts_with("an AWS access key is required"),
            "{error}"
        );
        assert_eq!(
            access
                .request("x", "*/*", Vec::new(), Vec::new())
                .unwrap_err()
                .0,
            error
        );
        let gateway = options().header("authorization", "Basic abc");
        let access = access_of(&gateway, Service::Bedrock).unwrap();
        access.check().unwrap();
        access.request("x", "*/*", Vec::new(), Vec::new()).unwrap();
        let error = access_of(
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
