//! What will happen to a request, decided when it comes.
//!
//! Belongs here: the length, the rhythm and the fault of a response. Chance enters here and
//! nowhere else: a request's luck follows from the server's seed and the request's number.

use crate::clock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    api::{ApiRequest, Completion, Delta, Finish, Times},
    config::SimConfig,
    overrides::{Fault, Settings},
};

/// The course of one request.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) completion: Completion,
    pub(crate) fault: Option<Fault>,
    pub(crate) rhythm: Rhythm,
    tokens_per_frame: u32,
    /// Whether the API sends a call of a tool in one chunk.
    calls_in_one_chunk: bool,
    /// Prompt tokens read per second.
    prefill_rate: Option<f64>,
}

/// When frames are due.
#[derive(Debug, Clone)]
pub(crate) struct Rhythm {
    ttft_ns: f64,
    itl_ns: f64,
    jitter: f64,
    rng: ChaCha8Rng,
}

impl Plan {
    pub(crate) fn new(
        config: &SimConfig,
        settings: &Settings,
        request: &ApiRequest,
        calls_in_one_chunk: bool,
        (number, id): (u64, String),
    ) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(number);
        let luck: f64 = rng.random();
        let limit = request.limit.unwrap_or(u32::MAX);
        let reasoning = settings.reasoning_tokens.min(limit);
        let visible = settings.output_tokens.min(limit - reasoning);
        let short = reasoning < settings.reasoning_tokens || visible < settings.output_tokens;
        let finish = match &request.tool {
            _ if short => Finish::Length,
            Some(tool) if !tool.named => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        Self {
            completion: Completion {
                id,
                created: clock::wall().as_second(),
                model: request.model.clone(),
                choices: request.choices,
                prompt_tokens: request.prompt.len(),
                cached_tokens: 0,
                reasoning,
                visible,
                finish,
                tool: request.tool.clone(),
                words: config.seed.wrapping_add(number),
                usage: request.include_usage || !request.stream,
                times: Times::default(),
            },
            fault: settings.fault.or_else(|| draw_fault(config, luck)),
            rhythm: Rhythm {
                ttft_ns: settings.ttft.as_secs_f64() * 1e9,
                itl_ns: settings.itl.as_secs_f64() * 1e9,
                jitter: config.jitter,
                rng,
            },
            tokens_per_frame: config.tokens_per_frame,
            calls_in_one_chunk,
            prefill_rate: config.prefill_rate,
        }
    }

    /// Work begins, with so many of the prompt's tokens in the cache: only the rest is read.
    pub(crate) fn begin(&mut self, cached: u64) {
        let completion = &mut self.completion;
        completion.cached_tokens = cached;
        if let Some(rate) = self.prefill_rate {
            self.rhythm.ttft_ns += (completion.prompt_tokens - cached) as f64 / rate * 1e9;
        }
    }

    /// How long the response will take, for servers that tell.
    pub(crate) fn times(&self, queue: i64) -> Times {
        let mut rhythm = self.rhythm.clone();
        Times {
            queue,
            first: rhythm.first(),
            rest: (1..self.frames()).map(|_| rhythm.gap()).sum(),
        }
    }

    /// The frames of each choice, in order. They hold the plan's numbers, not the plan.
    pub(crate) fn deltas(&self) -> impl Iterator<Item = Delta> + Send + use<> {
        let groups = |from: u32, to: u32, step: u32| {
            (from..to)
                .step_by(step as usize)
                .map(move |start| start..start.saturating_add(step).min(to))
        };
        let step = self.tokens_per_frame;
        let (name, visible_step) = self.call_frames();
        let reasoning = groups(0, self.completion.reasoning, step).map(Delta::Reasoning);
        let name_first = (0..name).map(|_| Delta::Visible(0..1));
        let visible = groups(name, self.completion.visible, visible_step).map(Delta::Visible);
        reasoning.chain(name_first).chain(visible)
    }

    /// How many frames each choice has.
    pub(crate) fn frames(&self) -> usize {
        let reasoning = self.completion.reasoning.div_ceil(self.tokens_per_frame);
        let (name, visible_step) = self.call_frames();
        (reasoning + name + (self.completion.visible - name).div_ceil(visible_step)) as usize
    }

    /// How many frames a tool's name has, and how many tokens a frame of what follows has. The name
    /// is a call's first token and a frame of its own, unless the API sends a call in one chunk.
    fn call_frames(&self) -> (u32, u32) {
        let visible = self.completion.visible;
        match &self.completion.tool {
            Some(_) if visible > 0 && self.calls_in_one_chunk => (0, visible),
            Some(_) if visible > 0 => (1, self.tokens_per_frame),
            _ => (0, self.tokens_per_frame),
        }
    }
}

