//! Conversations: turns with a history of real answers, sub-agents, and what ends them.

use llmeter::{RunConfig, RunResult};
use llmeter_testing::{Request, ScriptedServer};
use serde_json::{Value, json};

use super::data::run_of;
use super::*;
use crate::scripted::run;

/// What was said in a request: roles and texts.
fn said(request: &Request) -> Vec<(String, String)> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    let said = messages.iter().map(|message| {
        let text = |key: &str| message[key].as_str().unwrap().to_owned();
        (text("role"), text("content"))
    });
    said.collect()
}

/// An answer that quotes what was asked last.
fn quoting(request: &Request) -> Vec<Step> {
    let (_, asked) = said(request).pop().unwrap();
    let body = chunk(&whole_stream(&["to ", &asked]));
    vec![
        write([STREAM_HEAD.as_bytes(), &body].concat()),
        write(LAST_CHUNK),
    ]
}

fn server() -> Scripted {
    Scripted::with(ScriptedServer::respond(quoting), "http")
}

/// Two conversations of three turns each, with answers of their own.
fn conversations(folder: &tempfile::TempDir) -> String {
    let turns = |name: &str| {
        let turn = |number: usize| {
            [
                json!({"role": "user", "content": format!("{name}{number}")}),
                json!({"role": "assistant", "content": format!("recorded {name}{number}")}),
            ]
        };
        let turns: Vec<_> = (1..=3).flat_map(turn).collect();
        json!({"messages": turns}).to_string()
    };
    let file = folder.path().join("talks.jsonl");
    std::fs::write(&file, turns("a") + "\n" + &turns("b")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn settings(folder: &tempfile::TempDir, more: Value) -> Value {
    let mut settings = json!({"data": conversations(folder), "max_tokens": 64});
    let more = more.as_object().cloned().unwrap();
    settings.as_object_mut().unwrap().extend(more);
    settings
}

/// Places of the responses in the order of their sending.
fn places(result: &RunResult) -> Vec<(u32, u32)> {
    let responses = result.responses.iter();
    responses
        .map(|response| (response.detail.session, response.detail.turn))
        .collect()
}

fn expected(name: &str, answers: [&str; 2]) -> Vec<(String, String)> {
    let pair = |role: &str, text: String| (role.to_owned(), text);
    vec![
        pair("user", format!("{name}1")),
        pair("assistant", format!("{}{name}1", answers[0])),
        pair("user", format!("{name}2")),
        pair("assistant", format!("{}{name}2", answers[1])),
        pair("user", format!("{name}3")),
    ]
}

#[test]
fn later_turns_have_the_real_answers_and_each_session_a_connection_and_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let settings = settings(
        &folder,
        json!({
            "sessions": 1, "think_time": "20ms",
            "session_header": "X-Session-ID", "session_field": "metadata.user",
            "output": folder.path().join("runs"), "run_name": "one",
        }),
    );
    let result = run(run_of(&server, &settings).unwrap());
    let requests = server.all();
    assert_eq!(
        places(&result),
        [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    );
    let mut names = Vec::new();
    for conversation in requests.chunks(3) {
        let whole = said(&conversation[2]);
        let name = &whole[0].1[..1];
        assert_eq!(whole, expected(name, ["to ", "to "]));
        assert_eq!(said(&conversation[0]).len(), 1);
        let ids = conversation.iter().map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let id = request.header("x-session-id").unwrap().to_owned();
            assert_eq!(body["metadata"]["user"], json!(id));
            (id, request.connection)
        });
        let mut ids: Vec<_> = ids.collect();
        ids.dedup();
        names.append(&mut ids);
    }
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names[0].0 != names[1].0 && names[0].1 != names[1].1,
        "{names:?}"
    );

    let stats = result.stats();
    assert_eq!(
        (stats.sessions_begun, stats.sessions_completed),
        (Some(2), Some(2))
    );
    assert_eq!(stats.session_turns.average, Some(3.0));
    for (response, turn) in result.responses.iter().zip([1, 2, 3, 1, 2, 3]) {
        let more = response.schedule();
        assert_eq!(more.think_time, (turn > 1).then_some(0.02));
        assert_eq!(more.due_time, None, "no open loop");
        let time = response.time_to_last_token.unwrap();
        match turn {
            3 => {
                assert_eq!(more.session_think_time, Some(0.04));
                let (all, waiting) = (
                    more.session_time.unwrap(),
                    more.session_response_time.unwrap(),
                );
                assert!(waiting >= time && all >= waiting + 0.04, "{more:?}");
            }
            _ => assert_eq!(more.session_time, None),
        }
    }
    let turns: Vec<_> = stats
        .turns
        .iter()
        .map(|turn| &turn["total_requests"])
        .collect();
    assert_eq!(turns, [&json!(2); 3]);
    let text = llmeter::report::summary(&result);
    assert!(
        text.contains("2 sessions: 2 completed; 3 turns on average"),
        "{text}"
    );
    let loaded = RunResult::load(folder.path().join("runs/one").as_path()).unwrap();
    assert_eq!(loaded.stats_map(), result.stats_map());
    assert_eq!(places(&loaded), places(&result));
}

