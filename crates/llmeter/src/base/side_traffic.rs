//! Requests to services beside the endpoint, whose responses are short.

use reqwest::{ClientBuilder, Response};

/// Bytes of one response of a service beside the endpoint.
pub(crate) const MAX_BODY: usize = 16 << 20;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection broke, or the time was up.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
    /// It is longer than accepted.
    #[error("the response has more than {MAX_BODY} bytes")]
    TooLarge,
}

/// A client, to be set up.
pub(crate) fn client() -> ClientBuilder {
    llmeter_wire::share_tls_provider();
    ClientBuilder::new()
}

/// The whole body of a response.
///
/// # Errors
/// If it breaks off, or has more than [`MAX_BODY`].
pub(crate) async fn body_of(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use llmeter_testing::{ScriptedServer, Step};

    use super::*;

    #[test]
    fn an_endless_body_is_given_up() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[";
        let server = ScriptedServer::respond(move |_| {
            vec![
                Step::Write(head.into()),
                Step::Flood(b" 1,".repeat(1 << 12)),
            ]
        });
        let server = server.start().unwrap();
        let body = crate::base::runtime::runtime().unwrap().block_on(async {
            let client = client().build().unwrap();
            let request = client.get(format!("http://{}/", server.address()));
            body_of(request.send().await.unwrap()).await
        });
        let reason = body.unwrap_err().to_string();
        assert_eq!(reason, "the response has more than 16777216 bytes");
    }
}
