//! Runs against a real LLM server, llama.cpp's own, with a small model of random weights.
//!
//! The server tells with each answer how long it took by its own clock (`timings`): an independent
//! truth for the meter's figures.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llmeter::endpoint::AnthropicMessages;
use llmeter::payload::Payload;
use llmeter::{InvocationResponse, Load, OpenAiChat, RunConfig, RunResult, RunSettings, Runner};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{python, run_script, script};

/// Tokens of each answer.
const TOKENS: u64 = 48;

/// Held while a server runs: two of them would take each other's time. `.config/nextest.toml` does
/// the same for tests in processes of their own.
static ONE_SERVER: Mutex<()> = Mutex::new(());

pub(super) struct LlmServer {
    process: Child,
    pub(super) base_url: String,
    _folder: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl LlmServer {
    pub(super) fn start(python: &OsStr) -> Self {
        Self::start_as(python, "generates")
    }

    /// A server that `generates` texts or `embeds` them; llama.cpp's does one or the other.
    pub(super) fn start_as(python: &OsStr, task: &str) -> Self {
        let alone = ONE_SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("tiny.gguf");
        run_script(python, "tiny_model.py", [&model]);
        let log = folder.path().join("log");
        let mut process = Command::new(python)
            .arg(script("llm_server.py"))
            .arg(&model)
            .arg(task)
            // It ends when this pipe does, even if this test is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        let base_url = match said.trim_end().strip_prefix("serving ") {
            Some(base_url) => base_url.to_owned(),
            None => panic!(
                "the server said {said:?}: {}",
                std::fs::read_to_string(log).unwrap()
            ),
        };
        Self {
            process,
            base_url,
            _folder: folder,
            _alone: alone,
        }
    }

    /// Sends `requests` from each of `clients`, with prompts of several lengths.
    fn run(&self, streaming: bool, clients: usize, requests: u64, extra: &Value) -> RunResult {
        let endpoint = OpenAiChat::builder(&self.base_url, "tiny")
            .streaming(streaming)
            .build()
            .unwrap();
        let payloads = [1, 4, 9].map(|times| {
            let prompt = "Tell me a story of grüße and 世界. ".repeat(times);
            OpenAiChat::create_payload(prompt, TOKENS, object(extra)).unwrap()
        });
        let config = RunConfig::new(Arc::new(endpoint), payloads)
            .clients(clients)
            .load(Load::Requests(requests));
        let result = Runner::new(config).run_blocking().unwrap();
        assert_eq!(result.responses.len() as u64, clients as u64 * requests);
        for response in &result.responses {
            assert_eq!(response.error, None);
            assert_eq!(response.num_tokens_output, Some(TOKENS));
            assert!(response.num_tokens_input > Some(30));
            assert_eq!(response.detail.finish_reason.as_deref(), Some("length"));
            assert!(
                response
                    .response_text
                    .as_ref()
                    .is_some_and(|text| !text.is_empty())
            );
            assert_eq!(timing(response, "predicted_n"), TOKENS as f64);
        }
        result
    }
}