#[test]
fn the_history_can_be_that_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let settings = settings(&folder, json!({"sessions": 2, "history": "data"}));
    let result = run(run_of(&server, &settings).unwrap());
    assert_eq!(result.stats().sessions_completed, Some(2));
    let mut last: Vec<_> = server
        .all()
        .iter()
        .map(said)
        .filter(|said| said.len() == 5)
        .collect();
    last.sort();
    let recorded = |name| expected(name, ["recorded ", "recorded "]);
    assert_eq!(last, [recorded("a"), recorded("b")]);
}

#[test]
fn synthetic_turns_go_on_with_the_answers() {
    let server = server();
    let settings = json!({
        "data": "synthetic:prompt_tokens=9,output_tokens=4,turns=3", "sessions": 2, "max_sessions": 3,
    });
    let result = run(run_of(&server, &settings).unwrap());
    assert_eq!(result.stats().sessions_completed, Some(3));
    let mut lengths: Vec<_> = server
        .all()
        .iter()
        .map(|request| said(request).len())
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [1, 1, 1, 3, 3, 3, 5, 5, 5]);
    for request in server.all() {
        for pair in said(&request).windows(2).filter(|pair| pair[0].0 == "user") {
            assert_eq!(
                pair[1],
                ("assistant".to_owned(), format!("to {}", pair[0].1))
            );
        }
    }
}

#[test]
fn a_turn_that_fails_ends_its_session_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        ScriptedServer::respond(|request| match said(request).last().unwrap().1.as_str() {
            "a2" => failure(),
            _ => quoting(request),
        });
    let server = Scripted::with(server, "http");
    let settings = settings(&folder, json!({"sessions": 1}));
    let result = run(run_of(&server, &settings).unwrap());
    let asked: Vec<_> = server
        .all()
        .iter()
        .map(|request| said(request).pop().unwrap().1)
        .collect();
    let mut sorted = asked.clone();
    sorted.sort();
    assert_eq!(sorted, ["a1", "a2", "b1", "b2", "b3"], "{asked:?}");
    let stats = result.stats();
    assert_eq!(
        (
            stats.sessions_begun,
            stats.sessions_completed,
            stats.sessions_broken
        ),
        (Some(2), Some(1), 1)
    );
    assert_eq!(
        (stats.failed_requests, stats.session_turns.average),
        (1, Some(3.0))
    );
    let text = llmeter::report::summary(&result);
    assert!(
        text.contains("2 sessions: 1 completed, 1 broken by a failed turn"),
        "{text}"
    );
}

#[test]
fn a_retried_turn_keeps_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let refused = std::sync::atomic::AtomicBool::new(false);
    let server = ScriptedServer::respond(move |request| {
        let is_second = said(request).last().unwrap().1 == "a2";
        match is_second && !refused.swap(true, std::sync::atomic::Ordering::Relaxed) {
            true => vec![write(sized("503 X", "application/json", "{}"))],
            false => quoting(request),
        }
    });
    let server = Scripted::with(server, "http");
    let settings = settings(&folder, json!({"sessions": 1, "max_retries": 1}));
    let result = run(run_of(&server, &settings).unwrap());
    assert_eq!(result.stats().sessions_completed, Some(2));
    let seconds: Vec<_> = server
        .all()
        .iter()
        .map(said)
        .filter(|said| said.last().unwrap().1 == "a2")
        .collect();
    assert_eq!(seconds.len(), 2);
    assert_eq!(seconds[0], seconds[1]);
    assert_eq!(seconds[0].len(), 3);
}

