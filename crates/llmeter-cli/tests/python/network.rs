//! Other people's servers and proxies: Starlette under gunicorn, on TCP, TLS and a Unix socket, with
//! compressed answers; and proxy.py.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{python, script};

const TEXT: &str = "Once upon a time there was a server.";

/// A server that ends with its standard input.
struct Server {
    url: String,
    process: Child,
    input: Option<ChildStdin>,
}

impl Server {
    fn start<'a>(
        python: &OsStr,
        name: &str,
        arguments: impl IntoIterator<Item = &'a OsStr>,
        folder: &Path,
    ) -> Self {
        let log = folder.join(format!("{name}.log"));
        let mut process = Command::new(python)
            .arg(script(name))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let mut said = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        let Some(url) = said.trim_end().strip_prefix("serving ") else {
            let log = std::fs::read_to_string(log).unwrap();
            panic!("{name} said {said:?}: {log}");
        };
        Self {
            url: url.to_owned(),
            process,
            input,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its own processes go with it.
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

/// A place with a web server.
struct Place {
    folder: TempDir,
    server: Server,
}

struct Said {
    code: Option<i32>,
    err: String,
    responses: Vec<Value>,
    /// Every file of the run's folder, and all that was said.
    everything: String,
}

impl Place {
    fn new(python: &OsStr, kind: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [folder.path().as_os_str(), kind.as_ref()];
        let server = Server::start(python, "web_server.py", arguments, folder.path());
        Self { folder, server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn proxy(&self, python: &OsStr, credentials: Option<&str>) -> Server {
        let log = self.path().join("proxied");
        let arguments = [log.as_os_str()].into_iter();
        let arguments = arguments.chain(credentials.map(OsStr::new));
        Server::start(python, "proxy_server.py", arguments, self.path())
    }

    /// Waits until the proxy has written a line with this text.
    fn proxy_tells(&self, text: &str) {
        for _ in 0..2_000 {
            let log = std::fs::read_to_string(self.path().join("proxied")).unwrap_or_default();
            if log.contains(text) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the proxy told nothing of {text}");
    }

    /// `llmeter run` against the server, into a fresh folder.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmeter"));
        command
            .args(["run", "--base-url", &self.server.url, "--quiet"])
            .args([
                "--prompt",
                "Tell me a story.",
                "--run-name",
                "it",
                "--overwrite",
            ])
            .args(arguments)
            .current_dir(self.path())
            .env_remove("OPENAI_API_KEY")
            .stdin(Stdio::null());
        if !arguments.contains(&"--model") {
            command.args(["--model", "m"]);
        }
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let folder = self.path().join("runs/it");
        let files = std::fs::read_dir(&folder).into_iter().flatten();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let everything = texts.chain([out, err.clone()]).collect();
        let responses = std::fs::read_to_string(folder.join("responses.jsonl")).unwrap_or_default();
        Said {
            code: output.status.code(),
            err,
            responses: responses
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            everything,
        }
    }
}

impl Said {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.everything);
        assert!(!self.responses.is_empty());
        for response in &self.responses {
            assert_eq!(response["response_text"], TEXT, "{response}");
            assert_eq!(response["num_tokens_output"], 9);
        }
        self
    }
}

#[test]
fn a_server_behind_a_unix_socket() {
    let Some(python) = python() else { return };
    let place = Place::new(&python, "unix");
    assert!(
        place.server.url.starts_with("unix:/"),
        "{}",
        place.server.url
    );
    let said = place
        .run(&["--clients", "4", "--requests", "5"], &[])
        .succeeded();
    assert_eq!(said.responses.len(), 20);
    // A proxy of the environment is none of a socket's business.
    place
        .run(&[], &[("all_proxy", "http://127.0.0.1:9")])
        .succeeded();
}

#[test]
fn compressed_answers_of_another_implementation() {
    let Some(python) = python() else { return };
    let place = Place::new(&python, "tcp");
    for coding in ["gzip", "deflate"] {
        let accept = format!("Accept-Encoding: {coding}");
        for endpoint in ["openai-chat-stream", "openai-chat"] {
            place
                .run(&["--endpoint", endpoint, "--header", &accept], &[])
                .succeeded();
        }
    }
    // A refusal is packed as well.
    let said = place.run(
        &["--model", "fails", "--header", "Accept-Encoding: gzip"],
        &[],
    );
    assert_eq!(said.code, Some(3), "{}", said.everything);
    assert!(
        said.err.contains("HTTP 503") && said.err.contains("had enough"),
        "{}",
        said.err
    );
}

#[test]
fn a_proxy_of_the_environment_or_of_a_flag_is_asked_for_the_whole_address() {
    let Some(python) = python() else { return };
    let place = Place::new(&python, "tcp");
    let proxy = place.proxy(&python, None);
    let said = place
        .run(&["--proxy", &proxy.url, "--requests", "3"], &[])
        .succeeded();
    assert_eq!(said.responses.len(), 3);
    place.proxy_tells("POST 127.0.0.1:");
    assert!(
        said.everything.contains(&proxy.url),
        "the run says that it went through a proxy"
    );
    // This machine's own addresses are reached without the environment's proxy, where nobody is.
    let nobody = [("http_proxy", "http://127.0.0.1:9")];
    place.run(&[], &nobody).succeeded();
    place.run(&["--no-proxy"], &nobody).succeeded();
    let said = place.run(&["--proxy", "http://127.0.0.1:9"], &[]);
    assert_eq!(said.code, Some(1), "{}", said.everything);
}

#[test]
fn a_tunnel_through_a_proxy_that_wants_a_password() {
    let Some(python) = python() else { return };
    let place = Place::new(&python, "tls");
    let proxy = place.proxy(&python, Some("me:geheim-4711"));
    let with = |credentials: &str| {
        proxy
            .url
            .replace("http://", &format!("http://{credentials}@"))
    };
    let trusting = |proxy: &str| place.run(&["--ca-file", "cert.pem", "--proxy", proxy], &[]);
    let said = trusting(&with("me:geheim-4711")).succeeded();
    place.proxy_tells("CONNECT 127.0.0.1:");
    let config: Value = serde_json::from_str(
        &std::fs::read_to_string(place.path().join("runs/it/llmeter.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(config["proxy"], proxy.url.as_str());
    assert!(!said.everything.contains("geheim"), "{}", said.everything);
    assert!(said.responses[0]["time_to_tls"].as_f64().unwrap() > 0.0);

    for (url, part) in [
        (with("me:wrong-4711"), "does not accept"),
        (proxy.url.clone(), "wants a user"),
    ] {
        let said = trusting(&url);
        assert_eq!(said.code, Some(1), "{}", said.everything);
        assert!(
            said.err.contains("407") && said.err.contains(part),
            "{}",
            said.err
        );
        assert!(!said.err.contains("wrong-4711"), "{}", said.err);
    }
}
