//! Servers behind Unix sockets.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use llmeter::{Load, OpenAiChat, RunConfig, RunResult, Runner, SavedRun, StampSource, Verdict};
use llmeter_testing::{ScriptedServer, Step};

use crate::scripted::answers::{chunked, whole_stream};
use crate::scripted::{finish, payload, run};

/// Answers every request with the same stream.
fn serve(path: &Path) -> ScriptedServer {
    let script = vec![Step::write(chunked(&whole_stream(&["one", " two"])))];
    ScriptedServer::play(vec![script]).start_at(path).unwrap()
}

fn config(base_url: String) -> RunConfig {
    let endpoint = OpenAiChat::builder(base_url, "m").build().unwrap();
    RunConfig::new(Arc::new(endpoint), [payload("hello")])
}

fn checked(result: &RunResult) {
    for response in &result.responses {
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("one two"));
        assert!(response.time_to_first_token.unwrap() > 0.0);
    }
}

#[test]
fn a_run_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("llm.sock");
    let server = serve(&socket);
    let mut config = config(format!("unix:{}:/v1", socket.display()))
        .clients(2)
        .load(Load::Requests(3));
    config.output = Some(folder.path().join("runs").into());
    config.run_name = Some("it".to_owned());
    let result = run(config);
    assert_eq!(result.responses.len(), 6);
    checked(&result);
    let head = server.requests()[0].head.join("\r\n") + "\r\n";
    assert!(
        head.starts_with("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"),
        "{head}"
    );
    let quality = result.quality.as_ref().unwrap();
    assert_eq!(quality.stamps, StampSource::User);
    assert_eq!(quality.kernel_stamped_rate, 0.0);
    assert_eq!(quality.connections, 2, "they are kept");
    assert_ne!(quality.verdict, Verdict::ClientBound);
    let warned = result
        .warnings
        .iter()
        .any(|warning| warning.contains("Unix sockets have no"));
    assert!(warned, "{:?}", result.warnings);

    // The file names the socket, and the run can be repeated from it.
    let saved = SavedRun::load(folder.path().join("runs/it")).unwrap();
    let address = format!("unix:{}:/v1/", socket.display());
    assert_eq!(saved.endpoint.state["base_url"], address.as_str());
    let config = saved.into_config(None).unwrap();
    let seen = super::probes::probed(config.clone());
    assert!(seen.is_success(), "{:?}", seen.error);
    assert_eq!(seen.server, format!("unix:{}", socket.display()));
    assert_eq!((seen.time_to_resolve, seen.addresses.len()), (None, 0));
    assert_eq!(seen.stamps, StampSource::User);
    checked(&run(config));
}

#[test]
fn the_path_of_the_api_may_be_missing() {
    let endpoint = OpenAiChat::builder("unix:///run/llm.sock", "m")
        .build()
        .unwrap();
    assert_eq!(endpoint.base_url(), "unix:/run/llm.sock:/");
    let config = config("unix:/run/llm.sock:/".to_owned());
    assert_eq!(
        config.endpoint.saved().state["base_url"],
        "unix:/run/llm.sock:/"
    );
}

#[test]
fn addresses_that_cannot_be_used_are_named() {
    for (base_url, part) in [
        ("unix:", "unix:/run/llm.sock:/v1"),
        ("unix:/run/llm.sock:/v1?key=geheim", "without a query"),
        ("unix:/run/llm.sock:/v1/chat/completions", "is added"),
        (&format!("unix:/{}", "x".repeat(200)), "103 bytes"),
    ] {
        let error = OpenAiChat::builder(base_url, "m").build().unwrap_err();
        let error = error.to_string();
        assert!(
            error.starts_with("base_url ") && error.contains(part),
            "{error}"
        );
        assert!(!error.contains("geheim"), "{error}");
    }
}

#[test]
fn a_socket_where_nobody_listens_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("llm.sock");
    let refused = |what: &str| {
        let config = config(format!("unix:{}:/v1", socket.display()));
        let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("llm.sock") && error.contains(what),
            "{error}"
        );
    };
    refused("No such file");
    drop(UnixListener::bind(&socket).unwrap());
    refused("refused");
}
