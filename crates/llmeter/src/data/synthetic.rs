//! Data that is made: prompts of random words with exactly the number of tokens that is asked for.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::media;
use super::prefixes::Prefixes;
use super::{DataRequest, DataSource, DataTurn, RequestForm, SyntheticSpec};
use crate::base::error::{Error, Result};
use crate::payload::{Prompt, PromptSource, Tokenizer, WordPool};

/// What is to be said of data that no tokenizer counts.
pub(super) const WORDS: &str =
    "tokens of the data are words, since no tokenizer is given (`tokenizer`)";

/// Sets the random numbers of answers apart from those of requests.
const ANSWERS: u64 = 1 << 62;

/// Random prompts. Each follows from the seed and its index alone.
///
/// A session's first prompt begins with the shared prefix, if there is one; its further turns do not, since a
/// conversation has it in its history.
pub struct Synthetic {
    spec: SyntheticSpec,
    form: RequestForm,
    tokenizer: Arc<dyn Tokenizer>,
    pool: WordPool,
    prefixes: Option<Prefixes>,
    seed: u64,
}

impl Synthetic {
    /// # Errors
    /// If the tokenizer cannot count words, or the API takes no such request.
    pub fn new(
        spec: SyntheticSpec,
        form: RequestForm,
        tokenizer: Arc<dyn Tokenizer>,
        seed: u64,
    ) -> Result<Self> {
        let pool = WordPool::new(&PromptSource::built_in(), &*tokenizer)?;
        let prefixes = (spec.prefix_tokens > 0).then(|| {
            let (tokens, count) = (spec.prefix_tokens as usize, spec.prefix_count as usize);
            Prefixes::new(tokens, count, spec.prefix_skew, seed)
        });
        let source = Self {
            spec,
            form,
            tokenizer,
            pool,
            prefixes,
            seed,
        };
        // What cannot be made is known before the run.
        source.request(0)?;
        Ok(source)
    }

    /// The turns that any session may have: those of one are so many indices apart from the next one's.
    fn stride(&self) -> u64 {
        self.spec.turns.max()
    }

    /// The random numbers of one index.
    fn random(&self, index: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        // Those above are the prefixes'.
        random.set_stream(index & (u64::MAX >> 1));
        random
    }
}

/// What a request says and how much its response is to have.
struct Message {
    prompt: Prompt,
    prompt_tokens: u64,
    output_tokens: u64,
}

impl Synthetic {
    /// An index of the data, which begins again beyond its end.
    fn within(&self, index: u64) -> u64 {
        self.spec
            .requests
            .map_or(index, |requests| index % requests)
    }

    /// Its place in a session.
    fn place(&self, index: u64) -> (u64, u32) {
        (index / self.stride(), (index % self.stride()) as u32)
    }

    fn message(&self, index: u64) -> Result<Message> {
        let mut random = self.random(index);
        let prompt_tokens = self.spec.prompt_tokens.sample(&mut random);
        let output_tokens = self.spec.output_tokens.sample(&mut random);
        let (_, turn) = self.place(index);
        let (tokenizer, pool) = (&*self.tokenizer, &self.pool);
        let text = match self.prefixes.as_ref().filter(|_| turn == 0) {
            Some(prefixes) => {
                let number = prefixes.choose(&mut random);
                let prefix = prefixes.text(number, pool, tokenizer)?;
                let (before, all) = (prefixes.tokens(), prompt_tokens as usize);
                pool.continued(tokenizer, &prefix, before, all, &mut random)?
            }
            None => pool.text(tokenizer, prompt_tokens as usize, &mut random)?,
        };
        let mut prompt = Prompt::default();
        let (width, height) = self.spec.image_size;
        for _ in 0..self.spec.images {
            prompt = prompt.item(media::image(width, height, &mut random));
        }
        if let Some(seconds) = self.spec.audio_seconds {
            prompt = prompt.item(media::audio(seconds, &mut random));
        }
        Ok(Message {
            prompt: prompt.item(text),
            prompt_tokens,
            output_tokens,
        })
    }

    /// An answer to the request of an index, as long as it is to be.
    fn answer(&self, index: u64, tokens: u64) -> Result<String> {
        let mut random = self.random(index ^ ANSWERS);
        self.pool
            .text(&*self.tokenizer, tokens as usize, &mut random)
    }

    fn of_message(&self, index: u64, message: Message) -> Result<DataRequest> {
        let Message {
            prompt,
            prompt_tokens,
            output_tokens,
        } = message;
        let (session, turn) = self.place(index);
        Ok(DataRequest {
            payload: self.form.payload(prompt, Some(output_tokens))?,
            prompt_tokens: Some(prompt_tokens),
            output_tokens: Some(output_tokens),
            turn: (self.stride() > 1).then_some(DataTurn { session, turn }),
        })
    }
}

impl DataSource for Synthetic {
    fn size(&self) -> Option<u64> {
        self.spec.requests
    }

    /// The turns before it and made answers to them are its history.
    fn request(&self, index: u64) -> Result<DataRequest> {
        let index = self.within(index);
        let (_, turn) = self.place(index);
        let first = index - u64::from(turn);
        let mut request = self.of_message(first, self.message(first)?)?;
        for later in first + 1..=index {
            let answer_tokens = request.output_tokens.unwrap_or(1);
            let answer = self.answer(later - 1, answer_tokens)?;
            let mut next = self.of_message(later, self.message(later)?)?;
            let before = request.prompt_tokens.unwrap_or(0) + answer_tokens;
            next.prompt_tokens = next.prompt_tokens.map(|own| own + before);
            let api = self.form.api().api;
            api.continue_conversation(&mut next.payload, &request.payload, &answer)
                .map_err(|reason| Error::refused("turns", reason.to_string()))?;
            request = next;
        }
        Ok(request)
    }

