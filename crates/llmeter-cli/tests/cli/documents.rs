//! What README, docs and help tell people to type works as it is written there.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::support::{Place, Said, quick, said, start};

/// Beginnings of commands that need something beside llmeter and its simulator.
const OUTSIDE: &[(&str, &str)] = &[
    ("cargo ", "builds llmeter"),
    ("pip ", "installs packages"),
    ("litellm ", "another program's server"),
    (
        "llmeter run --http2 --base-url https://",
        "a server with HTTP/2",
    ),
    ("llmeter run --proxy ", "a proxy"),
    ("llmeter control ", "a run in progress"),
    ("sudo setcap ", "the rights of root"),
    ("llmeter run --stamps packet ", "CAP_NET_RAW"),
    (
        "llmeter run --connections new --source-address",
        "a machine with these addresses",
    ),
    ("llmeter run … --output s3://", "a bucket"),
    ("llmeter show s3://", "a bucket"),
    ("llmeter list s3://", "a bucket"),
    (
        "llmeter view",
        "serves until it is ended; has tests of its own",
    ),
    (
        "llmeter run … --view",
        "serves until it is ended; has tests of its own",
    ),
    ("llmeter run … --mlflow", "an MLflow server"),
    ("llmeter mlflow ", "an MLflow server"),
    (
        "llmeter callbacks new CostModel --sagemaker-endpoint",
        "AWS's price list",
    ),
    ("llmeter demo", "half a minute; has a test of its own"),
    ("llmeter calibrate", "seconds; has tests of its own"),
    ("llmeter man | man", "a pager"),
];

/// What a shell knows before the first command: addresses of providers are the simulator's, and one
/// that a text leaves out is given.
const PRELUDE: &str = r#"
llmeter() {
  local given=" $* "
  case "$given" in
    ' simulate '*) shift; simulate "$@"; return ;;
    ' run '* | ' probe '*) ;;
    *) "$LLMETER" "$@"; return ;;
  esac
  case "$given" in
    *' --base-url '* | *' --url '* | *' --from '* | *' --config '* | *' bedrock'* | *' sagemaker'*)
      "$LLMETER" "$@" ;;
    *' vertex '*) "$LLMETER" "$@" --base-url "$SIMULATOR/v1" ;;
    *' gemini'*) "$LLMETER" "$@" --base-url "$SIMULATOR/v1beta" ;;
    *) "$LLMETER" "$@" --base-url "$SIMULATOR" ;;
  esac
}
# Starts, says where, and ends.
simulate() {
  local kept=() server
  while [ $# -gt 0 ]; do
    case "$1" in --port) shift ;; *) kept+=("$1") ;; esac
    shift
  done
  # What an earlier one said must not be taken for its word.
  rm -f serving
  "$LLMETER" simulate --port 0 "${kept[@]}" > serving &
  server=$!
  until grep -qs '^serving http' serving; do kill -0 $server; sleep 0.01; done
  kill -INT $server
  # An interruption has a code of its own.
  wait $server || [ $? = 130 ]
}
gcloud() { echo made-up; }
"#;

/// A place with everything that the texts presume.
struct Shell {
    place: Place,
    /// The simulator's address, without a path.
    root: String,
    _server: llmeter_sim::RunningSimulator,
}

impl Shell {
    fn new() -> Self {
        let server = start(quick());
        let root = server.base_url().trim_end_matches("/v1").to_owned();
        let place = Place::new();
        for (name, content) in [
            ("photo.jpg", &b"\xff\xd8\xff\xe0 a picture"[..]),
            ("report.pdf", b"%PDF-1.4"),
            ("question.txt", b"What is this?\n"),
            ("instructions.txt", b"Be brief.\n"),
            ("questions/1.txt", b"Why?\n"),
            ("questions/2.txt", b"How?\n"),
            (
                "prompts.jsonl",
                b"{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n",
            ),
            (
                "bodies.jsonl",
                b"{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n",
            ),
            (".zfunc/here", b""),
            (".config/fish/completions/here", b""),
            (".local/share/man/man1/here", b""),
        ] {
            place.file(name, content);
        }
        for name in ["nightly.toml", "a.toml", "b.toml"] {
            place.file(
                name,
                format!("base-url = \"{root}/v1\"\nmodel = \"m\"\nprompt = \"Hi\"\n"),
            );
        }
        place.file(
            "mix.toml",
            format!(
                "base-url = \"{root}/v1\"\nmodel = \"m\"\nprompt = \"Hi\"\nrequests = 4\n\
                 rate = \"100/s\"\n[[workload]]\nname = \"chat\"\nshare = 70\n\
                 [[workload]]\nname = \"reports\"\nshare = 30\n"
            ),
        );
        place
            .run(&format!("{root}/v1"), &["--run-name", "20260102-0304"])
            .exits(0);
        // The same figures, so that no gate fails by chance.
        place.made_run("before", 4, 0);
        place.made_run("after", 4, 0);
        let costs = place
            .llmeter(["callbacks", "new", "CostModel"])
            .exits(0)
            .out;
        place.file("cost.json", costs);
        listen_at(place.path().join("llm.sock").as_path(), root.clone());
        Self {
            place,
            root,
            _server: server,
        }
    }

