//! Credentials that sign requests, renewed before they expire.

use std::borrow::Cow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use secrecy::{ExposeSecret, SecretString};

use super::chain::{self, Missing};
use super::{variable, without_signatures};
use crate::base::error::{Error, Result};
use crate::base::foreign::{self, Panic};
use crate::base::lock::lock;
use crate::base::runtime::runtime;
use crate::base::setting::Setting;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::redaction::Redaction;

/// How long before their end credentials are renewed, while those that there are go on signing.
const RENEWAL: Duration = Duration::from_secs(300);
/// The wait after a renewal that failed.
const PAUSE: Duration = Duration::from_secs(10);

/// The keys with which requests are signed, as a user gave them.
#[derive(Debug, Clone)]
pub(crate) struct AccessKeys {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    pub(crate) session_token: Option<SecretString>,
}

/// Where the credentials of requests come from.
#[derive(Debug)]
pub(crate) struct CredentialSource {
    /// Where roles and single sign-on are asked for.
    region: Option<String>,
    state: Mutex<State>,
    renewed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    latest: Option<Credentials>,
    /// Hides the latest and those before them, with which requests under way may be signed.
    redaction: [Redaction; 2],
    /// When they came; `None` for those that stay the same.
    came: Option<Stamp>,
    is_renewing: bool,
    /// When the latest renewal was over.
    tried: Option<Stamp>,
    /// Why it failed, if it did.
    failure: Option<Missing>,
}

/// What a renewal found.
type Found = std::result::Result<std::result::Result<Credentials, Missing>, Panic>;

impl CredentialSource {
    /// Keys that stay the same.
    pub(crate) fn fixed(keys: &AccessKeys) -> Arc<Self> {
        let token = keys.session_token.as_ref();
        let credentials = Credentials::new(
            &keys.id,
            keys.secret.expose_secret(),
            token.map(|token| token.expose_secret().to_owned()),
            None,
            "llmeter",
        );
        let source = Self::of_chain(None);
        source.state().keep(credentials);
        source
    }

