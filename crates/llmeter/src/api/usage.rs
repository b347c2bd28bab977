//! Token counts as servers report them, and which of them can be trusted.

use super::SharedName;

/// Token counts as a server reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens, cached ones included.
    pub input: Option<u64>,
    /// Output tokens, reasoning included.
    pub output: Option<u64>,
    /// Input tokens that came from a cache.
    pub input_cached: Option<u64>,
    /// Output tokens that were reasoning.
    pub output_reasoning: Option<u64>,
    /// Input and output tokens together, to check them by.
    pub total: Option<u64>,
}

/// The largest count that is taken for one: a hundred times what any model takes.
const MAX_COUNT: u64 = 1_000_000_000;

/// A number that a server reports as a count; none if it is no whole number from zero up.
pub(crate) fn whole(number: f64) -> Option<u64> {
    let is_count = number >= 0.0 && number <= MAX_COUNT as f64 && number.fract() == 0.0;
    is_count.then_some(number as u64)
}

/// What request and response show of the response's size, to check reported counts by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Evidence {
    /// Whether the request had a prompt with text.
    pub(crate) has_prompt: bool,
    /// Whether the response has generated content.
    pub(crate) has_content: bool,
    /// Words of all generated texts.
    pub(crate) words: u64,
    /// Bytes of the body, none of which is compressed; `None` if they are not seen.
    pub(crate) bytes: Option<u64>,
    /// The output tokens that the request allows.
    pub(crate) output_limit: Option<u64>,
}

impl Evidence {
    /// Whether output tokens are too many for the body. Hidden reasoning has no bytes in it, and servers
    /// that do not tell it apart keep the request's limit.
    fn exceeds_body(&self, usage: &Usage) -> bool {
        let reasoning = usage.output_reasoning.unwrap_or(0);
        let visible = usage.output.map(|output| output.saturating_sub(reasoning));
        visible
            .zip(self.bytes)
            .is_some_and(|(tokens, bytes)| tokens > bytes)
    }

    /// Whether output tokens are more than the request allows.
    fn exceeds_limit(&self, usage: &Usage) -> bool {
        usage
            .output
            .zip(self.output_limit)
            .is_some_and(|(tokens, limit)| tokens > limit)
    }

    /// Whether there cannot be so many output tokens: too many for the body, and no limit that allows them.
    fn refuses(&self, usage: &Usage) -> bool {
        self.exceeds_body(usage) && (self.output_limit.is_none() || self.exceeds_limit(usage))
    }
}

/// Counts that agree with each other as far as they can, and where they come from. A count that
/// cannot be is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedUsage {
    pub(crate) usage: Usage,
    pub(crate) input: TokenSource,
    pub(crate) output: TokenSource,
}

impl Usage {
    /// Takes in a later report, which replaces this one field by field. Zero replaces no input, and no
    /// output where there is content: counts grow. What is too large for a count is none.
    pub(crate) fn update(&mut self, later: Self, has_content: bool) {
        let latest = |known: &mut Option<u64>, later: Option<u64>, may_be_zero: bool| {
            let later = later.filter(|count| *count <= MAX_COUNT);
            if later.is_some_and(|count| count > 0 || may_be_zero || known.is_none()) {
                *known = later;
            }
        };
        latest(&mut self.input, later.input, false);
        latest(&mut self.output, later.output, !has_content);
        latest(&mut self.input_cached, later.input_cached, false);
        latest(&mut self.output_reasoning, later.output_reasoning, false);
        latest(&mut self.total, later.total, false);
    }

