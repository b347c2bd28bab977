//! What must reach the server and must never be seen elsewhere.

use crate::scripted::{Scripted, answer, refusal};
use crate::support::{Place, everything, said};

const KEY: &str = "sk-very-secret-0123456789";

#[test]
fn a_header_reaches_the_server_and_no_file() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    let said = place
        .run(
            &server.url,
            &[
                "--header",
                "X-Secret: geheim-4711",
                "--header",
                "X-Team:  blue ",
            ],
        )
        .exits(0);
    let request = &server.requests()[0];
    assert_eq!(request.header("x-secret"), Some("geheim-4711"));
    assert_eq!(request.header("x-team"), Some("blue"));
    assert!(request.header("authorization").is_none());
    assert!(!everything(&place, &said).contains("geheim-4711"));
}

#[test]
fn headers_that_are_not_saved_have_to_be_given_again() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    let headers = [
        "--header",
        "X-Secret: geheim-4711",
        "--header",
        "X-Team: blue",
        "--header",
        "Accept-Language: de",
    ];
    let said = place.run(&server.url, &headers).exits(0);
    assert!(!everything(&place, &said).contains("geheim-4711"));
    let again = ["run", "--from", "runs/it", "--run-name", "again"];
    let said = place.llmeter(again).exits(2);
    said.one_error(&[
        "cannot repeat the run in runs/it",
        "--header: X-Secret, X-Team were sent in the saved run",
        "hint: give it again: --header 'X-Secret: …' --header 'X-Team: …'",
    ]);
    let sent = server.requests().len();
    let some = ["--header", "x-team: red"];
    let said = place.llmeter(again.into_iter().chain(some)).exits(2);
    said.one_error(&["--header: X-Secret was sent"]);
    assert_eq!(server.requests().len(), sent, "nothing was sent");
    let all = [
        "--header",
        "x-team: red",
        "--header",
        "X-Secret: new",
        "--base-url",
        &server.url,
    ];
    place.llmeter(again.into_iter().chain(all)).exits(0);
    let requests = server.requests();
    let request = requests.last().unwrap();
    assert_eq!(request.header("x-team"), Some("red"));
    assert_eq!(request.header("x-secret"), Some("new"));
    assert_eq!(
        request.header("accept-language"),
        Some("de"),
        "harmless, and saved"
    );
}

#[test]
fn a_key_that_the_server_repeats_is_hidden() {
    for low_memory in [false, true] {
        let place = Place::new();
        // The way to the worst case: the server puts both secrets into its error.
        let server = Scripted::start(|request| {
            let key = request.header("authorization").unwrap();
            let header = request.header("x-secret").unwrap();
            refusal(
                "401 Unauthorized",
                &format!("Incorrect API key: {key}, {header}"),
            )
        });
        let mut arguments = vec!["--header", "X-Secret: geheim-4711", "--requests", "2"];
        if low_memory {
            arguments.push("--low-memory");
        }
        let mut command = place.run_command(&server.url, &arguments);
        command.env("OPENAI_API_KEY", KEY);
        let said = said(command).exits(3);
        assert_eq!(
            server.requests()[0].header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        said.one_error(&["HTTP 401", "Incorrect API key", "OPENAI_API_KEY"]);
        let all = everything(&place, &said);
        assert!(!all.contains(KEY), "{all}");
        assert!(!all.contains("geheim-4711"), "{all}");
    }
}

#[test]
fn the_key_comes_from_the_variable_that_is_named() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    let mut command = place.run_command(&server.url, &["--api-key-env", "MY_KEY"]);
    command
        .env("MY_KEY", format!(" {KEY}\n"))
        .env("OPENAI_API_KEY", "another");
    let said = said(command).exits(0);
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    assert!(!everything(&place, &said).contains(KEY));
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_unseen() {
    let place = Place::new();
    let mut command = place.run_command("http://127.0.0.1:9/v1", &[]);
    command.env("OPENAI_API_KEY", "geheim 4711");
    let said = said(command).exits(2);
    said.one_error(&["--api-key-env"]);
    assert!(!said.err.contains("geheim"), "{said:#?}");
}

#[test]
fn no_key_is_fine_where_none_is_needed() {
    let place = Place::new();
    let server = Scripted::start(|_| answer());
    place
        .run(&server.url, &["--api-key-env", "NOT_SET_ANYWHERE"])
        .exits(0);
    assert!(server.requests()[0].header("authorization").is_none());
    assert!(server.requests()[0].text().contains("some-model"));
}
