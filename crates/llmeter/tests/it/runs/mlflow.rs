//! Tracking servers that fail, each in its way: the run keeps everything, and says why it was not
//! logged. How a healthy one is logged to is tested with a real server, from the command line's
//! tests.

use std::net::TcpListener;
use std::sync::Arc;

use llmeter::callback::Hook;
use llmeter::mlflow::MlflowCallback;
use llmeter::{Error, RunResult, Runner};

use super::{assert_saved, config, friendly, sized};
use crate::scripted::{Scripted, Step, write};

const JSON: &str = "application/json";
const RUN: &str =
    r#"{"run": {"info": {"run_id": "r1", "experiment_id": "0", "artifact_uri": "s3://b/x"}}}"#;

fn answer(status: &str, body: &str) -> Vec<Step> {
    vec![write(sized(status, JSON, body))]
}

fn run(tracking_uri: &str, timeout: f64) -> RunResult {
    let model = friendly();
    let output = tempfile::tempdir().unwrap();
    let mlflow = MlflowCallback::new()
        .tracking_uri(tracking_uri)
        .unwrap()
        .timeout(timeout);
    let config = config(&model, 2)
        .output(output.path())
        .callback(Arc::new(mlflow));
    let result = Runner::new(config).run_blocking().unwrap();
    assert_eq!(result.responses.len(), 2);
    assert!(result.responses.iter().all(|one| one.error.is_none()));
    assert_saved(&result);
    result
}

#[track_caller]
fn failure(result: &RunResult) -> &str {
    let [failure] = &*result.callback_errors else {
        panic!("{:?}", result.callback_errors);
    };
    assert_eq!((failure.hook, failure.count), (Hook::AfterRun, 1));
    &failure.first
}

#[test]
fn nobody_is_there() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let result = run(&format!("http://me:hush@127.0.0.1:{port}"), 1.0);
    let failure = failure(&result);
    assert!(failure.contains("cannot be reached"), "{failure}");
    assert!(
        failure.contains(&format!("http://127.0.0.1:{port}")),
        "{failure}"
    );
    assert!(!failure.contains("hush"), "{failure}");
}

#[test]
fn it_breaks_every_time() {
    let body = r#"{"error_code": "INTERNAL_ERROR", "message": "out of luck"}"#;
    let server = Scripted::start(vec![answer("500 X", body)]);
    let result = run(&server.base_url, 60.0);
    let failure = failure(&result);
    let expected = "responded 500: INTERNAL_ERROR: out of luck; tried 4 times";
    assert!(
        failure.starts_with("creating the run") && failure.contains(expected),
        "{failure}"
    );
    // The first looks before the run whether anybody is there.
    assert_eq!(server.bodies().len(), 1 + 4);
}

#[test]
fn it_never_answers() {
    let server = Scripted::start(vec![vec![Step::Hold]]);
    let result = run(&server.base_url, 0.5);
    assert!(
        failure(&result).contains("sent no response within 0.5 s"),
        "{}",
        failure(&result)
    );
    assert_eq!(server.bodies().len(), 2);
}

#[test]
fn it_is_busy_for_a_while_or_for_too_long() {
    let busy = |seconds: u32| {
        vec![write(format!(
            "HTTP/1.1 429 X\r\nretry-after: {seconds}\r\ncontent-length: 2\r\n\r\n{{}}"
        ))]
    };
    let fine = || answer("200 OK", "{}");
    // Probe, creation, metrics, tags, parameters, end.
    let server = Scripted::start(vec![
        fine(),
        busy(1),
        answer("200 OK", RUN),
        fine(),
        vec![Step::Reset],
        fine(),
    ]);
    let result = run(&server.base_url, 60.0);
    assert_eq!(result.callback_errors, []);
    let requests = server.bodies();
    assert_eq!(requests.len(), 8);
    assert_eq!(requests[1], requests[2], "the creation is asked for again");
    assert_eq!(requests[4], requests[5], "and so are the tags");
    assert!(requests[7].contains("FINISHED"), "{}", requests[7]);

    let server = Scripted::start(vec![fine(), busy(3600)]);
    let result = run(&server.base_url, 60.0);
    let failure = failure(&result);
    assert!(failure.contains("responded 429; tried once"), "{failure}");
}

#[test]
fn it_refuses_a_part() {
    let body = r#"{"error_code": "INVALID_PARAMETER_VALUE", "message": "no such metric"}"#;
    let server = Scripted::start(vec![
        answer("200 OK", "{}"),
        answer("200 OK", RUN),
        answer("400 X", body),
        answer("200 OK", "{}"),
    ]);
    let result = run(&server.base_url, 60.0);
    let failure = failure(&result);
    let expected = "responded 400: INVALID_PARAMETER_VALUE: no such metric";
    assert!(failure.starts_with("run r1: logging metrics"), "{failure}");
    assert!(failure.contains(expected), "{failure}");
    let requests = server.bodies();
    assert!(requests[3].contains("llmeter.version") && requests[4].contains("total_requests"));
    assert!(requests[5].contains("FAILED"), "{}", requests[5]);
    assert_eq!(requests.len(), 6);
}

#[test]
fn it_is_something_else() {
    let page = vec![write(sized("200 OK", "text/html", "<html>hello</html>"))];
    let moved = "HTTP/1.1 302 X\r\nlocation: https://me:hush@other/in?token=hush\r\n\
                 content-length: 0\r\n\r\n";
    for (script, reason) in [
        (page, "no JSON"),
        (vec![write(moved)], "redirects to https://other/in)"),
        (answer("200 OK", "{}"), "field is missing"),
    ] {
        let server = Scripted::start(vec![script]);
        let result = run(&server.base_url, 60.0);
        let failure = failure(&result);
        assert!(
            failure.contains(reason) && failure.contains("MLFLOW_TRACKING_URI"),
            "{failure}"
        );
        assert!(!failure.contains("hush"), "{failure}");
    }
}

/// No request is sent for a run that could not be logged whatever the server does.
#[test]
fn settings_that_cannot_work_stop_the_run() {
    let model = friendly();
    let nowhere = MlflowCallback::new();
    let orphan = MlflowCallback::new()
        .tracking_uri("http://127.0.0.1:9")
        .unwrap()
        .nested(true);
    for (callback, reason) in [(nowhere, "MLFLOW_TRACKING_URI"), (orphan, "parent_run_id")] {
        let config = config(&model, 1).callback(Arc::new(callback));
        let error = Runner::new(config).run_blocking().unwrap_err();
        assert!(
            matches!(
                error,
                Error::Callback {
                    hook: "before_run",
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(model.bodies().len(), 0);
}
