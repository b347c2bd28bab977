//! What callbacks see of a request, add to it and keep of it, and callbacks without a saved form.

use std::sync::Arc;

use llmeter::callback::{Callback, HookResult, InvokeRequest, RequestData, async_trait};
use llmeter::{Error, InvocationResponse, Load, RunResult, SavedRun};
use serde_json::json;

use super::{config, friendly};
use crate::scripted::run;

/// Notes what `before_invoke` saw on the response, by way of its own data.
struct Notes(&'static str);

#[async_trait]
impl Callback for Notes {
    async fn before_invoke(&self, request: &mut InvokeRequest) -> HookResult {
        request.data.set((request.client, request.sequence));
        Ok(())
    }

    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        data: &mut RequestData,
    ) -> HookResult {
        let (client, sequence) = data
            .take::<(u32, u64)>()
            .ok_or_else(|| llmeter::callback::HookError::new("nothing was kept of the request"))?;
        let note = json!([client, sequence, response.input_prompt]);
        response.annotations.insert(self.0.to_owned(), note);
        Ok(())
    }
}

#[test]
fn each_callback_gets_back_what_it_kept_of_each_request() {
    let server = friendly();
    let mut config = config(&server, 3).clients(4);
    config.load = Load::Requests(5);
    config.callbacks = vec![Arc::new(Notes("one")), Arc::new(Notes("two"))];
    let result = run(config);
    assert_eq!(result.callback_errors, []);
    assert_eq!(result.responses.len(), 20);
    let mut seen = Vec::new();
    for response in &result.responses {
        let note = &response.annotations["one"];
        assert_eq!(note, &response.annotations["two"]);
        assert_eq!(note[0], json!(response.detail.client));
        assert_eq!(note[2], **response.input_prompt.as_ref().unwrap());
        seen.push((note[0].as_u64().unwrap(), note[1].as_u64().unwrap()));
    }
    seen.sort_unstable();
    let expected = (0..4).flat_map(|client| (0..5).map(move |number| (client, number)));
    assert!(seen.into_iter().eq(expected), "each request has its own");
}

/// Adds a header to each request.
struct Header(&'static str);

#[async_trait]
impl Callback for Header {
    async fn before_invoke(&self, request: &mut InvokeRequest) -> HookResult {
        let value = format!("{}/{}", request.client, request.sequence);
        request.add_header(self.0, "replaced by the next")?;
        request.add_header(&self.0.to_ascii_uppercase(), &value)
    }
}

#[test]
fn headers_are_added_and_none_of_the_endpoint_s_own_is_replaced() {
    let outcome = |name| {
        let server = friendly();
        let config = config(&server, 1).callback(Arc::new(Header(name)));
        let response = run(config).responses.remove(0);
        (
            response.error_text().map(str::to_owned),
            server.headers(name),
        )
    };
    assert_eq!(outcome("x-trace"), (None, vec![Some("0/0".to_owned())]));
    for (name, reason) in [
        ("content-type", "which the endpoint sends itself"),
        ("content-length", "callback Header failed in before_invoke"),
        ("no name", "callback Header failed in before_invoke"),
    ] {
        let (error, sent) = outcome(name);
        let error = error.unwrap();
        assert!(error.contains(reason), "{error}");
        assert_eq!(sent, [], "nothing is sent");
    }
}

#[test]
fn a_run_with_a_callback_without_a_saved_form_says_that_it_cannot_be_repeated() {
    let server = friendly();
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&server, 1).output(folder.path()).run_name("r");
    config.callbacks = vec![Arc::new(Header("x-trace"))];
    let result = run(config);
    let warning = "the run cannot be repeated from its folder: callback Header has no saved form";
    assert_eq!(result.warnings, [warning]);
    let folder = result.summary.output_path.clone().unwrap();
    let loaded = RunResult::load(&folder).unwrap();
    assert_eq!(loaded.stats(), result.stats());

    let saved = SavedRun::load(&folder).unwrap();
    assert_eq!(saved.callbacks, [json!(null); 0]);
    assert_eq!(saved.unsaved.callbacks, ["Header"]);
    let error = saved.clone().into_config(None).err().unwrap();
    assert!(matches!(error, Error::NotARun { .. }));
    let reason = "it cannot be repeated: callback Header had no saved form";
    assert!(error.to_string().contains(reason), "{error}");
    // Who does without it says so.
    let mut without = saved;
    without.unsaved.callbacks.clear();
    assert_eq!(without.into_config(None).unwrap().callbacks.len(), 0);
}
