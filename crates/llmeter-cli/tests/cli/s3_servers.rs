//! Object stores that lack something of S3: conditional writes, or ETags.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use llmeter_sim::RunningSimulator;
use llmeter_testing::{Request, ScriptedServer, Step};

use crate::support::{Place, Said, quick, said, start};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// What a server lacks.
#[derive(Clone, Copy, Default)]
struct Lacks {
    conditions: bool,
    etags: bool,
    /// It refuses to store this.
    object: Option<&'static str>,
}

/// A secret key as AWS makes them.
const SECRET: &str = "Bt6Yn2Ic8/Xo5+Er1Sv4Mz9Qj3Kw7Hd0Lg5Pf8Ua";

struct Store {
    server: ScriptedServer,
    objects: Objects,
}

impl Store {
    fn start(lacks: Lacks) -> Self {
        let objects = Objects::default();
        let stored = Arc::clone(&objects);
        let server = ScriptedServer::respond(move |request| {
            vec![Step::Write(respond(lacks, &stored, request))]
        });
        Self {
            server: server.start().unwrap(),
            objects,
        }
    }

    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn settle(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://{}", self.server.address()),
            )
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_REGION", "us-east-1")
            .env("NO_PROXY", "*");
    }

    fn run(&self, place: &Place, simulator: &RunningSimulator, arguments: &[&str]) -> Said {
        let all = [&["--output", "s3://bucket/runs", "--quiet"], arguments].concat();
        let mut command = place.run_command(&simulator.base_url(), &all);
        self.settle(&mut command);
        said(command)
    }

    fn show(&self, place: &Place) -> Said {
        let mut command = place.command(["show", "s3://bucket/runs/it", "--json"]);
        self.settle(&mut command);
        said(command)
    }
}

fn respond(lacks: Lacks, objects: &Objects, request: &Request) -> Vec<u8> {
    let mut objects = objects.lock().unwrap();
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let key = path
        .strip_prefix("/bucket")
        .unwrap_or(path)
        .trim_start_matches('/');
    let etag = |content: &[u8]| match lacks.etags {
        true => String::new(),
        false => format!("ETag: \"{}-{:x}\"\r\n", content.len(), sum(content)),
    };
    let respond = |status: &str, more: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\nLast-Modified: Fri, 27 Nov 2026 10:00:00 GMT\r\n{more}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let error = |status: &str, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        respond(status, "", body.as_bytes())
    };
    let condition = |name| request.header(name);
    match request.method.as_str() {
        "PUT" => {
            let (is_new, is_same) = (condition("if-none-match"), condition("if-match"));
            if lacks.conditions && is_new.or(is_same).is_some() {
                return error("501 Not Implemented", "NotImplemented");
            }
            if lacks.object.is_some_and(|refused| key.ends_with(refused)) {
                return error("403 Forbidden", "QuotaExceeded");
            }
            if query.contains("partNumber") {
                let part = format!("{key}?{}", query.split('&').next().unwrap_or_default());
                objects.insert(part, request.body.clone());
                return respond("200 OK", &etag(&request.body), b"");
            }
            let known = objects.get(key).map(|content| etag(content));
            let is_met = match (is_new, is_same) {
                (Some(_), _) => known.is_none(),
                (_, Some(wanted)) => known.is_some_and(|known| known.contains(wanted)),
                _ => true,
            };
            if !is_met {
                return error("412 Precondition Failed", "PreconditionFailed");
            }
            objects.insert(key.to_owned(), request.body.clone());
            respond("200 OK", &etag(&request.body), b"")
        }
        "POST" if query.starts_with("delete") => {
            let text = request.text();
            let mut deleted = String::new();
            for name in text.split("<Key>").skip(1) {
                let name = name.split("</Key>").next().unwrap();
                objects.remove(name);
                deleted.push_str(&format!("<Deleted><Key>{name}</Key></Deleted>"));
            }
            let deleted = format!("<DeleteResult>{deleted}</DeleteResult>");
            respond("200 OK", "", deleted.as_bytes())
        }
        "POST" if query.starts_with("uploads") => {
            let id = "<InitiateMultipartUploadResult><UploadId>u</UploadId>\
                      </InitiateMultipartUploadResult>";
            respond("200 OK", "", id.as_bytes())
        }
        "POST" => {
            let parts: Vec<_> = objects
                .keys()
                .filter(|name| name.contains('?'))
                .cloned()
                .collect();
            let whole = parts
                .iter()
                .flat_map(|part| objects.remove(part).unwrap())
                .collect();
            objects.insert(key.to_owned(), whole);
            let done = "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag>\
                        </CompleteMultipartUploadResult>";
            respond("200 OK", "", done.as_bytes())
        }
        "DELETE" => {
            objects.retain(|name, _| !(name == key || name.starts_with(&format!("{key}?"))));
            respond("204 No Content", "", b"")
        }
        _ if key.is_empty() => respond("200 OK", "", listing(&objects, query).as_bytes()),
        _ => match objects.get(key) {
            Some(content) => respond("200 OK", &etag(content), content),
            None => error("404 Not Found", "NoSuchKey"),
        },
    }
}

