//! Traces of every form become sessions with their requests.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::api::ApiMode;
use crate::payload::Whitespace;

/// A part of a public trace; `tests/data/traces/README.md` has its source and licence.
fn sample(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces");
    folder.join(name)
}

fn file(name: &str, content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn opened(path: &Path, options: &ReplayOptions) -> Result<Trace> {
    let form = RequestForm::new(ApiMode::default());
    Trace::open(&path.into(), options, form, Arc::new(Whitespace), 0)
}

fn open(path: &Path) -> Trace {
    opened(path, &ReplayOptions::default()).unwrap()
}

fn prompt(trace: &Trace, index: u64) -> String {
    let request = trace.request(index).unwrap();
    let text = request.payload["messages"][0]["content"].as_str().unwrap();
    assert_eq!(Some(Whitespace.count(text) as u64), request.prompt_tokens);
    text.to_owned()
}

/// Words that two prompts have in common at their beginning.
fn common(one: &str, other: &str) -> usize {
    let pairs = one.split(' ').zip(other.split(' '));
    pairs.take_while(|(one, other)| one == other).count()
}

fn arrivals(trace: &Trace) -> Vec<f64> {
    trace
        .sessions()
        .iter()
        .map(|session| session.arrival.as_secs_f64())
        .collect()
}

#[test]
fn mooncake_rows_share_the_blocks_that_they_name() {
    let trace = open(&sample("mooncake_conversation_head.jsonl"));
    assert_eq!((trace.kind(), trace.block_tokens()), ("Mooncake", 512));
    let first = trace.request(0).unwrap();
    assert_eq!(
        (first.prompt_tokens, first.output_tokens),
        (Some(6758), Some(500))
    );
    let [one, two] = [prompt(&trace, 0), prompt(&trace, 1)];
    let ids = [trace.hash_ids(0), trace.hash_ids(1)];
    let blocks = ids[0]
        .iter()
        .zip(ids[1])
        .take_while(|(one, other)| one == other)
        .count();
    assert_eq!((blocks, common(&one, &two)), (1, 512));
    assert!(arrivals(&trace).is_sorted());
}

#[test]
fn azure_and_burst_gpt_have_lengths_and_times() {
    let azure = open(&sample("azure_2023_conv_head.csv"));
    assert_eq!(azure.kind(), "Azure");
    let request = azure.request(1).unwrap();
    assert_eq!(
        (request.prompt_tokens, request.output_tokens),
        (Some(396), Some(109))
    );
    let second = arrivals(&azure)[1];
    assert!((second - 4.314_577_9).abs() < 1e-5, "{second}");
    assert_eq!(common(&prompt(&azure, 0), &prompt(&azure, 1)), 0);
    for (header, extra) in [
        (
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type",
            "",
        ),
        (
            "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type",
            "s,1.5,",
        ),
    ] {
        let rows = format!(
            "{header}\n5,{extra}ChatGPT,472,18,490,Conversation log\n45,{extra}GPT-4,10,0,10,API log\n\
             118.5,{extra}GPT-4,417,276,693,API log\n"
        );
        let (_folder, path) = file("b.csv", &rows);
        let trace = open(&path);
        assert_eq!((trace.kind(), trace.size()), ("BurstGPT", Some(2)));
        assert_eq!(arrivals(&trace), [0.0, 113.5]);
        assert!(
            trace
                .notes()
                .join("; ")
                .contains("1 requests of the trace had no response")
        );
    }
}

#[test]
fn sessions_of_aiperf_and_blocks_of_bailian() {
    let rows = r#"{"session_id": "a", "timestamp": 1000, "input_length": 700, "output_length": 5, "hash_ids": [1, 2]}
{"session_id": "b", "timestamp": 500, "text_input": "Hello you", "output_length": 6}
{"session_id": "a", "delay": 2500, "input_length": 1200, "output_length": 7, "hash_ids": [1, 2, 3]}
{"timestamp": 2000, "messages": [{"role": "user", "content": "one"}], "output_length": 8}
"#;
    let (_folder, path) = file("m.jsonl", rows);
    let trace = open(&path);
    assert_eq!(arrivals(&trace), [0.0, 0.5, 1.5]);
    let session = &trace.sessions()[1];
    assert_eq!(
        session.pauses,
        [Duration::ZERO, Duration::from_millis(2500)]
    );
    let [first, second] = [
        prompt(&trace, session.requests.start),
        prompt(&trace, session.requests.start + 1),
    ];
    assert!(
        common(&first, &second) >= 700 - 8,
        "{}",
        common(&first, &second)
    );
    assert_eq!(
        trace.request(0).unwrap().payload["messages"][0]["content"],
        "Hello you"
    );
    assert!(
        trace.notes().join("; ").contains("go back 1 time"),
        "{:?}",
        trace.notes()
    );

    let rows = "{\"chat_id\": 1, \"parent_chat_id\": -1, \"timestamp\": 61.5, \"input_length\": 40, \
                \"output_length\": 3, \"type\": \"text\", \"turn\": 1, \"hash_ids\": [4, 5, 6]}\n\
                {\"chat_id\": 2, \"parent_chat_id\": 1, \"timestamp\": 70, \"input_length\": 60, \
                \"output_length\": 3, \"type\": \"text\", \"turn\": 2, \"hash_ids\": [4, 5, 7, 8]}\n";
    let (_folder, path) = file("q.jsonl", rows);
    let trace = open(&path);
    assert_eq!((trace.kind(), trace.block_tokens()), ("Bailian", 16));
    assert_eq!(arrivals(&trace), [0.0]);
    let session = &trace.sessions()[0];
    assert_eq!(
        session.pauses,
        [Duration::ZERO, Duration::from_millis(8500)]
    );
    assert_eq!(common(&prompt(&trace, 0), &prompt(&trace, 1)), 32);
    assert_eq!(trace.pauses(0), [Duration::from_millis(8500)]);
    // What a trace has whole is sent whole.
    assert!(!trace.continues(1));
}

#[test]
fn turns_go_on_with_the_row_that_they_name() {
    let row = |chat: i64, parent: i64, time: f64| {
        format!(
            "{{\"chat_id\": {chat}, \"parent_chat_id\": {parent}, \"timestamp\": {time}, \"input_length\": 40, \
             \"output_length\": 3, \"hash_ids\": [4, 5, 6]}}"
        )
    };
    let rows = [
        row(1, -1, 10.0),
        row(2, -1, 11.0),
        row(3, 1, 15.0),
        row(4, 3, 40.0),
        // Said anew after the first answer: a history of its own.
        row(5, 1, 41.0),
        // Before this part of the trace.
        row(6, 99, 42.0),
        row(7, 2, 9.0),
    ];
    let (_folder, path) = file("b.jsonl", &rows.join("\n"));
    let trace = open(&path);
    assert_eq!(arrivals(&trace), [0.0, 1.0, 31.0, 32.0]);
    let pauses: Vec<Vec<_>> = (0..4).map(|number| trace.pauses(number)).collect();
    let [five, long] = [5, 25].map(Duration::from_secs);
    assert_eq!(
        pauses,
        [vec![five, long], vec![Duration::ZERO], vec![], vec![]]
    );
    let notes = trace.notes().join("; ");
    for part in [
        "the think times of 3 turns are the gaps",
        "line 7 of the trace: the time is before",
    ] {
        assert!(notes.contains(part), "{notes}");
    }

    // AIPerf's rows without a delay; one with a delay keeps it, and one without a time has no pause.
    let rows = r#"{"session_id": 7, "timestamp": 1000, "input_length": 70, "output_length": 5}
{"session_id": 7, "timestamp": 3500, "input_length": 90, "output_length": 5}
{"session_id": 7, "timestamp": 9000, "delay": 100, "input_length": 90, "output_length": 5}
{"session_id": 7, "input_length": 90, "output_length": 5}
{"session_id": 7, "timestamp": 9250, "input_length": 90, "output_length": 5}
"#;
    let (_folder, path) = file("a.jsonl", rows);
    let pauses = open(&path).pauses(0);
    assert_eq!(pauses, [2500, 100, 0, 250].map(Duration::from_millis));
    let fast = ReplayOptions {
        speed: 10.0,
        ..ReplayOptions::default()
    };
    assert_eq!(
        opened(&path, &fast).unwrap().pauses(0)[0],
        Duration::from_millis(250)
    );
}

#[test]
fn agentic_sessions_have_think_times_and_sub_agents() {
    let trace = open(&sample("weka_0265.json"));
    assert_eq!((trace.block_tokens(), trace.size()), (64, Some(5)));
    let session = &trace.sessions()[0];
    assert_eq!(session.pauses[1], Duration::from_secs(154));
    let [first, second] = [prompt(&trace, 0), prompt(&trace, 1)];
    assert_eq!(common(&first, &second), 319 * 64);

    let rows = r#"{"id": "x", "block_size": 64, "hash_id_scope": "local", "requests": [
      {"t": 0.0, "type": "n", "in": 130, "out": 5, "hash_ids": [1, 2], "api_time": 2.0, "think_time": 0.0},
      {"t": 3.0, "type": "subagent", "duration_ms": 4000, "requests": [
        {"t": 0.0, "type": "n", "in": 70, "out": 5, "hash_ids": [1], "think_time": 0.0},
        {"t": 2.0, "type": "n", "in": 70, "out": 5, "hash_ids": [1], "think_time": 1.5}]},
      {"t": 5.0, "type": "n", "in": 140, "out": 5, "hash_ids": [1, 2], "api_time": 1.0, "think_time": 3.0},
      {"t": 8.0, "type": "n", "in": 140, "out": 5, "hash_ids": [1, 2], "api_time": 1.0, "think_time": 2.0}]}"#;
    let line = rows.replace('\n', "");
    let (_folder, path) = file("w.jsonl", &format!("{line}\n{line}\n"));
    let trace = open(&path);
    assert_eq!((trace.sessions().len(), trace.size()), (4, Some(10)));
    let agent = trace
        .sessions()
        .iter()
        .find(|session| session.parent.is_some())
        .unwrap();
    assert_eq!(agent.arrival, Duration::from_secs(3));
    let parent = agent.parent.unwrap();
    assert_eq!(
        (parent.session, parent.after, parent.joined_by),
        (0, 1, Some(2))
    );
    // The ids of one session are not those of another.
    assert_eq!(
        common(&prompt(&trace, 0), &prompt(&trace, agent.requests.start)),
        64
    );
    let other = &trace.sessions()[1];
    assert_eq!(
        common(&prompt(&trace, 0), &prompt(&trace, other.requests.start)),
        0
    );
}

