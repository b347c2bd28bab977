//! Folders, callbacks and configuration files that somebody else made say where secrets go: that is
//! shown, and needs consent.

use std::fs;

use serde_json::{Value, json};

use crate::scripted::{Scripted, answer, json as respond};
use crate::support::{Place, Said, said};

const KEY: &str = "sk-very-secret-0123456789";

/// Variables of whoever runs the tests that would name servers or hold secrets.
const OTHERS: [&str; 6] = [
    "OPENAI_BASE_URL",
    "LLMETER_TRUSTED_HOSTS",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
];

/// A run's folder `theirs/run`, as somebody sends it.
fn folder(place: &Place, server: &Scripted, more: Value) {
    let mut config = json!({
        "endpoint": {
            "__llmeter_class__": "llmeter.endpoints.openai.OpenAICompletionStreamEndpoint",
            "__llmeter_state__": {"model_id": "m", "base_url": server.url},
        },
        "clients": 1, "n_requests": 1, "callbacks": null, "tokenizer": null,
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    place.file("theirs/run/run_config.json", config.to_string());
    let payload = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n";
    place.file("theirs/run/payload.jsonl", payload);
}

fn with(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = place.command(arguments.iter().copied());
    for name in OTHERS {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    said(command)
}

/// The run of that folder, with a key.
fn again(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let from = ["run", "--from", "theirs/run", "--output", "mine", "--quiet"];
    let key = [("OPENAI_API_KEY", KEY)];
    let all = [&from[..], arguments].concat();
    with(place, &all, &[&key[..], environment].concat())
}

#[test]
fn a_key_goes_to_the_server_of_a_folder_only_with_consent() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    folder(&place, &server, json!({}));
    let refused = again(&place, &[], &[]).exits(2);
    let will = format!("will send OPENAI_API_KEY to {}\n", server.url);
    assert!(refused.err.starts_with(&will), "{refused:#?}");
    for part in [
        "error: not sent, ",
        "hint: ",
        "--trust-folder",
        "--base-url",
        "trusted-hosts",
    ] {
        assert!(refused.err.contains(part), "{part}: {refused:#?}");
    }
    assert!(!refused.err.contains(KEY), "{refused:#?}");
    // A host of the same name elsewhere, and another port of the same host.
    for other in [
        "https://127.0.0.1",
        "http://127.0.0.1:9",
        "http://localhost",
    ] {
        again(&place, &[], &[("OPENAI_BASE_URL", other)]).exits(2);
    }
    assert!(server.requests().is_empty(), "nothing was sent");

    let root = server.url.trim_end_matches("/v1");
    again(&place, &["--trust-folder"], &[]).exits(0);
    again(&place, &["--base-url", &server.url], &[]).exits(0);
    again(&place, &[], &[("OPENAI_BASE_URL", &server.url)]).exits(0);
    again(&place, &[], &[("LLMETER_TRUSTED_HOSTS", root)]).exits(0);
    let own = format!("trusted-hosts = [\"{root}\"]\n");
    place.file("config/llmeter/config.toml", own);
    let trusted = again(&place, &[], &[]).exits(0);
    assert_eq!(trusted.err, will, "shown all the same");
    assert_eq!(server.requests().len(), 5);
    for request in server.requests() {
        assert!(request.header("authorization").unwrap().contains(KEY));
    }
}

#[test]
fn without_a_secret_there_is_nothing_to_ask() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    folder(&place, &server, json!({}));
    let arguments = ["run", "--from", "theirs/run", "--output", "mine", "--quiet"];
    let said = with(&place, &arguments, &[]).exits(0);
    assert_eq!(said.err, "");
    // A header that is given now is one.
    let secret = ["--header", "X-Team: geheim-4711"];
    let said = with(&place, &[&arguments[..], &secret].concat(), &[]).exits(2);
    assert!(
        said.err.starts_with("will send the header X-Team to "),
        "{said:#?}"
    );
    assert!(!said.err.contains("geheim"), "{said:#?}");
}

#[test]
fn the_configuration_of_the_user_names_hosts_and_nothing_else() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    folder(&place, &server, json!({}));
    for (content, reason) in [
        (
            "trusted-hosts = [\"a/b\"]",
            "trusted_hosts a/b: expected a host",
        ),
        ("insecure = true", "insecure"),
        ("trusted-hosts = 3", "config.toml"),
    ] {
        place.file("config/llmeter/config.toml", content);
        again(&place, &[], &[])
            .exits(2)
            .one_error(&["config.toml", reason]);
    }
    assert!(server.requests().is_empty());
}

