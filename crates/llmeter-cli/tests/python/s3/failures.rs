//! Servers that refuse, are not there, or go away.

use llmeter::RunResult;

use super::*;

/// A run that must end with one error, before anything is sent.
#[track_caller]
fn refused(s3: &S3, output: &str, change: impl FnOnce(&mut Command), parts: &[&str]) {
    let simulator = simulator();
    let arguments = ["--output", output, "--run-name", "it"];
    let mut command = s3.run_command(&simulator, &arguments);
    change(&mut command);
    let said = Said::from(command.output().unwrap()).exits(1);
    println!("{}", said.err);
    said.one_error(parts);
    assert_eq!(said.out, "");
    assert_eq!(simulator.requests_served(), 0);
    assert_eq!(s3.temporary(), [""; 0].map(PathBuf::from));
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is_sent() {
    let Some(python) = python() else { return };
    let mut s3 = S3::start(&python);
    refused(
        &s3,
        "s3://missing/runs",
        |_| {},
        &["s3://missing/runs/it", "no bucket \"missing\""],
    );
    refused(
        &s3,
        "s3://results",
        |command| {
            command
                .env_remove("AWS_ACCESS_KEY_ID")
                .env_remove("AWS_SECRET_ACCESS_KEY")
                .env("AWS_EC2_METADATA_DISABLED", "true");
        },
        &[
            "no credentials were found",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
        ],
    );
    refused(
        &s3,
        "s3://results",
        |command| {
            command.env_remove("AWS_SECRET_ACCESS_KEY");
        },
        &["s3://results", "AWS_SECRET_ACCESS_KEY"],
    );
    s3.stop();
    refused(&s3, "s3://results", |_| {}, &["s3://results/it", "refused"]);
}

#[test]
fn refused_credentials_are_said_before_anything_is_sent() {
    let Some(python) = python() else { return };
    let s3 = S3::start_with(&python, &[("INITIAL_NO_AUTH_ACTION_COUNT", "1")]);
    refused(
        &s3,
        "s3://results",
        |_| {},
        &[
            "s3://results/it",
            "access was refused",
            "InvalidAccessKeyId",
            "AWS_PROFILE",
        ],
    );
}

#[test]
fn a_profile_gives_keys_region_and_server() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    let aws = s3.path().join(".aws");
    fs::create_dir(&aws).unwrap();
    let keys = format!("[tests]\naws_access_key_id = owner\naws_secret_access_key = {SECRET}\n");
    fs::write(aws.join("credentials"), keys).unwrap();
    let config = format!(
        "[profile tests]\nregion = eu-west-1\nendpoint_url = {}\n",
        s3.url
    );
    fs::write(aws.join("config"), config).unwrap();
    let arguments = ["--output", "s3://results", "--run-name", "it"];
    let output = s3
        .run_command(&simulator, &arguments)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_PROFILE", "tests")
        .output()
        .unwrap();
    Said::from(output).exits(0);
    let (_, names) = s3.objects("it", None);
    assert_eq!(names, FILES.map(str::to_owned).into());
}

#[test]
fn a_server_that_goes_away_costs_nothing() {
    let Some(python) = python() else { return };
    let (mut s3, simulator) = (S3::start(&python), simulator());
    let arguments = "--clients 4 --requests 500 --run-name it --output s3://results";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let run = s3.run_command(&simulator, &arguments).spawn().unwrap();
    s3.objects("it", Some("it/run_config.json"));
    s3.stop();
    let said = Said::from(run.wait_with_output().unwrap()).exits(7);
    said.one_error(&["not all files of the run could be written"]);
    let staged = s3.temporary();
    assert_eq!(staged.len(), 1, "{staged:?}");
    let staged = staged[0].to_str().unwrap();
    let warning = format!("all files are in {staged}");
    assert!(said.out.contains(&warning), "{said:#?}");
    assert!(
        said.out.contains("not completely in s3://results/it"),
        "{said:#?}"
    );
    let result = RunResult::load(staged).unwrap();
    assert_eq!(result.warnings, [""; 0]);
    assert_eq!(result.responses.len(), 2000);
    assert!(!result.interrupted);
    let summary = fs::read_to_string(Path::new(staged).join("summary.json")).unwrap();
    assert!(
        summary.contains("\"output_path\": \"s3://results/it\""),
        "{summary}"
    );
}

#[cfg(unix)]
#[test]
fn signals_leave_nothing_behind_that_is_not_named() {
    use nix::sys::signal::{Signal, kill};

    let Some(python) = python() else { return };
    let s3 = S3::start(&python);
    // Half of the answers fall silent, so that something is always in flight.
    let simulator = Simulator::start(SimConfig {
        stall_rate: 0.5,
        ..SimConfig::default()
    })
    .unwrap();
    let arguments = "--clients 8 --duration 10m --output s3://results --run-name";
    let run = |name| {
        let arguments: Vec<&str> = arguments.split(' ').chain([name]).collect();
        let run = s3.run_command(&simulator, &arguments).spawn().unwrap();
        let part = format!("{name}/responses.jsonl.parts/000001");
        s3.objects(name, Some(&part));
        let signal = || kill(nix::unistd::Pid::from_raw(run.id() as i32), Signal::SIGINT).unwrap();
        signal();
        if name == "twice" {
            // Copies of one signal count once; what is in flight is waited for much longer.
            std::thread::sleep(Duration::from_millis(300));
            signal();
        }
        Said::from(run.wait_with_output().unwrap()).exits(130)
    };
    let said = run("once");
    assert!(!said.out.contains("warning"), "{said:#?}");
    let (folder, names) = s3.objects("once", None);
    assert_eq!(names, FILES.map(str::to_owned).into());
    assert!(RunResult::load(folder).unwrap().interrupted);
    assert_eq!(s3.temporary(), [""; 0].map(PathBuf::from));

    let said = run("twice");
    let staged = s3.temporary();
    assert_eq!(staged.len(), 1, "{staged:?}");
    assert!(said.err.contains(staged[0].to_str().unwrap()), "{said:#?}");
    assert!(!RunResult::load(&staged[0]).unwrap().responses.is_empty());
    let shown = s3.llmeter(["show", "s3://results/twice"]).exits(0);
    assert!(shown.out.contains("interrupted"), "{shown:#?}");
}

#[test]
fn what_is_no_location_is_bad_usage() {
    let Some(python) = python() else { return };
    let (s3, simulator) = (S3::start(&python), simulator());
    for (output, parts) in [
        ("ftp://host/runs", ["ftp://host/runs", "s3://bucket/prefix"]),
        ("s3://", ["s3://", "names a bucket"]),
        (
            "s3://me:this-is-the-secret-key@results/runs",
            ["s3://…@results/runs", "without user"],
        ),
        (
            "az://box/runs?sig=this-is-the-secret-key",
            ["az://box/runs?…", "environment"],
        ),
        (
            "s3://results/../runs",
            ["s3://results/../runs", "none of them . or .."],
        ),
    ] {
        let said = s3.run(&simulator, &["--output", output]).exits(2);
        said.one_error(&parts);
        said.one_error(&["--output"]);
    }
    assert_eq!(simulator.requests_served(), 0);
}
