//! Connections that are kept, closed and replaced, and the stamps of what came over them.

use std::time::Duration;

use llmeter::Load;

use super::{assert_failed, assert_streamed};
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, one, payload, run, several, write};

fn whole() -> Vec<u8> {
    chunked(&whole_stream(&["all"]))
}

#[test]
fn a_connection_is_used_again() {
    let (responses, server) = several(vec![vec![write(whole())]; 3]);
    for (number, response) in responses.iter().enumerate() {
        assert_streamed(response, &["all"]);
        assert_eq!(response.detail.time_to_connect.is_some(), number == 0);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn every_request_opens_a_connection_if_it_is_to() {
    let server = Scripted::start(vec![vec![write(whole())]]);
    let mut config = server.config().load(Load::Requests(3));
    config.connections = llmeter::Connections::New;
    let result = run(config);
    for response in &result.responses {
        assert_streamed(response, &["all"]);
        assert!(response.detail.time_to_connect.is_some());
    }
    assert_eq!((server.connections(), server.requests()), (3, 3));
    assert_eq!(result.quality.unwrap().requests_on_new_connection, 3);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_replaced_unnoticed() {
    let (responses, server) = several(vec![vec![Step::WriteAndClose(whole())]; 3]);
    for response in &responses {
        assert_streamed(response, &["all"]);
        assert_eq!(response.retries, None, "nothing was sent in vain");
        assert!(response.detail.time_to_connect.is_some());
    }
    assert_eq!((server.connections(), server.requests()), (3, 3));
}

#[test]
fn a_request_that_a_closing_server_did_not_answer_is_sent_again_once() {
    for end in [Step::Close, Step::Reset] {
        let (responses, server) = several(vec![vec![write(whole())], vec![end]]);
        assert_streamed(&responses[0], &["all"]);
        // The second is read and dropped, and its repetition as well: that is a failure.
        assert_failed(&responses[1], "closed the connection without a response");
        assert_eq!(responses[1].retries, Some(1));
        assert_eq!((server.connections(), server.requests()), (2, 3));
    }
}

/// The attempt that is answered has a clock of its own.
#[test]
fn time_that_a_closing_server_took_is_no_time_of_the_answer() {
    let held = Duration::from_millis(200);
    let server = Scripted::start(vec![
        vec![write(whole())],
        vec![Step::Pause(held), Step::Close],
        vec![write(whole())],
    ]);
    let result = run(server.config().load(Load::Requests(2)));
    let response = &result.responses[1];
    assert_streamed(response, &["all"]);
    assert_eq!(response.retries, Some(1));
    let lost = response.detail.stale_connection_wait.unwrap();
    assert!(lost >= held.as_secs_f64(), "{lost}");
    assert_eq!(server.requests(), 3);
    // The clock began with the attempt that was answered.
    let between = response
        .request_time
        .unwrap()
        .duration_since(result.responses[0].request_time.unwrap());
    assert!(between.as_secs_f64() >= held.as_secs_f64(), "{between:?}");
    let stats = result.stats_map();
    assert_eq!(stats["total_stale_connection_wait"], lost);
    assert_eq!(stats["measurement_stale_connections"], 1);
    let quality = result.quality.as_ref().unwrap();
    assert!(
        quality
            .reasons
            .iter()
            .any(|reason| reason.contains("kept connections")),
        "{:?}",
        quality.reasons
    );
}

/// A server on this machine may answer before the call that sends the request returns.
#[test]
fn no_answer_of_a_quick_server_is_taken_for_an_earlier_one() {
    let server = Scripted::start(vec![vec![write(whole())]]);
    let mut config = server.config().load(Load::Requests(200));
    config.clients = 2;
    let result = run(config);
    assert_eq!(server.requests(), 400);
    let stats = result.stats_map();
    assert_eq!(stats["measurement_stale_connections"], 0);
    assert!(!stats.contains_key("total_retries"), "{stats:?}");
}

/// A server writes a second answer right after the first, while the next request may be on its way. The
/// kernel hands bytes over within the call that writes them: if the next request had not come when
/// the call was over, it was sent later, and the answer cannot be its. What comes within the call that
/// sends may be the answer of a quick server, and is taken for it.
#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_came_before_its_request_was_sent_is_nobodys() {
    use std::collections::HashSet;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::{Arc, Mutex};

    const ROUNDS: u64 = 400;

    fn serve(mut stream: TcpStream, early: &Mutex<HashSet<String>>) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut request = Vec::new();
        for round in 0_u32.. {
            let mut byte = [0; 4096];
            let is_whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request);
                text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                    let length = head.to_ascii_lowercase();
                    let length = length.split_once("content-length: ").unwrap().1;
                    let length = length.lines().next().unwrap().trim().parse::<usize>();
                    body.len() >= length.unwrap()
                })
            };
            while !is_whole(&request) {
                match stream.read(&mut byte)? {
                    0 => return Ok(()),
                    count => request.extend_from_slice(&byte[..count]),
                }
            }
            request.clear();
            let name = format!("{:?} {round}", stream.peer_addr()?);
            stream.write_all(&chunked(&whole_stream(&["first"])))?;
            // The next request may be sent before the second answer, with it, or after it.
            for _ in 0..(round % 40) * 500 {
                std::hint::spin_loop();
            }
            stream.write_all(&chunked(&whole_stream(&[&format!("second {name}")])))?;
            stream.set_nonblocking(true)?;
            let looked = stream.peek(&mut byte);
            stream.set_nonblocking(false)?;
            if looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                early.lock().unwrap().insert(format!("second {name}"));
            }
        }
        Ok(())
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let early = Arc::<Mutex<HashSet<String>>>::default();
    let known = Arc::clone(&early);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let early = Arc::clone(&known);
            // A client closes the connection whenever it has had enough.
            std::thread::spawn(move || drop(serve(stream, &early)));
        }
    });
    let endpoint = llmeter::OpenAiChat::builder(base_url, "m").build().unwrap();
    let config = llmeter::RunConfig::new(Arc::new(endpoint), [payload("hi")]);
    let result = run(config.load(Load::Requests(ROUNDS)));
    assert_eq!(result.responses.len() as u64, ROUNDS);
    let early = early.lock().unwrap();
    assert!(!early.is_empty(), "some came before any request");
    let mut taken = 0;
    for response in &result.responses {
        assert_eq!(response.error, None);
        let text = response.response_text.as_deref().unwrap();
        taken += u64::from(early.contains(text));
    }
    assert!(taken <= ROUNDS / 5, "{taken} of {}", early.len());
}