#[test]
fn what_weakens_the_way_to_a_server_never_comes_from_a_folder() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    let proxy = Scripted::start(|_| answer());
    folder(&place, &server, json!({}));
    let own = json!({
        "format": 1, "insecure": true, "proxy": proxy.url.trim_end_matches("/v1"),
        "proxy_from": "flag",
    });
    place.file("theirs/run/llmeter.json", own.to_string());
    let said = again(&place, &["--trust-folder", "--run-name", "a"], &[]).exits(0);
    for flag in ["--insecure", "--proxy"] {
        let note = format!("note: {flag} is never taken from a folder");
        assert!(said.err.contains(&note), "{said:#?}");
    }
    assert_eq!((server.requests().len(), proxy.requests().len()), (1, 0));
    let saved = fs::read_to_string(place.path().join("mine/a/llmeter.json")).unwrap();
    let saved: Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(
        (&saved["insecure"], &saved["proxy"]),
        (&json!(false), &Value::Null)
    );
    // Said again, it holds.
    let now = ["--trust-folder", "--insecure", "--no-proxy"];
    let said = again(&place, &now, &[]).exits(0);
    assert!(!said.err.contains("note:"), "{said:#?}");
}

#[cfg(unix)]
#[test]
fn a_folder_sends_no_file_that_is_not_in_it() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    let secret = place.path().join("credentials.json");
    place.file(
        "credentials.json",
        "{\"messages\": [], \"password\": \"hush\"}",
    );
    folder(&place, &server, json!({"payload": secret}));
    let own = place.path().join("theirs/run/payload.jsonl");
    let refused = |names: &str| {
        let said = again(&place, &["--trust-folder"], &[]).exits(2);
        let line = "which is not in its folder and is not sent";
        assert!(
            said.err.contains(line) && said.err.contains(names),
            "{said:#?}"
        );
        assert!(
            said.err.contains("hint: give --payload to send it"),
            "{said:#?}"
        );
    };
    fs::remove_file(&own).unwrap();
    refused("credentials.json");
    std::os::unix::fs::symlink("../../credentials.json", &own).unwrap();
    refused("payload.jsonl");
    assert!(server.requests().is_empty());
    // What the user names is the user's to send.
    let named = ["--trust-folder", "--payload", "credentials.json"];
    again(&place, &named, &[]).exits(0);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_token_goes_to_a_saved_tracking_server_only_with_consent() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    let tracking = Scripted::start(|_| respond("404 Not Found", "{}"));
    let address = tracking.url.trim_end_matches("/v1");
    let callback = json!({
        "__llmeter_class__": "llmeter.callbacks.mlflow.MlflowCallback",
        "__llmeter_state__": {"step": null, "nested": false, "tracking_uri": address},
    });
    folder(&place, &server, json!({"callbacks": [callback]}));
    place.file("theirs/callback.json", callback.to_string());
    let token = ("MLFLOW_TRACKING_TOKEN", "hush-hush");
    let will = format!("will send MLFLOW_TRACKING_TOKEN to {address}\n");

    let from = ["run", "--from", "theirs/run", "--output", "mine", "--quiet"];
    let url = server.url.as_str();
    let fresh = [
        "run",
        "--base-url",
        url,
        "--model",
        "m",
        "--prompt",
        "Hi",
        "--quiet",
        "--callback",
        "theirs/callback.json",
    ];
    for arguments in [&from[..], &fresh] {
        let said = with(&place, arguments, &[token]).exits(2);
        assert!(said.err.starts_with(&will), "{said:#?}");
    }
    assert!(server.requests().is_empty() && tracking.requests().is_empty());

    // A folder's run is logged later by the callback that it had.
    let first = [
        "run",
        "--from",
        "theirs/run",
        "--output",
        "mine",
        "--quiet",
        "--run-name",
        "it",
    ];
    with(&place, &first, &[]).exits(0);
    let seen = tracking.requests().len();
    let later = ["mlflow", "mine/it"];
    let said = with(&place, &later, &[token]).exits(2);
    assert!(said.err.starts_with(&will), "{said:#?}");
    assert_eq!(tracking.requests().len(), seen);
    // The server's refusals are another matter than ours.
    let named = ["mlflow", "mine/it", "--mlflow", address];
    let named_there = [("MLFLOW_TRACKING_URI", address), token];
    let trusted = ["mlflow", "mine/it", "--trust-folder"];
    with(&place, &named, &[token]).exits(1);
    with(&place, &later, &named_there).exits(1);
    with(&place, &trusted, &[token]).exits(1);
    let requests = tracking.requests();
    assert!(requests.len() > seen);
    for request in &requests[seen..] {
        assert_eq!(request.header("authorization"), Some("Bearer hush-hush"));
    }
}

