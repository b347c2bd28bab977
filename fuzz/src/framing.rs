//! Cutting a body into frames.

use llmeter::endpoint::Framing;
use llmeter::wire::framing::{FramingError, Tail};

use crate::{Input, assert_same};

/// A frame, and the place in the body of the byte that completed it.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) event: Option<String>,
    pub(crate) data: Vec<u8>,
    pub(crate) is_error: bool,
    end: usize,
}

/// The frames of a body, and how it ended.
pub(crate) type Outcome = (Vec<Seen>, Result<Option<Tail>, FramingError>);

/// Tries a framing that can hold any bytes.
pub fn framing(framing: Framing, bytes: &[u8]) {
    let Some(input) = Input::of(bytes) else {
        return;
    };
    let (frames, end) = frames(framing, &input, input.body);
    let mut held: usize = frames.iter().map(|frame| frame.data.len()).sum();
    if let Ok(Some(tail)) = end {
        held += tail.data.len();
    }
    assert!(held <= input.body.len(), "frames hold no more than came");
    if framing == Framing::JsonLines {
        for frame in &frames {
            assert!(!frame.data.is_empty() && !frame.data.contains(&b'\n'));
        }
    }
}

/// The frames of a body, which are the same however it is cut.
pub(crate) fn frames(framing: Framing, input: &Input<'_>, body: &[u8]) -> Outcome {
    assert_same(input.ways(body).map(|reads| feed(framing, &reads)))
}

fn feed(framing: Framing, reads: &[&[u8]]) -> Outcome {
    let mut framer = framing.framer();
    let (mut frames, mut before) = (Vec::new(), 0);
    for read in reads {
        let mut last = 0;
        let fed = framer.feed(read, |frame, end| {
            assert!(last < end || framing == Framing::Sse && last == end);
            assert!(0 < end && end <= read.len());
            last = end;
            frames.push(Seen {
                event: frame.event.map(str::to_owned),
                data: frame.data.to_vec(),
                is_error: frame.is_error,
                end: before + end,
            });
        });
        if let Err(reason) = fed {
            let again = framer.feed(b"data: x\n\n", |_, _| panic!("a frame after a failure"));
            assert_eq!(again, Err(reason.clone()));
            return (frames, Err(reason));
        }
        before += read.len();
    }
    let end = framer.finish();
    (frames, end)
}
