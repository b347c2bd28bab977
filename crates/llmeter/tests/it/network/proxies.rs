//! Proxies that do not serve.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use llmeter::probe::{FailureContext, diagnose};
use llmeter::wire::{Phase, Proxies, Proxy};
use llmeter::{Error, OpenAiChat, RunConfig, Runner};

use super::probes::probed;
use crate::scripted::{Scripted, finish, payload, write};

fn through(proxy: SocketAddr, base_url: &str) -> RunConfig {
    let endpoint = OpenAiChat::builder(base_url, "m").build().unwrap();
    let mut config = RunConfig::new(Arc::new(endpoint), [payload("hello")]);
    config.timeout = Duration::from_millis(300);
    config.insecure = true;
    config.proxies = Proxies::All(Proxy::from_url(&format!("http://{proxy}")).unwrap());
    config
}

/// Why a run does not begin, which is never the server's fault.
fn failure(config: RunConfig) -> String {
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    let Error::Unreachable { failure, .. } = &error else {
        panic!("{error}");
    };
    let remedy = diagnose(&FailureContext::of(failure)).unwrap().remedy;
    assert!(!remedy.contains("start the server"), "{remedy}");
    assert!(remedy.contains("`no_proxy`"), "{remedy}");
    error.to_string()
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for base_url in ["http://llm.example/v1", "https://llm.example/v1"] {
        let error = failure(through(address, base_url));
        let named = format!("cannot connect to the proxy http://{address}: ");
        assert!(error.contains(&named), "{error}");
        let seen = probed(through(address, base_url));
        assert_eq!(seen.failed_phase(), Some(Phase::Proxy));
        let diagnosis = seen.diagnosis.unwrap();
        assert!(
            diagnosis.cause.contains("nobody listens at the proxy"),
            "{diagnosis:?}"
        );
        assert!(diagnosis.remedy.contains("`no_proxy`"), "{diagnosis:?}");
    }
}

#[test]
fn a_proxy_that_says_nothing_is_named() {
    // Connections wait in the queue of a proxy that never takes them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let error = failure(through(address, "https://llm.example/v1"));
    let named = format!("the proxy http://{address} has opened no tunnel to it after 0.3 s");
    assert!(error.contains(&named), "{error}");
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let refusal = "HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n";
    let proxy = Scripted::start(vec![vec![write(refusal)]]);
    let address = proxy.base_url.trim_start_matches("http://");
    let address = address.trim_end_matches("/v1").parse().unwrap();
    let error = failure(through(address, "https://llm.example/v1"));
    assert!(error.contains("HTTP 407, it wants a user name"), "{error}");
}
