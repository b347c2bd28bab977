//! What a run leaves in its folder.

use std::path::Path;
use std::sync::Arc;

use llmeter::callback::{Callback, Hook, HookResult, async_trait};
use llmeter::result::Unwritten;
use llmeter::stats::{Distribution, Latency, Metric};
use llmeter::{Error, Load, RunConfig, RunResult, Runner};
use serde_json::Value;

use super::{assert_saved, config, failure, friendly, lines, whole};
use crate::schema::assert_obeyed;
use crate::scripted::{Scripted, Step, finish, run};

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// A server that fails every fourth request.
fn mixed(requests: usize) -> Scripted {
    let script = |number: usize| match number % 4 {
        3 => failure(),
        _ => whole(),
    };
    Scripted::start((0..requests).map(script).collect())
}

#[test]
fn a_folder_says_what_the_run_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = mixed(24);
    let mut config = config(&server, 3)
        .clients(4)
        .load(Load::Requests(6))
        .output(folder.path())
        .run_name("named");
    config.run_description = Some("a description".to_owned());
    config.seed = 9;
    let result = run(config);
    let path = folder.path().join("named");
    assert_eq!(result.summary.output_path, Some(path.clone().into()));
    assert_eq!(result.summary.run_name.as_deref(), Some("named"));
    assert_eq!(result.stats_map()["failed_requests"], 6);
    assert_eq!(lines(&path), 24);
    assert_saved(&result);
    let saved = read(&path, "run_config.json");
    assert_eq!(saved["clients"], 4);
    assert_eq!(saved["n_requests"], 6);
    assert_eq!(saved["run_name"], "named");
    assert_eq!(saved["run_description"], "a description");
    assert_eq!(saved["run_duration"], Value::Null);
    assert_eq!(read(&path, "llmeter.json")["seed"], 9);
    let stats = read(&path, "stats.json");
    for key in [
        "measurement_verdict",
        "measurement_stamps",
        "measurement_receive_delay-p99",
        "measurement_send_lateness-p99",
        "measurement_percentiles",
    ] {
        assert!(stats.get(key).is_some(), "{key}");
    }
}

/// Every key of the files is documented, with its type.
#[test]
fn files_obey_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let server = mixed(24);
    let config = config(&server, 3)
        .clients(4)
        .load(Load::Requests(6))
        .output(folder.path())
        .run_name("named");
    let result = run(config);
    assert_obeyed(&folder.path().join("named"));
    for key in result.stats_map().keys() {
        assert!(Metric::of(key).is_some(), "{key} is no metric");
    }
}

#[test]
fn without_successful_requests_figures_are_missing_and_nothing_panics() {
    let server = Scripted::start(vec![failure()]);
    let result = run(config(&server, 1).load(Load::Requests(3)));
    let stats = result.stats();
    assert_eq!(stats.failed_requests, 3);
    assert_eq!(stats.failed_requests_rate, 1.0);
    for latency in [stats.ttft, stats.ttfat, stats.ttlt, stats.tpot, stats.itl] {
        assert_eq!(latency, Latency::default());
    }
    assert_eq!(stats.output_tokens, Distribution::default());
    assert_eq!(stats.ttft.p50, None);
    assert_eq!(stats.tokens_per_frame, None);
    let summary = llmeter::report::summary(&result);
    assert!(summary.contains("3 failed"), "{summary}");
}

#[test]
fn without_a_folder_nothing_is_written() {
    let server = friendly();
    let result = run(config(&server, 1).run_name("named"));
    assert_eq!(result.summary.output_path, None);
    assert_eq!(result.summary.run_name.as_deref(), Some("named"));
}

