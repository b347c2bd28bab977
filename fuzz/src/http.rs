//! Responses of HTTP/1.1.

use llmeter::endpoint::ResponseHead;
use llmeter::wire::http1::ResponseReader;

use crate::{Input, assert_same};

#[derive(Debug, PartialEq)]
struct Outcome {
    head: Option<ResponseHead>,
    body: Vec<u8>,
    /// Bytes that belong to the response; `None` if they are no response.
    used: Option<usize>,
    is_done: bool,
    keeps_alive: bool,
    may_end_at_close: bool,
}

/// Tries the reader of responses.
pub fn http_response(bytes: &[u8]) {
    let Some(input) = Input::of(bytes) else {
        return;
    };
    let outcome = assert_same(input.ways(input.body).map(|reads| read(&reads)));
    assert!(outcome.body.len() <= input.body.len());
    assert!(!outcome.keeps_alive || outcome.is_done);
    if let Some(used) = outcome.used {
        assert!(used <= input.body.len());
        assert!(
            outcome.is_done || used == input.body.len(),
            "only what follows a response is left"
        );
    }
}

fn read(reads: &[&[u8]]) -> Outcome {
    let (mut reader, mut body, mut used) = (ResponseReader::new(), Vec::new(), Some(0));
    for read in reads {
        let fed = reader.feed(read, &mut body);
        used = fed.ok().zip(used).map(|(more, used)| used + more);
        if used.is_none() {
            break;
        }
    }
    Outcome {
        head: reader.head().cloned(),
        body,
        used,
        is_done: reader.is_done(),
        keeps_alive: reader.keeps_alive(),
        may_end_at_close: reader.may_end_at_close(),
    }
}
