//! `cargo xtask screenshots --all`: experiments of every kind, the report of each, and the viewer's pages, in every
//! width and colour.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::processes::{self, SimulatorProcess};
use crate::screenshots::execute;

/// Experiments against a server that has room for twelve requests: command, name, its own arguments.
const BUSY: [(&str, &str, &[&str]); 11] = [
    ("run", "before", &["--clients=8", "--duration=10s"]),
    (
        "run",
        "after",
        &["--clients=4", "--requests=40", "--warmup=1s"],
    ),
    (
        "run",
        "stages",
        &[
            "--stages=10/s for 3s, ramp to 40/s over 3s, 60/s for 3s, 10/s for 3s",
            "--slo=ttft < 200ms",
            "--slo=tpot-p90 < 20ms",
            "--cost-input=3",
            "--cost-output=15",
        ],
    ),
    ("run", "one", &["--requests=1"]),
    (
        "run",
        "low-memory",
        &["--clients=4", "--requests=20", "--low-memory"],
    ),
    (
        "run",
        "document",
        &["--endpoint=openai-chat", "--clients=4", "--requests=10"],
    ),
    (
        "run",
        "repeats",
        &["--clients=4", "--requests=10", "--repeat=4"],
    ),
    (
        "load-test",
        "ladder",
        &["--clients=1,2,4,8,16,24", "--requests=20"],
    ),
    (
        "load-test",
        "ladder-2",
        &["--clients=1,4,16", "--requests=10"],
    ),
    (
        "spike",
        "spike",
        &[
            "--rate=10/s",
            "--spike=120/s for 2s",
            "--before=13s",
            "--after=12s",
        ],
    ),
    (
        "capacity",
        "capacity",
        &["--slo=ttft-p90 < 100ms", "--max=16", "--probe-duration=8s"],
    ),
];

/// Pages of experiments: a name and the folders that are reported together.
const PAGES: [(&str, &[&str]); 24] = [
    ("run", &["after"]),
    ("runs", &["before", "after"]),
    ("long-names", &[LONG_NAMES[0], LONG_NAMES[1]]),
    ("stages", &["stages"]),
    ("one", &["one"]),
    ("none", &["none"]),
    ("low-memory", &["low-memory"]),
    ("document", &["document"]),
    ("failures", &["failures"]),
    ("parts-of-ttft", &["parts-of-ttft"]),
    ("sessions", &["sessions"]),
    ("servers", &["servers"]),
    ("mix", &["mix"]),
    ("drift", &["drift"]),
    ("cold-start", &["cold-start"]),
    ("spike", &["spike"]),
    ("repeats", &["repeats"]),
    ("load-test", &["ladder"]),
    ("load-tests", &["ladder", "ladder-2"]),
    ("capacity", &["capacity"]),
    ("heatmap", &["heatmap"]),
    ("ab", &["ab"]),
    ("python-run", &["python-run"]),
    ("python-load-test", &["python-load-test"]),
];
/// Names that are as long as they may be shown.
const LONG_NAMES: [&str; 2] = [
    "a run with a name that says in very many words what was tried on that day, before the change",
    "a-run-with-a-name-that-says-in-very-many-words-what-was-tried-on-that-day-after-the-change",
];
/// Folders of the Python package.
const OF_PYTHON: [(&str, &str); 2] = [
    ("python-run", "outputs/c_failures/run"),
    ("python-load-test", "outputs/d2_load_test_by_runner/ladder"),
];

/// Pictures of every page into a folder, which keeps the pages and runs as well.
pub(crate) fn pictures(llmeter: &Path, python: &Path, root: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let place = tempfile::tempdir()?;
    let experiments = Experiments {
        llmeter,
        place: place.path(),
    };
    experiments.make(root)?;
    let mut pages = Vec::new();
    for (name, runs) in PAGES {
        let page = folder.join(format!("{name}.html"));
        let mut report = Command::new(llmeter);
        report.arg("report");
        report.args(runs.iter().map(|run| place.path().join("runs").join(run)));
        execute(report.arg("--output").arg(&page))?;
        pages.push(format!("{name}={}", page.display()));
    }
    // A run in progress for as long as pictures are taken.
    let simulator = experiments.simulator(&BUSY_SERVER)?;
    let mut live = experiments.command("run", "live", &simulator.base_url);
    live.args(["--prompt=Go.", "--clients=8", "--duration=1h"]);
    live.stdout(Stdio::null()).stderr(Stdio::null());
    let live = Stopped(live.spawn()?);
    std::fs::create_dir(place.path().join("empty"))?;
    let list = Viewer::start(llmeter, place.path(), "runs")?;
    let empty = Viewer::start(llmeter, place.path(), "empty")?;
    pages.extend([
        format!("viewer={}", list.address),
        format!("viewer-empty={}", empty.address),
        format!("viewer-live={}", list.address),
    ]);
    let mut take = Command::new(python);
    take.arg(root.join("tests/python/page_pictures.py"));
    let output = take.arg(folder).args(&pages).output()?;
    drop(live);
    simulator.stop()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}{failed}");
    println!("{}", folder.display());
    Ok(())
}