#[test]
fn recorded_bodies_are_sent_as_they_are() {
    let rows = r#"{"body": {"messages": [], "max_tokens": 9}, "timestamp": "2026-01-01T00:00:01Z", "headers": {}}
{"body": {"messages": [], "max_tokens": 7}, "timestamp": "2026-01-01T00:00:00Z"}
"#;
    let (_folder, path) = file("r.jsonl", rows);
    let trace = open(&path);
    assert_eq!(arrivals(&trace), [0.0, 1.0]);
    let request = trace.request(0).unwrap();
    assert_eq!(
        (
            request.payload["max_tokens"].as_u64(),
            request.output_tokens
        ),
        (Some(7), Some(7))
    );
}

#[test]
fn speed_window_and_count_choose_what_is_replayed() {
    let row = |time: u32| {
        let time = time * 1000;
        format!("{{\"timestamp\": {time}, \"input_length\": 3, \"output_length\": 2}}\n")
    };
    let rows: String = (0..100).map(row).collect();
    let (_folder, path) = file("m.jsonl", &rows);
    let seconds = |text: &str| text.strip_suffix('s')?.parse().ok();
    let options = ReplayOptions {
        speed: 2.0,
        rate: None,
        window: Some(Window::parse("10s..20s", seconds).unwrap()),
        max_requests: Some(4),
    };
    let trace = opened(&path, &options).unwrap();
    // What comes after the last request is no session of this load.
    assert_eq!(arrivals(&trace), [0.0, 0.5, 1.0, 1.5]);
    assert_eq!(trace.size(), Some(4));
    let options = ReplayOptions {
        rate: Some(10.0),
        ..ReplayOptions::default()
    };
    let trace = opened(&path, &options).unwrap();
    assert!((arrivals(&trace)[99] - 9.9).abs() < 1e-9);
    for text in ["10s", "20s..10s", "a..b", ""] {
        let error = Window::parse(text, seconds).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("window {text}: expected a part")),
            "{error}"
        );
    }
    let options = ReplayOptions {
        window: Some(Window::parse("200s..", seconds).unwrap()),
        ..ReplayOptions::default()
    };
    let error = opened(&path, &options).unwrap_err().to_string();
    assert!(
        error.starts_with("window: nothing of") && error.contains("99.0 s long"),
        "{error}"
    );
    let options = ReplayOptions {
        speed: 0.0,
        ..ReplayOptions::default()
    };
    let error = opened(&path, &options).unwrap_err().to_string();
    assert_eq!(error, "speed 0: expected a factor above 0, such as 2");
}

