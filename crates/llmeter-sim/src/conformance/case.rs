//! The cases.

use std::fmt;

/// Makes the cases from a table: name, what the server sends, and what can show it.
macro_rules! cases {
    ($($name:ident: $about:literal, $needs:ident;)*) => {
        /// One way in which a server responds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Case {
            $(#[doc = concat!("The server sends ", $about, ".")] $name,)*
        }

        impl Case {
            /// All cases.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What the server sends: one line for people.
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$name => $about,)*
                }
            }

            /// What it takes to show the case.
            pub(super) fn needs(self) -> Needs {
                match self {
                    $(Self::$name => Needs::$needs,)*
                }
            }
        }
    };
}

/// What it takes to show a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// A stream.
    Stream,
    /// HTTP, which says by itself where a response ends.
    Http,
    /// Both.
    HttpStream,
}

cases! {
    NonStreaming: "a non-streaming response, asked for or not", Nothing;
    Streaming: "a stream of several frames", Stream;
    Usage: "token counts, an id and a reason for the end", Nothing;
    NoUsage: "no token counts: they are estimated", Nothing;
    Reasoning: "reasoning before the text", Nothing;
    ToolCall: "a call of a tool and no text", Nothing;
    EmptyResponse: "a response without any content", Nothing;
    ErrorStatus: "an error status with the API's own body", Http;
    ErrorPage: "an error status with a page of HTML, as proxies do", Http;
    ErrorInStream: "a failure in the middle of a stream", Stream;
    ErrorAsSuccess: "an error body with status 200", Http;
    Cut: "half a response, and closes the connection", Nothing;
    EarlyEnd: "a stream that ends in good order, but too early", HttpStream;
    Stall: "half a response, and falls silent", Nothing;
    SlowHead: "headers sent line by line", Http;
    HugeFrame: "text of 1 MB in one frame", Nothing;
    OneByteReads: "a response byte by byte", Nothing;
    WrongContentType: "a page of HTML with status 200", Http;
    Mislabelled: "a correct response that is called plain text", Http;
    JsonLabel: "a stream that is called JSON", HttpStream;
    UnframedResponse: "a non-streaming response that is called a stream", HttpStream;
    UnframedError: "an error body that is called a stream", HttpStream;
    Redirect: "a redirect", Http;
    NoBody: "status 200 without a body", Http;
    UnknownFrame: "a frame of an unknown type", Stream;
    GarbledFrame: "a frame that is no JSON", Stream;
}

impl Case {
    /// The case whose reasons for being skipped are this one's, too: what a stream's endpoint does not
    /// read under the label of a document, it does not read under that of a stream.
    pub(super) fn reason_case(self) -> Self {
        match self {
            Self::UnframedResponse => Self::NonStreaming,
            case => case,
        }
    }

    pub(super) fn needs_stream(self) -> bool {
        matches!(self.needs(), Needs::Stream | Needs::HttpStream)
    }

    pub(super) fn needs_http(self) -> bool {
        matches!(self.needs(), Needs::Http | Needs::HttpStream)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} ({})", self.about())
    }
}
