//! `llmeter ab`.

use serde_json::Value;

use crate::support::{Place, quick, start};

#[test]
fn two_files_are_compared_and_the_answer_loads_again() {
    let place = Place::new();
    let server = start(quick());
    let url = server.base_url();
    for (name, max_tokens) in [("a.toml", 2), ("b.toml", 8)] {
        place.file(
            name,
            format!(
                "base-url = \"{url}\"\nmodel = \"m\"\nprompt = \"Hi\"\nmax-tokens = {max_tokens}\n"
            ),
        );
    }
    let ab = |more: &[&str]| {
        let mut all = vec![
            "ab",
            "--a",
            "a.toml",
            "--b",
            "b.toml",
            "--quiet",
            "--requests",
            "2",
        ];
        all.extend(more);
        place.llmeter(all)
    };
    // What the server is told decides, whatever the machine does.
    let said = ab(&[
        "--metric",
        "num_tokens_output-average",
        "--run-name",
        "test",
    ])
    .exits(0);
    assert_eq!(said.err, "");
    for part in [
        "is higher with b than with a",
        "a.toml",
        "b.toml",
        "after 8 rounds",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let shown = place.llmeter(["show", "runs/test"]).exits(0);
    assert_eq!(shown.out, said.before_saved());
    let json = place.llmeter(["show", "runs/test", "--json"]).exits(0).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["comparisons"][0]["answer"], "higher");
    let difference = json["comparisons"][0]["difference"].as_f64().unwrap();
    assert!((difference - 3.0).abs() < 1e-6, "{difference}");

    let said = ab(&["--max-requests", "9", "--margin", "0.0"]).exits(0);
    assert!(said.out.contains("limit of requests"), "{}", said.out);
    ab(&["--margin", "much"])
        .exits(2)
        .one_error(&["--margin", "5%"]);
    ab(&["--alpha", "2"]).exits(2).one_error(&["alpha 2"]);
    ab(&["--max-duration", "0s"])
        .exits(2)
        .one_error(&["--max-duration 0s"]);
    place
        .llmeter(["ab", "--a", "a.toml", "--b", "none.toml"])
        .exits(1);
}
