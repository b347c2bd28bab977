//! The SDK's requests through the client that other side traffic uses.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, Url, redirect};

use crate::base::side_traffic::{self, BodyError, body_of};

/// Timeout of a request, unless the SDK has a shorter one.
const LIMIT: Duration = Duration::from_secs(30);

/// reqwest as the SDK's HTTP client.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReqwestHttpClient;

impl HttpClient for ReqwestHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            settings: settings.clone(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    settings: HttpConnectorSettings,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let settings = self.settings.clone();
        HttpConnectorFuture::new(async move {
            let request = of_sdk(&request).map_err(|reason| ConnectorError::user(reason.into()))?;
            let mut client = side_traffic::client().redirect(redirect::Policy::none());
            if is_link_local(request.url()) {
                client = client.no_proxy();
            }
            if let Some(limit) = settings.connect_timeout() {
                client = client.connect_timeout(limit);
            }
            client = client.timeout(settings.read_timeout().unwrap_or(LIMIT));
            let client = client.build().map_err(failure)?;
            let response = client.execute(request).await.map_err(failure)?;
            let other = |reason: Box<dyn std::error::Error + Send + Sync>| {
                ConnectorError::other(reason, None)
            };
            let status = response.status().as_u16();
            let status = status.try_into().map_err(|_| other("no status".into()))?;
            let headers = response.headers().clone();
            let body = body_of(response).await.map_err(|reason| match reason {
                BodyError::Broken(reason) => failure(reason),
                BodyError::TooLarge => other(reason.into()),
            })?;
            let mut made = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in &headers {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                made.headers_mut().append(name.as_str().to_owned(), value);
            }
            Ok(made)
        })
    }
}

fn of_sdk(request: &HttpRequest) -> Result<Request, String> {
    let text = |reason: &dyn std::fmt::Display| reason.to_string();
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|e| text(&e))?;
    let url = Url::parse(request.uri()).map_err(|e| text(&e))?;
    let mut made = Request::new(method, url);
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| text(&e))?;
        let value = HeaderValue::from_str(value).map_err(|e| text(&e))?;
        made.headers_mut().append(name, value);
    }
    let body = request.body().bytes().ok_or("a body that is a stream")?;
    *made.body_mut() = Some(body.to_vec().into());
    Ok(made)
}

fn failure(reason: reqwest::Error) -> ConnectorError {
    // Addresses of credentials may have secrets in their queries.
    let reason = reason.without_url();
    if reason.is_timeout() {
        ConnectorError::timeout(reason.into())
    } else if reason.is_connect() || reason.is_request() {
        ConnectorError::io(reason.into())
    } else {
        ConnectorError::other(reason.into(), None)
    }
}

/// Whether this is the metadata service of an instance or a container, which no proxy can reach.
fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_link_local() || address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_unique_local() || address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
