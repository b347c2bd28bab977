//! A callback of one's own: asks every answer to contain a word, and counts those that do.
//!
//! `cargo run --example own_callback` runs it against the toy API of `own_endpoint.rs`, which
//! answers a prompt with its own words.

use std::sync::Arc;

use llmeter::callback::{
    self, Callback, HookError, HookResult, InvokeRequest, RequestData, async_trait,
};
use llmeter::saved::{Field, Saved, SavedObject};
use llmeter::{InvocationResponse, Load, RunConfig, RunResult, Runner, report};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

#[expect(dead_code, unreachable_pub, reason = "an example has a main function")]
#[path = "own_endpoint.rs"]
mod own_endpoint;

/// Asks every answer to contain a word. Its serde form is what files hold of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MustContain {
    word: String,
}

/// How files name it, and what `llmeter callbacks` would say about it.
impl Saved for MustContain {
    const CLASS: &'static str = "my_app.MustContain";
    const ABOUT: &'static str = "Asks every answer to contain a word";
    const FIELDS: &'static [Field] = &[Field::new("word", "the word")];
}

#[async_trait]
impl Callback for MustContain {
    /// With a saved form, a run that has it can be repeated from its folder.
    fn saved(&self) -> llmeter::Result<Option<SavedObject>> {
        SavedObject::of(self).map(Some)
    }

    /// Once, before anything is opened or written. A failure stops the run before it starts.
    async fn before_run(&self, config: &mut RunConfig) -> HookResult {
        if self.word.is_empty() {
            return Err(HookError::new("the word is empty: give one to look for"));
        }
        config
            .run_description
            .get_or_insert_with(|| format!("Do answers contain {:?}?", self.word));
        Ok(())
    }

    /// For each request, on a copy of the payload that is its own. What is kept in `data`,
    /// `after_invoke` gets again.
    async fn before_invoke(&self, request: &mut InvokeRequest) -> HookResult {
        let prompt = request
            .payload
            .get("prompt")
            .and_then(|prompt| prompt.as_str());
        let prompt = prompt.ok_or_else(|| HookError::new("the payload has no prompt"))?;
        let prompt = format!("{prompt} with the word {}", self.word);
        request.data.set(prompt.len());
        request.payload.insert("prompt".to_owned(), prompt.into());
        Ok(())
    }

    /// For each response. Annotations are saved with it.
    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        data: &mut RequestData,
    ) -> HookResult {
        let text = response.response_text.as_deref().unwrap_or_default();
        let contains = u8::from(text.contains(&self.word));
        let notes = [
            ("contains_word".to_owned(), contains.into()),
            ("prompt_bytes".to_owned(), json!(data.get::<usize>())),
        ];
        response.annotations.extend(notes);
        Ok(())
    }

    /// Once, with the result. What is contributed stands among the statistics.
    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        let marks = result.get_dimension("contains_word")?;
        let found: f64 = marks.iter().filter_map(|mark| mark.as_f64()).sum();
        let rate = found / marks.len().max(1) as f64;
        result.contribute_stats(Map::from_iter([("contains_word_rate".into(), json!(rate))]))?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let result = run()?;
    println!("{}", report::summary(&result));
    if let Some(rate) = result.stats_map().get("contains_word_rate") {
        println!("responses with the word: {rate}");
    }
    Ok(())
}

/// A run with the callback, loaded from the form that files have.
pub fn run() -> Result<RunResult, Box<dyn std::error::Error>> {
    // From here on files can name it: a file makes no code run that was not registered.
    callback::register::<MustContain>();
    let saved = json!({
        "__llmeter_class__": "my_app.MustContain",
        "__llmeter_state__": {"word": "lighthouse"},
    });

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || own_endpoint::toy_server(&listener));
    let payload = json!({"prompt": "tell me something"});
    let payload = payload.as_object().cloned().unwrap_or_default();
    let endpoint = Arc::new(own_endpoint::LineEndpoint::new(address));
    let config = RunConfig::new(endpoint, [payload])
        .clients(4)
        .load(Load::Requests(5))
        .callback(callback::from_json(&saved)?);
    Ok(Runner::new(config).run_blocking()?)
}