#[test]
fn low_memory_keeps_answers_on_disk_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = mixed(120);
    let mut config = config(&server, 2)
        .clients(3)
        .load(Load::Requests(40))
        .output(folder.path());
    config.low_memory = true;
    let result = run(config);
    assert_eq!(result.responses, []);
    let stats = result.stats_map();
    assert_eq!(stats["measurement_percentiles"], "sketch");
    assert_eq!(stats["failed_requests"], 30);
    assert_eq!(result.failures()[0].count, 30);
    let exact = RunResult::load(result.summary.output_path.as_ref().unwrap()).unwrap();
    assert_eq!(exact.responses.len(), 120);
    assert_eq!(exact.stats_map()["measurement_percentiles"], "exact");
    for (key, value) in exact.stats_map() {
        // What needs the values in order.
        let is_of_percentile = key.contains("-p") && key.contains("-ci_");
        let is_of_steady_state = key.starts_with("steady_")
            || ["ramp_up_requests", "tail_requests"].contains(&key.as_str());
        if is_of_percentile || is_of_steady_state {
            continue;
        }
        // A sketch knows which values are about the middle, but not what lies between them.
        let is_percentile = key.contains("-p");
        let (Some(exact), Some(kept)) = (value.as_f64(), stats[&key].as_f64()) else {
            continue;
        };
        let is_close = (kept - exact).abs() <= 1e-9 * exact.abs();
        assert!(
            is_percentile || is_close,
            "{key}: {kept} instead of {exact}"
        );
    }
    let succeeded = exact.responses.iter().filter(|one| one.error.is_none());
    let mut times: Vec<f64> = succeeded
        .map(|one| one.time_to_first_token.unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    for (key, below, above) in [("p50", 44, 46), ("p90", 80, 82)] {
        let kept = stats[&format!("time_to_first_token-{key}")]
            .as_f64()
            .unwrap();
        let (below, above) = (times[below] * 0.995, times[above] * 1.005);
        assert!(below <= kept && kept <= above, "{below} {kept} {above}");
    }
    let mut again = result;
    assert_eq!(again.load_responses().unwrap().len(), 120);
    assert_eq!(again.stats_map()["measurement_percentiles"], "exact");
}

#[test]
fn a_run_in_the_same_folder_is_refused_unless_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let server = friendly();
    let named = |requests| {
        config(&server, 1)
            .load(Load::Requests(requests))
            .output(folder.path())
            .run_name("named")
    };
    run(named(3));
    let path = folder.path().join("named");
    let before = std::fs::read(path.join("responses.jsonl")).unwrap();
    let second = named(1);
    let error = finish(move || Runner::new(second).run_blocking()).unwrap_err();
    assert!(
        matches!(&error, Error::FolderInUse { path: used } if *used == path.display().to_string())
    );
    assert_eq!(std::fs::read(path.join("responses.jsonl")).unwrap(), before);
    assert_eq!(server.requests(), 3, "nothing was sent");
    let mut second = named(1);
    second.overwrite = true;
    let result = run(second);
    assert_eq!(lines(&path), 1);
    assert_saved(&result);
}

/// Defects D4 and D26 of the Python system: runs of the same minute share a folder, and runs
/// outside the main thread fail.
#[test]
fn runs_at_the_same_time_get_folders_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = friendly();
    let config: RunConfig = config(&server, 4).clients(2).output(folder.path());
    let runner = Runner::new(config);
    let results = finish(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..5 {
                let runner = runner.clone();
                tasks.spawn(async move { runner.run().await });
            }
            tasks.join_all().await
        })
    });
    let mut names = std::collections::BTreeSet::new();
    for result in results {
        let result = result.unwrap();
        assert_eq!(result.responses.len(), 8);
        assert_saved(&result);
        let path = result.summary.output_path.unwrap();
        let name = path.file_name().unwrap();
        assert_eq!(result.summary.run_name.as_ref(), Some(&name));
        let path = path.local_path().unwrap();
        assert_eq!(read(path, "run_config.json")["run_name"], *name);
        names.insert(name);
    }
    assert_eq!(names.len(), 5);
}