#[test]
fn a_limit_of_requests_leaves_sessions_unfinished() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let settings = settings(&folder, json!({"sessions": 1, "max_requests": 4}));
    let result = run(run_of(&server, &settings).unwrap());
    assert_eq!(server.requests(), 4);
    let stats = result.stats();
    assert_eq!(
        (
            stats.sessions_begun,
            stats.sessions_completed,
            stats.sessions_unfinished
        ),
        (Some(2), Some(1), 1)
    );
}

#[test]
fn a_duration_ends_sessions_and_does_not_wait_for_who_thinks() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let more = json!({"sessions": 2, "think_time": "1h", "duration": "30s"});
    let result = run(run_of(&server, &settings(&folder, more)).unwrap());
    assert_eq!(places(&result).len(), 2);
    let stats = result.stats();
    assert_eq!(
        (
            stats.sessions_begun,
            stats.sessions_completed,
            stats.sessions_unfinished
        ),
        (Some(2), Some(0), 2)
    );
}

#[test]
fn an_interruption_keeps_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let more = json!({"sessions": 1, "think_time": "1h"});
    let config = run_of(&server, &settings(&folder, more)).unwrap();
    let interrupt = llmeter::Interrupt::new();
    let runner = llmeter::Runner::new(config).interrupted_by(interrupt.clone());
    let work = std::thread::spawn(move || runner.run_blocking().unwrap());
    server.wait_for_request();
    interrupt.stop();
    let result = work.join().unwrap();
    assert!(result.interrupted);
    let stats = result.stats();
    assert_eq!(
        (stats.sessions_begun, stats.sessions_unfinished),
        (Some(1), 1)
    );
    assert!(result.responses.iter().all(|one| one.detail.turn == 1));
}

#[test]
fn sessions_arrive_by_their_rate_and_warm_up_with_first_turns() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let settings = settings(
        &folder,
        json!({"session_rate": "50/s", "arrivals": "constant", "think_time": 0.03, "warmup": 1}),
    );
    let result = run(run_of(&server, &settings).unwrap());
    assert_eq!(server.requests(), 7);
    let stats = result.stats();
    assert_eq!(
        (stats.sessions_completed, stats.due_requests),
        (Some(2), Some(6))
    );
    for response in &result.responses {
        let more = response.schedule();
        match response.detail.turn {
            1 => assert_eq!(
                more.due_time,
                Some(0.02 * f64::from(response.detail.session - 1))
            ),
            _ => assert!(more.due_time.unwrap() >= 0.03),
        }
        assert!(more.scheduled_time_to_last_token >= response.time_to_last_token);
    }
}

#[test]
fn stages_of_sessions_have_places_and_figures_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let stages = "1 session for 300ms, 3 sessions for 1s";
    let settings = json!({
        "data": "synthetic:prompt_tokens=9,output_tokens=4,turns=2", "stages": stages, "think_time": "50ms",
        "output": folder.path().join("runs"), "run_name": "staged",
    });
    let result = run(run_of(&server, &settings).unwrap());
    let of_stage = |stage| {
        let responses = result.responses.iter();
        responses.filter(move |response| response.detail.stage == stage)
    };
    assert!(of_stage(1).next().is_some());
    assert!(of_stage(1).all(|response| response.detail.client == Some(0)));
    assert_eq!(
        of_stage(1).count() + of_stage(2).count(),
        result.responses.len()
    );
    assert!(of_stage(2).any(|response| response.detail.client > Some(0)));
    let stats = result.stats_map();
    let loads: Vec<_> = stats["stages"].as_array().unwrap().iter().collect();
    assert_eq!(loads[0]["load"], json!("1 session for 300ms"));
    assert_eq!(loads[1]["load"], json!("3 sessions for 1s"));
    let stats = result.stats();
    let [begun, completed] = [stats.sessions_begun, stats.sessions_completed].map(Option::unwrap);
    assert_eq!(begun, completed + stats.sessions_unfinished);
    assert!(stats.sessions_unfinished <= 3, "{begun} {completed}");
    let loaded = RunResult::load(folder.path().join("runs/staged").as_path()).unwrap();
    assert_eq!(loaded.stats_map(), result.stats_map());
    let again = llmeter::SavedRun::load(folder.path().join("runs/staged").as_path());
    assert_eq!(again.unwrap().settings.stages.unwrap().to_string(), stages);
}

