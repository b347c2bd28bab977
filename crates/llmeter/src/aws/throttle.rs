//! Errors with which AWS asks to come back later.

/// AWS's names for "too many requests", whatever the status that goes with them.
const AWS_THROTTLES: [&str; 12] = [
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "ModelNotReadyException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Whether an error of AWS's asks to come back later. Streams begin its name with a small letter.
pub(crate) fn is_throttle(kind: &str) -> bool {
    let kind = bare_kind(kind);
    let mut names = AWS_THROTTLES.iter();
    names.any(|name| name.eq_ignore_ascii_case(kind))
}

/// The name of an AWS error alone: `ThrottlingException` of `ThrottlingException:http://internal…` and
/// of `com.amazon.coral.service#ThrottlingException`.
pub(crate) fn bare_kind(kind: &str) -> &str {
    let kind = kind.split(':').next().unwrap_or_default();
    kind.rsplit('#').next().unwrap_or_default()
}