/// The second run of a name must not depend on when it begins.
#[test]
fn of_runs_of_one_name_at_the_same_time_exactly_one_is_made() {
    for overwrite in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let server = friendly();
        let mut config = config(&server, 5).output(folder.path()).run_name("named");
        config.overwrite = overwrite;
        // While one run is at work, all others have come.
        let barrier = Arc::new(std::sync::Barrier::new(4));
        config.callbacks = vec![Arc::new(Together(barrier))];
        let runner = Runner::new(config);
        let outcomes = finish(move || {
            let one = || {
                let runner = runner.clone();
                std::thread::spawn(move || runner.run_blocking())
            };
            let threads: Vec<_> = (0..4).map(|_| one()).collect();
            threads
                .into_iter()
                .map(|one| one.join().unwrap())
                .collect::<Vec<_>>()
        });
        let (made, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        if overwrite {
            // A later one may follow one that has ended, and never mixes with it.
            assert!(!made.is_empty());
        } else {
            assert_eq!((made.len(), refused.len()), (1, 3));
        }
        assert_eq!(server.requests(), 5 * made.len());
        for error in refused.into_iter().map(Result::unwrap_err) {
            let is_clear = matches!(error, Error::FolderBusy { .. } | Error::FolderInUse { .. });
            assert!(is_clear, "{error}");
        }
        let path = folder.path().join("named");
        assert_eq!(lines(&path), 5);
        assert_eq!(RunResult::load(&path).unwrap().warnings, [""; 0]);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 6);
    }
}

/// Holds up runs until so many are about to take their folders.
struct Together(Arc<std::sync::Barrier>);

#[async_trait]
impl Callback for Together {
    fn hooks(&self) -> &'static [Hook] {
        &[Hook::BeforeRun]
    }

    async fn before_run(&self, _: &mut RunConfig) -> HookResult {
        self.0.wait();
        Ok(())
    }
}

#[test]
fn a_folder_in_which_a_run_is_at_work_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = vec![Step::WaitForRelease];
    script.extend(whole());
    let server = Scripted::start(vec![script]);
    let mut config = config(&server, 2).output(folder.path()).run_name("named");
    config.overwrite = true;
    let first = Runner::new(config.clone());
    let work = std::thread::spawn(move || finish(move || first.run_blocking()));
    server.wait_for_request();
    let second = Runner::new(config);
    let error = finish(move || second.run_blocking()).unwrap_err();
    assert!(matches!(error, Error::FolderBusy { .. }), "{error}");
    server.release();
    let result = work.join().unwrap().unwrap();
    assert_eq!(result.responses.len(), 2);
    assert_saved(&result);
}

/// Takes the folder away before its last files are written.
struct Remover;

#[async_trait]
impl Callback for Remover {
    fn hooks(&self) -> &'static [Hook] {
        &[Hook::AfterRun]
    }

    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        let folder = result.summary.output_path.clone().unwrap();
        let path = folder.local_path().unwrap();
        std::fs::remove_dir_all(path)?;
        std::fs::write(path, "no folder")?;
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_at_the_end_costs_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let server = friendly();
    let config = config(&server, 3)
        .output(folder.path())
        .callback(Arc::new(Remover));
    let result = run(config);
    assert_eq!(result.responses.len(), 3);
    assert_eq!(result.stats().total_output_tokens, 6);
    let names: Vec<_> = result
        .unwritten
        .iter()
        .map(|one| match one {
            Unwritten::File { name, .. } => *name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["stats.json", "summary.json"]);
    for one in &result.unwritten {
        let warning = one.to_string();
        assert!(result.warnings.contains(&warning), "{warning}");
        assert!(warning.contains("is missing (writing "), "{warning}");
    }
}

#[test]
fn runs_of_one_runner_differ_in_what_is_changed_and_nothing_else() {
    let server = friendly();
    let runner = Runner::new(config(&server, 2));
    let results = finish(move || {
        let more = runner.run_blocking_with(|run| run.clients = 3).unwrap();
        (more, runner.run_blocking().unwrap())
    });
    assert_eq!(results.0.summary.clients, 3);
    assert_eq!(results.0.responses.len(), 6);
    assert_eq!(results.1.summary.clients, 1);
    assert_eq!(results.1.responses.len(), 2);
}
