//! Servers that repeat what they were sent: no secret of a request reaches anything that a run writes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmeter::endpoint::ApiMode;
use serde_json::json;

use crate::scripted::{Request, Scripted, json as json_answer, refusal};
use crate::support::{Place, everything, said};

/// What requests carry, each in a form that some text changes: quotes, spaces, signs of URLs.
const KEY: &str = "sk-Zq7Rw2Yx9Ub4Nc6Mv8Lk1Jh3Gf5Ds0Ap";
const HEADER: &str = "Qk3\"Vb8<Nw5&Tz2 +/=Hx6\\Ry9  Pm4Jc7";
const BEARER: &str = "Wd4Fs7Ga1Kh9Lp3Ue6";
const AWS_SECRET: &str = "Bt6Yn2Ic8/Xo5+Er1Sv4Mz9Qj3Kw7Hd0Lg5Pf8Ua";
const LONG: &str = "Jwt1Aa2Bb3Cc4Dd5Ee6Ff7Gg8Hh9Ii0Jj1Kk2Ll3Mm4Nn5Oo6Pp7Qq8Rr9Ss0Tt1Uu2Vv3Ww4Xx5Yy6Zz7\
    Abc8Bcd9Cde0Def1Efg2Fgh3Ghi4Hij5Ijk6Jkl7Klm8Lmn9Mno0Nop1Opq2Pqr3Qrs4Rst5Stu6Tuv7Uvw8Vwx9";

/// Pieces of a secret that are short enough to be in any excerpt, and too long for chance.
const PIECE: usize = 8;

/// The text in the ways in which servers write it.
fn forms(text: &str) -> Vec<String> {
    let percent = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    let quoted = json!(text).to_string();
    vec![
        text.to_owned(),
        text.bytes().map(percent).collect(),
        quoted.trim_matches('"').to_owned(),
        STANDARD.encode(text),
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;"),
    ]
}

/// An answer that repeats a text, in one of many ways; `None` when there are no more.
fn repeated(way: usize, text: &str, aws: bool) -> Option<String> {
    let error = |status: &str, message: &str| match aws {
        true => json_answer(status, &json!({"message": message}).to_string()),
        false => refusal(status, message),
    };
    let other = |status: &str, kind: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nLocation: http://127.0.0.1:9/v1?key={}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            forms(text)[1],
            body.len()
        )
    };
    Some(match way {
        0 => error("401 Unauthorized", text),
        1 => other("502 Bad Gateway", "text/html", &format!("<p>{text}</p>")),
        2 => other("200 OK", "text/html", &format!("<p>{text}</p>")),
        3 => other("307 Temporary Redirect", "text/plain", text),
        4 => other("200 OK", "application/json", &format!("not JSON: {text}")),
        5 => json_answer("200 OK", &json!({"error": {"message": text}}).to_string()),
        6 => json_answer(
            "400 Bad Request",
            &json!({"error": {"seen": text}}).to_string(),
        ),
        7 => json_answer(
            "400 Bad Request",
            &json!({"detail": {"seen": text}}).to_string(),
        ),
        8 => {
            let event = json!({"error": {"message": text}});
            other("200 OK", "text/event-stream", &format!("data: {event}\n\n"))
        }
        9 => other("200 OK", "text/event-stream", &format!("data: {text}\n\n")),
        10 => other("200 OK", "text/plain", text),
        11 => format!(
            "HTTP/1.1 400 Bad Request\r\nx-amzn-ErrorType: {text}\r\nContent-Length: 0\r\n\r\n"
        ),
        // Cut wherever an excerpt may end.
        12..=47 => {
            let filler = "x".repeat((way - 12) * 6);
            other(
                "500 Internal Server Error",
                "text/plain",
                &format!("{filler} {text}"),
            )
        }
        48..=83 => {
            let filler = "x".repeat((way - 48) * 6);
            other(
                "200 OK",
                "text/event-stream",
                &format!("data: {filler} {text}\n\n"),
            )
        }
        _ => return None,
    })
}

/// What is repeated: all of the request, and each secret in each form.
fn echo(number: usize, request: &Request, secrets: &[&str], aws: bool) -> String {
    let mut texts = vec![request.head.join(" | ")];
    texts.extend(secrets.iter().flat_map(|secret| forms(secret)));
    // The signature, which is another one for each request.
    texts.extend(request.header("authorization").map(str::to_owned));
    let text = &texts[number % texts.len()];
    let answer = repeated(number / texts.len(), text, aws);
    answer.unwrap_or_else(|| refusal("500 Internal Server Error", "enough"))
}

/// Runs against a server that repeats everything, and looks for pieces of secrets.
#[track_caller]
fn says_nothing(api: ApiMode, variables: &[(&str, &str)], secrets: &'static [&'static str]) {
    says_nothing_at(api, "", &[], variables, secrets);
}