#[test]
fn sessions_arrive_by_the_rates_of_stages() {
    let server = server();
    let settings = json!({
        "data": "synthetic:prompt_tokens=9,output_tokens=4", "arrivals": "constant",
        "stages": [
            {"session-rate": "50/s", "time": 0.1},
            {"session-rate": "100/s", "time": 0.1},
        ],
    });
    let result = run(run_of(&server, &settings).unwrap());
    let stats = result.stats();
    assert_eq!(
        (
            stats.sessions_begun,
            stats.sessions_completed,
            stats.due_requests
        ),
        (Some(15), Some(15), Some(15))
    );
    let stats = result.stats_map();
    let stages = stats["stages"].as_array().unwrap();
    let figures = stages.iter().map(|stage| {
        (
            &stage["load"],
            &stage["offered_rate"],
            &stage["total_requests"],
        )
    });
    let figures: Vec<_> = figures.collect();
    assert_eq!(
        figures,
        [
            (&json!("50 sessions/s for 100ms"), &json!(50.0), &json!(5)),
            (
                &json!("100 sessions/s for 100ms"),
                &json!(100.0),
                &json!(10)
            ),
        ]
    );
}

#[test]
fn what_does_not_go_with_stages_of_sessions_is_named() {
    let server = server();
    let data = "synthetic:prompt_tokens=9,output_tokens=4";
    let [at_a_time, rate] = ["2 sessions for 1s", "2 sessions/s for 1s"];
    for (settings, reason) in [
        (json!({"stages": at_a_time}), "stages requires data"),
        (
            json!({"stages": at_a_time, "data": data, "max_in_flight": 4}),
            "max_in_flight is not supported by stages of sessions",
        ),
        (
            json!({"stages": at_a_time, "data": data, "arrivals": "constant"}),
            "arrivals is not supported by stages of sessions",
        ),
        (
            json!({"stages": rate, "data": data, "sessions": 2}),
            "give sessions or stages, not both",
        ),
        (
            json!({"stages": "2 clients for 1s", "data": data}),
            "stages is not supported by data if they are of clients",
        ),
        (
            json!({"stages": "2/s for 1s", "data": data, "think_time": "1s"}),
            "think_time requires sessions",
        ),
    ] {
        let refused = run_of(&server, &settings).and_then(|mut config| {
            if config.data.is_none() {
                config.payloads = server.config().payloads;
            }
            llmeter::Runner::new(config).run_blocking()
        });
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(reason), "{refused}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn think_times_of_a_file_are_drawn_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("think.txt");
    std::fs::write(&file, "# seconds\n0.01 1\n20ms 3\n").unwrap();
    let server = server();
    let settings = json!({
        "data": "synthetic:prompt_tokens=9,output_tokens=4,turns=9", "sessions": 4, "max_sessions": 4,
        "think_time": format!("histogram:{}", file.display()),
        "output": folder.path().join("runs"), "run_name": "think",
    });
    let result = run(run_of(&server, &settings).unwrap());
    let times = result.responses.iter();
    let times: Vec<_> = times
        .filter_map(|response| response.schedule().think_time)
        .collect();
    assert_eq!(times.len(), 32);
    let short = times.iter().filter(|time| **time == 0.01).count();
    assert!(
        times.iter().all(|time| [0.01, 0.02].contains(time)),
        "{times:?}"
    );
    assert!((1..=16).contains(&short), "a quarter of 32: {short}");
    // The folder says all of it, without the file.
    std::fs::remove_file(&file).unwrap();
    let again = llmeter::SavedRun::load(folder.path().join("runs/think").as_path()).unwrap();
    assert_eq!(
        again.settings.think_time.unwrap().to_string(),
        "bins:10ms=1,20ms=3"
    );
}

/// One agentic session: two turns, and two sub-agents between them, of which the second turn waits for both.
fn agents(folder: &tempfile::TempDir) -> String {
    let request = |time: f64, out: u64| json!({"t": time, "type": "n", "in": 8, "out": out, "hash_ids": [1], "api_time": 0.0, "think_time": 0.0});
    let agent = |time: f64, out: u64| {
        json!({
            "t": time, "type": "subagent", "duration_ms": 40, "requests": [request(0.0, out), request(0.02, out)],
        })
    };
    let session = json!({
        "id": "s", "block_size": 64, "hash_id_scope": "local",
        "requests": [request(0.0, 1), agent(0.0, 11), agent(0.0, 12), request(0.05, 2)],
    });
    let file = folder.path().join("session.json");
    std::fs::write(&file, session.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn limits(server: &Scripted) -> Vec<u64> {
    let bodies = server.bodies().into_iter().map(|body| {
        let body: Value = serde_json::from_str(&body).unwrap();
        body["max_tokens"].as_u64().unwrap()
    });
    bodies.collect()
}

#[test]
fn sub_agents_run_side_by_side_and_are_joined() {
    for more in [json!({}), json!({"sessions": 1})] {
        let folder = tempfile::tempdir().unwrap();
        // Neither sub-agent goes on before both have begun.
        let server = ScriptedServer::respond(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let mut steps = quoting(request);
            if body["max_tokens"].as_u64() > Some(10) {
                steps.insert(0, Step::WaitForRelease);
            }
            steps
        });
        let server = Scripted::with(server, "http");
        let mut settings = json!({"replay": agents(&folder)});
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap());
        let config: RunConfig = run_of(&server, &settings).unwrap();
        let work = std::thread::spawn(move || run(config));
        for _ in 0..3 {
            server.wait_for_request();
        }
        let mut first = limits(&server);
        first[1..].sort_unstable();
        assert_eq!(first, [1, 11, 12]);
        server.release();
        let result = work.join().unwrap();
        let order = limits(&server);
        assert_eq!(order.len(), 6);
        assert_eq!(order.last(), Some(&2), "after both: {order:?}");
        let stats = result.stats();
        assert_eq!(
            (stats.sessions_begun, stats.sessions_completed),
            (Some(1), Some(1))
        );
        assert_eq!(stats.sub_agents, 2);
        let mut sessions: Vec<_> = places(&result);
        sessions.sort_unstable();
        assert_eq!(sessions, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]);
    }
}

