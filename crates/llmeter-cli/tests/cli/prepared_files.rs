//! Files and folders that are not what they seem: links, pipes, devices, giants; and who can read what
//! llmeter makes.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Command, Stdio};

use crate::scripted::{Scripted, answer};
use crate::support::{Place, end_of, quick, start};

#[test]
fn a_planted_link_is_never_written_through() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    place.file("victim", "precious");
    let victim = place.path().join("victim");
    fs::create_dir_all(place.folder()).unwrap();
    let plant = || {
        symlink("../../new", place.folder().join("responses.jsonl")).unwrap();
        symlink("../../victim", place.folder().join("stats.json")).unwrap();
    };
    plant();
    place
        .run(&server.url, &[])
        .exits(1)
        .one_error(&["runs/it", "already holds a run"]);
    assert!(server.requests().is_empty());
    place.run(&server.url, &["--overwrite"]).exits(0);
    assert_eq!(place.responses().len(), 1);
    assert!(!place.path().join("new").exists());
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious");

    // A run's folder that leads elsewhere is refused; an output folder may.
    fs::create_dir(place.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", place.path().join("runs/link")).unwrap();
    let said = place.run(&server.url, &["--run-name", "link"]).exits(1);
    said.one_error(&["runs/link", "symbolic link"]);
    assert_eq!(
        fs::read_dir(place.path().join("elsewhere"))
            .unwrap()
            .count(),
        0
    );
    symlink("elsewhere", place.path().join("mine")).unwrap();
    place.run(&server.url, &["--output", "mine"]).exits(0);
    assert!(place.path().join("elsewhere/it/summary.json").exists());
}

#[test]
fn a_run_that_is_repeated_copies_nothing_through_links() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    place.run(&server.url, &[]).exits(0);
    place.file("victim", "precious");
    let stats = place.folder().join("stats.json");
    fs::remove_file(&stats).unwrap();
    symlink("../../victim", &stats).unwrap();
    let prices = ["--cost-input", "1", "--write"];
    place
        .llmeter(["cost", "runs/it"].into_iter().chain(prices))
        .exits(0);
    assert_eq!(
        fs::read_to_string(place.path().join("victim")).unwrap(),
        "precious"
    );
    assert!(fs::symlink_metadata(&stats).unwrap().is_file(), "replaced");
}

#[test]
fn pipes_and_devices_are_no_files() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    place.run(&server.url, &[]).exits(0);
    let pipe = place.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    symlink("pipe", place.path().join("prompts.jsonl")).unwrap();
    fs::create_dir(place.path().join("folder")).unwrap();
    symlink("../pipe", place.path().join("folder/a.jsonl")).unwrap();
    for arguments in [
        &["payload", "--payload", "pipe"][..],
        &["payload", "--payload", "prompts.jsonl"],
        &["payload", "--payload", "folder"],
        &["payload", "--prompt", "@pipe"],
        &["payload", "--prompt", "Hi", "--system", "@pipe"],
        &["payload", "--image", "pipe"],
        &["payload", "--config", "pipe"],
        &[
            "run",
            "--base-url",
            &server.url,
            "--model",
            "m",
            "--prompt",
            "Hi",
            "--callback",
            "pipe",
        ],
        &[
            "run",
            "--base-url",
            &server.url,
            "--model",
            "m",
            "--prompt",
            "Hi",
            "--tokenizer",
            "hf:pipe",
        ],
        &[
            "run",
            "--base-url",
            "https://localhost:9/v1",
            "--model",
            "m",
            "--prompt",
            "Hi",
            "--ca-file",
            "pipe",
        ],
        &["cost", "runs/it", "--model", "pipe"],
    ] {
        let said = place.llmeter(arguments.iter().copied());
        assert!([1, 2].contains(&said.code), "{said:#?}");
        said.one_error(&["is a pipe, but must be a regular file"]);
    }
    let said = place.llmeter(["payload", "--payload", "/dev/zero"]);
    said.one_error(&["/dev/zero", "it is a device"]);

    let giant = File::create(place.path().join("giant.jsonl")).unwrap();
    giant.set_len(1 << 40).unwrap();
    for arguments in [
        ["--payload", "giant.jsonl"],
        ["--prompt", "@giant.jsonl"],
        ["--image", "giant.jsonl"],
    ] {
        let said = place.llmeter(["payload"].into_iter().chain(arguments));
        said.one_error(&["giant.jsonl", "it is too large: at most", "split the file"]);
    }
    for name in [
        "run_config.json",
        "stats.json",
        "summary.json",
        "responses.jsonl",
    ] {
        let path = place.folder().join(name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        symlink("../../pipe", &path).unwrap();
        match name {
            "run_config.json" => place.llmeter(["run", "--from", "runs/it"]),
            _ => place.llmeter(["show", "runs/it"]),
        }
        .one_error(&[name, "it is a pipe"]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, kept).unwrap();
    }
}

#[test]
fn what_is_handed_over_open_is_read() {
    let place = Place::new();
    place.file("p.jsonl", "{\"messages\": []}");
    let said = place
        .shell("echo Hello | $LLMETER payload --prompt @/dev/stdin")
        .exits(0);
    assert!(said.out.contains("\"Hello\""), "{said:#?}");
    place
        .shell("cat p.jsonl | $LLMETER payload --payload /dev/stdin")
        .exits(0);
    place
        .shell("$LLMETER payload --payload /dev/fd/3 3< p.jsonl")
        .exits(0);
    // Within the same bound.
    let said = place.shell("$LLMETER payload --prompt @/dev/stdin < /dev/zero");
    said.one_error(&["it is too large: at most 16 MiB are read"]);
}

#[test]
fn files_follow_the_umask() {
    let server = start(quick());
    for (umask, file, folder) in [("022", 0o644, 0o755), ("077", 0o600, 0o700)] {
        let place = Place::new();
        let url = server.base_url();
        place
            .shell(&format!(
                "umask {umask}; $LLMETER run --base-url {url} --model m --prompt Hi --run-name it"
            ))
            .exits(0);
        let mode = |path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(place.folder()), folder);
        let mut names: Vec<_> = fs::read_dir(place.folder()).unwrap().flatten().collect();
        names.sort_by_key(fs::DirEntry::file_name);
        assert_eq!(names.len(), 6, "nothing temporary is left: {names:?}");
        for entry in names {
            assert_eq!(mode(entry.path()), file, "{entry:?}");
        }
    }
}

#[test]
fn a_truth_log_is_replaced_only_on_demand() {
    let place = Place::new();
    place.file("truth.jsonl", "mine\n");
    symlink("elsewhere", place.path().join("link")).unwrap();
    let simulate = ["simulate", "--port", "0", "--truth"];
    let with = |more: &[&'static str]| {
        simulate
            .into_iter()
            .chain(more.iter().copied())
            .collect::<Vec<_>>()
    };
    let said = place.llmeter(with(&["truth.jsonl"])).exits(2);
    said.one_error(&[
        "--truth truth.jsonl: expected a file that is not there",
        "hint: --overwrite",
    ]);
    let said = place.llmeter(with(&["link"]));
    said.one_error(&["link", "symbolic link"]);
    assert!(!place.path().join("elsewhere").exists());
    assert_eq!(
        fs::read_to_string(place.path().join("truth.jsonl")).unwrap(),
        "mine\n"
    );

    let mut child = place
        .command(with(&["truth.jsonl", "--overwrite"]))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    end_of(child).exits(0);
    assert_eq!(
        fs::read_to_string(place.path().join("truth.jsonl")).unwrap(),
        ""
    );
}
