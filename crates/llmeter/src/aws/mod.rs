//! The way to Amazon Web Services, whoever goes it: profiles, credentials, signatures, errors, and calls
//! that are no part of a measurement.
//!
//! Belongs here: what endpoints, cloud paths and prices have in common. Does not belong here: the APIs
//! that are measured (`api`).

#[cfg(feature = "aws")]
mod call;
#[cfg(feature = "aws")]
mod chain;
#[cfg(feature = "aws")]
mod credentials;
#[cfg(feature = "aws")]
mod error;
#[cfg(feature = "aws")]
mod http;
#[cfg(feature = "aws")]
mod process;
#[cfg(any(feature = "aws", feature = "cloud"))]
mod profile;
#[cfg(feature = "aws")]
mod signature;
mod throttle;
#[cfg(feature = "aws")]
mod token_files;

#[cfg(feature = "aws")]
pub(crate) use call::{AwsService, call, region_or_default};
#[cfg(feature = "aws")]
pub(crate) use chain::metadata_region;
#[cfg(feature = "aws")]
pub(crate) use credentials::{AccessKeys, CredentialSource};
#[cfg(feature = "aws")]
pub(crate) use error::{Refusal, exception, request_id};
#[cfg(any(feature = "aws", feature = "cloud"))]
pub(crate) use profile::Profile;
#[cfg(feature = "aws")]
pub(crate) use signature::{Scope, signed_headers, without_signatures};
pub(crate) use throttle::{bare_kind, is_throttle};

#[cfg(feature = "aws")]
use crate::base::error::Error;
#[cfg(feature = "aws")]
use crate::base::setting::Setting;

/// The variable of the environment, unless it is empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    value.filter(|value| !value.trim().is_empty())
}

/// Where a region comes from if the setting leaves it open.
#[cfg(feature = "aws")]
const REGION_SOURCES: &str = "it may also come from AWS_REGION, AWS_DEFAULT_REGION, the AWS profile, or \
                              the instance this runs on";

/// No region is known.
#[cfg(feature = "aws")]
pub(crate) fn missing_region() -> Error {
    Error::missing(Setting::Region).with_hint(REGION_SOURCES)
}

/// This is no region.
#[cfg(feature = "aws")]
pub(crate) fn bad_region(given: &str) -> Error {
    Error::invalid(Setting::Region, given, "a region like us-east-1")
}

/// What the names of Amazon's hosts in a region end in.
#[cfg(feature = "aws")]
pub(crate) fn host_suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

/// Whether a text can be a region's name.
pub(crate) fn is_region(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(is_allowed)
}