/// The same with more in the address and among the flags.
#[track_caller]
fn says_nothing_at(
    api: ApiMode,
    query: &str,
    flags: &[&str],
    variables: &[(&str, &str)],
    secrets: &'static [&'static str],
) {
    let place = Place::new();
    let (number, aws) = (AtomicUsize::new(0), is_aws(api));
    let server = Scripted::start(move |request| {
        echo(
            number.fetch_add(1, Ordering::Relaxed),
            request,
            secrets,
            aws,
        )
    });
    let requests = (secrets.len() * forms("").len() + 2) * 84;
    let url = match api.api.spec().example_settings.is_empty() {
        true => api
            .example(&server.url.replace("/v1", ""))
            .base_url
            .unwrap(),
        false => server.url.replace("/v1", ""),
    };
    let (requests, team) = (requests.to_string(), format!("X-Team: {HEADER}"));
    let assertion = format!("X-Assertion: Bearer {LONG}");
    let mut all = vec!["--endpoint", api.name, "--requests", &requests, "--json"];
    all.extend(["--header", &team, "--header", &assertion]);
    all.extend(flags);
    let mut command = place.run_command(&format!("{url}{query}"), &all);
    command
        .env("LLMETER_LOG", "trace")
        .env("AWS_REGION", "us-east-1");
    for (name, value) in variables {
        command.env(name, value);
    }
    let said = said(command).exits(3);

    let requests = server.requests();
    assert!(!requests.is_empty(), "{}", api.name);
    let mut hidden: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    for request in &requests {
        let authorization = request.header("authorization").unwrap_or_default();
        if let Some((_, signature)) = authorization.split_once("Signature=") {
            hidden.push(signature.to_owned());
        }
        assert_eq!(request.header("x-team"), Some(HEADER), "it is sent");
    }
    let pieces: HashSet<&[u8]> = hidden
        .iter()
        .flat_map(|secret| secret.as_bytes().windows(PIECE))
        .collect();
    let all = everything(&place, &said);
    assert!(all.contains("<redacted>"), "{}: errors are kept", api.name);
    let mut windows = all.as_bytes().windows(PIECE);
    if let Some(at) = windows.position(|window| pieces.contains(window)) {
        let around = &all.as_bytes()[at.saturating_sub(200)..at + PIECE];
        panic!("{}: {}", api.name, String::from_utf8_lossy(around));
    }
}

/// The APIs whose shape is known. `http` needs a description of one.
fn named() -> impl Iterator<Item = ApiMode> {
    ApiMode::all().filter(|api| api.api.spec().example_settings.is_empty())
}

fn is_aws(api: ApiMode) -> bool {
    api.api.spec().service.is_some()
}

#[test]
fn no_key_or_header_comes_back_from_any_api() {
    for api in named().filter(|api| !is_aws(*api)) {
        let variable = api.key_variable().unwrap();
        says_nothing(api, &[(variable, KEY)], &[KEY, HEADER, LONG]);
    }
}

#[test]
fn no_key_of_a_described_api_comes_back() {
    let api = ApiMode::named("http").unwrap();
    let flags = [
        "--body",
        r#"{"auth": {{ api_key }}, "prompt": {{ prompt }}}"#,
        "--framing",
        "sse",
        "--jmespath",
        "text=text",
        "--api-key-env",
        "SOME_KEY",
    ];
    let query = format!("/generate?api_key={BEARER}&page=2");
    let variables = [("SOME_KEY", KEY)];
    says_nothing_at(
        api,
        &query,
        &flags,
        &variables,
        &[KEY, BEARER, HEADER, LONG],
    );
}

#[test]
fn no_secret_token_or_signature_of_aws_comes_back() {
    for api in named().filter(|api| is_aws(*api)) {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
            ("AWS_SESSION_TOKEN", LONG),
        ];
        says_nothing(api, &keys, &[AWS_SECRET, HEADER, LONG]);
    }
}

#[test]
fn no_bearer_token_of_bedrock_comes_back() {
    for api in named().filter(|api| is_aws(*api)) {
        let variable = api.key_variable();
        if let Some(variable) = variable {
            says_nothing(api, &[(variable, BEARER)], &[BEARER, HEADER, LONG]);
        }
    }
}

#[test]
fn addresses_with_secrets_are_refused_unseen() {
    for api in named() {
        for url in [
            format!("http://127.0.0.1:9/v1?api_key={KEY}"),
            format!("http://user:{KEY}@127.0.0.1:9/v1"),
            format!("http://{KEY}@127.0.0.1:9/v1#{KEY}"),
        ] {
            let place = Place::new();
            let mut command = place.run_command(&url, &["--endpoint", api.name]);
            command
                .env("AWS_REGION", "us-east-1")
                .env("LLMETER_LOG", "trace");
            let said = said(command).exits(2);
            assert!(said.err.contains("--base-url"), "{}: {said:#?}", api.name);
            assert!(!said.err.contains(&KEY[..PIECE]), "{}: {said:#?}", api.name);
            assert!(!place.folder().exists());
        }
    }
}
