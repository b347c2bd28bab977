//! The failures of a run, by kind.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::base::failure::{Failure, FailureKind};

/// Messages of a kind that are told apart.
const MAX_MESSAGES: usize = 100;

/// The failures of one kind; those of HTTP also have the status in common, those of files that name no
/// kind the message.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureGroup {
    /// How many requests failed in this way.
    pub count: u64,
    /// One of them, with the most frequent message.
    pub example: Failure,
    /// How many different messages they have, a hundred at most.
    pub messages: usize,
}

/// Counts failures by kind and message.
#[derive(Debug, Clone, Default)]
pub(crate) struct FailureTally(BTreeMap<Key, Messages>);

/// Kind, status and message, as far as failures of a group have them in common.
type Key = (Option<String>, Option<u16>, Option<String>);

#[derive(Debug, Clone, Default)]
struct Messages {
    count: u64,
    known: BTreeMap<String, (Failure, u64)>,
}

impl FailureTally {
    /// Takes in a failure. One with a new message is kept.
    pub(crate) fn record(&mut self, failure: &Failure) {
        let is_of_http = failure.kind() == FailureKind::HttpStatus;
        let status = failure.status().filter(|_| is_of_http);
        let kind = failure.recorded_kind().map(str::to_owned);
        let message = kind.is_none().then(|| failure.message().to_owned());
        let key = (kind, status, message);
        let messages = self.0.entry(key).or_default();
        messages.count += 1;
        if let Some((_, count)) = messages.known.get_mut(failure.message()) {
            *count += 1;
        } else if messages.known.len() < MAX_MESSAGES {
            let message = failure.message().to_owned();
            messages.known.insert(message, (failure.clone(), 1));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kinds, the most frequent first.
    pub(crate) fn groups(&self) -> Vec<FailureGroup> {
        let group = |messages: &Messages| {
            let known = messages.known.values();
            let (example, _) = known.min_by_key(|(_, count)| Reverse(*count))?;
            Some(FailureGroup {
                count: messages.count,
                example: example.clone(),
                messages: messages.known.len(),
            })
        };
        let mut groups: Vec<_> = self.0.values().filter_map(group).collect();
        groups.sort_by_key(|group| Reverse(group.count));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_grouped_by_kind_with_the_most_frequent_message() {
        let mut tally = FailureTally::default();
        let mut record = |kind, message: &str, status| {
            let mut failure = Failure::new(kind, message);
            failure.locate(None, status);
            tally.record(&failure);
        };
        for number in 0..MAX_MESSAGES + 5 {
            record(FailureKind::Truncated, &format!("cut {number}"), Some(200));
        }
        record(FailureKind::Truncated, "cut 7", Some(200));
        for status in [500, 503, 503] {
            record(FailureKind::HttpStatus, "HTTP", Some(status));
        }
        let groups = tally.groups();
        let counts: Vec<_> = groups
            .iter()
            .map(|group| (group.count, group.messages, group.example.status()))
            .collect();
        assert_eq!(
            counts,
            [(106, 100, None), (2, 1, Some(503)), (1, 1, Some(500))]
        );
        assert_eq!(groups[0].example.message(), "cut 7");
    }

    #[test]
    fn failures_without_a_kind_are_grouped_by_message() {
        let mut tally = FailureTally::default();
        for message in ["one", "two", "one"] {
            tally.record(&Failure::new(FailureKind::Other, message));
        }
        let groups = tally.groups();
        assert_eq!((groups[0].count, groups[1].count), (2, 1));
        assert_eq!(groups[0].example.message(), "one");
    }
}