    /// Makes counts that contradict each other agree, where there is one way to, and says where there
    /// is none.
    ///
    /// - Reasoning that exceeds the output, or whose addition gives the total, was left out of the
    ///   output; likewise cached tokens and the input.
    /// - A missing count is what the total leaves for it.
    /// - Zero for a content or a prompt that is there is no count.
    /// - More output tokens than bytes of the body, and than the request allows, are no count.
    /// - A total that agrees with the counts neither before nor after, an output of less than one token for
    ///   two words, of more tokens than bytes or than the request allows show that something is wrong, but
    ///   not what.
    pub(crate) fn checked(mut self, evidence: Evidence) -> CheckedUsage {
        let (mut input, mut output) = (TokenSource::Reported, TokenSource::Reported);
        if self.output == Some(0) && evidence.has_content {
            self.output = None;
        }
        if evidence.refuses(&self) {
            (self.output, self.output_reasoning) = (None, None);
        }
        let sum = |counts: &[Option<u64>]| {
            counts
                .iter()
                .flatten()
                .fold(0, |sum: u64, count| sum.saturating_add(*count))
        };
        let exceeds = |part: Option<u64>, whole: Option<u64>| part > whole && whole.is_some();
        let total = self.total;
        let is_total = |counts: &[Option<u64>]| total == Some(sum(counts));
        let (cached, reasoning) = (self.input_cached, self.output_reasoning);
        let counts = [self.input, self.output];
        let is_known = counts.iter().all(Option::is_some);
        let agrees = is_known && is_total(&counts);
        let completes = |parts: &[Option<u64>]| {
            let added = parts.iter().all(|part| part.is_some_and(|count| count > 0));
            is_known && !agrees && added && is_total(&[&counts, parts].concat())
        };
        let both = completes(&[cached, reasoning]);
        if exceeds(reasoning, self.output) || completes(&[reasoning]) || both {
            self.output = Some(sum(&[self.output, reasoning]));
            output = TokenSource::Corrected;
        }
        if exceeds(cached, self.input) || completes(&[cached]) || both {
            self.input = Some(sum(&[self.input, cached]));
            input = TokenSource::Corrected;
        }
        if self.input == Some(0) && evidence.has_prompt {
            self.input = None;
        }
        match (self.total, self.input, self.output) {
            (Some(total), Some(known), None) if total > known && evidence.has_content => {
                self.output = Some(total - known);
                output = TokenSource::Corrected;
            }
            (Some(total), None, Some(known)) if total > known => {
                self.input = Some(total - known);
                input = TokenSource::Corrected;
            }
            (Some(total), Some(known_input), Some(known_output))
                if !agrees && known_input.checked_add(known_output) != Some(total) =>
            {
                (input, output) = (TokenSource::Contradictory, TokenSource::Contradictory);
            }
            _ => {}
        }
        let is_short = |tokens| tokens < evidence.words / 2;
        if evidence.refuses(&self) {
            self.output = None;
        } else if self.output.is_some_and(is_short)
            || evidence.exceeds_body(&self)
            || evidence.exceeds_limit(&self)
        {
            output = TokenSource::Contradictory;
        }
        CheckedUsage {
            usage: self,
            input,
            output,
        }
    }
}

/// Where a token count comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSource {
    /// The server reported it.
    Reported,
    /// The server reported counts that contradict each other, of which only one reading is possible.
    Corrected,
    /// The server reported counts that contradict each other, the response's size or the request's output
    /// limit; this is the count as reported.
    Contradictory,
    /// A tokenizer counted it; the text is `tokenizer` and the tokenizer's name.
    Tokenizer(SharedName),
    /// It is an estimate by the number of words, and for a stream by that of frames.
    Estimated,
    /// Nobody told it and nobody can count it: there is no count.
    Unknown,
}