impl Rhythm {
    /// Nanoseconds from the start of work to the first frame.
    pub(crate) fn first(&mut self) -> i64 {
        self.jittered(self.ttft_ns)
    }

    /// Nanoseconds from one frame to the next.
    pub(crate) fn gap(&mut self) -> i64 {
        self.jittered(self.itl_ns)
    }

    fn jittered(&mut self, mean_ns: f64) -> i64 {
        if self.jitter == 0.0 || mean_ns == 0.0 {
            return mean_ns as i64;
        }
        let factor = 1.0 + self.jitter * (2.0 * self.rng.random::<f64>() - 1.0);
        (mean_ns * factor) as i64
    }
}

fn draw_fault(config: &SimConfig, luck: f64) -> Option<Fault> {
    let mut bound = 0.0;
    for (rate, fault) in [
        (config.error_rate, Fault::Error),
        (config.stall_rate, Fault::Stall),
        (config.cut_rate, Fault::Cut),
    ] {
        bound += rate;
        if luck < bound {
            return Some(fault);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api;

    fn plan(config: &SimConfig, extra: serde_json::Value, number: u64) -> Plan {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "a b c d"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (chat, route) = api::find("/v1/chat/completions").unwrap();
        let request = api::parse(chat, &route, body.to_string().as_bytes()).unwrap();
        let settings = Settings::new(config, &[]).unwrap();
        Plan::new(config, &settings, &request, false, (number, "id".into()))
    }

    #[test]
    fn deltas_cover_every_token_once() {
        let tools = json!({"tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}]});
        for extra in [
            json!({}),
            tools,
            json!({"max_tokens": 4}),
            json!({"max_tokens": 9}),
        ] {
            for tokens_per_frame in [1, 3, 100] {
                let config = SimConfig {
                    output_tokens: 10,
                    reasoning_tokens: 4,
                    tokens_per_frame,
                    ..SimConfig::default()
                };
                let plan = plan(&config, extra.clone(), 0);
                let (mut reasoning, mut visible) = (0, 0);
                let deltas: Vec<Delta> = plan.deltas().collect();
                for delta in &deltas {
                    let (next, tokens) = match delta {
                        Delta::Reasoning(tokens) => (&mut reasoning, tokens),
                        Delta::Visible(tokens) => (&mut visible, tokens),
                    };
                    assert_eq!(tokens.start, *next);
                    *next = tokens.end;
                }
                assert_eq!(
                    (reasoning, visible),
                    (plan.completion.reasoning, plan.completion.visible)
                );
                assert_eq!(deltas.len(), plan.frames());
            }
        }
    }

    #[test]
    fn a_limit_counts_reasoning_too() {
        let config = SimConfig {
            output_tokens: 10,
            reasoning_tokens: 5,
            ..SimConfig::default()
        };
        let split = |limit: u32| {
            let plan = plan(&config, json!({"max_completion_tokens": limit}), 0);
            let completion = plan.completion;
            (completion.reasoning, completion.visible, completion.finish)
        };
        assert_eq!(split(3), (3, 0, Finish::Length));
        assert_eq!(split(8), (5, 3, Finish::Length));
        assert_eq!(split(15), (5, 10, Finish::Stop));
    }

    #[test]
    fn luck_is_repeatable_and_keeps_its_rates() {
        let config = SimConfig {
            error_rate: 0.1,
            stall_rate: 0.2,
            cut_rate: 0.3,
            jitter: 0.5,
            ..SimConfig::default()
        };
        let mut counts = [0; 3];
        for number in 0..2_000 {
            let mut one = plan(&config, json!({}), number);
            let mut two = plan(&config, json!({}), number);
            assert_eq!(one.fault, two.fault);
            let gap = one.rhythm.gap();
            assert_eq!(gap, two.rhythm.gap());
            assert!((10_000_000..=30_000_000).contains(&gap));
            if let Some(fault) = one.fault {
                counts[fault as usize] += 1;
            }
        }
        // Four standard deviations of a binomial count.
        for (count, mean) in counts.into_iter().zip([200.0, 400.0, 600.0_f64]) {
            let spread = 4.0 * (mean * (1.0 - mean / 2_000.0)).sqrt();
            assert!((f64::from(count) - mean).abs() < spread, "{counts:?}");
        }
    }

    #[test]
    fn long_prompts_take_longer() {
        let config = SimConfig {
            prefill_rate: Some(8.0),
            ..SimConfig::default()
        };
        for (cached, first) in [(0, 700_000_000), (2, 450_000_000)] {
            let mut plan = plan(&config, json!({}), 0);
            plan.begin(cached);
            assert_eq!(plan.rhythm.first(), first);
        }
    }
}
