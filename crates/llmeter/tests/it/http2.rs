//! Runs by HTTP/2, against a server that does what a test says, over real sockets.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::scripted::answers::{DONE, text, usage, whole_stream};
use crate::scripted::{Scripted, Step, finish, payload, run};
use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use llmeter::{
    Connections, InvocationResponse, Load, OpenAiChat, RunConfig, Runner, SavedRun, StampSource,
};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request; counted from 0 over all connections.
type Play = fn(usize, Request<RecvStream>, SendResponse<Bytes>, &mut Connection<TcpStream, Bytes>);

struct Server {
    base_url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(play: Play) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self {
            base_url: format!("http://127.0.0.1:{port}/v1"),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (tcp, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(tcp, connections.clone(), requests.clone(), play));
                }
            });
        });
        server
    }

    fn config(&self) -> RunConfig {
        let endpoint = OpenAiChat::builder(&self.base_url, "m").api_key("sk-secret");
        let mut config = RunConfig::new(Arc::new(endpoint.build().unwrap()), [payload("hello")]);
        config.http2 = true;
        config
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(
    tcp: TcpStream,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    play: Play,
) {
    tcp.set_nodelay(true).unwrap();
    // One that only looks whether anybody is there sends no request.
    let Ok(mut connection) = h2::server::handshake(tcp).await else {
        return;
    };
    let mut is_first = true;
    while let Some(Ok((request, respond))) = connection.accept().await {
        if std::mem::take(&mut is_first) {
            connections.fetch_add(1, Ordering::SeqCst);
        }
        let number = requests.fetch_add(1, Ordering::SeqCst);
        play(number, request, respond, &mut connection);
    }
}

fn head(respond: &mut SendResponse<Bytes>) -> SendStream<Bytes> {
    let head = Response::builder()
        .header("content-type", "text/event-stream")
        .body(())
        .unwrap();
    respond.send_response(head, false).unwrap()
}

fn send(stream: &mut SendStream<Bytes>, text: &str) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    stream.send_data(bytes, false).unwrap();
}

/// A whole answer, in frames of their own.
fn answer(respond: &mut SendResponse<Bytes>, pieces: &[&str]) {
    let mut stream = head(respond);
    for event in whole_stream(pieces).split_inclusive("\n\n") {
        send(&mut stream, event);
    }
    stream.send_data(Bytes::new(), true).unwrap();
}

fn texts(responses: &[InvocationResponse]) -> Vec<(Option<&str>, Option<&str>)> {
    let of = |response| -> (Option<&str>, Option<&str>) {
        let response: &InvocationResponse = response;
        (response.response_text.as_deref(), response.error_text())
    };
    responses.iter().map(of).collect()
}

#[test]
fn each_client_has_a_connection_and_stamps_are_the_kernels() {
    let server = Server::start(|_, request, mut respond, _| {
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.uri().path(), "/v1/chat/completions");
        assert_eq!(request.headers()["authorization"], "Bearer sk-secret");
        assert!(!request.headers().contains_key("host"));
        answer(&mut respond, &["one", " two", " three"]);
    });
    let mut config = server.config();
    config.clients = 2;
    config.load = Load::Requests(3);
    let result = run(config);
    assert_eq!(texts(&result.responses), [(Some("one two three"), None); 6]);
    for response in &result.responses {
        assert_eq!(response.detail.status, Some(200));
        assert_eq!(response.detail.content_frames, Some(3));
        assert_eq!(response.num_tokens_output, Some(3));
        let [first, last] = [response.time_to_first_token, response.time_to_last_token];
        assert!(0.0 < first.unwrap() && first <= last);
        assert!(response.detail.send_lateness.is_some());
    }
    assert_eq!(server.connections(), 2);
    let quality = result.quality.as_ref().unwrap();
    assert_eq!(quality.connections, 2);
    assert!(quality.receive_delay.is_some());
    if cfg!(target_os = "linux") {
        assert_eq!(quality.stamps, StampSource::Kernel);
        assert_eq!(quality.kernel_stamped_rate, 1.0);
        assert_eq!(result.warnings, Vec::<String>::new());
    }
}