impl TokenSource {
    /// The source as files have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Corrected => "corrected",
            Self::Contradictory => "contradictory",
            Self::Tokenizer(name) => name.as_str().unwrap_or("tokenizer"),
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
        }
    }

    /// The source of this name. A name that is not known is taken for a tokenizer's.
    pub fn named(name: &str) -> Self {
        let known = [
            Self::Reported,
            Self::Corrected,
            Self::Contradictory,
            Self::Estimated,
            Self::Unknown,
        ];
        let found = known.into_iter().find(|source| source.as_str() == name);
        found.unwrap_or_else(|| Self::Tokenizer(SharedName::new(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Evidence = Evidence {
        has_prompt: true,
        has_content: true,
        words: 1,
        bytes: None,
        output_limit: None,
    };

    /// Input, output, cached, reasoning and total as reported.
    fn checked(
        counts: [Option<u64>; 5],
        evidence: Evidence,
    ) -> (Option<u64>, Option<u64>, [TokenSource; 2]) {
        let [input, output, input_cached, output_reasoning, total] = counts;
        let usage = Usage {
            input,
            output,
            input_cached,
            output_reasoning,
            total,
        };
        let CheckedUsage {
            usage,
            input,
            output,
        } = usage.checked(evidence);
        (usage.input, usage.output, [input, output])
    }

    #[test]
    fn counts_that_agree_are_kept() {
        use TokenSource::Reported;
        for counts in [
            [Some(32), Some(319), None, Some(317), Some(351)],
            [Some(32), Some(319), Some(32), Some(319), Some(351)],
            [Some(32), Some(319), Some(10), Some(317), None],
            [Some(32), Some(319), Some(0), Some(0), Some(351)],
            [None, Some(319), None, None, None],
            [Some(32), None, None, None, None],
        ] {
            let [input, output, ..] = counts;
            assert_eq!(
                checked(counts, CONTENT),
                (input, output, [Reported, Reported]),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn a_part_that_was_left_out_is_added() {
        use TokenSource::{Corrected, Reported};
        let reasoning = [Some(32), Some(319)];
        for counts in [
            [Some(32), Some(2), None, Some(317), Some(351)],
            [Some(32), Some(2), None, Some(317), None],
            [Some(32), Some(2), None, Some(317), Some(34)],
        ] {
            let [input, output] = reasoning;
            let sources = [Reported, Corrected];
            assert_eq!(
                checked(counts, CONTENT),
                (input, output, sources),
                "{counts:?}"
            );
        }
        // Less reasoning than output, so that only the total tells.
        assert_eq!(
            checked([Some(32), Some(400), None, Some(317), Some(749)], CONTENT),
            (Some(32), Some(717), [Reported, Corrected])
        );
        assert_eq!(
            checked([Some(5), Some(10), Some(100), None, Some(115)], CONTENT),
            (Some(105), Some(10), [Corrected, Reported])
        );
        assert_eq!(
            checked(
                [Some(200), Some(10), Some(100), Some(7), Some(317)],
                CONTENT
            ),
            (Some(300), Some(17), [Corrected, Corrected])
        );
    }

    #[test]
    fn a_total_completes_and_contradicts() {
        use TokenSource::{Contradictory, Corrected, Reported};
        assert_eq!(
            checked([Some(32), None, None, None, Some(40)], CONTENT),
            (Some(32), Some(8), [Reported, Corrected])
        );
        assert_eq!(
            checked([None, Some(8), None, None, Some(40)], CONTENT),
            (Some(32), Some(8), [Corrected, Reported])
        );
        assert_eq!(
            checked([Some(32), Some(8), None, None, Some(50)], CONTENT),
            (Some(32), Some(8), [Contradictory, Contradictory])
        );
    }

    #[test]
    fn zero_and_far_too_few_are_no_counts_of_what_is_there() {
        use TokenSource::{Contradictory, Reported};
        let (input, output, _) = checked([Some(0), Some(0), None, None, Some(0)], CONTENT);
        assert_eq!((input, output), (None, None));
        let nothing = Evidence::default();
        assert_eq!(
            checked([Some(0), Some(0), None, None, Some(0)], nothing),
            (Some(0), Some(0), [Reported, Reported])
        );
        let long = Evidence {
            words: 40,
            ..CONTENT
        };
        assert_eq!(
            checked([Some(9), Some(19), None, None, None], long).2,
            [Reported, Contradictory]
        );
        assert_eq!(
            checked([Some(9), Some(20), None, None, None], long).2,
            [Reported, Reported]
        );
    }

    #[test]
    fn more_tokens_than_there_can_be_are_no_count_or_are_marked() {
        use TokenSource::{Contradictory, Reported};
        let of = |bytes, output_limit| Evidence {
            bytes: Some(bytes),
            output_limit,
            ..CONTENT
        };
        for (evidence, reasoning, is) in [
            (of(5000, Some(64)), None, (Some(90), Contradictory)),
            (of(5000, Some(90)), None, (Some(90), Reported)),
            (of(80, None), None, (None, Reported)),
            (of(80, Some(64)), None, (None, Reported)),
            // Reasoning that is not told apart, and some that is.
            (of(80, Some(128)), None, (Some(90), Contradictory)),
            (of(80, None), Some(20), (Some(90), Reported)),
        ] {
            let counts = [Some(9), Some(90), None, reasoning, None];
            let (_, output, [_, source]) = checked(counts, evidence);
            assert_eq!((output, source), is, "{evidence:?}");
        }
        // What a total leaves is checked, too.
        let counts = [Some(9), None, None, None, Some(900)];
        assert_eq!(checked(counts, of(80, None)).1, None);
    }

    #[test]
    fn numbers_that_count_nothing_are_no_counts() {
        for (number, count) in [
            (3.0, Some(3)),
            (-1.0, None),
            (2.5, None),
            (1e308, None),
            (f64::NAN, None),
        ] {
            assert_eq!(whole(number), count);
        }
        let mut usage = Usage::default();
        for output in [7, u64::MAX] {
            let later = Usage {
                output: Some(output),
                ..Usage::default()
            };
            usage.update(later, true);
        }
        assert_eq!(usage.output, Some(7));
    }

    #[test]
    fn later_reports_replace_but_zero_does_not_without_reason() {
        let of = |input, output| Usage {
            input,
            output,
            ..Usage::default()
        };
        for (has_content, output) in [(true, Some(5)), (false, Some(0))] {
            let mut usage = of(Some(3), Some(1));
            usage.update(of(None, Some(5)), has_content);
            usage.update(of(Some(0), Some(0)), has_content);
            assert_eq!(usage, of(Some(3), output));
        }
    }

    #[test]
    fn sources_have_names() {
        let tokenizer = TokenSource::Tokenizer(SharedName::new("tokenizer tiktoken:gpt2"));
        let named = [
            TokenSource::Reported,
            TokenSource::Estimated,
            TokenSource::Unknown,
        ];
        for source in named.into_iter().chain([tokenizer]) {
            assert_eq!(TokenSource::named(source.as_str()), source);
        }
    }
}