    /// Executes commands, and checks that they succeed and no request of theirs fails.
    #[track_caller]
    fn execute(&self, origin: &str, commands: &str) {
        let commands = self.here(&self.kept(commands));
        if commands.trim().is_empty() {
            return;
        }
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c"])
            .arg(format!("{PRELUDE}{commands}\nwait"))
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LLMETER", env!("CARGO_BIN_EXE_llmeter"))
            .env("SIMULATOR", &self.root)
            .env("HOME", self.place.path())
            .env("AWS_ENDPOINT_URL", &self.root)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "made-up")
            .env("ANTHROPIC_API_KEY", "made-up")
            .env("GEMINI_API_KEY", "made-up")
            .current_dir(self.place.path());
        let Said { code, out, err } = said(command);
        assert_eq!(code, 0, "{origin}:\n{commands}\n{out}\n{err}");
        let failed = out
            .lines()
            // The tables of load tests, A/B tests, lists, stages, servers and turns have a column of that name.
            .find(|line| {
                line.contains(" failed")
                    && !line.contains(" 0 failed")
                    && !line.starts_with("clients ")
                    && !line.starts_with("variant ")
                    && !line.starts_with("when ")
                    && !line.starts_with("stage ")
                    && !line.starts_with("server ")
                    && !line.starts_with("turn ")
                    && !line.starts_with("workload ")
            });
        assert_eq!(failed, None, "{origin}:\n{commands}\n{out}\n{err}");
    }

    /// The commands without those that need the outside world.
    fn kept(&self, commands: &str) -> String {
        let mut kept = String::new();
        let mut is_left_out = false;
        let mut goes_on = false;
        for line in commands.lines() {
            if !goes_on {
                let found = OUTSIDE
                    .iter()
                    .find(|(start, _)| line.trim_start().starts_with(start));
                is_left_out = found.is_some();
            }
            goes_on = line.ends_with('\\');
            if !is_left_out {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept
    }

    /// The commands as they are typed here: with a key, with this simulator's address, and briefly.
    fn here(&self, commands: &str) -> String {
        let mut here = commands.replace("=…", "=made-up");
        let base_url = format!("--base-url {}/v1", self.root);
        let usual = ["--endpoint", "--model my-model", "--prompt Hi"];
        let fill = |line: &str| {
            let missing = usual.iter().filter(|flags| {
                let name = flags.split(' ').next().unwrap_or_default();
                !line.contains(name)
            });
            let flags: Vec<&str> = missing
                .map(|flags| match *flags {
                    "--endpoint" => base_url.as_str(),
                    flags => flags,
                })
                .collect();
            line.replace('…', &flags.join(" ")) + "\n"
        };
        here = here.lines().map(fill).collect();
        for address in [
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "http://localhost:3000",
            "http://localhost:4000",
            "http://localhost:11434",
            "https://api.openai.com",
            "https://my-resource.openai.azure.com",
        ] {
            here = here.replace(address, &self.root);
        }
        for time in ["30s", "2m", "10m"] {
            here = here.replace(&format!("--duration {time}"), "--duration 100ms");
        }
        let stages = [
            (" 30s", " 30ms"),
            (" 10s", " 10ms"),
            (" 5m", " 50ms"),
            (" 2m", " 20ms"),
            (" 1m", " 10ms"),
        ];
        here = here
            .lines()
            .map(|line| {
                let brief = |line: String, (time, brief): (&str, &str)| line.replace(time, brief);
                match line.contains("--stages") {
                    true => stages.into_iter().fold(line.to_owned(), brief) + "\n",
                    false => line.to_owned() + "\n",
                }
            })
            .collect();
        // The verdict is this machine's, which runs other tests as well.
        here = here.replace(" --strict", "");
        here = here.replace(
            "for 10s' --before 2m --after 5m",
            "for 100ms' --before 600ms --after 300ms --recovery-window 100ms",
        );
        here = here.replace("--max-duration 10m", "--max-duration 200ms");
        here = here.replace("--max-requests 4000", "--max-requests 80");
        here.replace("unix:/run/llm.sock", "unix:llm.sock")
    }
}

/// Passes connections of a Unix socket on to the simulator.
fn listen_at(socket: &Path, root: String) {
    let listener = UnixListener::bind(socket).unwrap();
    let server = root.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&server).unwrap();
            let ends = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut &client, &mut &server));
            thread::spawn(move || io::copy(&mut &ends.0, &mut &ends.1));
        }
    });
}