impl Drop for LlmServer {
    fn drop(&mut self) {
        // Already gone if it crashed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn object(value: &Value) -> Payload {
    value.as_object().unwrap().clone()
}

/// What makes every prompt be read anew and every answer have all its tokens.
fn whole_work() -> Value {
    json!({"cache_prompt": false, "ignore_eos": true})
}

/// As [`whole_work`], with only tokens that are a text of their own: no control tokens and no
/// bytes that are but a part of a character, which the server holds back.
fn whole_work_in_whole_characters() -> Value {
    let first_byte = 3; // As tests/python/tiny_model.py has it.
    let banned = (0..first_byte).chain(first_byte + 0x80..first_byte + 0x100);
    let banned: Vec<Value> = banned.map(|token: u32| json!([token, false])).collect();
    json!({"cache_prompt": false, "ignore_eos": true, "logit_bias": banned})
}

fn timing(response: &InvocationResponse, name: &str) -> f64 {
    let timings = &response.annotations["server_timings"];
    timings[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {timings}"))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Compares what the meter measured with what the server says it took, pairwise and in seconds.
///
/// The server's clock starts after the meter's (the request must be read and its prompt cut into
/// tokens first) and stops before it (the frame must be made and sent). So however busy the machine
/// is, an exact meter never shows less; `may_be_less` allows for the comparison of two clocks. How
/// much more it shows depends on how busy the machine is: the best pair must agree within
/// `best_within`, and the medians within 50 %. That catches a clock which stops at another frame
/// than it should, starts with the connection, or includes what came before: reading a prompt takes
/// 20 to 200 ms here, and an answer about 60.
fn assert_agree(what: &str, pairs: &[(f64, f64)], may_be_less: f64, best_within: f64) {
    let measured = median(pairs.iter().map(|pair| pair.0));
    let server = median(pairs.iter().map(|pair| pair.1));
    let mut more: Vec<f64> = pairs.iter().map(|pair| pair.0 - pair.1).collect();
    more.sort_by(f64::total_cmp);
    let milliseconds = |seconds: f64| format!("{:.3} ms", seconds * 1e3);
    println!(
        "{what}: measured {}, server {}, difference {} to {}, {} (medians of {})",
        milliseconds(measured),
        milliseconds(server),
        milliseconds(more[0]),
        milliseconds(more[more.len() - 1]),
        milliseconds(median(more.iter().copied())),
        pairs.len()
    );
    assert!(more[0] >= -may_be_less, "{what}: less than the server's");
    let best = more.iter().copied().map(f64::abs).fold(f64::MAX, f64::min);
    assert!(best <= best_within, "{what}: no request agrees");
    assert!(
        (measured - server).abs() <= 0.5 * server,
        "{what}: the medians differ"
    );
}

#[test]
fn times_agree_with_a_real_servers_own() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    let result = server.run(true, 1, 15, &whole_work_in_whole_characters());
    let pairs = |measured: fn(&InvocationResponse) -> Option<f64>,
                 server: fn(&InvocationResponse) -> f64| {
        let responses = result.responses.iter();
        responses
            .map(|response| (measured(response).unwrap(), server(response) / 1e3))
            .collect::<Vec<_>>()
    };
    assert_agree(
        "time to first token",
        &pairs(|r| r.time_to_first_token, |r| timing(r, "prompt_ms")),
        0.0005,
        0.005,
    );
    assert_agree(
        "time to last token",
        &pairs(
            |r| r.time_to_last_token,
            |r| timing(r, "prompt_ms") + timing(r, "predicted_ms"),
        ),
        0.0005,
        0.005,
    );
    assert_agree(
        "time per output token",
        &pairs(
            |r| r.time_per_output_token,
            |r| timing(r, "predicted_ms") / (TOKENS - 1) as f64,
        ),
        // The first frame may be late and the last one not: no bound below but the medians'.
        f64::MAX,
        0.000_1,
    );
    for response in &result.responses {
        let path = response.path();
        let server = path.server_time_to_first_token.unwrap();
        assert!((server - timing(response, "prompt_ms") / 1e3).abs() < 1e-9);
        let rest = path.time_to_first_token_rest.unwrap();
        assert!(rest < response.time_to_first_token.unwrap() - server);
        // One frame per token, so that gaps are times between tokens.
        assert_eq!(response.detail.content_frames, Some(TOKENS as u32));
        assert_eq!(
            response.detail.inter_token_latencies.len() as u64,
            TOKENS - 1
        );
    }
}

/// Characters come in pieces here: the server holds some tokens back and sends others together,
/// and what is no character at all comes as U+FFFD.
#[test]
fn tokens_of_a_real_server_are_not_frames() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    for clients in [1, 4] {
        let result = server.run(true, clients, 6, &whole_work());
        let mut frames = 0;
        let mut replaced = 0;
        for response in &result.responses {
            let of_this = u64::from(response.detail.content_frames.unwrap());
            assert!((1..=TOKENS).contains(&of_this), "{of_this} frames");
            frames += of_this;
            let text = response.response_text.as_deref().unwrap();
            replaced += text.chars().filter(|&c| c == '\u{fffd}').count();
            let (first, last) = (response.time_to_first_token, response.time_to_last_token);
            assert!(Some(0.0) < first && first < last);
            let per_token = (last.unwrap() - first.unwrap()) / (TOKENS - 1) as f64;
            assert_eq!(response.time_per_output_token, Some(per_token));
        }
        let tokens = result.responses.len() as u64 * TOKENS;
        println!("{clients} clients: {tokens} tokens, {frames} frames, {replaced} U+FFFD");
        assert!(frames < tokens, "no token was held back");
        assert!(replaced > 0, "every character was whole");
    }
}

#[test]
fn a_plain_answer_of_a_real_server_takes_as_long_as_it_says() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    for clients in [1, 4] {
        let result = server.run(false, clients, 6, &whole_work());
        let mut pairs = Vec::new();
        for response in &result.responses {
            assert_eq!(response.time_to_first_token, None);
            assert_eq!(response.time_per_output_token, None);
            let server = timing(response, "prompt_ms") + timing(response, "predicted_ms");
            pairs.push((response.time_to_last_token.unwrap(), server / 1e3));
        }
        if clients == 1 {
            assert_agree("time to last token", &pairs, 0.0005, 0.005);
        }
    }
}