/// They come when the next request is on its way, so that no look before sending finds them.
#[test]
fn what_an_idle_connection_brings_is_not_taken_for_an_answer() {
    let timed_out = sized(
        "408 Request Timeout\r\nConnection: close",
        "text/plain",
        "idle",
    );
    let rest = "data: of the answer before\n\n";
    for (brought, connections, retries) in [
        (timed_out, 2, Some(1)),
        (rest.as_bytes().to_vec(), 2, Some(1)),
        (b"\r\n".to_vec(), 1, None),
    ] {
        let shown = String::from_utf8_lossy(&brought).into_owned();
        let (responses, server) = several(vec![
            vec![
                write(whole()),
                Step::Pause(Duration::from_millis(50)),
                write(brought),
            ],
            vec![write(whole())],
        ]);
        for response in &responses {
            assert_streamed(response, &["all"]);
        }
        assert_eq!(responses[1].retries, retries, "{shown}");
        assert_eq!(server.connections(), connections, "{shown}");
    }
}

#[test]
fn what_came_on_an_idle_connection_is_found_before_sending() {
    for brought in ["\r\n", "HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n"] {
        let server = Scripted::start(vec![
            // In one segment: it is there when the answer is read.
            vec![write([whole().as_slice(), brought.as_bytes()].concat())],
            vec![write(whole())],
        ]);
        let responses = run(server.config().load(Load::Requests(2))).responses;
        assert_streamed(&responses[1], &["all"]);
        assert_eq!(responses[1].retries, None);
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn a_new_connection_without_an_answer_is_a_failure() {
    for end in [Step::Close, Step::Reset] {
        let (responses, server) = several(vec![vec![end]]);
        assert_failed(&responses[0], "closed the connection without a response");
        assert_eq!(responses[0].retries, None);
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn answers_that_forbid_reuse() {
    for answer in [
        sized(
            "200 OK\r\nConnection: close",
            "text/event-stream",
            &whole_stream(&["all"]),
        ),
        [whole().as_slice(), b"HTTP/1.1 200 OK\r\n\r\n"].concat(),
        [whole().as_slice(), b"\r\n"].concat(),
    ] {
        // The server would read on; it is the client that opens a new connection.
        let (responses, server) = several(vec![vec![write(answer)]; 2]);
        for response in &responses {
            assert_streamed(response, &["all"]);
        }
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn an_http_1_0_answer_may_allow_reuse() {
    let body = whole_stream(&["all"]);
    let head =
        |options: &str| format!("HTTP/1.0 200 OK\r\n{options}Content-Length: {}", body.len());
    for (options, connections) in [("", 2), ("Connection: Keep-Alive\r\n", 1)] {
        let answer = format!("{}\r\n\r\n{body}", head(options));
        let (responses, server) = several(vec![vec![write(answer)]; 2]);
        assert_streamed(&responses[1], &["all"]);
        assert_eq!(server.connections(), connections, "{options}");
    }
}

#[test]
fn a_refusal_is_read_although_the_request_is_not_taken() {
    // More than the sockets' buffers hold, to a server that reads none of it and does not close.
    let refusal = sized(
        "413 X",
        "application/json",
        r#"{"error": {"message": "too much"}}"#,
    );
    for end in [Step::Hold, Step::Close] {
        let is_close = matches!(end, Step::Close);
        let server = Scripted::not_reading_bodies(vec![vec![
            write(refusal.clone()),
            Step::WaitForRelease,
            end,
        ]]);
        if is_close {
            server.release();
        }
        let mut config = server.config();
        config.payloads = vec![payload(&"x".repeat(16 * 1024 * 1024)).into()];
        let responses = run(config).responses;
        server.release();
        assert_failed(&responses[0], "HTTP 413 Content Too Large: too much");
    }
}

#[test]
fn a_request_that_is_never_taken_times_out_and_counts_as_sent() {
    let server = Scripted::not_reading_bodies(vec![vec![Step::WaitForRelease]]);
    let mut config = server.config();
    config.payloads = vec![payload(&"x".repeat(16 * 1024 * 1024)).into()];
    config.timeout = Duration::from_millis(500);
    let responses = run(config).responses;
    server.release();
    assert_failed(&responses[0], "timed out");
}

/// Each stamp lies within its write call, however long the worker took to read.
#[test]
#[cfg(target_os = "linux")]
fn kernel_stamps_lie_within_the_writes() {
    /// How well the two clocks are matched, in seconds.
    const MATCH: f64 = 0.001;
    let server = Scripted::start(vec![vec![
        write(unfinished(&role())),
        Step::Pause(Duration::from_millis(30)),
        write(chunk(&text("one"))),
        Step::Pause(Duration::from_millis(30)),
        write(chunk(&text(" two"))),
        Step::Pause(Duration::from_millis(30)),
        write(chunk(&(stop() + DONE))),
        write(LAST_CHUNK),
    ]]);
    let result = run(server.config());
    let quality = result.quality.as_ref().unwrap();
    assert_eq!(quality.stamps, llmeter::StampSource::Kernel);
    assert_eq!(quality.kernel_stamped_rate, 1.0);
    let response = &result.responses[0];
    let writes = server.writes();
    let stamps = [
        response.detail.time_to_headers.unwrap(),
        response.time_to_first_token.unwrap(),
        response.time_to_last_token.unwrap(),
    ];
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        let stamped = stamps[other] - stamps[one];
        let least = writes[other].0.seconds_since(writes[one].1) - MATCH;
        let most = writes[other].1.seconds_since(writes[one].0) + MATCH;
        assert!(
            least <= stamped && stamped <= most,
            "{least} {stamped} {most}"
        );
    }
}

#[test]
fn a_pause_between_answers_is_no_part_of_them() {
    let response = one(vec![
        write(whole()),
        Step::Pause(Duration::from_millis(200)),
        Step::Close,
    ]);
    assert_streamed(&response, &["all"]);
}