fn sum(content: &[u8]) -> u64 {
    content
        .iter()
        .fold(7, |sum, byte| sum * 31 % 1_000_000_007 + u64::from(*byte))
}

fn listing(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> String {
    let argument = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value);
        value.replace("%2F", "/")
    };
    let (prefix, delimiter) = (argument("prefix"), argument("delimiter"));
    let (mut files, mut folders) = (String::new(), std::collections::BTreeSet::new());
    for (name, content) in objects {
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        match rest.split_once('/').filter(|_| !delimiter.is_empty()) {
            Some((folder, _)) => drop(folders.insert(format!("{prefix}{folder}/"))),
            None => files.push_str(&format!(
                "<Contents><Key>{name}</Key><Size>{}</Size>\
                 <LastModified>2026-11-27T10:00:00Z</LastModified></Contents>",
                content.len()
            )),
        }
    }
    let folders: String = folders
        .iter()
        .map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"))
        .collect();
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{files}{folders}</ListBucketResult>")
}

const FILES: [&str; 6] = [
    "runs/it/llmeter.json",
    "runs/it/payload.jsonl",
    "runs/it/responses.jsonl",
    "runs/it/run_config.json",
    "runs/it/stats.json",
    "runs/it/summary.json",
];

#[test]
fn a_run_is_written_whatever_the_server_lacks() {
    for (conditions, etags) in [(false, false), (true, false), (false, true), (true, true)] {
        let store = Store::start(Lacks {
            conditions,
            etags,
            object: None,
        });
        let (place, simulator) = (Place::new(), start(quick()));
        store.run(&place, &simulator, &["--requests", "3"]).exits(0);
        assert_eq!(store.names(), FILES);
        assert_eq!(store.show(&place).exits(0).object()["total_requests"], 3);
        // The name is taken, …
        let refused = store.run(&place, &simulator, &[]).exits(1);
        refused.one_error(&["s3://bucket/runs/it already holds a run"]);
        assert_eq!(store.show(&place).object()["total_requests"], 3);
        // … and can be taken over.
        store.run(&place, &simulator, &["--overwrite"]).exits(0);
        assert_eq!(store.names(), FILES);
        assert_eq!(store.show(&place).object()["total_requests"], 1);
        // The simulator was asked for nothing else.
        assert_eq!(simulator.requests_served(), 4);
    }
}

/// Pieces of a large object are put together by their ETags.
#[test]
fn large_files_go_in_one_piece_where_there_are_no_etags() {
    for etags in [false, true] {
        let store = Store::start(Lacks {
            etags,
            ..Lacks::default()
        });
        let (place, simulator) = (Place::new(), start(quick()));
        place.file("long.txt", "word ".repeat(1_200_000));
        store
            .run(&place, &simulator, &["--prompt", "@long.txt"])
            .exits(0);
        assert_eq!(store.names(), FILES);
        let objects = store.objects.lock().unwrap();
        assert!(objects["runs/it/payload.jsonl"].len() > 6_000_000);
        assert!(objects["runs/it/responses.jsonl"].ends_with(b"}\n"));
    }
}

#[test]
fn a_run_that_does_not_start_leaves_no_claim_behind() {
    for conditions in [false, true] {
        for object in ["payload.jsonl", "run_config.json", "llmeter.json"] {
            let store = Store::start(Lacks {
                conditions,
                object: Some(object),
                ..Lacks::default()
            });
            let (place, simulator) = (Place::new(), start(quick()));
            let said = store.run(&place, &simulator, &[]).exits(1);
            said.one_error(&["s3://bucket/runs/it", "QuotaExceeded"]);
            assert_eq!(store.names(), [""; 0], "{object}");
            assert_eq!(simulator.requests_served(), 0);
        }
    }
}

