//! Which proxy a run goes through, and one that repeats it.

use crate::scripted::{Scripted, answer};
use crate::support::{Place, Said, said};

/// A server that only a proxy knows.
const FAR: &str = "http://llm.invalid/v1";

/// A proxy that answers itself.
struct Answering(Scripted);

impl Answering {
    fn start() -> Self {
        Self(Scripted::start(|_| answer()))
    }

    fn url(&self) -> &str {
        self.0.url.trim_end_matches("/v1")
    }

    fn asked(&self) -> usize {
        self.0.requests().len()
    }
}

/// A run with this proxy in the environment.
fn run(place: &Place, url: &str, arguments: &[&str], environment: &str) -> Said {
    within(place.run_command(url, arguments), environment)
}

/// The run of the folder `runs/it` once more.
fn again(place: &Place, arguments: &[&str], environment: &str) -> Said {
    let repeated = ["run", "--from", "runs/it"];
    let arguments = repeated.iter().chain(arguments).copied();
    within(place.command(arguments), environment)
}

fn within(mut command: std::process::Command, environment: &str) -> Said {
    for name in ["all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    command.env("http_proxy", environment);
    said(command)
}

#[test]
fn a_repeated_run_does_not_take_the_proxy_from_its_folder() {
    let (place, given, other) = (Place::new(), Answering::start(), Answering::start());
    run(&place, FAR, &["--proxy", given.url()], other.url()).exits(0);
    assert_eq!(place.json("llmeter.json")["proxy_from"], "flag");
    let said = again(&place, &["--run-name", "second"], other.url()).exits(0);
    let note = "note: --proxy is never taken from a folder (runs/it)";
    assert!(said.err.contains(note), "{said:#?}");
    assert_eq!((given.asked(), other.asked()), (1, 1));
    let now = ["--run-name", "third", "--proxy", given.url()];
    let said = again(&place, &now, other.url()).exits(0);
    assert!(!said.err.contains("note: --proxy"), "{said:#?}");
    assert_eq!((given.asked(), other.asked()), (2, 1));
}

#[test]
fn a_repeated_run_asks_the_environment_anew_if_that_chose() {
    let (place, then, now) = (Place::new(), Answering::start(), Answering::start());
    run(&place, FAR, &[], then.url()).exits(0);
    assert_eq!(place.json("llmeter.json")["proxy_from"], "environment");
    assert_eq!(place.json("llmeter.json")["proxy"], then.url());
    again(&place, &["--run-name", "second"], now.url()).exits(0);
    assert_eq!((then.asked(), now.asked()), (1, 1));
    // This machine's own addresses are never reached through it.
    let here = Scripted::start(|_| answer());
    let here_now = ["--run-name", "third", "--base-url", &here.url];
    again(&place, &here_now, now.url()).exits(0);
    assert_eq!((now.asked(), here.requests().len()), (1, 1));
}

#[test]
fn a_repeated_run_goes_through_no_proxy_if_that_was_asked_for() {
    let (place, proxy) = (Place::new(), Answering::start());
    let here = Scripted::start(|_| answer());
    run(&place, &here.url, &["--no-proxy"], proxy.url()).exits(0);
    assert_eq!(place.json("llmeter.json")["proxy_from"], "none");
    // A name that only the proxy knows: without it nobody is reached.
    let far = ["--run-name", "second", "--base-url", FAR];
    let said = again(&place, &far, proxy.url());
    assert_ne!(said.code, 0, "{}", said.err);
    assert_eq!(proxy.asked(), 0);
}
