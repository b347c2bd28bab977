//! What is answered to which request.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use url::form_urlencoded;

use super::follow::follow;
use super::guard::{Guard, NO_POLICY, OWN_POLICY, REPORT_POLICY, harden};
use super::made::{MAX_COMPARED, Reports};
use super::shelf::Shelf;
use crate::base::error::{Error, Result};
use crate::catalog::{Entry, Filter};
use crate::stats::Condition;
use crate::storage::Location;

/// The page, which needs nothing else.
const FILES: [(&str, &str, &str); 5] = [
    ("/", HTML, include_str!("page/list.html")),
    ("/list.js", SCRIPT, include_str!("page/list.js")),
    ("/live.js", SCRIPT, include_str!("page/live.js")),
    ("/shared.js", SCRIPT, include_str!("page/shared.js")),
    (
        "/style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
];
const LIVE_PAGE: &str = include_str!("page/live.html");
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Runs that are followed at a time.
const MAX_FOLLOWED: usize = 16;
/// Events that wait for a browser.
const WAITING_EVENTS: usize = 2;
/// Conditions that a list is filtered by.
const MAX_CONDITIONS: usize = 16;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Everything that requests are answered from.
pub(super) struct Answers {
    guard: Guard,
    shelf: Shelf,
    reports: Reports,
    followers: Arc<Semaphore>,
}

/// An answer before it gets the headers that all have.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    policy: &'static str,
    body: Body,
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            policy: NO_POLICY,
            body: Full::new(body.into()).boxed_unsync(),
        }
    }

    /// A refusal, in words.
    fn refusal(status: StatusCode, reason: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", reason.into())
    }

    fn no_such() -> Self {
        Self::refusal(
            StatusCode::NOT_FOUND,
            "there is no such page; a run that was listed is gone, or cannot be opened: `llmeter show` tells why",
        )
    }

    fn with(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }
}

