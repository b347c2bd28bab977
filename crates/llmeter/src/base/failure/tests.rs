use super::*;
use llmeter_wire::content_encoding::DecompressionError;
use llmeter_wire::http1::HttpError;

fn tcp(reason: impl Into<io::Error>) -> Failure {
    ConnectError::Tcp("127.0.0.1:1".parse().unwrap(), reason.into()).into()
}

#[test]
fn names_are_unique_and_found_again() {
    for (index, kind) in FailureKind::ALL.iter().enumerate() {
        assert_eq!(FailureKind::from_name(kind.as_str()), Some(*kind));
        assert_eq!(
            FailureKind::ALL.iter().position(|one| one == kind),
            Some(index)
        );
    }
    for phase in Phase::ALL {
        assert_eq!(Phase::from_name(phase.as_str()), Some(phase));
    }
    assert_eq!(FailureKind::from_name("connection refused"), None);
}

#[test]
fn a_connection_that_fails_is_told_apart_by_the_systems_reason() {
    let kind = |failure: Failure| (failure.kind(), failure.phase());
    let connect = Some(Phase::Connect);
    assert_eq!(
        kind(tcp(io::ErrorKind::ConnectionRefused)),
        (FailureKind::ConnectionRefused, connect)
    );
    assert_eq!(
        kind(tcp(io::ErrorKind::AddrNotAvailable)),
        (FailureKind::LocalLimit, connect)
    );
    assert_eq!(
        kind(tcp(io::ErrorKind::HostUnreachable)),
        (FailureKind::Unreachable, connect)
    );
    #[cfg(unix)]
    assert_eq!(
        kind(tcp(io::Error::from_raw_os_error(nix::libc::EMFILE))),
        (FailureKind::LocalLimit, connect),
        "too many open files"
    );
}

#[test]
fn what_this_machine_lacks_is_told_apart() {
    let lacking = |reason: io::Error| tcp(reason).lacking();
    assert_eq!(
        lacking(io::ErrorKind::AddrInUse.into()),
        Some(LocalResource::Ports)
    );
    #[cfg(unix)]
    for (code, resource) in [
        (nix::libc::EADDRNOTAVAIL, LocalResource::Ports),
        (nix::libc::EMFILE, LocalResource::Files),
        (nix::libc::ENFILE, LocalResource::Files),
        (nix::libc::ENOBUFS, LocalResource::Buffers),
        (nix::libc::ENOMEM, LocalResource::Buffers),
    ] {
        let failure = tcp(io::Error::from_raw_os_error(code));
        assert_eq!(failure.kind(), FailureKind::LocalLimit);
        assert_eq!(failure.lacking(), Some(resource));
    }
    assert_eq!(lacking(io::ErrorKind::ConnectionRefused.into()), None);
}

#[test]
fn causes_are_found_through_what_wraps_them() {
    let reason = io::Error::other(HttpError::HeadTooLong);
    let failure = tcp(reason);
    assert!(failure.cause::<ConnectError>().is_some());
    assert!(failure.cause::<io::Error>().is_some());
    assert_eq!(failure.cause::<HttpError>(), Some(&HttpError::HeadTooLong));
    assert!(failure.cause::<DecompressionError>().is_none());
    // The cause's text is the failure's own, so that a chain of sources goes on below it.
    assert!(
        failure
            .source()
            .is_some_and(|source| source.is::<io::Error>())
    );
}

#[test]
fn causes_with_secrets_go_with_them() {
    fn hide(text: &str) -> Cow<'_, str> {
        Cow::Owned(text.replace("hush", "***"))
    }
    let mut failure = tcp(io::Error::other("hush"));
    failure.redact(hide);
    assert!(failure.to_string().contains("***") && failure.source().is_none());
    assert!(!format!("{failure:?}").contains("hush"));
    let mut failure = tcp(io::Error::other("clean"));
    failure.redact(hide);
    assert!(failure.source().is_some());
}

#[test]
fn files_keep_kinds_that_are_not_known_yet() {
    let read = |kind, status| Failure::from_file("no".into(), kind, Some("tls"), status);
    let newer = read(Some("quota_exceeded"), None);
    assert_eq!(newer.kind(), FailureKind::Other);
    assert_eq!(newer.kind_name(), "quota_exceeded");
    assert_eq!(newer.phase(), Some(Phase::Tls));
    assert_eq!(
        read(Some("timeout"), Some(200)).kind(),
        FailureKind::Timeout
    );
    assert_eq!(read(Some("timeout"), Some(200)).status(), None);
    // Older files name no kind.
    assert_eq!(read(None, None).kind_name(), "other");
    assert_eq!(read(None, Some(500)).kind(), FailureKind::HttpStatus);
    assert_eq!(read(None, Some(429)).kind(), FailureKind::Throttled);
    assert_eq!(read(Some("No name at all"), None).kind_name(), "other");
}
