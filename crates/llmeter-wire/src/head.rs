//! The head of a request and of a response.

use secrecy::SecretString;

/// A request, complete but for its method and the headers that the wire adds (`Host`,
/// `Content-Length`).
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Path and query, beginning with `/`.
    pub target: String,
    /// Header names and values.
    pub headers: Vec<(String, SecretString)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Status and headers of a response.
///
/// ```
/// use llmeter_wire::ResponseHead;
///
/// let head = ResponseHead::new(200).with("Content-Type", "text/event-stream");
/// assert_eq!(head.header("content-type"), Some("text/event-stream"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// `name:value`, each ended by a line feed: one allocation for all of them.
    lines: String,
}

impl ResponseHead {
    /// A head without headers.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            lines: String::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.add(name, value.as_bytes());
        self
    }

    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        self.lines.push_str(name);
        self.lines.push(':');
        self.lines.push_str(String::from_utf8_lossy(value).trim());
        self.lines.push('\n');
    }

    /// All headers in the order in which they were sent, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines
            .split_terminator('\n')
            .filter_map(|line| line.split_once(':'))
    }

    /// The value of a header, whatever the case of its name; the last one if it was sent twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .last()
            .map(|(_, value)| value)
    }

    /// The content type, as sent.
    pub fn content_type(&self) -> Option<&str> {
        self.header("content-type")
    }

    /// The content encoding, as sent, unless it is `identity`.
    pub fn content_encoding(&self) -> Option<&str> {
        let coding = self.header("content-encoding");
        coding.filter(|coding| !coding.eq_ignore_ascii_case("identity"))
    }
}
