//! Signatures of requests: AWS Signature Version 4, computed from its description.

use ring::{digest, hmac};

use super::ApiError;
use crate::clock;
use crate::exchange::Request;

/// How far a signature's time may be from now, in seconds.
const MAX_SKEW: i64 = 300;

/// Refuses a request that is not signed with this key for this service.
pub(crate) fn verify(
    request: &Request,
    expected_service: &str,
    key: &(String, String),
) -> Result<(), ApiError> {
    let header = |name: &str| {
        let headers = request.head.signed.iter();
        let mut values = headers.filter(|header| header.0 == name);
        values.next().map(|header| header.1.as_str())
    };
    let incomplete = |what: &str| {
        let message = format!("Authorization header requires {what}");
        ApiError::new(403, message).kind("IncompleteSignatureException")
    };
    let Some(authorization) = request.head.authorization.as_deref() else {
        let message = "Missing Authentication Token";
        return Err(ApiError::new(403, message).kind("MissingAuthenticationTokenException"));
    };
    let parameters = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| incomplete("the algorithm AWS4-HMAC-SHA256"))?;
    let parameter = |name: &str| {
        let mut parts = parameters
            .split(',')
            .filter_map(|part| part.trim().split_once('='));
        let value = parts.find(|part| part.0 == name).map(|part| part.1);
        value.ok_or_else(|| incomplete(&format!("'{name}' parameter")))
    };
    let (credential, names) = (parameter("Credential")?, parameter("SignedHeaders")?);
    let signature = parameter("Signature")?;
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, date, region, service, "aws4_request"] = scope.as_slice() else {
        return Err(incomplete("a credential with date, region and service"));
    };
    if *id != key.0 {
        let message = "The security token included in the request is invalid.";
        return Err(ApiError::new(403, message).kind("UnrecognizedClientException"));
    }
    let invalid = |message| ApiError::new(403, message).kind("InvalidSignatureException");
    if *service != expected_service {
        return Err(invalid(format!(
            "Credential should be scoped to correct service: '{expected_service}'."
        )));
    }
    let time = header("x-amz-date").ok_or_else(|| incomplete("an X-Amz-Date header"))?;
    let names: Vec<&str> = names.split(';').collect();
    if !names.contains(&"host") || !names.contains(&"x-amz-date") || !time.starts_with(date) {
        return Err(incomplete("host and x-amz-date among the signed headers"));
    }
    check_time(time).map_err(invalid)?;

    let (path, query) = match request.head.target.split_once('?') {
        Some((path, query)) => (path, query),
        None => (request.head.target.as_str(), ""),
    };
    let mut query: Vec<&str> = query.split('&').collect();
    query.sort_unstable();
    let mut canonical = format!(
        "{}\n{}\n{}\n",
        request.head.method,
        escaped(path),
        query.join("&")
    );
    for name in &names {
        let value = header(name).ok_or_else(|| incomplete("headers that are there"))?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        canonical += &format!("{name}:{value}\n");
    }
    let body = hex(digest::digest(&digest::SHA256, &request.body).as_ref());
    canonical += &format!("\n{}\n{body}", names.join(";"));

    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{}",
        hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    );
    let mut derived = format!("AWS4{}", key.1).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        derived = sign(&derived, part.as_bytes());
    }
    if hex(&sign(&derived, to_sign.as_bytes())) != signature {
        return Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details."
                .to_owned(),
        ));
    }
    Ok(())
}

fn check_time(time: &str) -> Result<(), String> {
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time)
        .and_then(|signed| signed.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| format!("Date must be in ISO-8601 'basic format'. Got '{time}'."))?;
    let now = clock::wall();
    let age = now.as_second() - signed.timestamp().as_second();
    let now = now.strftime("%Y%m%dT%H%M%SZ");
    if age > MAX_SKEW {
        return Err(format!(
            "Signature expired: {time} is now earlier than {now} - 5 min."
        ));
    }
    if age < -MAX_SKEW {
        return Err(format!(
            "Signature not yet current: {time} is still later than {now} + 5 min."
        ));
    }
    Ok(())
}

fn sign(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, data).as_ref().to_vec()
}

/// A path as it was sent, escaped once more.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
