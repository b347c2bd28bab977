//! Runs over TLS, with certificates that are made on the spot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::scripted::answers::{chunked, whole_stream};
use crate::scripted::{Scripted, finish, payload, run, write};
use llmeter::probe::{ProbeReport, probe};
use llmeter::wire::Phase;
use llmeter::{Interrupt, Load, OpenAiChat, RunConfig, RunResult, Runner, StampSource};
use llmeter_testing::ScriptedServer;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedKey, IsCa, Issuer, KeyPair,
    date_time_ymd, generate_simple_self_signed,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A TLS server that answers every request with the same stream.
struct TlsServer {
    scripted: Scripted,
    /// Its own certificate, as PEM.
    certificate: String,
}

impl TlsServer {
    fn start(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).unwrap();
        Self::with(&cert, &signing_key)
    }

    /// With a certificate as `openssl req -x509` makes them: self-signed, and with an authority's flag.
    fn with_own_authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Self::with(&params.self_signed(&key).unwrap(), &key)
    }

    fn with(cert: &Certificate, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let script = vec![write(chunked(&whole_stream(&["one", " two"])))];
        let server = ScriptedServer::play(vec![script]).tls(Arc::new(config));
        Self {
            scripted: Scripted::with(server, "https"),
            certificate: cert.pem(),
        }
    }

    fn config(&self, ca_file: Option<PathBuf>) -> RunConfig {
        let endpoint = OpenAiChat::builder(&self.scripted.base_url, "m")
            .build()
            .unwrap();
        let mut config = RunConfig::new(Arc::new(endpoint), [payload("hello")]);
        config.ca_file = ca_file;
        config
    }

    fn save_certificate(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        std::fs::write(&file, &self.certificate).unwrap();
        file
    }
}

fn refused(config: RunConfig) -> String {
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    let error = error.to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

fn trusted_run(change: impl FnOnce(&mut RunConfig)) -> RunResult {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    let mut config = server.config(Some(server.save_certificate(folder.path())));
    change(&mut config);
    run(config)
}

#[test]
fn a_handshake_is_paid_once_and_counted_apart() {
    let result = trusted_run(|config| {
        config.clients = 2;
        config.load = Load::Requests(3);
    });
    assert_eq!(result.responses.len(), 6);
    for client in 0..2 {
        let own = result
            .responses
            .iter()
            .filter(|response| response.detail.client == Some(client));
        for (number, response) in own.enumerate() {
            assert_eq!(response.error, None);
            assert_eq!(response.response_text.as_deref(), Some("one two"));
            let detail = &response.detail;
            assert_eq!(detail.time_to_connect.is_some(), number == 0);
            assert_eq!(detail.time_to_tls.is_some(), number == 0);
            assert!(detail.time_to_tls.is_none_or(|time| time > 0.0));
            let first = response.time_to_first_token.unwrap();
            assert!(0.0 < detail.time_to_headers.unwrap() && first > 0.0);
            assert!(first <= response.time_to_last_token.unwrap());
        }
    }
    let quality = result.quality.unwrap();
    assert_eq!(quality.connections, 2);
    assert_eq!(quality.requests_on_new_connection, 2);
}

#[test]
fn the_handshake_of_a_warm_up_is_in_no_figure() {
    let result = trusted_run(|config| {
        config.load = Load::Requests(2);
        config.warmup = 1;
    });
    assert_eq!(result.responses.len(), 2);
    for response in &result.responses {
        assert_eq!(response.detail.time_to_tls, None);
    }
    assert!(!result.stats_map().contains_key("time_to_tls-p50"));
}

#[test]
#[cfg(target_os = "linux")]
fn stamps_are_the_kernels_under_tls_too() {
    let result = trusted_run(|_| {});
    let quality = result.quality.unwrap();
    assert_eq!(quality.stamps, StampSource::Kernel);
    assert_eq!(quality.kernel_stamped_rate, 1.0);
}

#[test]
fn an_untrusted_certificate_stops_the_run_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    // Another certificate of that name is trusted, but not the server's.
    let other = TlsServer::start("127.0.0.1").save_certificate(folder.path());
    let mut config = server.config(Some(other));
    config.output = Some(folder.path().join("runs").into());
    let error = refused(config);
    assert!(error.contains("certificate"), "{error}");
    assert!(error.contains("127.0.0.1"), "{error}");
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn any_certificate_is_taken_if_the_user_says_so() {
    let server = TlsServer::start("elsewhere.example");
    let mut config = server.config(None);
    config.insecure = true;
    let result = run(config);
    assert_eq!(result.responses[0].error, None);
    let warned = result
        .warnings
        .iter()
        .any(|warning| warning.contains("was not checked"));
    assert!(warned, "{:?}", result.warnings);
    let mut config = server.config(Some("ca.pem".into()));
    config.insecure = true;
    assert!(refused(config).contains("not both"));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("elsewhere.example");
    let error = refused(server.config(Some(server.save_certificate(folder.path()))));
    assert!(
        error.contains("certificate") && error.contains("elsewhere.example"),
        "{error}"
    );
}

#[test]
fn a_plain_server_behind_https_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    let plain = Scripted::start(vec![vec![]]);
    let url = plain.base_url.replace("http:", "https:");
    let endpoint = OpenAiChat::builder(url, "m").build().unwrap();
    let mut config = server.config(Some(server.save_certificate(folder.path())));
    config.endpoint = Arc::new(endpoint);
    config.timeout = std::time::Duration::from_millis(500);
    let error = refused(config);
    assert!(error.contains("cannot reach 127.0.0.1"), "{error}");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    let file = folder.path().join("ca.pem");
    let error = refused(server.config(Some(file.clone())));
    assert!(
        error.contains("reading") && error.contains("ca.pem"),
        "{error}"
    );
    let block =
        |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    for content in ["", "no certificate", &block("AAAA"), &block("?")] {
        std::fs::write(&file, content).unwrap();
        let error = refused(server.config(Some(file.clone())));
        assert!(
            error.contains("ca.pem") && error.contains("certificate"),
            "{error}"
        );
    }
}