#[test]
fn lines_that_cannot_be_used_are_named() {
    let rows = "{\"timestamp\": 0, \"input_length\": 3, \"output_length\": 2}\nnonsense\n\
                {\"timestamp\": -5, \"input_length\": 3}\n{\"timestamp\": 1, \"input_length\": \"many\"}\n";
    let (_folder, path) = file("m.jsonl", rows);
    let notes = open(&path).notes();
    assert!(
        notes[0]
            .starts_with("3 lines of the trace cannot be used and are left out: 2 (not valid JSON")
    );
    assert!(notes[0].ends_with("3, 4"), "{notes:?}");
    for (content, part) in [
        ("", "it is empty"),
        ("[]", "it is a JSON list"),
        ("{\"prompt\": \"x\"}", "its first row has the fields prompt"),
        ("a,b\n1,2\n", "its first row has the fields a, b"),
        (
            "{\"timestamp\": -5, \"input_length\": 3}",
            "no request that can be used: line 1: its timestamp -5",
        ),
    ] {
        let (_folder, path) = file("t", content);
        let error = opened(&path, &ReplayOptions::default()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("replay: ") && text.contains(part),
            "{text}"
        );
    }
}

#[test]
fn zero_tokens_are_said_by_line() {
    let rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,10,5\n2023-11-16 18:15:47,0,5\n\
                2023-11-16 18:15:48,10,0\n";
    let (_folder, path) = file("a.csv", rows);
    let trace = open(&path);
    let request = trace.request(1).unwrap();
    assert_eq!(
        (request.prompt_tokens, request.output_tokens),
        (Some(1), Some(5))
    );
    assert_eq!(trace.request(2).unwrap().output_tokens, Some(1));
    let notes = trace.notes();
    assert!(
        notes.contains(
            &"lines 3, 4 of the trace: 0 tokens, in whose place 1 is sent, since no request has none".to_owned()
        ),
        "{notes:?}"
    );
}

#[test]
fn a_run_is_repeated_at_the_times_at_which_its_requests_were_due() {
    let line = |id: &str, due: &str, late: f64, sent: &str| {
        format!(
            "{{\"id\": \"{id}\", \"input_payload\": {{\"messages\": []}}, {due}\"send_lateness\": {late}, \
             \"request_time\": \"2026-01-02T03:04:{sent}Z\", \"time_to_last_token\": 0.5}}\n"
        )
    };
    let arrivals_of = |lines: [String; 2]| {
        let (folder, _) = file("responses.jsonl", &lines.concat());
        arrivals(&open(folder.path()))
    };
    let by_clock = [
        line("b", "\"due_time\": 1.25, ", 0.75, "06.5"),
        line("a", "\"due_time\": 1.0, ", 0.0, "05.5"),
    ];
    assert_eq!(arrivals_of(by_clock), [0.0, 0.25]);
    // Of clients, whose requests are due when they can be sent.
    let of_clients = [line("a", "", 0.0, "05.5"), line("b", "", 0.25, "06.5")];
    assert_eq!(arrivals_of(of_clients), [0.0, 1.0]);
}
