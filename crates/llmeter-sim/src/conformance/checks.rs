//! What the server does in a case, and what must become of it.

use std::time::Duration;

use llmeter::endpoint::Delivery;
use llmeter::{Failure, FailureKind as Kind, InvocationResponse};
use llmeter_testing::Step;

use super::Case;
use super::wording::{Says, StreamingResponse, Wording};

/// What a server that fails says.
const MESSAGE: &str = "simulated server error";
/// Where a redirect leads.
const ELSEWHERE: &str = "http://elsewhere.invalid/moved";
/// The pause after a line of a slow head.
const PAUSE: Duration = Duration::from_millis(10);
const PAGE: &str = "<html><body>Bad gateway\n today</body></html>";

/// A case as an endpoint was asked it.
#[derive(Clone, Copy)]
pub(super) struct CaseRun<'a> {
    pub(super) wording: &'a dyn Wording,
    pub(super) case: Case,
    pub(super) streaming: bool,
    pub(super) says: &'a Says,
    /// Whether the server closes the connection after its response, because the request asked for
    /// that. It says so.
    pub(super) closes: bool,
}

impl CaseRun<'_> {
    /// What the server does; `None` if the wording has no words for it.
    pub(super) fn script(&self) -> Option<Vec<Step>> {
        let write = |bytes| vec![Step::Write(bytes)];
        let page = |status| self.sized(status, "text/html; charset=utf-8", "", PAGE.as_bytes());
        let refusal = |status: u16| self.wording.refusal(status, MESSAGE);
        Some(match self.case {
            Case::NonStreaming => {
                write(self.json("200 OK", &self.wording.non_streaming(self.says)?))
            }
            Case::ErrorStatus => write(self.json("429 Too Many Requests", &refusal(429)?)),
            Case::ErrorAsSuccess => write(self.json("200 OK", &refusal(503)?)),
            Case::UnframedError => {
                write(self.sized("200 OK", self.body_type(), "", &refusal(503)?))
            }
            Case::UnframedResponse => {
                let body = self.wording.non_streaming(self.says)?;
                write(self.sized("200 OK", self.body_type(), "", &body))
            }
            Case::ErrorPage => write(page("502 Bad Gateway")),
            Case::WrongContentType => write(page("200 OK")),
            Case::Redirect => {
                let location = format!("Location: {ELSEWHERE}\r\n");
                write(self.sized("308 Permanent Redirect", "text/plain", &location, b"gone"))
            }
            Case::NoBody => write(self.json("200 OK", b"")),
            Case::Cut => vec![Step::Write(self.beginning()?), Step::Close],
            Case::Stall => vec![Step::Write(self.beginning()?), Step::Hold],
            Case::OneByteReads => vec![Step::Trickle(self.response()?)],
            Case::SlowHead => {
                let mut head = self.response()?;
                let end = head.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
                let body = head.split_off(end);
                let lines = head.split_inclusive(|byte| *byte == b'\n');
                let slow = lines.flat_map(|line| [Step::write(line), Step::Pause(PAUSE)]);
                slow.chain([Step::Write(body)]).collect()
            }
            Case::ErrorInStream => {
                let mut stream = self.first_of_stream()?;
                stream.closing = self.wording.stream_error(MESSAGE)?;
                write(self.stream(&stream))
            }
            Case::EarlyEnd => {
                let mut stream = self.wording.streaming(self.says)?;
                stream.closing.clear();
                write(self.stream(&stream))
            }
            Case::UnknownFrame => {
                let strange = r#"{"type":"news","x":[1,{"text":null}]}"#;
                write(self.stream(&self.beginning_with(Some("news"), strange)?))
            }
            Case::GarbledFrame => write(self.stream(&self.beginning_with(None, "{oops")?)),
            _ => write(self.response()?),
        })
    }

    /// Whether the server ends the connection with its response.
    pub(super) fn breaks_the_connection(&self) -> bool {
        matches!(self.case, Case::Cut | Case::Stall)
    }

    fn body_type(&self) -> &str {
        match (self.case, self.streaming) {
            (Case::Mislabelled, _) => "text/plain",
            (Case::JsonLabel, _) => "application/json",
            (_, true) => self.wording.stream_type(),
            (_, false) => "application/json",
        }
    }

    /// The further lines of a head.
    fn headers(&self, status: &str, streaming: bool) -> String {
        let headers = match status.starts_with("200") {
            true => self.wording.headers(self.says, streaming),
            false => Vec::new(),
        };
        let line = |(name, value)| format!("{name}: {value}\r\n");
        let close = self.closes.then_some("Connection: close\r\n".to_owned());
        headers.into_iter().map(line).chain(close).collect()
    }

    fn json(&self, status: &str, body: &[u8]) -> Vec<u8> {
        self.sized(status, "application/json", "", body)
    }

    fn sized(&self, status: &str, media_type: &str, more: &str, body: &[u8]) -> Vec<u8> {
        if !self.wording.transport().is_http() {
            return body.to_vec();
        }
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{}{more}Content-Length: {}\r\n\r\n",
            self.headers(status, false),
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    fn response(&self) -> Option<Vec<u8>> {
        Some(match self.streaming {
            true => self.stream(&self.wording.streaming(self.says)?),
            false => {
                let body = self.wording.non_streaming(self.says)?;
                self.sized("200 OK", self.body_type(), "", &body)
            }
        })
    }

    /// A stream, of which each frame is a chunk of the chunked encoding.
    fn stream(&self, stream: &StreamingResponse) -> Vec<u8> {
        let mut out = self.open_stream(stream);
        if self.wording.transport().is_http() {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        out
    }

    fn open_stream(&self, stream: &StreamingResponse) -> Vec<u8> {
        let chunks = std::iter::once(&stream.opening)
            .chain(&stream.content)
            .chain([&stream.closing])
            // A chunk without bytes would be the last one.
            .filter(|chunk| !chunk.is_empty());
        if !self.wording.transport().is_http() {
            return chunks.flatten().copied().collect();
        }
        let mut out = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\n{}Transfer-Encoding: chunked\r\n\r\n",
            self.body_type(),
            self.headers("200", true)
        )
        .into_bytes();
        for chunk in chunks {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    /// The response up to its first chunk of text; the first half of one that is no stream.
    fn beginning(&self) -> Option<Vec<u8>> {
        if self.streaming {
            return Some(self.open_stream(&self.first_of_stream()?));
        }
        let body = self.wording.non_streaming(self.says)?;
        let mut response = self.json("200 OK", &body);
        response.truncate(response.len() - body.len() / 2);
        Some(response)
    }

    fn first_of_stream(&self) -> Option<StreamingResponse> {
        let mut stream = self.wording.streaming(self.says)?;
        stream.content.truncate(1);
        stream.closing.clear();
        Some(stream)
    }

    /// A whole stream with a frame before its first content.
    fn beginning_with(&self, event: Option<&str>, data: &str) -> Option<StreamingResponse> {
        let mut stream = self.wording.streaming(self.says)?;
        stream.opening.extend(self.wording.frame(event, data)?);
        Some(stream)
    }

    /// What is not as it must be.
    pub(super) fn problems(&self, response: &InvocationResponse, has_prompt: bool) -> Vec<String> {
        let mut found = Findings {
            asked: *self,
            response,
            problems: Vec::new(),
        };
        found.check_times();
        // The kinds of failure it may be, words of the error, and what is kept of the response.
        let (kinds, words, kept): (&[Kind], &[&str], Kept) = match self.case {
            Case::ErrorStatus => (&[Kind::Throttled], &["429", MESSAGE], Kept::Nothing),
            Case::ErrorPage => (&[Kind::HttpStatus], &["502", "Bad gateway"], Kept::Nothing),
            Case::Redirect => (&[Kind::HttpStatus], &["308", ELSEWHERE], Kept::Nothing),
            // What tells an error from a malformed response is in the head for AWS's APIs.
            Case::ErrorAsSuccess | Case::UnframedError => (
                &[Kind::ServerError, Kind::Malformed, Kind::Endpoint],
                &[MESSAGE],
                Kept::Nothing,
            ),
            Case::WrongContentType => (
                &[Kind::WebPage],
                &["text/html", "Bad gateway"],
                Kept::Nothing,
            ),
            Case::NoBody => (
                &[Kind::Empty, Kind::Malformed, Kind::Endpoint],
                &[],
                Kept::Nothing,
            ),
            Case::ErrorInStream => (
                &[Kind::ServerError, Kind::Throttled, Kind::Endpoint],
                &[MESSAGE],
                Kept::First,
            ),
            Case::EarlyEnd => (&[Kind::Truncated, Kind::Endpoint], &[], Kept::All),
            Case::GarbledFrame => (
                &[Kind::Malformed, Kind::Endpoint],
                &["oops"],
                Kept::Anything,
            ),
            Case::Cut => (&[Kind::Truncated], &[], Kept::first_of(self.streaming)),
            Case::Stall => (&[Kind::Timeout], &[], Kept::first_of(self.streaming)),
            _ => {
                found.check_response(has_prompt);
                return found.problems;
            }
        };
        found.failed_with(kinds, words);
        match kept {
            Kept::Nothing => found.is_refused(),
            Kept::First => found.kept(self.says.text.first().map_or("", String::as_str)),
            Kept::All => found.kept(&self.says.text.concat()),
            Kept::Anything => {}
        }
        found.problems
    }

    /// Whether the response comes as a stream.
    fn is_stream(&self) -> bool {
        self.streaming && !matches!(self.case, Case::NonStreaming | Case::UnframedResponse)
    }
}

/// What is kept of a response that fails.
enum Kept {
    Nothing,
    /// Its first chunk of text.
    First,
    /// The whole text.
    All,
    /// That is not looked at.
    Anything,
}

impl Kept {
    /// What is kept of half a response.
    fn first_of(streaming: bool) -> Self {
        match streaming {
            true => Self::First,
            false => Self::Nothing,
        }
    }
}

/// Looks at a response and notes what is wrong.
struct Findings<'a> {
    asked: CaseRun<'a>,
    response: &'a InvocationResponse,
    problems: Vec<String>,
}

/// Characters of a text that a finding shows.
const SHOWN: usize = 200;

fn short(value: &dyn std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

impl Findings<'_> {
    fn expect(&mut self, holds: bool, what: &str, expected: &str, got: &dyn std::fmt::Debug) {
        if !holds {
            let got = short(got);
            self.problems
                .push(format!("{what}: expected {expected}, got {got}"));
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, got: &T) {
        self.expect(expected == got, what, &short(expected), got);
    }

    /// The response says all that the server said.
    fn check_response(&mut self, has_prompt: bool) {
        let (asked, response) = (self.asked, self.response);
        let (says, detail) = (asked.says, &response.detail);
        self.equal("error", &None, &response.error);
        if asked.wording.generates_text() {
            let text = response.response_text.clone().unwrap_or_default();
            self.equal("response_text", &says.text.concat(), &text);
        }
        let reasoning = detail.reasoning_text.clone().unwrap_or_default();
        self.equal("reasoning_text", &says.reasoning.concat(), &reasoning);
        if let Some(id) = asked.wording.id() {
            self.equal("id", &Some(id), &response.id.as_deref());
        }
        self.check_tokens(has_prompt);
        if !asked.is_stream() {
            return;
        }
        let chunks = says.reasoning.len() + says.text.len();
        if says.tool.is_none() {
            let frames = detail.content_frames.map(|frames| frames as usize);
            self.equal("content_frames", &Some(chunks), &frames);
            let gaps = detail.inter_token_latencies.len();
            self.equal("inter_token_latencies", &chunks.saturating_sub(1), &gaps);
        }
        let has_content = chunks > 0 || says.tool.is_some();
        for (what, time) in [
            ("time_to_first_token", response.time_to_first_token),
            (
                "time_to_first_answer_token",
                detail.time_to_first_answer_token,
            ),
        ] {
            self.equal(
                &format!("whether there is a {what}"),
                &has_content,
                &time.is_some(),
            );
        }
    }

    fn check_tokens(&mut self, has_prompt: bool) {
        let (asked, response) = (self.asked, self.response);
        let (input, output) = (response.num_tokens_input, response.num_tokens_output);
        if let Some(usage) = asked.says.usage {
            if asked.wording.counts_input() {
                self.equal("num_tokens_input", &Some(usage.input), &input);
            }
            let generated = asked.wording.generates_text().then_some(usage.output);
            self.equal("num_tokens_output", &generated, &output);
            if let Some(reason) = asked.wording.finish_reason()
                && asked.says.tool.is_none()
            {
                let got = response.detail.finish_reason.as_deref();
                self.equal("finish_reason", &Some(reason), &got);
            }
            return;
        }
        for (is_estimated, what, count) in [
            (has_prompt, "num_tokens_input", input),
            (asked.wording.generates_text(), "num_tokens_output", output),
        ] {
            let usable = !is_estimated || count > Some(0);
            self.expect(usable, what, "an estimate of more than 0", &count);
        }
    }

    /// The request failed in one of these ways, and the error has these words. A decoder of the user's
    /// may call a failure its own.
    fn failed_with(&mut self, kinds: &[Kind], words: &[&str]) {
        let error = &self.response.error;
        let kind = error.as_ref().map(Failure::kind);
        let expected = format!("one of {kinds:?}");
        let is_expected = kind.is_some_and(|kind| kinds.contains(&kind));
        self.expect(is_expected, "the kind of the error", &expected, error);
        let text = self.response.error_text().unwrap_or_default();
        for word in words {
            let expected = format!("{word:?} in it");
            self.expect(text.contains(word), "error", &expected, error);
        }
    }

    /// Nothing of the response counts.
    fn is_refused(&mut self) {
        let response = self.response;
        self.equal("time_to_first_token", &None, &response.time_to_first_token);
        self.equal("response_text", &None, &response.response_text);
        self.equal("num_tokens_output", &None, &response.num_tokens_output);
    }

    /// What came before the failure is kept.
    fn kept(&mut self, text: &str) {
        let response = self.response;
        let got = response.response_text.as_deref();
        self.equal("response_text", &Some(text), &got);
        self.equal(
            "whether there is a time_to_first_token",
            &true,
            &response.time_to_first_token.is_some(),
        );
    }

    /// Times are in their order, and only there if they have a meaning.
    fn check_times(&mut self) {
        let (response, detail) = (self.response, &self.response.detail);
        self.expect(
            response.request_time.is_some(),
            "request_time",
            "the time of sending",
            &response.request_time,
        );
        let times = [
            ("time_to_headers", detail.time_to_headers),
            ("time_to_first_token", response.time_to_first_token),
            (
                "time_to_first_answer_token",
                detail.time_to_first_answer_token,
            ),
            ("time_to_last_token", response.time_to_last_token),
        ];
        let known = times.map(|(name, time)| Some((name, time?)));
        let known: Vec<_> = known.into_iter().flatten().collect();
        for pair in known.windows(2) {
            if let [(earlier, first), (later, second)] = pair {
                let expected = format!("no less than {earlier}, {first}");
                self.expect(first <= second && *first >= 0.0, later, &expected, second);
            }
        }
        if !self.asked.is_stream() {
            self.equal("time_to_first_token", &None, &response.time_to_first_token);
            self.equal("content_frames", &None, &detail.content_frames);
        }
        if response.error.is_none() {
            let is_empty = detail.delivery == Some(Delivery::Empty);
            self.expect(
                response.time_to_last_token.is_some() != is_empty,
                "time_to_last_token",
                "a time, unless the response is empty",
                &response.time_to_last_token,
            );
            let has_content = self.asked.case != Case::EmptyResponse;
            self.expect(
                !(has_content && is_empty),
                "delivery",
                "not empty",
                &detail.delivery,
            );
        }
    }
}