    fn turn(&self, index: u64) -> Result<DataRequest> {
        let index = self.within(index);
        self.of_message(index, self.message(index)?)
    }

    fn continues(&self, index: u64) -> bool {
        self.place(self.within(index)).1 > 0
    }

    fn session_count(&self) -> Option<u64> {
        let requests = self.spec.requests?;
        Some((requests / self.stride()).max(1))
    }

    fn notes(&self) -> Vec<String> {
        match self.tokenizer.name() {
            Some(_) => Vec::new(),
            None => vec![WORDS.to_owned()],
        }
    }

    fn tokenizer(&self) -> Option<Arc<dyn Tokenizer>> {
        Some(self.tokenizer.clone())
    }

    fn session(&self, number: u64) -> Option<Range<u64>> {
        let stride = self.stride();
        if stride == 1 {
            return None;
        }
        let number = self.session_count().map_or(number, |count| number % count);
        let first = number.checked_mul(stride)?;
        let turns = self.spec.turns.sample(&mut self.random(!first));
        let end = first.checked_add(turns)?;
        // Data that is shorter than a session.
        Some(
            first
                ..self
                    .spec
                    .requests
                    .map_or(end, |all| end.min(all.max(first + 1))),
        )
    }
}

impl fmt::Debug for Synthetic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Synthetic");
        shown
            .field("spec", &self.spec)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustc_hash::FxHashSet;

    use super::*;
    use crate::api::{ApiMode, output_limit};
    use crate::payload::tokenizer_from_spec;

    fn source(keys: &str, tokenizer: &str, seed: u64) -> Synthetic {
        let form = RequestForm::new(ApiMode::default());
        let tokenizer = tokenizer_from_spec(tokenizer).unwrap();
        Synthetic::new(SyntheticSpec::parse(keys).unwrap(), form, tokenizer, seed).unwrap()
    }

    fn text(request: &DataRequest) -> &str {
        request.payload["messages"][0]["content"].as_str().unwrap()
    }

    #[test]
    fn prompts_have_exactly_the_tokens_they_claim() {
        let keys = "prompt_tokens=60,prompt_tokens_stdev=20,prompt_tokens_min=40,prefix_tokens=32,prefix_count=3,\
                    output_tokens=5,output_tokens_stdev=2";
        for name in ["whitespace", "tiktoken:o200k_base"] {
            let source = source(keys, name, 7);
            let mut beginnings = FxHashSet::default();
            let mut whole = FxHashSet::default();
            for index in 0..60 {
                let request = source.request(index).unwrap();
                let text = text(&request);
                assert_eq!(
                    Some(source.tokenizer.count(text) as u64),
                    request.prompt_tokens
                );
                assert_eq!(output_limit(&request.payload), request.output_tokens);
                beginnings.insert(text.split(' ').take(10).collect::<Vec<_>>().join(" "));
                whole.insert(text.to_owned());
            }
            assert_eq!((beginnings.len(), whole.len()), (3, 60), "{name}");
        }
    }

    #[test]
    fn an_index_always_gives_the_same_and_a_seed_something_else() {
        let keys = "prompt_tokens=30,requests=10";
        let (one, other) = (source(keys, "whitespace", 1), source(keys, "whitespace", 2));
        let again = source(keys, "whitespace", 1);
        for index in [3, 0, 9] {
            let request = one.request(index).unwrap();
            assert_eq!(request, again.request(index).unwrap());
            assert_eq!(
                request,
                again.request(index + 10).unwrap(),
                "it begins again"
            );
            assert_ne!(text(&request), text(&other.request(index).unwrap()));
        }
        assert_eq!(one.size(), Some(10));
    }

    #[test]
    fn images_and_audio_come_before_the_text() {
        let keys = "prompt_tokens=5,images=2,image_size=32x16,audio_seconds=0.25";
        let source = source(keys, "whitespace", 1);
        let [one, other] = [0, 1].map(|index| source.request(index).unwrap().payload);
        let kinds = |payload: &crate::payload::Payload| {
            let blocks = payload["messages"][0]["content"].as_array().unwrap();
            let kinds = blocks
                .iter()
                .map(|block| block["type"].as_str().unwrap().to_owned());
            kinds.collect::<Vec<_>>()
        };
        assert_eq!(
            kinds(&one),
            ["image_url", "image_url", "input_audio", "text"]
        );
        let image = |payload: &crate::payload::Payload, at: usize| {
            payload["messages"][0]["content"][at]["image_url"].to_string()
        };
        assert!(image(&one, 0) != image(&one, 1) && image(&one, 0) != image(&other, 0));
        assert_eq!(source.request(0).unwrap().payload, one);
    }

    #[test]
    fn sessions_have_turns_of_their_own() {
        let keys = "prompt_tokens=20,prefix_tokens=10,turns_min=2,turns_max=5";
        let source = source(keys, "whitespace", 1);
        let mut lengths = FxHashSet::default();
        for number in 0..50 {
            let turns = source.session(number).unwrap();
            let first = source.request(turns.start).unwrap();
            let second = source.request(turns.start + 1).unwrap();
            assert_eq!(
                first.turn,
                Some(DataTurn {
                    session: number,
                    turn: 0
                })
            );
            assert_eq!(
                second.turn,
                Some(DataTurn {
                    session: number,
                    turn: 1
                })
            );
            lengths.insert(turns.end - turns.start);
        }
        assert_eq!(lengths.len(), 4, "2 to 5 turns");
    }
}