fn text(path: &str) -> String {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

/// README and every file of docs.
fn documents() -> Vec<String> {
    let folder = format!("{}/../../docs", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".md"));
    let mut documents: Vec<_> = names.map(|name| format!("docs/{name}")).collect();
    documents.push("README.md".to_owned());
    documents.sort();
    documents
}

fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("\n```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split("\n```").next())
}

#[track_caller]
fn execute(documents: impl IntoIterator<Item = impl AsRef<str>>) {
    let shell = Shell::new();
    for document in documents {
        let document = document.as_ref();
        for block in blocks(&text(document)) {
            shell.execute(document, block);
        }
    }
}

#[test]
fn the_readme_is_true() {
    execute(["README.md"]);
}

#[test]
fn the_page_on_endpoints_is_true() {
    execute(["docs/endpoints.md"]);
}

#[test]
fn the_other_pages_are_true() {
    let pages = documents();
    let others = pages
        .iter()
        .filter(|page| !["README.md", "docs/endpoints.md"].contains(&page.as_str()));
    execute(others);
}

/// The commands below `Examples:`; what they do is said below each, six columns in.
fn examples(help: &str) -> String {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    let mut commands = String::new();
    let mut goes_on = false;
    for line in lines {
        let spaces = line.len() - line.trim_start().len();
        if goes_on || spaces != 6 {
            commands.push_str(line.trim_start());
            commands.push('\n');
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

const COMMANDS: [&str; 28] = [
    "run",
    "load-test",
    "capacity",
    "spike",
    "cold-start",
    "drift",
    "heatmap",
    "ab",
    "export",
    "probe",
    "payload",
    "data",
    "control",
    "list",
    "show",
    "report",
    "view",
    "merge",
    "compare",
    "baseline",
    "cost",
    "callbacks",
    "calibrate",
    "simulate",
    "mlflow",
    "demo",
    "completions",
    "man",
];

fn help(place: &Place, command: &str) -> String {
    place.llmeter([command, "--help"]).exits(0).out
}

#[test]
fn the_examples_of_help_work() {
    let shell = Shell::new();
    for command in COMMANDS {
        let text = help(&shell.place, command);
        let examples = examples(&text);
        assert!(examples.contains("llmeter"), "{command}: {text}");
        shell.execute(command, &examples);
    }
    let text = shell.place.llmeter(["--help"]).exits(0).out;
    shell.execute("llmeter", &examples(&text));
}

#[test]
fn what_is_left_out_is_there() {
    let place = Place::new();
    let mut all: String = documents().iter().map(|document| text(document)).collect();
    all.extend(COMMANDS.map(|command| help(&place, command)));
    all.push_str(&place.llmeter(["--help"]).exits(0).out);
    for (start, why) in OUTSIDE {
        let mut lines = all.lines();
        assert!(
            lines.any(|line| line.trim_start().starts_with(start)),
            "{start}: {why}"
        );
    }
}

/// The long flags in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let flags = words.filter(|word| word.starts_with("--") && word.len() > 3);
    flags
        .map(|flag| flag.trim_end_matches('-').to_owned())
        .collect()
}

#[test]
fn flags_that_documents_name_exist() {
    let place = Place::new();
    let mut known = flags(&COMMANDS.map(|command| help(&place, command)).concat());
    for subcommand in [["callbacks", "new"], ["baseline", "save"]] {
        let [command, name] = subcommand;
        let help = place.llmeter([command, name, "--help"]).exits(0).out;
        known.extend(flags(&help));
    }
    // Of other programs.
    let others = [
        "--body-file",
        "--example",
        "--profile",
        "--manylinux",
        "--release",
        "--path",
        "--bench",
        "--no-default-features",
        "--endpoint",
        // The table of other tools' flags in docs/load.md.
        "--arrival-pattern",
        "--arrival-smoothness",
        "--benchmark-duration",
        "--burstiness",
        "--concurrency-ramp-duration",
        "--constraint",
        "--conversation-turn-delay-mean",
        "--dataset-name",
        "--fixed-schedule",
        "--max-concurrency",
        "--max-seconds",
        "--num-prompts",
        "--num-warmups",
        "--ramp-up-end-rps",
        "--ramp-up-start-rps",
        "--ramp-up-strategy",
        "--random-seed",
        "--rate-type",
        "--ready-check-timeout-sec",
        "--request-cancellation-delay",
        "--request-cancellation-rate",
        "--request-count",
        "--request-rate",
        "--request-rate-ramp-duration",
        "--self-timed",
        "--warmup-duration",
        "--warmup-request-count",
    ];
    known.extend(others.map(str::to_owned));
    for document in documents() {
        for flag in flags(&text(&document)) {
            assert!(known.contains(&flag), "{document}: {flag}");
        }
    }
}