impl Answers {
    pub(super) fn new(guard: Guard, folder: Location, cache: Option<PathBuf>) -> Self {
        Self {
            guard,
            shelf: Shelf::new(folder, cache),
            reports: Reports::default(),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWED)),
        }
    }

    /// The answer to a request; `admitted` hears of one that knows the secret.
    pub(super) async fn to(
        &self,
        request: &Request<Incoming>,
        admitted: impl FnOnce(),
    ) -> Response<Body> {
        let uri = request.uri();
        let path = self
            .guard
            .admit(request.method(), uri.path(), request.headers());
        let is_refused = path.is_err();
        if !is_refused {
            admitted();
        }
        let answer = match path {
            Err(status) => Answer::refusal(status, status.canonical_reason().unwrap_or_default()),
            Ok("") => return self.redirect(),
            Ok(path) => self
                .inside(path, uri.query().unwrap_or_default())
                .await
                .unwrap_or_else(|reason| {
                    let status = match reason {
                        // What was asked for cannot be, as a comparison of a run with a load test.
                        Error::Invalid { .. } | Error::Field { .. } | Error::NotARun { .. } => {
                            StatusCode::BAD_REQUEST
                        }
                        _ => StatusCode::INTERNAL_SERVER_ERROR,
                    };
                    Answer::refusal(status, reason.to_string())
                }),
        };
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        let content_type = HeaderValue::from_static(answer.content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        harden(response.headers_mut(), answer.policy);
        if is_refused {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// To the same address with a slash at its end.
    fn redirect(&self) -> Response<Body> {
        let mut response = Response::new(Full::default().boxed_unsync());
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        let to = HeaderValue::try_from(format!("/{}/", self.guard.token()));
        if let Ok(to) = to {
            response.headers_mut().insert(LOCATION, to);
        }
        harden(response.headers_mut(), NO_POLICY);
        response
    }

    /// Paths are compared as they are: nothing in them is decoded, and none is one of a file.
    async fn inside(&self, path: &str, query: &str) -> Result<Answer> {
        if let Some((_, content_type, text)) = FILES.iter().find(|(name, ..)| *name == path) {
            return Ok(Answer::new(StatusCode::OK, content_type, *text).with(OWN_POLICY));
        }
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match *parts.as_slice() {
            ["runs.json"] => self.list(query).await,
            ["compare"] => self.compare(query).await,
            ["report", id] => match self.shelf.find(id).await? {
                Some(entry) => self.report(vec![entry]).await,
                None => Ok(Answer::no_such()),
            },
            ["live", id, ""] => Ok(match self.shelf.find(id).await? {
                Some(_) => Answer::new(StatusCode::OK, HTML, LIVE_PAGE).with(OWN_POLICY),
                None => Answer::no_such(),
            }),
            ["live", id, "run.json"] => Ok(match self.shelf.find(id).await? {
                Some(entry) => {
                    let run = json!({"name": entry.name, "description": entry.description});
                    Answer::new(StatusCode::OK, JSON, run.to_string())
                }
                None => Answer::no_such(),
            }),
            ["live", id, "events"] => match self.shelf.find(id).await? {
                Some(entry) => self.follow(&entry),
                None => Ok(Answer::no_such()),
            },
            _ => Ok(Answer::no_such()),
        }
    }

    async fn list(&self, query: &str) -> Result<Answer> {
        let mut filter = Filter::default();
        let pairs = || form_urlencoded::parse(query.as_bytes());
        let seen = pairs().find(|(name, _)| name == "seen");
        let wanted = pairs().filter(|(name, value)| name == "where" && !value.trim().is_empty());
        for (_, text) in wanted.take(MAX_CONDITIONS) {
            let condition = text.parse::<Condition>().and_then(|condition| {
                condition.check_of_run(false)?;
                Ok(condition)
            });
            match condition {
                Ok(condition) => filter = filter.condition(condition),
                Err(reason) => {
                    let reason = json!({"error": reason.to_string()}).to_string();
                    return Ok(Answer::new(StatusCode::OK, JSON, reason));
                }
            }
        }
        let found = self.shelf.found().await?;
        let list = found.to_json(&filter, seen.as_ref().map_or("", |(_, seen)| seen));
        Ok(Answer::new(StatusCode::OK, JSON, list))
    }

    async fn compare(&self, query: &str) -> Result<Answer> {
        let mut entries = Vec::new();
        for (name, id) in form_urlencoded::parse(query.as_bytes()) {
            if name != "run" {
                continue;
            }
            match self.shelf.find(&id).await? {
                Some(entry) if entries.len() < MAX_COMPARED => entries.push(entry),
                Some(_) => {
                    let reason = format!("at most {MAX_COMPARED} runs are compared");
                    return Ok(Answer::refusal(StatusCode::BAD_REQUEST, reason));
                }
                None => return Ok(Answer::no_such()),
            }
        }
        match entries.len() {
            0 | 1 => Ok(Answer::refusal(
                StatusCode::BAD_REQUEST,
                "choose two runs or more",
            )),
            _ => self.report(entries).await,
        }
    }

    async fn report(&self, entries: Vec<Entry>) -> Result<Answer> {
        let page = self.reports.of(entries).await?;
        Ok(Answer::new(StatusCode::OK, HTML, page).with(REPORT_POLICY))
    }

    fn follow(&self, entry: &Entry) -> Result<Answer> {
        let Ok(permit) = self.followers.clone().try_acquire_owned() else {
            let reason = "too many runs are being followed: close some pages";
            return Ok(Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, reason));
        };
        let (sender, events) = mpsc::channel(WAITING_EVENTS);
        follow(entry.location.clone(), sender)?;
        let frames = stream::unfold((events, permit), async |(mut events, permit)| {
            let event = events.recv().await?;
            Some((Ok(Frame::data(event)), (events, permit)))
        });
        Ok(Answer {
            body: StreamBody::new(frames).boxed_unsync(),
            ..Answer::new(StatusCode::OK, EVENTS, "")
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::{EntryKind, EntryState};

    #[test]
    fn every_kind_and_state_can_be_chosen() {
        let page = include_str!("page/list.html");
        let kinds = EntryKind::ALL.map(EntryKind::as_str).into_iter();
        for name in kinds.chain(EntryState::ALL.map(EntryState::as_str)) {
            assert!(page.contains(&format!("<option>{name}</option>")), "{name}");
        }
    }
}