#[test]
fn a_sub_agent_that_fails_breaks_what_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = ScriptedServer::respond(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        match body["max_tokens"].as_u64() {
            Some(12) => failure(),
            _ => quoting(request),
        }
    });
    let server = Scripted::with(server, "http");
    let settings = json!({"replay": agents(&folder), "sessions": 1});
    let result = run(run_of(&server, &settings).unwrap());
    let mut sent = limits(&server);
    sent.sort_unstable();
    assert_eq!(sent, [1, 11, 11, 12]);
    let stats = result.stats();
    assert_eq!(
        (stats.sessions_completed, stats.sessions_broken),
        (Some(0), 1)
    );
}

#[test]
fn what_sessions_need_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    for (more, sentence) in [
        (json!({"think_time": "1s"}), "think_time requires sessions"),
        (json!({"sessions": 0}), "sessions 0: expected 1 or more"),
        (
            json!({"sessions": 1, "session_header": "Content-Length"}),
            "session_header \"Content-Length\": expected the name of a header",
        ),
        (
            json!({"sessions": 1, "session_field": "a..b"}),
            "session_field \"a..b\": expected the name of a field",
        ),
    ] {
        let config = run_of(&server, &settings(&folder, more)).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(sentence), "{error}");
    }
    let mut config = server.config();
    config.sessions = Some(2);
    let error = config.validate().unwrap_err().to_string();
    assert!(error.starts_with("sessions requires data"), "{error}");
    let bad = json!({"think_time": "soon"});
    let error = serde_json::from_value::<llmeter::RunSettings>(bad).unwrap_err();
    assert!(error.to_string().contains("exponential:5s"), "{error}");
}