#[test]
fn the_secret_key_and_megabytes_in_an_error_are_not_repeated() {
    let spaced: String = SECRET.chars().flat_map(|c| [c, ' ']).collect();
    for said_by_server in [SECRET.to_owned(), spaced, "x".repeat(10 << 20) + SECRET] {
        let server = ScriptedServer::respond(move |_| {
            let body = format!(
                "<Error><Code>Weird</Code><Message>\u{1b}[2Jkey {said_by_server}</Message></Error>"
            );
            let length = body.len();
            let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n");
            vec![Step::Write((head + &body).into_bytes())]
        });
        let store = Store {
            server: server.start().unwrap(),
            objects: Objects::default(),
        };
        let said = store.show(&Place::new()).exits(1);
        let shown = format!("{}{}", said.out, said.err);
        let packed: String = shown.split_whitespace().collect();
        assert!(shown.contains("Weird") && shown.len() < 2000, "{shown}");
        for piece in SECRET.as_bytes().windows(6) {
            let piece = str::from_utf8(piece).unwrap();
            assert!(!packed.contains(piece), "{shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

/// The server says so beforehand, and nothing of it is read.
#[test]
fn objects_have_the_limit_of_files() {
    let large = |request: &Request| {
        let body = match request.target.contains("list-type") {
            true => {
                let names = ["summary.json", "run_config.json"];
                let object = |name: &&str| {
                    format!(
                        "<Contents><Key>runs/it/{name}</Key><Size>2</Size>\
                         <LastModified>2026-11-27T10:00:00Z</LastModified></Contents>"
                    )
                };
                let objects: String = names.iter().map(object).collect();
                format!(
                    "<ListBucketResult><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>"
                )
            }
            false => String::new(),
        };
        let length = if body.is_empty() {
            (1_u64 << 30) + 1
        } else {
            body.len() as u64
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nLast-Modified: Fri, 27 Nov 2026 10:00:00 GMT\r\nETag: \"1\"\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        vec![Step::write(head)]
    };
    let store = Store {
        server: ScriptedServer::respond(large).start().unwrap(),
        objects: Objects::default(),
    };
    let place = Place::new();
    let too_large = "too large: at most 1024 MiB are read";
    let mut command = place.command(["run", "--base-url", "http://127.0.0.1:9/v1", "--model", "m"]);
    command.args(["--requests", "1", "--payload", "s3://bucket/payload.jsonl"]);
    store.settle(&mut command);
    let said_of_payload = said(command);
    assert!(
        said_of_payload.err.contains(too_large),
        "{said_of_payload:#?}"
    );
    assert!(
        said_of_payload.err.contains("s3://bucket/payload.jsonl"),
        "{said_of_payload:#?}"
    );
    let shown = store.show(&place);
    assert!(shown.err.contains(too_large), "{shown:#?}");
}

/// Stores of others than Amazon, that repeat what they are sent.
#[test]
fn tokens_that_a_store_is_sent_are_not_shown() {
    const TOKEN: &str = "ya29.a0Bc8De6Fg4Hi2Jk9Lm7No5Pq3Rs1Tu";
    let server = ScriptedServer::respond(|request| {
        let body = format!(
            "<Error><Code>Denied</Code><Message>not with {} {} {}</Message></Error>",
            request.header("authorization").unwrap_or("nothing"),
            request.header("x-amz-security-token").unwrap_or("nothing"),
            request.target.replace('&', " "),
        );
        let length = body.len();
        vec![Step::write(format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n{body}"
        ))]
    });
    let server = server.start().unwrap();
    let address = format!("http://{}", server.address());
    let place = Place::new();
    let azure = [
        ("AZURE_STORAGE_ACCOUNT_NAME", "me"),
        ("AZURE_STORAGE_TOKEN", TOKEN),
        ("AZURE_STORAGE_ENDPOINT", &address),
        ("AZURE_ALLOW_HTTP", "true"),
    ];
    let azure_sas = [
        ("AZURE_STORAGE_ACCOUNT_NAME", "me"),
        (
            "AZURE_STORAGE_SAS_TOKEN",
            "sv=2024&sig=Sg7Hf5Gd3Fs1Da9Zx%3D",
        ),
        ("AZURE_STORAGE_ENDPOINT", &address),
        ("AZURE_ALLOW_HTTP", "true"),
    ];
    let session = [
        ("AWS_ENDPOINT_URL", &*address),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_REGION", "us-east-1"),
    ];
    for (location, variables) in [
        ("az://bucket/runs/it", &azure[..]),
        ("az://bucket/runs/it", &azure_sas[..]),
        ("s3://bucket/runs/it", &session[..]),
    ] {
        let mut command = place.command(["show", location]);
        command.envs(variables.iter().copied()).env("NO_PROXY", "*");
        command.env("LLMETER_LOG", "trace");
        let shown = said(command);
        let all = format!("{}{}", shown.out, shown.err);
        assert!(shown.err.contains("Denied"), "{location}: {all}");
        for secret in [
            TOKEN,
            SECRET,
            "Sg7Hf5Gd3Fs1Da9Zx",
            "Cs7Xw5Vu3Ts1",
            "Rt9Qp8On7Ml6Kj5",
        ] {
            let mut parts = secret.as_bytes().windows(6);
            let part = parts.find(|part| all.as_bytes().windows(6).any(|at| at == *part));
            assert_eq!(part, None, "{location}: {all}");
        }
    }
}