#[test]
fn a_connection_may_be_asked_for_each_request() {
    let server = Server::start(|_, _, mut respond, _| answer(&mut respond, &["one"]));
    let mut config = server.config();
    config.connections = Connections::New;
    config.load = Load::Requests(3);
    let result = run(config);
    assert_eq!(texts(&result.responses), [(Some("one"), None); 3]);
    assert_eq!(server.connections(), 3);
}

/// More than every window that was agreed on, in both directions.
#[test]
fn windows_are_opened_again() {
    let server = Server::start(|_, request, mut respond, _| {
        let mut body = request.into_body();
        tokio::spawn(async move {
            let mut length = 0;
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                length += data.len();
                body.flow_control().release_capacity(data.len()).unwrap();
            }
            assert!(length > 1 << 20, "{length}");
            let mut stream = head(&mut respond);
            for _ in 0..1500 {
                send(&mut stream, &text(&"x".repeat(16_000)));
            }
            send(&mut stream, &(usage(7, 1500) + DONE));
            stream.send_data(Bytes::new(), true).unwrap();
        });
    });
    let mut config = server.config();
    config.payloads = vec![Arc::new(payload(&"hello ".repeat(200_000)))];
    config.load = Load::Requests(2);
    let result = run(config);
    assert_eq!(result.responses.len(), 2);
    for response in &result.responses {
        assert_eq!(response.error, None);
        let kept = response.response_text.as_ref().unwrap().len() as u64;
        assert_eq!(kept + u64::from(response.detail.text_dropped), 24_000_000);
        assert_eq!(response.detail.content_frames, Some(1500));
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn trailers_end_an_answer() {
    let server = Server::start(|_, _, mut respond, _| {
        let mut stream = head(&mut respond);
        send(&mut stream, &whole_stream(&["one"]));
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    });
    let mut config = server.config();
    config.load = Load::Requests(2);
    let result = run(config);
    assert_eq!(texts(&result.responses), [(Some("one"), None); 2]);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_says_goodbye_gets_the_next_request_on_a_new_connection() {
    let server = Server::start(|_, _, mut respond, connection| {
        answer(&mut respond, &["one"]);
        connection.graceful_shutdown();
    });
    let mut config = server.config();
    config.load = Load::Requests(4);
    let result = run(config);
    assert_eq!(texts(&result.responses), [(Some("one"), None); 4]);
    assert_eq!((server.connections(), server.requests()), (4, 4));
}

#[test]
fn a_request_that_was_refused_unread_is_sent_again() {
    let server = Server::start(|number, _, mut respond, _| match number {
        1 => respond.send_reset(Reason::REFUSED_STREAM),
        _ => answer(&mut respond, &["one"]),
    });
    let mut config = server.config();
    config.load = Load::Requests(2);
    let result = run(config);
    assert_eq!(texts(&result.responses), [(Some("one"), None); 2]);
    assert_eq!(result.responses[1].retries, Some(1));
    assert_eq!(server.requests(), 3);
}

#[test]
fn what_came_before_a_reset_is_kept() {
    let server = Server::start(|number, _, mut respond, _| {
        if number > 0 {
            return answer(&mut respond, &["one"]);
        }
        let mut stream = head(&mut respond);
        send(&mut stream, &text("some"));
        tokio::spawn(async move {
            // A reset discards what was not written yet.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            stream.send_reset(Reason::INTERNAL_ERROR);
        });
    });
    let mut config = server.config();
    config.load = Load::Requests(2);
    let result = run(config);
    let reset = "the server reset the request: unexpected internal error encountered";
    assert_eq!(
        texts(&result.responses),
        [(Some("some"), Some(reset)), (Some("one"), None)]
    );
    assert_eq!(server.requests(), 2, "a reset is not repeated");
}

#[test]
fn a_connection_that_breaks_says_so() {
    let server = Server::start(|_, _, mut respond, connection| {
        let mut stream = head(&mut respond);
        send(&mut stream, &text("some"));
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    });
    let result = run(server.config());
    let error = result.responses[0].error_text().unwrap();
    assert!(error.contains("excessive load"), "{error}");
}

#[test]
fn an_error_status_has_the_servers_words_and_retry_after_is_followed() {
    let server = Server::start(|number, _, mut respond, _| {
        let (status, body) = match number {
            0 => (429, r#"{"error":{"message":"slow down"}}"#),
            _ => (400, r#"{"error":{"message":"no such model"}}"#),
        };
        let head = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("retry-after", "0")
            .body(())
            .unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        stream
            .send_data(Bytes::from_static(body.as_bytes()), true)
            .unwrap();
    });
    let mut config = server.config();
    config.max_retries = 1;
    let result = run(config);
    let error = "HTTP 400 Bad Request: no such model";
    assert_eq!(texts(&result.responses), [(None, Some(error))]);
    assert_eq!(result.responses[0].retries, Some(1));
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_server_of_http1_is_named_before_anything_is_sent() {
    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let server = Scripted::start(vec![vec![Step::WriteAndClose(refusal.into())]]);
    let mut config = server.config();
    config.http2 = true;
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    assert!(
        matches!(&error, llmeter::Error::Unreachable { failure, .. }
            if failure.kind() == llmeter::FailureKind::NoHttp2),
        "{error:?}"
    );
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = &(content.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// A head that comes after a ping, while the request is still being sent, is read with the ping and
/// taken only when that is answered.
#[test]
fn a_head_is_kept_that_was_read_before_it_could_be_taken() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const ROOM: u32 = 1 << 30;
    const PING: u8 = 6;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // So that the request does not fit into the kernel's buffers.
    let listener_socket = socket2::SockRef::from(&listener);
    listener_socket.set_recv_buffer_size(64 << 10).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            let setting = [&[0, 4][..], &(ROOM as i32).to_be_bytes()].concat();
            let begin = [
                frame(4, 0, 0, &setting),
                frame(8, 0, 0, &ROOM.to_be_bytes()),
            ];
            (&stream).write_all(&begin.concat()).unwrap();
            let mut preface = [0; PREFACE.len()];
            let next = || -> std::io::Result<(u8, u8, Vec<u8>)> {
                let mut head = [0; 9];
                (&stream).read_exact(&mut head)?;
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut content = vec![0; length as usize];
                (&stream).read_exact(&mut content)?;
                Ok((head[3], head[4], content))
            };
            // One that only looks whether anybody is there sends no request.
            if (&stream).read_exact(&mut preface).is_err() {
                continue;
            }
            let Some(_) = std::iter::from_fn(|| next().ok()).find(|frame| frame.0 == 0) else {
                continue;
            };
            // The request's body has begun. Nothing more is taken until the client can only wait.
            let (mut waiting, mut unread) = (0, vec![0; 8 << 20]);
            loop {
                let before = std::mem::replace(&mut waiting, stream.peek(&mut unread).unwrap());
                if waiting > 0 && waiting == before {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            let head = b"\x88\x0f\x10\x11text/event-stream";
            let early = [frame(PING, 0, 0, &[7; 8]), frame(1, 4, 1, head)];
            (&stream).write_all(&early.concat()).unwrap();
            // Reading on lets the client write again, which it is not to do before it has read this.
            // Were it late, the test would see less, and not fail.
            std::thread::sleep(Duration::from_millis(200));
            // The answer to the ping shows that the head has been taken as well.
            let _ = std::iter::from_fn(|| next().ok()).find(|frame| frame.0 == PING);
            let body = frame(0, 1, 1, whole_stream(&["one", " two"]).as_bytes());
            (&stream).write_all(&body).unwrap();
            while next().is_ok() {}
        }
    });
    let endpoint = OpenAiChat::builder(format!("http://127.0.0.1:{port}/v1"), "m");
    let endpoint = Arc::new(endpoint.build().unwrap());
    let mut config = RunConfig::new(endpoint, [payload(&"long ".repeat(4 << 20))]);
    config.http2 = true;
    let result = run(config);
    assert_eq!(texts(&result.responses), [(Some("one two"), None)]);
    assert_eq!(result.responses[0].detail.status, Some(200));
}

#[test]
fn a_server_that_never_begins_with_http2_is_named() {
    // Connections wait in the queue of a server that never takes them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = OpenAiChat::builder(format!("http://127.0.0.1:{port}/v1"), "m");
    let mut config = RunConfig::new(Arc::new(endpoint.build().unwrap()), [payload("hello")]);
    config.http2 = true;
    config.timeout = Duration::from_millis(200);
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    let error = error.to_string();
    let named = "the server does not speak HTTP/2 (HTTP/2's preface was sent, and it sent no SETTINGS within 0.2 s)";
    assert!(error.contains(named), "{error}");
}

#[test]
fn a_repeated_run_speaks_the_same_version() {
    let server = Server::start(|_, _, mut respond, _| answer(&mut respond, &["one"]));
    let folder = tempfile::tempdir().unwrap();
    let mut config = server.config();
    config.output = Some(folder.path().into());
    config.run_name = Some("first".to_owned());
    run(config);
    let saved = SavedRun::load(folder.path().join("first").as_path()).unwrap();
    let repeated = saved.into_config(None).unwrap();
    assert!(repeated.http2);
    assert_eq!(repeated.stamps, StampSource::Auto);
    assert_eq!(texts(&run(repeated).responses), [(Some("one"), None)]);
}

#[test]
fn a_probe_shows_the_lines_of_the_head() {
    let server = Server::start(|_, _, mut respond, _| answer(&mut respond, &["one", " two"]));
    let config = server.config();
    let interrupt = llmeter::Interrupt::new();
    let seen = finish(move || llmeter::probe::probe(&config, None, &interrupt)).unwrap();
    assert!(seen.is_success(), "{:?}", seen.error);
    assert_eq!(seen.stamps, StampSource::Kernel);
    let head = seen.head.unwrap();
    let is_there = head.headers.iter().any(|(name, _)| name == "content-type");
    assert!(is_there, "{:?}", head.headers);
}

#[test]
fn an_answer_is_complete_however_its_stream_ends() {
    let reset: Play = |_, _, mut respond, _| {
        let mut stream = head(&mut respond);
        send(&mut stream, &whole_stream(&["all"]));
        stream.send_reset(Reason::INTERNAL_ERROR);
    };
    let open: Play = |_, _, mut respond, _| {
        let mut stream = head(&mut respond);
        send(&mut stream, &whole_stream(&["all"]));
        // Dropped, it would be reset.
        std::mem::forget(stream);
    };
    for (play, end) in [(open, "left_open"), (reset, "reset")] {
        let server = Server::start(play);
        let mut config = server.config();
        config.timeout = Duration::from_secs(3600);
        let response = run(config).responses.remove(0);
        if end == "reset" && response.error.is_some() {
            // The reset may overtake what was sent before it.
            continue;
        }
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("all"));
        assert_eq!(response.detail.transport_end.as_str(), Some(end));
    }
}

#[test]
fn a_probe_tells_how_far_it_got_with_a_server_without_http2() {
    let http1 = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for (steps, words, cause) in [
        (
            vec![Step::Hold],
            "HTTP/2's preface was sent, and it sent no SETTINGS within 0.3 s",
            "said nothing to HTTP/2's preface",
        ),
        (
            vec![Step::WriteAndClose(http1.into())],
            "it answered HTTP/2's preface in HTTP/1.1",
            "the server speaks HTTP/1.1",
        ),
        (
            vec![Step::Close],
            "it closed the connection after HTTP/2's preface",
            "did not answer HTTP/2's preface",
        ),
        (
            vec![Step::WriteAndClose(b"220 mail.example ESMTP\r\n".to_vec())],
            "what it sent is no HTTP/2",
            "did not answer HTTP/2's preface",
        ),
    ] {
        let server = Scripted::start(vec![steps]);
        let mut config = server.config();
        config.http2 = true;
        config.timeout = Duration::from_millis(300);
        let interrupt = llmeter::Interrupt::new();
        let seen = finish(move || llmeter::probe::probe(&config, None, &interrupt)).unwrap();
        let failure = seen.error.as_ref().unwrap();
        assert_eq!(failure.kind(), llmeter::FailureKind::NoHttp2);
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(seen.time_to_connect.is_some(), "it got so far");
        let diagnosis = seen.diagnosis.as_ref().unwrap();
        assert!(diagnosis.cause.contains(cause), "{diagnosis:?}");
        assert!(diagnosis.remedy.contains("`http2`"), "{diagnosis:?}");
        let shown = llmeter::report::probe(&seen, 12);
        assert!(
            shown.contains("the server does not speak HTTP/2"),
            "{shown}"
        );
    }
}
