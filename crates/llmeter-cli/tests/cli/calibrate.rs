//! `llmeter calibrate` and `run --calibrate`.

use crate::scripted::{Scripted, answer};
use crate::support::{Place, quick, start};

const FIGURES: [&str; 7] = [
    "measurement_calibration_ttft-mean",
    "measurement_calibration_ttft-p50",
    "measurement_calibration_ttft-p99",
    "measurement_calibration_itl-mean",
    "measurement_calibration_itl-p50",
    "measurement_calibration_itl-p99",
    "measurement_calibration_requests",
];

#[test]
fn calibrate_states_what_the_machine_adds() {
    let place = Place::new();
    let arguments = [
        "calibrate",
        "--clients",
        "2",
        "--duration",
        "500ms",
        "--ttft",
        "10ms",
        "--itl",
        "2ms",
        "--output-tokens",
        "8",
    ];
    let said = place.llmeter(arguments).exits(0);
    for part in ["added to TTFT", "added to ITL", "verdict"] {
        assert!(said.out.contains(part), "{part:?} is missing: {said:#?}");
    }
    let stats = place
        .llmeter(arguments.into_iter().chain(["--json"]))
        .exits(0)
        .object();
    for key in FIGURES {
        assert!(stats[key].is_number(), "{key}: {stats:?}");
    }
}

#[test]
fn a_calibrated_run_carries_the_figures() {
    for low_memory in [false, true] {
        let (place, server) = (Place::new(), start(quick()));
        let mut arguments = vec!["--calibrate", "--requests", "3", "--max-tokens", "4"];
        if low_memory {
            arguments.push("--low-memory");
        }
        let said = place.run(&server.base_url(), &arguments).exits(0);
        assert!(said.out.contains("calibrated: "), "{said:#?}");
        let stats = place.stats();
        for key in FIGURES {
            assert!(stats[key].is_number(), "{key}: {stats:?}");
        }
        assert_eq!(stats["total_requests"], 3);
        assert_eq!(place.responses().len(), 3);
        let shown = place.llmeter(["show", "runs/it"]).exits(0);
        assert!(shown.out.contains("calibrated: "), "{shown:#?}");
        if !low_memory {
            // Shown again, a run in low memory has exact percentiles: its answers are all there.
            assert_eq!(shown.out, said.out);
        }
        // Requests of the calibration reach nobody else's server.
        assert_eq!(server.requests_served(), 3);
    }
}

#[test]
fn a_single_token_can_be_calibrated() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    place
        .run(&server.url, &["--calibrate", "--max-tokens", "1"])
        .exits(0);
}
