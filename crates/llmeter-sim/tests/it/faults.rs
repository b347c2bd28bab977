//! What goes wrong, on purpose and by the client's doing.

use std::time::Duration;

use llmeter_sim::{Outcome, RunningSimulator};
use serde_json::json;

use crate::{
    client::{Client, chat, post},
    eventually, server,
};

#[test]
fn an_error_is_an_answer() {
    let server = server(|config| config.error_rate = 1.0);
    let mut client = Client::connect(&server);
    for stream in [true, false] {
        let response = client.ask(post(&chat(json!({"stream": stream})), ""));
        assert_eq!(response.status, 500);
        assert_eq!(response.json()["error"]["type"], "server_error");
    }
    assert!(
        server
            .truth()
            .iter()
            .all(|record| record.outcome == Outcome::Error)
    );
}

#[test]
fn a_cut_stream_ends_half_way() {
    let server = server(|config| config.cut_rate = 1.0);
    let mut client = Client::connect(&server);
    let response = client.ask(post(&chat(json!({"stream": true})), ""));
    assert!(!response.complete);
    assert_eq!(response.text().split(' ').count(), 4);
    assert!(client.is_closed());
    let truth = server.truth();
    assert_eq!((truth[0].outcome, truth[0].writes.len()), (Outcome::Cut, 4));
    let plain = Client::connect(&server).ask(post(&chat(json!({})), ""));
    assert!(!plain.complete && !plain.body.is_empty());
}

#[test]
fn a_stalled_stream_falls_silent_and_holds_its_slot_until_the_client_leaves() {
    let server = server(|config| config.max_concurrency = Some(1));
    let mut stalled = Client::connect(&server);
    stalled.send(post(
        &chat(json!({"stream": true})),
        "x-sim-fault: stall\r\n",
    ));
    eventually("the stall", || !server.truth().is_empty());
    assert_eq!(server.truth()[0].outcome, Outcome::Stall);
    let mut next = Client::connect(&server);
    next.send(post(&chat(json!({})), ""));
    drop(stalled);
    assert_eq!(next.receive().status, 200);
}

#[test]
fn places_are_given_in_the_order_of_asking() {
    // A request with more tokens than there may be begins when it is alone.
    for (requests, tokens) in [(Some(1), None), (None, Some(1)), (Some(1), Some(9))] {
        places_in_order(&server(|config| {
            config.max_concurrency = requests;
            config.max_tokens_in_flight = tokens;
            config.ttft = Duration::from_millis(20);
        }));
    }
}

fn places_in_order(server: &RunningSimulator) {
    // Requests of one connection after the other; each is surely queued before the next is sent,
    // because an unrelated request on the one thread is answered in between.
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(server)).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(post(
            &chat(json!({"stream": true, "max_tokens": index + 1})),
            "",
        ));
        Client::connect(server).ask("GET /health HTTP/1.1\r\n\r\n");
    }
    for client in &mut clients {
        client.receive();
    }
    let truth = server.truth();
    let order: Vec<u64> = truth
        .iter()
        .map(|record| record.completion_tokens)
        .collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
    for pair in truth.windows(2) {
        // When the one before was due to be complete, which is no later than when it was.
        assert!(pair[1].start_ns >= pair[0].start_ns + 20_000_000);
        assert!(pair[1].writes[0] >= pair[1].start_ns + 20_000_000);
    }
}

#[test]
fn a_client_that_leaves_is_noticed_and_frees_its_slot() {
    let server = server(|config| {
        config.max_concurrency = Some(1);
        config.ttft = Duration::from_secs(3600);
    });
    let mut waiting = Client::connect(&server);
    waiting.send(post(&chat(json!({})), ""));
    Client::connect(&server).ask("GET /health HTTP/1.1\r\n\r\n");
    let mut queued = Client::connect(&server);
    queued.send(post(&chat(json!({})), ""));
    Client::connect(&server).ask("GET /health HTTP/1.1\r\n\r\n");
    queued.half_close();
    eventually("leaving the queue", || server.truth().len() == 1);
    drop(waiting);
    eventually("leaving the wait", || server.truth().len() == 2);
    let truth = server.truth();
    assert!(
        truth
            .iter()
            .all(|record| record.outcome == Outcome::ClientGone)
    );
    let mut next = Client::connect(&server);
    assert_eq!(
        next.ask(post(&chat(json!({})), "x-sim-ttft-ms: 0\r\n"))
            .status,
        200
    );
}

#[test]
fn an_unpaced_stream_stops_when_its_client_leaves() {
    let server = server(|config| config.output_tokens = 1_000_000);
    let mut client = Client::connect(&server);
    client.send(post(&chat(json!({"stream": true})), ""));
    client.take_through(b"\r\n\r\n").unwrap();
    drop(client);
    eventually("the end", || !server.truth().is_empty());
    assert_eq!(server.truth()[0].outcome, Outcome::ClientGone);
}
