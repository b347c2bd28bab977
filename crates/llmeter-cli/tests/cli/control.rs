//! `llmeter control`: the load of a run in progress is changed.

use serde_json::json;

use crate::support::{Place, end_of, quick, start, until};

#[test]
fn a_run_in_progress_is_told_what_to_do() {
    let (place, server) = (Place::new(), start(quick()));
    let arguments = [
        "--rate",
        "5/s",
        "--arrivals",
        "constant",
        "--duration",
        "1h",
    ];
    let child = place
        .run_command(&server.base_url(), &arguments)
        .spawn()
        .unwrap();
    until("the run is in progress", || {
        let said = place.llmeter(["control", "runs/it"]);
        said.out.starts_with("it: in progress since ")
    });
    let said = place
        .llmeter(["control", "runs/it", "--clients", "4"])
        .exits(1);
    said.one_error(&["runs/it: its requests arrive by a rate: there are no clients to change"]);
    let said = place
        .llmeter([
            "control",
            "runs/it",
            "--rate",
            "200/s",
            "--max-in-flight",
            "50",
            "--json",
        ])
        .exits(0);
    let state = said.object();
    assert_eq!(
        (&state["rate"], &state["max_in_flight"]),
        (&json!("200/s"), &json!(50))
    );
    let changed = state["changes"][0]["time"].as_f64().unwrap();
    until("the change has taken effect", || {
        let state = place
            .llmeter(["control", "runs/it", "--json"])
            .exits(0)
            .object();
        state["elapsed"].as_f64() > Some(changed + 0.2)
    });
    let said = place.llmeter(["control", "runs/it", "stop"]).exits(0);
    assert!(said.out.contains("it: stopping"), "{said:#?}");
    let said = end_of(child).exits(0);
    for line in [
        "rate 5/s → 200/s",
        "max in flight none → 50",
        "as asked for by llmeter control",
        "200/s, 50 in flight at most",
    ] {
        assert!(said.out.contains(line), "{line}: {said:#?}");
    }
    let shown = place.llmeter(["show", "runs/it"]).exits(0);
    assert!(shown.out.contains("rate 5/s → 200/s"), "{shown:#?}");
    let page = place
        .llmeter(["report", "runs/it", "--format", "md"])
        .exits(0);
    assert!(page.out.contains("rate 5/s → 200/s"), "{page:#?}");
    place
        .llmeter(["control", "runs/it"])
        .exits(1)
        .one_error(&["runs/it: no run is in progress there"]);
    place
        .llmeter(["control", "s3://bucket/it", "stop"])
        .exits(1)
        .one_error(&["a run whose folder is in the cloud listens nowhere"]);
    for wrong in [["--rate", "-1/s"], ["--max-in-flight", "0"]] {
        place
            .llmeter(["control", "runs/it", wrong[0], wrong[1]])
            .exits(2);
    }
}
