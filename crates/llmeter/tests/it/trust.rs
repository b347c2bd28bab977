//! Whoever loads a run, an endpoint or a callback in a program is asked for trust, too.

use std::sync::Arc;

use crate::scripted::answers::{sized, whole_stream};
use crate::scripted::{Scripted, payload, run, write};
use llmeter::endpoint::{self, Destination, Endpoint, Trust};
use llmeter::{Error, Interrupt, OpenAiChat, RunConfig, Runner, SavedRun, probe};

/// A variable that is set in every test, and taken for a key.
const KEY: &str = "CARGO_MANIFEST_DIR";

#[test]
fn a_loaded_run_sends_secrets_only_where_it_is_trusted() {
    let server = Scripted::start(vec![vec![write(sized(
        "200 OK",
        "text/event-stream",
        &whole_stream(&["one"]),
    ))]]);
    let folder = tempfile::tempdir().unwrap();
    let url = server.base_url.clone();
    let endpoint = OpenAiChat::builder(&url, "m")
        .api_key("own")
        .build()
        .unwrap();
    assert_eq!(endpoint.destinations(), [], "the program names the server");
    let saved = endpoint.saved();
    let config = RunConfig::new(Arc::new(endpoint), [payload("hello")]);
    run(config.output(folder.path()).run_name("first"));

    let load = || SavedRun::load(folder.path().join("first")).unwrap();
    let loaded = load().into_config(Some(KEY)).unwrap();
    let expected = [Destination::new(KEY, url.as_str())];
    assert_eq!(loaded.destinations(), expected);
    let count = server.requests();
    let is_refused = |error: Error| {
        let Error::Untrusted { destinations } = &error else {
            panic!("{error}");
        };
        assert_eq!(destinations, &[format!("{KEY} to {url}")]);
    };
    is_refused(Runner::new(loaded.clone()).run_blocking().unwrap_err());
    is_refused(probe::probe(&loaded, None, &Interrupt::new()).unwrap_err());
    let alone = endpoint::from_saved(&saved, Some(KEY)).unwrap();
    let alone = RunConfig::new(alone, [payload("hello")]);
    is_refused(Runner::new(alone.clone()).run_blocking().unwrap_err());
    assert_eq!(server.requests(), count, "nothing was sent");

    let trust = Trust::nobody().host(&url).unwrap();
    let trusted = load().trust(trust.clone()).into_config(Some(KEY)).unwrap();
    Runner::new(trusted).run_blocking().unwrap();
    Runner::new(alone.trust(trust)).run_blocking().unwrap();
    Runner::new(loaded.trust(Trust::everybody()))
        .run_blocking()
        .unwrap();
    // Without a secret there is nothing to ask.
    let without = load().into_config(Some("NO_SUCH_VARIABLE")).unwrap();
    assert_eq!(without.destinations(), []);
    Runner::new(without).run_blocking().unwrap();
    assert_eq!(server.requests(), count + 4);
}

#[test]
fn the_apis_own_server_needs_no_trust() {
    for (url, is_own) in [
        ("https://api.openai.com/v1", true),
        ("https://api.openai.com./other", true),
        ("http://api.openai.com/v1", false),
        ("https://api.openai.com.evil.example/v1", false),
        ("https://api.openai.com:8443/v1", false),
    ] {
        let saved = OpenAiChat::builder(url, "m").build().unwrap().saved();
        let loaded = endpoint::from_saved(&saved, Some(KEY)).unwrap();
        let destinations = loaded.destinations();
        assert_eq!(destinations.len(), 1);
        assert_eq!(destinations[0].is_default, is_own, "{url}");
    }
}
