//! A hyper client that reads streams and does nothing with them: the ceiling to compare with.

use anyhow::{Context, Result};
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use llmeter::wire::clock;

#[derive(Args)]
pub(crate) struct BareClientArguments {
    #[arg(long)]
    base_url: String,
    #[arg(long)]
    streams: usize,
    #[arg(long)]
    requests: usize,
    #[arg(long)]
    tokens: usize,
}

/// Prints how many seconds it took.
pub(crate) fn bare_client(arguments: &BareClientArguments) -> Result<()> {
    let address = arguments
        .base_url
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .context("not an http:// address")?
        .to_owned();
    let body = serde_json::json!({
        "messages": [{"role": "user", "content": "Go."}],
        "model": "m",
        "max_tokens": arguments.tokens,
        "stream": true,
        "stream_options": {"include_usage": true},
    })
    .to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let start = clock::now();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..arguments.streams {
            tasks.spawn(stream(address.clone(), body.clone(), arguments.requests));
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        anyhow::Ok(())
    })?;
    println!("{}", clock::now().seconds_since(start));
    Ok(())
}

async fn stream(address: String, body: String, requests: usize) -> Result<()> {
    let tcp = tokio::net::TcpStream::connect(&address).await?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    let driver = tokio::spawn(connection);
    for _ in 0..requests {
        let request = hyper::Request::post("/v1/chat/completions")
            .header("host", &address)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.clone())))?;
        let mut body = sender.send_request(request).await?.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        sender.ready().await?;
    }
    drop(sender);
    driver.await??;
    Ok(())
}
