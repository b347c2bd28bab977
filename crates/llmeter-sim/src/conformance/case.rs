//! The cases.

use std::fmt;

/// One way in which a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Case {
    /// An answer in one piece, asked for or not.
    Plain,
    /// A stream of several frames.
    Stream,
    /// An answer with token counts, an id and the reason why it ended.
    Usage,
    /// An answer without token counts, which are then estimated.
    NoUsage,
    /// Reasoning before the text.
    Reasoning,
    /// A call of a tool and no text.
    ToolCall,
    /// An answer without any content.
    EmptyAnswer,
    /// An error status whose body is the API's own.
    ErrorStatus,
    /// An error status with a page of HTML, as proxies send it.
    ErrorPage,
    /// A failure in the midst of a stream.
    ErrorInStream,
    /// The API's error with a status that says success.
    ErrorAsSuccess,
    /// A connection that is closed in the midst of an answer.
    Cut,
    /// A stream that ends in good order before the answer is finished.
    EarlyEnd,
    /// An answer that falls silent.
    Stall,
    /// A head that comes line by line.
    SlowHead,
    /// Text of 8 MB in one frame.
    HugeFrame,
    /// An answer that comes byte by byte.
    OneByteReads,
    /// A page of HTML instead of an answer.
    WrongContentType,
    /// A right answer of which the server says that it is plain text.
    Mislabelled,
    /// A redirect.
    Redirect,
    /// Success without a body.
    NoBody,
    /// A frame that says something unheard of.
    UnknownFrame,
    /// A frame that is no JSON.
    GarbledFrame,
}

impl Case {
    /// All cases.
    pub const ALL: &[Self] = &[
        Self::Plain,
        Self::Stream,
        Self::Usage,
        Self::NoUsage,
        Self::Reasoning,
        Self::ToolCall,
        Self::EmptyAnswer,
        Self::ErrorStatus,
        Self::ErrorPage,
        Self::ErrorInStream,
        Self::ErrorAsSuccess,
        Self::Cut,
        Self::EarlyEnd,
        Self::Stall,
        Self::SlowHead,
        Self::HugeFrame,
        Self::OneByteReads,
        Self::WrongContentType,
        Self::Mislabelled,
        Self::Redirect,
        Self::NoBody,
        Self::UnknownFrame,
        Self::GarbledFrame,
    ];

    /// One line for people.
    pub fn about(self) -> &'static str {
        match self {
            Self::Plain => "an answer in one piece",
            Self::Stream => "a stream of several frames",
            Self::Usage => "token counts, an id and a reason for the end",
            Self::NoUsage => "no token counts: they are estimated",
            Self::Reasoning => "reasoning before the text",
            Self::ToolCall => "a call of a tool and no text",
            Self::EmptyAnswer => "an answer without any content",
            Self::ErrorStatus => "an error status with the API's own body",
            Self::ErrorPage => "an error status with a page of HTML",
            Self::ErrorInStream => "a failure in the midst of a stream",
            Self::ErrorAsSuccess => "an error body with status 200",
            Self::Cut => "a connection that is closed in the midst of an answer",
            Self::EarlyEnd => "a stream that ends in good order, but too early",
            Self::Stall => "an answer that falls silent",
            Self::SlowHead => "a head that comes line by line",
            Self::HugeFrame => "text of 8 MB in one frame",
            Self::OneByteReads => "an answer that comes byte by byte",
            Self::WrongContentType => "a page of HTML with status 200",
            Self::Mislabelled => "a right answer that is called plain text",
            Self::Redirect => "a redirect",
            Self::NoBody => "status 200 without a body",
            Self::UnknownFrame => "a frame that says something unheard of",
            Self::GarbledFrame => "a frame that is no JSON",
        }
    }

    /// Whether only a stream can show it.
    pub(super) fn needs_stream(self) -> bool {
        matches!(
            self,
            Self::Stream
                | Self::ErrorInStream
                | Self::EarlyEnd
                | Self::UnknownFrame
                | Self::GarbledFrame
        )
    }

    /// Whether it is about HTTP, which says by itself where an answer ends.
    pub(super) fn needs_http(self) -> bool {
        matches!(
            self,
            Self::ErrorStatus
                | Self::ErrorPage
                | Self::ErrorAsSuccess
                | Self::EarlyEnd
                | Self::SlowHead
                | Self::WrongContentType
                | Self::Mislabelled
                | Self::Redirect
                | Self::NoBody
        )
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} ({})", self.about())
    }
}