#[test]
fn a_configuration_file_is_the_users_own_only_in_the_users_folder() {
    let (place, server) = (Place::new(), Scripted::start(|_| answer()));
    let content = format!(
        "base-url = \"{}\"\nmodel = \"m\"\nprompt = \"Hi\"\n",
        server.url
    );
    place.file("theirs/nightly.toml", &content);
    place.file("config/llmeter/nightly.toml", &content);
    let key = ("OPENAI_API_KEY", KEY);
    for command in ["run", "probe"] {
        let elsewhere = [command, "--config", "theirs/nightly.toml"];
        let said = with(&place, &elsewhere, &[key]).exits(2);
        assert!(
            said.err.starts_with("will send OPENAI_API_KEY to "),
            "{said:#?}"
        );
        let own = [command, "--config", "config/llmeter/nightly.toml"];
        with(&place, &own, &[key]).exits(0);
    }
    assert_eq!(server.requests().len(), 2);

    // A file may not weaken the way to a server that the user names, nor choose what is sent to one
    // that it names itself.
    place.file(
        "theirs/weak.toml",
        "insecure = true\napi-key-env = \"OTHER_SECRET\"\n",
    );
    let url = server.url.as_str();
    let weak = [
        "run",
        "--config",
        "theirs/weak.toml",
        "--base-url",
        url,
        "--model",
        "m",
        "--prompt",
        "Hi",
    ];
    let said = with(&place, &weak, &[("OTHER_SECRET", KEY)]).exits(2);
    let will =
        format!("will send OTHER_SECRET to {url} (--insecure, as the configuration file says)");
    assert!(said.err.starts_with(&will), "{said:#?}");
    place.file("secret.txt", "hush");
    let steals = content.replace("\"Hi\"", "\"@secret.txt\"");
    place.file("theirs/steals.toml", steals);
    let said = with(&place, &["run", "--config", "theirs/steals.toml"], &[]).exits(2);
    assert!(
        said.err.starts_with("will send the file secret.txt to "),
        "{said:#?}"
    );
    assert_eq!(server.requests().len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn somebody_at_a_terminal_is_asked() {
    for (reply, code) in [("n", 1), ("", 1), ("y", 0)] {
        let (place, server) = (Place::new(), Scripted::start(|_| answer()));
        folder(&place, &server, json!({}));
        let ended = place.shell(&format!(
            "command -v script >/dev/null || exit 99; unset OPENAI_BASE_URL LLMETER_TRUSTED_HOSTS; \
             echo '{reply}' | OPENAI_API_KEY={KEY} TERM=xterm script -qec \"'$LLMETER' run --from \
             theirs/run --output mine --quiet\" typescript",
        ));
        if ended.code == 99 {
            return;
        }
        assert_eq!(ended.code, code, "{reply:?}");
        let shown = fs::read_to_string(place.path().join("typescript")).unwrap();
        assert!(shown.contains("Send it? [y/N]"), "{shown}");
        let is_sent = reply == "y";
        assert_eq!(shown.contains("nothing was sent"), !is_sent, "{shown}");
        assert_eq!(server.requests().len(), usize::from(is_sent));
    }
}