fn probed(config: RunConfig) -> ProbeReport {
    finish(move || probe(&config, None, &Interrupt::new())).unwrap()
}

#[test]
fn a_probe_tells_what_the_handshake_agreed_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    let seen = probed(server.config(Some(server.save_certificate(folder.path()))));
    assert!(seen.is_success(), "{:?}", seen.error);
    let tls = seen.tls.as_ref().unwrap();
    assert_eq!(tls.version, "TLS 1.3");
    assert!(tls.cipher.starts_with("TLS13_"), "{tls:?}");
    assert_eq!(tls.alpn, None);
    assert!(seen.time_to_tls.unwrap() > 0.0);
    let shown = llmeter::report::probe(&seen, 12);
    assert!(shown.contains("TLS 1.3, TLS13_"), "{shown}");
}

#[test]
fn a_probe_tells_what_is_wrong_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    let stranger = TlsServer::start("elsewhere.example");
    let own = server.save_certificate(folder.path());
    let remedy = |config: RunConfig| {
        let seen = probed(config);
        assert_eq!(seen.failed_phase(), Some(Phase::Tls), "{:?}", seen.error);
        seen.diagnosis.unwrap().remedy
    };
    let untrusted = remedy(stranger.config(Some(own)));
    assert!(untrusted.contains("`ca_file`"), "{untrusted}");
    let other = stranger.save_certificate(folder.path());
    let misnamed = remedy(stranger.config(Some(other)));
    assert!(misnamed.contains("use the name"), "{misnamed}");
}

#[test]
fn a_probe_tells_http_from_https() {
    let server = TlsServer::start("127.0.0.1");
    let mut config = server.config(None);
    let url = server.scripted.base_url.replace("https:", "http:");
    config.endpoint = Arc::new(OpenAiChat::builder(url, "m").build().unwrap());
    let diagnosis = probed(config).diagnosis.unwrap();
    assert!(diagnosis.cause.contains("speaks TLS"), "{diagnosis:?}");
    assert!(diagnosis.remedy.contains("https://"), "{diagnosis:?}");

    let plain = Scripted::start(vec![vec![]]);
    let url = plain.base_url.replace("http:", "https:");
    let mut config = server.config(None);
    config.insecure = true;
    // What waits for the end of a line sees none in a TLS hello, and stays silent.
    config.timeout = std::time::Duration::from_millis(300);
    config.endpoint = Arc::new(OpenAiChat::builder(url, "m").build().unwrap());
    let diagnosis = probed(config).diagnosis.unwrap();
    assert!(diagnosis.remedy.contains("http://"), "{diagnosis:?}");
}

#[test]
fn a_server_that_does_not_agree_to_http2_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::start("127.0.0.1");
    let mut config = server.config(Some(server.save_certificate(folder.path())));
    config.http2 = true;
    let error = refused(config);
    let wanted = "the server does not speak HTTP/2 (it did not agree to it)";
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn the_servers_own_certificate_is_trusted_if_it_is_the_given_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = TlsServer::with_own_authority("127.0.0.1", |_| {});
    let result = run(server.config(Some(server.save_certificate(folder.path()))));
    assert_eq!(result.responses[0].error, None);
    // One that an authority signed which is not given.
    let authority = KeyPair::generate().unwrap();
    let mut of_authority = CertificateParams::new(["authority.example".to_owned()]).unwrap();
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(of_authority, authority);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let server = TlsServer::with(&own.signed_by(&key, &issuer).unwrap(), &key);
    let result = run(server.config(Some(server.save_certificate(folder.path()))));
    assert_eq!(result.responses[0].error, None);
}

#[test]
fn host_and_dates_of_a_given_certificate_are_checked_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = TlsServer::with_own_authority("elsewhere.example", |_| {});
    let expired = TlsServer::with_own_authority("127.0.0.1", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 31);
    });
    let early = TlsServer::with_own_authority("127.0.0.1", |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(3000, 1, 1);
    });
    for (server, words) in [
        (elsewhere, "is not for 127.0.0.1, but for elsewhere.example"),
        (expired, "expired on 2021-01-31"),
        (early, "is not valid before 2999-01-01"),
    ] {
        let error = refused(server.config(Some(server.save_certificate(folder.path()))));
        assert!(error.contains(words), "{error}");
        assert_plain(&error);
    }
    // Another one of that name is not the one given.
    let server = TlsServer::with_own_authority("127.0.0.1", |_| {});
    let other = TlsServer::with_own_authority("127.0.0.1", |_| {}).save_certificate(folder.path());
    let error = refused(server.config(Some(other)));
    assert!(
        error.contains("an authority's certificate as its own"),
        "{error}"
    );
    assert_plain(&error);
}

/// No name of a type of Rust.
#[track_caller]
fn assert_plain(text: &str) {
    for name in [
        "Other",
        "Error(",
        "Issuer",
        "EndEntity",
        "Context",
        "DnsName",
    ] {
        assert!(!text.contains(name), "{text}");
    }
}