    /// What the chain of the AWS tools finds. It is asked at the first need.
    pub(crate) fn of_chain(region: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            region,
            state: Mutex::default(),
            renewed: Condvar::new(),
        })
    }

    /// Credentials that have not expired. They are renewed meanwhile if they soon will; blocks only
    /// if there are none.
    ///
    /// # Errors
    /// If there are none, with what to do about it.
    pub(crate) fn current(self: &Arc<Self>) -> Result<Credentials> {
        let mut state = self.state();
        loop {
            let left = state.latest.as_ref().map_or(Duration::ZERO, time_left);
            let is_soon = !state.is_renewing
                && state
                    .tried
                    .is_none_or(|tried| clock::now() > tried.after(PAUSE));
            if let Some(credentials) = state.latest.clone().filter(|_| !left.is_zero()) {
                if left < RENEWAL
                    && is_soon
                    && let Err(reason) = self.renew(&mut state)
                {
                    // Those that there are still sign; later there may be a thread.
                    state.tried = Some(clock::now());
                    tracing::warn!("AWS credentials are not renewed yet: {reason}");
                }
                return Ok(credentials);
            }
            match &state.failure {
                Some(failure) if !is_soon && !state.is_renewing => {
                    return Err(failure.error(state.latest.is_some()));
                }
                _ if !state.is_renewing => self.renew(&mut state)?,
                _ => {}
            }
            state = self
                .renewed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether what was signed then was signed with the credentials of now, and these last so much
    /// longer.
    pub(crate) fn signs_like(&self, then: Stamp, longer: Duration) -> bool {
        let state = self.state();
        let is_same = state.came.is_none_or(|came| came < then);
        is_same
            && state
                .latest
                .as_ref()
                .is_some_and(|latest| time_left(latest) > longer)
    }

    /// Hides what a server might repeat of secrets, and signatures, of which each request has its
    /// own.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.state().redaction.clone();
        let shown = known.iter().fold(Cow::Borrowed(text), |text, known| {
            match known.apply(&text) {
                Cow::Owned(shown) => Cow::Owned(shown),
                Cow::Borrowed(_) => text,
            }
        });
        match without_signatures(&shown) {
            Cow::Owned(shown) => Cow::Owned(shown),
            Cow::Borrowed(_) => shown,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Starts looking for credentials on a thread of its own.
    fn renew(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let source = self.clone();
        let work = move || {
            let found = foreign::catch_panic(|| match runtime() {
                Ok(runtime) => runtime.block_on(chain::credentials(source.region.clone())),
                Err(reason) => Err(Missing::Failed(reason.to_string())),
            });
            source.take(found);
        };
        std::thread::Builder::new()
            .name("aws-credentials".to_owned())
            .spawn(work)
            .map_err(Error::system("start a thread"))?;
        state.is_renewing = true;
        Ok(())
    }

    /// Takes in what a renewal found, and wakes those that wait for it.
    fn take(&self, found: Found) {
        let found = found.unwrap_or_else(|Panic(reason)| {
            let reason = format!("looking for them panicked: {reason}");
            Err(Missing::Failed(reason))
        });
        {
            let mut state = self.state();
            state.is_renewing = false;
            state.tried = Some(clock::now());
            state.failure = None;
            match found {
                Ok(credentials) if time_left(&credentials).is_zero() => {
                    let reason = "those that were found have expired already".to_owned();
                    state.failure = Some(Missing::Failed(reason));
                }
                Ok(credentials) => {
                    state.keep(credentials);
                    state.came = state.tried;
                }
                Err(missing) => state.failure = Some(missing),
            }
        }
        self.renewed.notify_all();
    }
}

impl State {
    fn keep(&mut self, credentials: Credentials) {
        let secrets = [
            Some(credentials.secret_access_key()),
            credentials.session_token(),
        ];
        let redaction = Redaction::new(secrets.into_iter().flatten());
        let [latest, _] = std::mem::take(&mut self.redaction);
        self.redaction = [redaction, latest];
        self.latest = Some(credentials);
    }
}

/// How long credentials can still be used; those without an end for ever.
fn time_left(credentials: &Credentials) -> Duration {
    let now = SystemTime::from(clock::wall());
    match credentials.expiry() {
        None => Duration::MAX,
        Some(end) => end.duration_since(now).unwrap_or_default(),
    }
}

impl Missing {
    fn error(&self, has_expired: bool) -> Error {
        match self {
            Self::Nowhere => Error::missing(Setting::AwsCredentials).with_hint(none_found()),
            Self::Failed(reason) => {
                let what = if has_expired {
                    "the AWS credentials have expired and could not be renewed"
                } else {
                    "there are no AWS credentials"
                };
                let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned());
                Error::Credentials {
                    reason: format!(
                        "{what}: {reason}; sign in again (aws sso login --profile {profile}) if they \
                         are those of single sign-on, and check the profile's role, process or token \
                         otherwise: aws sts get-caller-identity must succeed"
                    ),
                }
            }
        }
    }
}

/// What to do if no place has credentials.
fn none_found() -> String {
    let profile = super::Profile::read();
    let unknown = if profile.is_there || variable("AWS_PROFILE").is_none() {
        String::new()
    } else {
        format!(
            "there is no profile {} (AWS_PROFILE) in ~/.aws/config and ~/.aws/credentials; ",
            profile.name
        )
    };
    format!(
        "{unknown}set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile with \
         keys, single sign-on, a role or a process; containers and instances have credentials of \
         their own if they have a role; for Bedrock an API key in AWS_BEARER_TOKEN_BEDROCK will do"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiring(seconds: u64) -> Credentials {
        let end = SystemTime::from(clock::wall()) + Duration::from_secs(seconds);
        Credentials::new(
            "AKID",
            "hush-hush",
            Some("t0ken-1".into()),
            Some(end),
            "test",
        )
    }

    fn holding(credentials: Credentials, failure: Option<Missing>) -> Arc<CredentialSource> {
        let source = CredentialSource::of_chain(None);
        source.state().keep(credentials);
        source.state().tried = failure.as_ref().map(|_| clock::now());
        source.state().failure = failure;
        source
    }

    #[test]
    fn credentials_sign_to_their_end_although_they_cannot_be_renewed() {
        let failed = Missing::Failed("the token has expired".to_owned());
        let source = holding(expiring(60), Some(failed.clone()));
        assert_eq!(source.current().unwrap().access_key_id(), "AKID");
        let source = holding(expiring(0), Some(failed));
        let error = source.current().unwrap_err().to_string();
        assert!(
            error.contains("have expired") && error.contains("the token has expired"),
            "{error}"
        );
    }

    #[test]
    fn a_panic_while_renewing_leaves_nobody_waiting() {
        let source = CredentialSource::of_chain(None);
        source.state().is_renewing = true;
        let waiting = source.clone();
        let waiting = std::thread::spawn(move || waiting.current());
        source.take(foreign::catch_panic(|| panic!("no chain")));
        let error = waiting.join().unwrap().unwrap_err().to_string();
        assert!(
            error.contains("no AWS credentials: looking for them panicked: no chain"),
            "{error}"
        );
        assert!(!source.state().is_renewing);
    }

    #[test]
    fn secrets_of_the_latest_credentials_and_signatures_are_hidden() {
        let source = holding(expiring(3600), None);
        let text = "AKID hush-hush t0ken-1 Signature=0123456789abcdef";
        assert_eq!(
            source.redact(text),
            "AKID <redacted> <redacted> Signature=<redacted>"
        );
        let next = Credentials::new("AKID", "s3cr3t-2", None, None, "test");
        source.take(Ok(Ok(next)));
        assert_eq!(
            source.redact("hush-hush, s3cr3t-2"),
            "<redacted>, <redacted>"
        );
        assert!(matches!(
            source.redact("nothing 0123 of it"),
            Cow::Borrowed(_)
        ));
    }
}