/// Slow enough to have a queue, and with some failures.
pub(crate) const BUSY_SERVER: [&str; 6] = [
    "--ttft=60ms",
    "--itl=12ms",
    "--output-tokens=40",
    "--jitter=0.4",
    "--max-concurrency=12",
    "--error-rate=0.01",
];
/// Keeps prefixes of prompts, and gives other answers from four requests at a time on.
const CACHING_SERVER: [&str; 7] = [
    "--ttft=30ms",
    "--itl=5ms",
    "--output-tokens=20",
    "--jitter=0.3",
    "--prefix-cache=4000",
    "--prefill-rate=5000",
    "--drift-from=4",
];
const BROKEN_SERVER: [&str; 1] = ["--error-rate=1"];

/// A process that ends with the pictures.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes experiments in a place.
struct Experiments<'a> {
    llmeter: &'a Path,
    place: &'a Path,
}

impl Experiments<'_> {
    fn make(&self, root: &Path) -> Result<()> {
        let busy = self.simulator(&BUSY_SERVER)?;
        let url = &busy.base_url;
        for (command, name, arguments) in BUSY {
            self.measure(command, name, url, &[&["--prompt=Go."], arguments].concat())?;
        }
        let short = ["--prompt=Go.", "--clients=2", "--requests=20"];
        for name in LONG_NAMES {
            self.measure("run", name, url, &short)?;
        }
        let lengths = [
            "--input-lengths=16,64,256",
            "--output-lengths=8,32",
            "--clients=4",
        ];
        self.measure("heatmap", "heatmap", url, &lengths)?;
        for (variant, clients) in [("a", 2), ("b", 6)] {
            let settings = format!(
                "base_url = {url:?}\nmodel = \"my-model\"\nprompt = \"Go.\"\nclients = {clients}\n"
            );
            std::fs::write(self.place.join(format!("{variant}.toml")), settings)?;
        }
        let mut test = self.bare("ab", "ab");
        test.args([
            "--a",
            "a.toml",
            "--b",
            "b.toml",
            "--requests=8",
            "--max-rounds=6",
        ]);
        execute(&mut test)?;
        self.mix(url)?;
        let caching = self.simulator(&CACHING_SERVER)?;
        let broken = self.simulator(&BROKEN_SERVER)?;
        let all_fail = [
            "--prompt=Go.",
            "--clients=4",
            "--requests=5",
            "--no-failure-pause",
        ];
        let mut failing = self.command("run", "failures", &broken.base_url);
        // Its exit code says that all failed.
        failing.args(all_fail).output()?;
        let mut servers = self.command("run", "servers", url);
        servers.args([
            "--base-url",
            &caching.base_url,
            "--base-url",
            &broken.base_url,
        ]);
        execute(servers.args(all_fail))?;
        let turns = [
            "--sessions=4",
            "--max-sessions=12",
            "--think-time=50ms",
            "--data=synthetic:prompt_tokens=40,output_tokens=15,turns_min=2,turns_max=5",
        ];
        self.measure("run", "sessions", &caching.base_url, &turns)?;
        let answers = ["--prompt=Go.", "--max-tokens=20", "--clients=8"];
        self.measure("drift", "drift", &caching.base_url, &answers)?;
        // Ollama's responses say what the server took.
        let ollama = caching.base_url.trim_end_matches("/v1");
        let parts = [
            "--endpoint=ollama-stream",
            "--prompt=Go.",
            "--clients=4",
            "--requests=20",
        ];
        self.measure("run", "parts-of-ttft", ollama, &parts)?;
        broken.stop()?;
        caching.stop()?;
        busy.stop()?;
        self.cold_start()?;
        self.made(root)
    }

    /// A load of several classes.
    fn mix(&self, url: &str) -> Result<()> {
        let settings = format!(
            "base-url = {url:?}\nmodel = \"my-model\"\nrate = \"20/s\"\nduration = \"6s\"\n\
             [[workload]]\nname = \"chat\"\nshare = 70\nslo = [\"ttft < 200ms\", \"tpot < 50ms\"]\n\
             data = \"synthetic:prompt_tokens=30,output_tokens=12\"\n\
             [[workload]]\nname = \"reports\"\nshare = 30\n\
             data = \"synthetic:prompt_tokens=600,output_tokens=40\"\n"
        );
        std::fs::write(self.place.join("mix.toml"), settings)?;
        let mut mix = self.bare("run", "mix");
        execute(mix.args(["--config", "mix.toml", "--alone"]))
    }

    /// Of a server that begins later than the experiment.
    fn cold_start(&self) -> Result<()> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}/v1");
        let mut experiment = self.command("cold-start", "cold-start", &url);
        experiment.args(["--prompt=Go.", "--responses=30"]);
        let experiment = experiment.stdout(Stdio::null()).stderr(Stdio::null());
        let mut experiment = experiment.spawn()?;
        std::thread::sleep(Duration::from_secs(2));
        let mut server = Command::new(self.llmeter);
        server.args([
            "simulate",
            &format!("--port={port}"),
            "--ttft=60ms",
            "--itl=8ms",
        ]);
        server.args(["--output-tokens=20", "--jitter=0.2"]);
        let server = Stopped(server.stdout(Stdio::null()).spawn()?);
        let status = experiment.wait()?;
        drop(server);
        ensure!(status.success(), "the cold start ended with {status}");
        Ok(())
    }

    /// A run without requests, and folders of the Python package.
    fn made(&self, root: &Path) -> Result<()> {
        let runs = self.place.join("runs");
        std::fs::create_dir(runs.join("none"))?;
        let summary =
            r#"{"total_requests": 0, "clients": 4, "n_requests": 1, "model_id": "my-model"}"#;
        std::fs::write(runs.join("none/summary.json"), summary)?;
        std::fs::write(runs.join("none/responses.jsonl"), "")?;
        for (name, golden) in OF_PYTHON {
            let golden = root.join("crates/llmeter/tests/golden").join(golden);
            execute(
                Command::new("cp")
                    .arg("-r")
                    .arg(golden)
                    .arg(runs.join(name)),
            )?;
        }
        Ok(())
    }

    fn simulator(&self, arguments: &[&str]) -> Result<SimulatorProcess> {
        let (core, _) = processes::server_and_client_cores()?;
        let arguments: Vec<_> = arguments.iter().map(|one| (*one).to_owned()).collect();
        SimulatorProcess::start(self.llmeter, core, &arguments)
    }

    fn bare(&self, command: &str, name: &str) -> Command {
        let mut experiment = Command::new(self.llmeter);
        experiment.args([command, "--quiet", "--run-name", name]);
        experiment.current_dir(self.place);
        experiment
    }

    fn command(&self, command: &str, name: &str, url: &str) -> Command {
        let mut experiment = self.bare(command, name);
        experiment.args(["--model=my-model", "--base-url", url]);
        experiment
    }

    fn measure(&self, command: &str, name: &str, url: &str, arguments: &[&str]) -> Result<()> {
        execute(self.command(command, name, url).args(arguments))
    }
}

/// A viewer in a process of its own.
pub(crate) struct Viewer {
    _process: Stopped,
    pub(crate) address: String,
}

impl Viewer {
    /// Starts one of a folder in a place, where it keeps what it knows of runs, too.
    pub(crate) fn start(llmeter: &Path, place: &Path, folder: &str) -> Result<Self> {
        let mut viewer = Command::new(llmeter);
        viewer.args(["view", folder]).current_dir(place);
        viewer.env("XDG_CACHE_HOME", place.join("cache"));
        let mut viewer = Stopped(viewer.stdout(Stdio::piped()).spawn()?);
        let out = viewer.0.stdout.take().context("the viewer has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line
            .split_whitespace()
            .find(|word| word.starts_with("http"));
        let address = address.with_context(|| format!("the viewer said {line:?}"))?;
        Ok(Self {
            address: address.to_owned(),
            _process: viewer,
        })
    }
}