#[test]
fn a_real_server_of_anthropic_messages_is_understood() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    let address = server.base_url.strip_suffix("/v1").unwrap();
    for streaming in [true, false] {
        let endpoint = AnthropicMessages::builder(address, "tiny")
            .streaming(streaming)
            .build()
            .unwrap();
        let extra = object(&whole_work());
        let prompt = "Tell me a story of grüße and 世界.";
        let payload = AnthropicMessages::create_payload(prompt, TOKENS, extra).unwrap();
        let config = RunConfig::new(Arc::new(endpoint), [payload]).load(Load::Requests(3));
        let result = Runner::new(config).run_blocking().unwrap();
        assert_eq!(result.responses.len(), 3);
        for response in &result.responses {
            assert_eq!(response.error, None);
            // The server takes neither biases nor `ignore_eos` here: an answer may be shorter, and
            // some of its tokens are no text of their own.
            let tokens = response.num_tokens_output.unwrap();
            assert!((1..=TOKENS).contains(&tokens), "{tokens} tokens");
            // It leaves out the opening event, which has the count, when its first token is no whole
            // character: the prompt's words are counted then.
            let input = response.num_tokens_input.unwrap();
            let is_estimate = streaming && input == prompt.split_whitespace().count() as u64;
            assert!(input > 30 || is_estimate, "{input} tokens of the prompt");
            let detail = &response.detail;
            let expected = ["max_tokens", "end_turn"][usize::from(tokens < TOKENS)];
            assert_eq!(detail.finish_reason.as_deref(), Some(expected));
            let text = response.response_text.as_deref().unwrap();
            assert!(!text.is_empty());
            assert_eq!(response.time_to_first_token.is_some(), streaming);
            if streaming {
                let frames = u64::from(detail.content_frames.unwrap());
                assert!((1..=tokens).contains(&frames), "{frames} frames");
                let (first, last) = (response.time_to_first_token, response.time_to_last_token);
                assert!(Some(0.0) < first && (first < last) == (frames > 1));
            }
        }
    }
}

/// llama.cpp keeps what it has read of earlier prompts (`cache_prompt`), and says how much of a prompt it
/// did not read anew.
#[test]
fn turns_with_real_answers_hit_a_real_cache_of_prefixes() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    let settings = json!({
        "data": "synthetic:prompt_tokens=12,output_tokens=6,turns=3",
        "sessions": 1, "max_sessions": 1,
        "extra": {"cache_prompt": true, "ignore_eos": true},
    });
    let settings: RunSettings = serde_json::from_value(settings).unwrap();
    let endpoint = OpenAiChat::builder(&server.base_url, "tiny")
        .build()
        .unwrap();
    let mut config = RunConfig::new(Arc::new(endpoint), []);
    settings.apply(&mut config).unwrap();
    let result = Runner::new(config).run_blocking().unwrap();
    assert_eq!(result.stats().sessions_completed, Some(1));
    let read: Vec<(u64, u64)> = result
        .responses
        .iter()
        .map(|response| {
            let cached = response.num_tokens_input_cached.unwrap_or(0);
            (response.num_tokens_input.unwrap(), cached)
        })
        .collect();
    println!("prompt and cached tokens: {read:?}");
    // All that was said before is in the cache, whatever the random model answered.
    for pair in read.windows(2) {
        assert!(pair[1].0 > pair[0].0, "{read:?}");
        assert!(pair[1].1 as f64 > 0.9 * pair[0].0 as f64, "{read:?}");
    }
}

#[test]
fn equal_blocks_of_a_trace_hit_a_real_cache_of_prefixes() {
    let Some(python) = python() else { return };
    let server = LlmServer::start(&python);
    let request = |time: u32, ids: Value| {
        let tokens = ids.as_array().unwrap().len() * 24;
        json!({"t": time, "type": "n", "in": tokens, "out": 2, "hash_ids": ids, "think_time": 0.0})
    };
    let session = json!({"id": "s", "block_size": 24, "requests": [
        request(0, json!([1, 2])),
        request(1, json!([1, 2, 3])),
        request(2, json!([4, 5, 6])),
        request(3, json!([1, 2, 3, 7])),
    ]});
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    std::fs::write(&trace, session.to_string()).unwrap();
    let settings = json!({"replay": trace, "extra": {"cache_prompt": true, "ignore_eos": true}});
    let settings: RunSettings = serde_json::from_value(settings).unwrap();
    let endpoint = OpenAiChat::builder(&server.base_url, "tiny")
        .build()
        .unwrap();
    let mut config = RunConfig::new(Arc::new(endpoint), []);
    settings.apply(&mut config).unwrap();
    let result = Runner::new(config).run_blocking().unwrap();
    let mut responses: Vec<_> = result.responses.iter().collect();
    responses.sort_by_key(|response| response.detail.payload_index);
    let read: Vec<(f64, f64)> = responses
        .iter()
        .map(|response| {
            assert_eq!(response.error, None);
            let count = |tokens: Option<u64>| tokens.unwrap_or(0) as f64;
            (
                count(response.num_tokens_input),
                count(response.num_tokens_input_cached),
            )
        })
        .collect();
    println!("prompt and cached tokens: {read:?}");
    let [
        (first, _),
        (second, second_cached),
        (third, third_cached),
        (_, fourth_cached),
    ] = read[..]
    else {
        panic!("{read:?}");
    };
    // What the chat template puts around a prompt is a few tokens.
    assert!(second_cached > 0.9 * first && second_cached < second);
    assert!(third_cached < 0.1 * third);
    assert!(fourth_cached > 0.9 * second);
}
