//! Servers behind Unix sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use llmeter::{Load, OpenAiChat, RunConfig, RunResult, Runner, SavedRun, StampSource, Verdict};

use crate::scripted::answers::{chunked, whole_stream};
use crate::scripted::{finish, payload, run};

/// Heads of requests as they came.
type Heads = Arc<Mutex<Vec<String>>>;

/// Answers every request with the same stream.
fn serve(path: &Path) -> Heads {
    let listener = UnixListener::bind(path).unwrap();
    let heads = Heads::default();
    let kept = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, kept) = (stream.unwrap(), kept.clone());
            std::thread::spawn(move || answer(&stream, &kept));
        }
    });
    heads
}

fn answer(mut stream: &UnixStream, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap() == 0 {
                return;
            }
        }
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        let length = length.lines().next().unwrap().parse().unwrap();
        reader.read_exact(&mut vec![0; length]).unwrap();
        heads.lock().unwrap().push(head);
        let answer = chunked(&whole_stream(&["one", " two"]));
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
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
    let heads = serve(&socket);
    let mut config = config(format!("unix:{}:/v1", socket.display()))
        .clients(2)
        .load(Load::Requests(3));
    config.output = Some(folder.path().join("runs").into());
    config.run_name = Some("it".to_owned());
    let result = run(config);
    assert_eq!(result.responses.len(), 6);
    checked(&result);
    let head = heads.lock().unwrap()[0].clone();
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
            error.starts_with("base_url: ") && error.contains(part),
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
