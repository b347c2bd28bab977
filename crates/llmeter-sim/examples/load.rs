//! A crude client that only counts: `load ADDRESS STREAMS SECONDS`
//!
//! Shows what the simulator can send. It stamps nothing and is no meter.

use std::{cell::Cell, env, error::Error, io, rc::Rc, time::Duration};

use llmeter::wire::clock;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::LocalSet};

#[derive(Default)]
struct Counts {
    frames: Cell<u64>,
    answers: Cell<u64>,
    reads: Cell<u64>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .ok_or("usage: load ADDRESS STREAMS SECONDS")
    };
    let (address, streams, seconds) = (next()?, next()?.parse::<usize>()?, next()?.parse()?);
    let counts = Rc::new(Counts::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        for _ in 0..streams {
            let stream = TcpStream::connect(&address).await?;
            tokio::task::spawn_local(client(stream, Rc::clone(&counts)));
        }
        // The first second starts all streams up and is not counted.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (frames, answers, reads) = (
            counts.frames.get(),
            counts.answers.get(),
            counts.reads.get(),
        );
        let start = clock::now();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let elapsed = clock::now().seconds_since(start);
        println!(
            "{streams} streams, {elapsed:.2} s: {:.0} frames/s, {:.0} answers/s, {:.0} reads/s",
            (counts.frames.get() - frames) as f64 / elapsed,
            (counts.answers.get() - answers) as f64 / elapsed,
            (counts.reads.get() - reads) as f64 / elapsed,
        );
        Ok::<(), Box<dyn Error>>(())
    })
}

async fn client(mut stream: TcpStream, counts: Rc<Counts>) -> io::Result<()> {
    const BODY: &str =
        r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut buffer = vec![0; 1 << 16];
    loop {
        stream.write_all(request.as_bytes()).await?;
        loop {
            stream.readable().await?;
            let length = match stream.try_read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let bytes = &buffer[..length];
            counts.reads.set(counts.reads.get() + 1);
            // Every frame ends with two line feeds, and nothing else has them.
            let frames = bytes.windows(2).filter(|pair| pair == b"\n\n").count();
            counts.frames.set(counts.frames.get() + frames as u64);
            if bytes.ends_with(b"0\r\n\r\n") {
                counts.answers.set(counts.answers.get() + 1);
                break;
            }
        }
    }
}
