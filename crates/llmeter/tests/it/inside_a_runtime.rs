//! Everything that blocks works on a thread of an async runtime, too.

use llmeter::callback::CacheBuster;
use llmeter::cost::CostModel;
use llmeter::saved::Saved;
use llmeter::storage::Location;
use llmeter::{Callback, Interrupt, RunResult, Runner, SavedRun, probe};

use crate::scripted::answers::*;
use crate::scripted::{Scripted, finish, write};

/// On a runtime's thread, and on one of those where it lets tasks block.
fn in_a_runtime(work: fn(&Scripted)) {
    finish(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = || Scripted::start(vec![vec![write(chunked(&whole_stream(&["hi"])))]]);
            work(&server());
            let blocking = tokio::task::spawn_blocking(move || work(&server()));
            blocking.await.unwrap();
        });
    });
}

#[test]
fn runs_and_probes_block() {
    in_a_runtime(|server| {
        let folder = tempfile::tempdir().unwrap();
        let config = server.config().output(folder.path()).run_name("it");
        let seen = probe::probe(&config, None, &Interrupt::new()).unwrap();
        assert!(seen.is_success());
        let runner = Runner::new(config);
        let result = runner.run_blocking().unwrap();
        assert_eq!(result.responses.len(), 1);
        let again = runner.run_blocking_with(|run| run.run_name = None).unwrap();
        assert_eq!(again.stats().failed_requests, 0);
        let mut loaded = RunResult::load(folder.path().join("it")).unwrap();
        assert_eq!(loaded.load_responses().unwrap().len(), 1);
        loaded.save(None).unwrap();
        SavedRun::load(folder.path().join("it")).unwrap();
        assert_eq!(server.requests(), 3);
    });
}

#[test]
fn files_block() {
    in_a_runtime(|_| {
        let folder = tempfile::tempdir().unwrap();
        let file = Location::from(folder.path().join("a/b.json"));
        file.write_blocking("{}").unwrap();
        assert_eq!(file.read_blocking().unwrap(), b"{}");
        let names = Location::from(folder.path()).list_blocking().unwrap();
        assert_eq!(names, ["a"]);
        file.delete_blocking().unwrap();
        CacheBuster::new(1).save_to_file_blocking(&file).unwrap();
        let buster = <dyn Callback>::load_from_file_blocking(&file).unwrap();
        buster.save_to_file_blocking(&file).unwrap();
        CacheBuster::load_from_file_blocking(&file).unwrap();
        assert!(CostModel::load_from_file_blocking(&file).is_err());
    });
}

#[cfg(feature = "mlflow")]
#[test]
fn mlflow_blocks() {
    in_a_runtime(|_| {
        let mlflow = llmeter::mlflow::MlflowCallback::new();
        let mlflow = mlflow
            .tracking_uri("http://127.0.0.1:9")
            .unwrap()
            .timeout(0.1);
        let checked = mlflow.check_blocking().unwrap_err();
        let logged = mlflow.log_blocking(&RunResult::default()).unwrap_err();
        for error in [checked, logged] {
            assert!(matches!(error, llmeter::Error::Mlflow { .. }), "{error}");
        }
    });
}
