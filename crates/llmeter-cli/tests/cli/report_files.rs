//! `llmeter report` as images and as tables of requests.

use std::fs;
use std::path::Path;

use crate::support::Place;

/// A load test and a run of the Python package, and where they are.
fn golden(place: &Place) -> [&'static str; 2] {
    let outputs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../llmeter/tests/golden/outputs");
    let copies = [
        (
            "d2_load_test_by_runner/ladder/00001-clients",
            "ladder/00001-clients",
        ),
        (
            "d2_load_test_by_runner/ladder/00002-clients",
            "ladder/00002-clients",
        ),
        ("a_count_bound/run", "run"),
    ];
    for (from, to) in copies {
        for entry in fs::read_dir(outputs.join(from)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{to}/{}", entry.file_name().to_str().unwrap());
            place.file(&name, fs::read(entry.path()).unwrap());
        }
    }
    ["ladder", "run"]
}

#[test]
fn no_output_takes_the_place_of_a_runs_own_files() {
    let place = Place::new();
    let [_, run] = golden(&place);
    for file in ["responses.jsonl", "stats.json"] {
        let path = format!("{run}/{file}");
        let before = fs::read(place.path().join(&path)).unwrap();
        for command in [
            vec!["report", run, "--format", "md"],
            vec!["compare", run, run],
            vec!["export", run, "--format", "aiperf-jsonl"],
        ] {
            let said = place.llmeter(command.into_iter().chain(["-o", &path]));
            assert_eq!(said.code, 2, "{said:?}");
            assert!(said.err.contains("choose another name"), "{said:?}");
        }
        assert_eq!(fs::read(place.path().join(&path)).unwrap(), before);
    }
    // What standard output is, whatever it is.
    let said = place.llmeter(["report", run, "--format", "json", "-o", "/dev/stdout"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with('{'), "{said:?}");
}

#[test]
fn each_chart_is_an_image_with_the_python_packages_name() {
    let place = Place::new();
    let [test, run] = golden(&place);
    let said = place.llmeter(["report", test, "--format", "svg", "--output", "images"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for name in [
        "time_to_first_token",
        "time_to_last_token",
        "requests_per_minute",
        "error_rate",
        "average_input_tokens_clients",
        "average_output_tokens_clients",
    ] {
        assert!(
            said.out.contains(&format!("images/{name}.svg\n")),
            "{}",
            said.out
        );
        let svg = fs::read_to_string(place.path().join(format!("images/{name}.svg"))).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.contains(">Number of clients</text>"),
            "{svg}"
        );
    }
    let said = place.llmeter(["report", run, "--format", "png"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.contains("run/llmeter-charts/ttft-histogram.png"),
        "{}",
        said.out
    );
    for file in said.out.lines() {
        let png = fs::read(place.path().join(file)).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{file}");
    }
    let said = place.llmeter(["report", run, "--format", "png", "--output", "-"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("folder"), "{}", said.err);
}

#[test]
fn requests_are_a_table_printed_or_in_a_file() {
    let place = Place::new();
    let [test, run] = golden(&place);
    let said = place.llmeter(["report", run, test, "--format", "csv"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.starts_with("run,response_text,input_payload,id,"));
    let of = |name: &str| {
        said.out
            .lines()
            .filter(|line| line.starts_with(name))
            .count()
    };
    assert_eq!(
        (
            of("run,tok0"),
            of("ladder/00001-clients,tok0"),
            of("ladder/00002-clients,")
        ),
        (15, 6, 6)
    );
    let said = place.llmeter(["report", run, "--format", "parquet"]);
    if said.code == 0 {
        assert_eq!(said.out, "run/llmeter-report.parquet\n");
        let file = fs::read(place.path().join("run/llmeter-report.parquet")).unwrap();
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    } else {
        assert!(
            said.err.contains("lacks the feature `parquet`"),
            "{}",
            said.err
        );
    }
    let said = place.llmeter(["report", "nothing", "--format", "csv"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("nothing"), "{}", said.err);
}

#[test]
fn the_name_of_a_file_tells_the_form_of_a_report() {
    let place = Place::new();
    let [_, run] = golden(&place);
    for (name, begins) in [("it.md", "#"), ("it.json", "{"), ("it.HTML", "<!")] {
        place.llmeter(["report", run, "-o", name]).exits(0);
        let text = fs::read_to_string(place.path().join(name)).unwrap();
        assert!(text.trim_start().starts_with(begins), "{name}: {text:.40}");
    }
    for name in ["it.txt", "it.png"] {
        let refused = place.llmeter(["report", run, "-o", name]).exits(2);
        refused.one_error(&["--output", name, ".md", "--format"]);
        assert!(!place.path().join(name).exists());
    }
}
