//! Files that can no longer be written: what was measured is printed, and what can be kept is kept.
//!
//! A limit of the size of files stands for a full disk: both fail in the middle of a write.

use std::fs;

use llmeter::RunResult;
use serde_json::Value;

use crate::support::{Place, Said, quick, start};

/// `llmeter run` by a shell that lets no file grow beyond so many blocks of 512 bytes.
fn limited(place: &Place, blocks: u32, arguments: &str) -> Said {
    place.shell(&format!(
        "ulimit -f {blocks}; exec \"$LLMETER\" run --model m --run-name it --quiet \
         {arguments}"
    ))
}

/// The whole lines of the file, which has nothing else.
fn lines(place: &Place) -> usize {
    let text = fs::read_to_string(place.folder().join("responses.jsonl")).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    text.lines().count()
}

#[test]
fn sending_stops_and_everything_is_told() {
    for more in ["", "--low-memory"] {
        let (place, server) = (Place::new(), start(quick()));
        let url = server.base_url();
        // More than could ever be sent.
        let arguments =
            format!("--base-url {url} --prompt hi --clients 4 --requests 10000000 {more}");
        let said = limited(&place, 64, &arguments).exits(7);
        assert!(said.out.contains("latency"), "{said:#?}");
        assert!(
            said.out
                .contains("sending stopped when a response could not be written")
        );
        assert_eq!(
            said.err,
            "error: not all files of the run could be written, as the warnings say\n\
             hint: `--ignore-write-errors` goes on sending all the same\n"
        );
        let kept = lines(&place);
        let recorded = place.stats()["total_requests"].as_u64().unwrap() as usize;
        assert!(0 < kept && kept < recorded, "{kept} of {recorded}");
        let missing = format!("{} of {recorded} responses are missing", recorded - kept);
        assert!(said.out.contains(&missing), "{missing:?}: {said:#?}");
        assert!(said.out.contains("File too large"), "{said:#?}");
        assert_eq!(place.json("summary.json")["total_requests"], recorded);

        // Shown again, the figures are those of all responses.
        let loaded = RunResult::load(place.folder()).unwrap();
        assert_eq!(loaded.responses.len(), kept);
        let stats = Value::Object(loaded.stats_map());
        for key in [
            "total_requests",
            "time_to_first_token-p50",
            "total_output_tokens",
        ] {
            assert_eq!(stats[key], place.stats()[key], "{key}");
        }
        let [warning] = &loaded.warnings[..] else {
            panic!("{:?}", loaded.warnings);
        };
        assert!(warning.contains(&format!("{kept} of {recorded} responses are there")));
    }
}

#[test]
fn a_run_goes_on_if_it_is_told_to() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let arguments = "--prompt hi --clients 4 --requests 100 --ignore-write-errors --json";
    let said = limited(&place, 64, &format!("--base-url {url} {arguments}")).exits(7);
    assert_eq!(server.requests_served(), 400);
    assert_eq!(said.object()["total_requests"], 400);
    assert_eq!(said.object().get("interrupted"), None);
    assert!(!said.err.contains("sending stopped"), "{said:#?}");
    assert!(
        said.err.contains("of 400 responses are missing"),
        "{said:#?}"
    );
    assert_eq!(place.json("llmeter.json")["ignore_write_errors"], true);
    assert!(lines(&place) < 400);
}

/// A disk of 64 KiB, where a user may have one: what was measured is in the files all the same.
#[cfg(target_os = "linux")]
#[test]
fn statistics_survive_a_full_disk_and_show_tells_what_is_missing() {
    let (place, server) = (Place::new(), start(quick()));
    let url = server.base_url();
    let said = place.shell(&format!(
        "mkdir runs; unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o size=64k none runs \
         || exit 99; \"$LLMETER\" run --model m --run-name it --quiet --base-url {url} --prompt hi \
         --clients 4 --requests 100 --ignore-write-errors --json >run.json 2>run.txt; echo $?; \
         \"$LLMETER\" show runs/it'"
    ));
    if !said.out.starts_with('7') {
        assert!(!place.path().join("run.json").exists(), "{said:#?}");
        return; // No user may mount anything here.
    }
    for words in ["400 requests by 4 clients", "of 400 responses are there"] {
        assert!(
            said.out.contains(words) || said.err.contains(words),
            "{said:#?}"
        );
    }
    assert!(!said.out.contains("interrupted"), "{said:#?}");
}

/// The payloads do not fit: nothing is sent, and the folder's name is free again.
#[test]
fn a_folder_that_cannot_be_begun_is_given_back() {
    let (place, server) = (Place::new(), start(quick()));
    place.file("long.txt", "word ".repeat(4000));
    let arguments = format!("--base-url {} --prompt @long.txt", server.base_url());
    limited(&place, 8, &arguments)
        .exits(1)
        .one_error(&["payload.jsonl", "File too large"]);
    assert_eq!(server.requests_served(), 0);
    assert!(!place.folder().exists());
    place.run(&server.base_url(), &[]).exits(0);
}

#[test]
fn costs_are_printed_before_they_are_written() {
    let (place, server) = (Place::new(), start(quick()));
    place.run(&server.base_url(), &[]).exits(0);
    let before = place.stats();
    let said =
        place.shell("ulimit -f 1; exec \"$LLMETER\" cost runs/it --cost-input 3 --write --json");
    let said = said.exits(7);
    assert!(said.object()["cost_total"].as_f64().unwrap() > 0.0);
    said.one_error(&["the costs could not be written", "File too large"]);
    assert_eq!(place.stats(), before);
    assert_eq!(fs::read_dir(place.folder()).unwrap().count(), 6);
}

/// Standard output may be a file on that disk.
#[test]
fn a_summary_that_standard_output_does_not_take_goes_to_standard_error() {
    let (place, server) = (Place::new(), start(quick()));
    let said = place.shell(&format!(
        "\"$LLMETER\" run --base-url {} --model m --prompt hi --run-name it >/dev/full",
        server.base_url()
    ));
    let said = said.exits(7);
    assert!(said.err.contains("latency"), "{said:#?}");
    assert!(
        said.err.contains("error: cannot write to standard output"),
        "{said:#?}"
    );
    assert_eq!(place.stats()["total_requests"], 1);
}
