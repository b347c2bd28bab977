//! Makes every prompt begin differently, so that no prompt cache hits.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Callback, Hook, HookError, HookResult, async_trait};
use crate::api;
use crate::base::error::Result;
use crate::payload::Payload;
use crate::run::RunConfig;
use crate::saved::{Field, Saved, SavedObject};

/// Where a message or a part of one holds its text.
const PARTS: [&str; 3] = ["content", "parts", "text"];

/// Puts a unique prefix before the first text of every request.
///
/// Caches of prompts work on common beginnings, system prompts included. The prefixes follow from
/// the seed, the payload, and how often it was sent before in the run: the same seed gives the same
/// requests again, in whatever order concurrent clients send them. Without a seed each run draws
/// one, which its `run_config.json` has. A server that still has the requests of an earlier run in
/// its cache knows those of a repeated one, too: change the seed then.
///
/// One callback may serve several runs, one after the other.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheBuster {
    seed: Option<u64>,
    #[serde(skip)]
    run: Mutex<Run>,
}

/// What one run has sent so far.
#[derive(Debug, Default)]
struct Run {
    seed: Option<u64>,
    /// How often each payload, by its hash, was sent.
    sent: HashMap<u64, u64>,
}

impl CacheBuster {
    /// A callback whose prefixes follow from `seed`, or from one that each run draws.
    pub fn new(seed: impl Into<Option<u64>>) -> Self {
        Self {
            seed: seed.into(),
            run: Mutex::default(),
        }
    }

    fn prefix(&self, payload: &Payload) -> String {
        let hash = hash_of(payload);
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = *run
            .seed
            .get_or_insert_with(|| self.seed.unwrap_or_else(draw));
        let sent = run.sent.entry(hash).or_default();
        *sent += 1;
        let number = mixed(seed ^ mixed(hash) ^ mixed(*sent).rotate_left(32));
        format!("[{number:016x}] ")
    }
}

/// Seeds are kept below 2^53, so that every reader of JSON keeps them exact.
fn draw() -> u64 {
    rand::rng().random_range(0..1 << 53)
}

impl Clone for CacheBuster {
    fn clone(&self) -> Self {
        Self::new(self.seed)
    }
}

impl Saved for CacheBuster {
    const CLASS: &'static str = "llmeter.callbacks.cache_buster.CacheBuster";
    const ABOUT: &'static str = "Makes every prompt begin differently, against prompt caches";
    const FIELDS: &'static [Field] = &[Field::new(
        "seed",
        "whole number that the prefixes follow from; null: each run draws one",
    )];

    fn example() -> Option<Self> {
        Some(Self::default())
    }
}

#[async_trait]
impl Callback for CacheBuster {
    /// With the seed of the run that began last.
    fn saved(&self) -> Result<Option<SavedObject>> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        SavedObject::of(&Self::new(run.seed.or(self.seed))).map(Some)
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::BeforeRun, Hook::BeforeInvoke]
    }

    async fn before_run(&self, _: &mut RunConfig) -> HookResult {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        *run = Run {
            seed: Some(self.seed.unwrap_or_else(draw)),
            sent: HashMap::new(),
        };
        Ok(())
    }

    async fn change_payload(&self, payload: &mut Payload) -> HookResult {
        let prefix = self.prefix(payload);
        let fields = api::prompt_fields();
        let mut places = fields.iter();
        let place = places.find(|field| payload.get(**field).is_some_and(has_text));
        let text = place
            .and_then(|place| payload.get_mut(*place))
            .and_then(first_text);
        let Some(text) = text else {
            return Err(HookError::new(format_args!(
                "the payload has no text to put a prefix before; texts are looked for in {}",
                fields.join(", ")
            )));
        };
        text.insert_str(0, &prefix);
        Ok(())
    }
}

fn has_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => items.iter().any(has_text),
        Value::Object(fields) => PARTS
            .iter()
            .any(|part| fields.get(*part).is_some_and(has_text)),
        _ => false,
    }
}

fn first_text(value: &mut Value) -> Option<&mut String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => items.iter_mut().find_map(first_text),
        Value::Object(fields) => {
            let part = PARTS
                .iter()
                .find(|part| fields.get(**part).is_some_and(has_text))?;
            first_text(fields.get_mut(*part)?)
        }
        _ => None,
    }
}

/// The same in every version and on every machine (FNV-1a).
fn hash_of(payload: &Payload) -> u64 {
    struct Fnv(u64);
    impl std::io::Write for Fnv {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // A JSON object is always writable, and this writer never fails.
    let _ = serde_json::to_writer(&mut hash, payload);
    hash.0
}

/// Spreads a number over all 64 bits, one to one (the finaliser of splitmix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn busted(callback: &CacheBuster, payload: Value) -> Result<Value, String> {
        let mut payload = payload.as_object().unwrap().clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime
            .block_on(callback.change_payload(&mut payload))
            .map_err(|error| error.to_string())?;
        Ok(Value::Object(payload))
    }

    /// The payload with its one text `T` replaced by a prefixed one.
    #[track_caller]
    fn assert_found(payload: Value) {
        let changed = busted(&CacheBuster::new(7), payload.clone())
            .unwrap()
            .to_string();
        let pattern = changed.find("] T").expect("a prefix before T");
        let begin = pattern - 17;
        assert_eq!(&changed[begin..=begin], "[");
        let restored = format!("{}{}", &changed[..begin], &changed[pattern + 2..]);
        assert_eq!(restored, payload.to_string());
    }

    #[test]
    fn finds_the_first_text_of_every_shape() {
        assert_found(json!({"messages": [{"role": "user", "content": "T"}]}));
        assert_found(json!({"messages": [
            {"role": "system", "content": "T"}, {"role": "user", "content": "other"}]}));
        assert_found(
            json!({"max_tokens": 1, "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:"}},
            {"type": "text", "text": "T"}, {"type": "text", "text": "other"}]}]}),
        );
        // Converse and Anthropic: the system prompt is read first, wherever it stands.
        assert_found(
            json!({"messages": [{"role": "user", "content": [{"text": "other"}]}],
            "system": [{"text": "T"}]}),
        );
        assert_found(json!({"system": "T", "messages": [{"role": "user", "content": "other"}]}));
        assert_found(json!({"messages": [{"role": "user", "content": [
            {"image": {"format": "png", "source": {"bytes": "x"}}}, {"text": "T"}]}]}));
        assert_found(json!({"prompt": "T"}));
        assert_found(json!({"prompt": ["T", "other"]}));
        assert_found(json!({"inputs": "T", "parameters": {"max_new_tokens": 3}}));
        assert_found(json!({"input": "T"}));
        assert_found(json!({"input": ["T", "other"]}));
        assert_found(json!({"input": [{"role": "user", "content": [
            {"type": "input_text", "text": "T"}]}]}));
        assert_found(json!({"instructions": "T", "input": "other"}));
        assert_found(json!({"contents": [{"role": "user", "parts": [{"text": "T"}]}]}));
        assert_found(json!({"systemInstruction": {"parts": [{"text": "T"}]},
            "contents": [{"parts": [{"text": "other"}]}]}));
    }

    #[test]
    fn refuses_a_payload_without_text() {
        for payload in [
            json!({}),
            json!({"prompt": [1, 2, 3]}),
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            json!({"question": "not a shape that is known"}),
        ] {
            let error = busted(&CacheBuster::new(7), payload).unwrap_err();
            assert!(
                error.contains("no text") && error.contains("messages"),
                "{error}"
            );
        }
    }

    #[test]
    fn prefixes_are_unique_and_follow_from_the_seed_in_any_order() {
        let payloads: Vec<_> = (0..10)
            .map(|n| json!({"prompt": format!("p{n}")}))
            .collect();
        let all = |callback: &CacheBuster, order: &mut dyn Iterator<Item = usize>| {
            order
                .map(|n| busted(callback, payloads[n].clone()).unwrap().to_string())
                .collect::<HashSet<_>>()
        };
        let forth = all(&CacheBuster::new(1), &mut (0..1000).map(|n| n % 10));
        let back = all(&CacheBuster::new(1), &mut (0..1000).rev().map(|n| n % 10));
        assert_eq!(forth.len(), 1000);
        assert_eq!(forth, back);
        let other = all(&CacheBuster::new(2), &mut (0..1000).map(|n| n % 10));
        assert!(forth.is_disjoint(&other));
    }
}
