use proptest::prelude::*;

use super::*;

/// Feeds `bytes` in pieces of the given sizes, then the rest.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<(ResponseReader, Vec<u8>, usize), HttpError> {
    let (mut reader, mut body, mut used) = (ResponseReader::new(), Vec::new(), 0);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        let piece = &bytes[used..bytes.len().min(used + cut)];
        used += reader.feed(piece, &mut body)?;
    }
    Ok((reader, body, used))
}

fn whole(bytes: &[u8]) -> (ResponseReader, Vec<u8>, usize) {
    read(bytes, &[]).unwrap()
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;ext=1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\n";

#[test]
fn chunked_body_with_extension_and_trailer() {
    let (reader, body, used) = whole(CHUNKED);
    assert_eq!(body, b"hello world");
    assert_eq!(used, CHUNKED.len());
    assert!(reader.is_done() && reader.keeps_alive());
    let head = reader.head().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(head.content_type(), Some("text/event-stream"));
}

#[test]
fn one_byte_at_a_time_is_the_same() {
    let (reader, body, _) = read(CHUNKED, &vec![1; CHUNKED.len()]).unwrap();
    assert_eq!(body, b"hello world");
    assert!(reader.is_done());
}

#[test]
fn content_length_leaves_what_follows() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiXX";
    let (reader, body, used) = whole(bytes);
    assert_eq!((body.as_slice(), used), (b"hi".as_slice(), bytes.len() - 2));
    assert!(reader.keeps_alive());
}

#[test]
fn body_until_close_is_never_reused() {
    let (reader, body, _) = whole(b"HTTP/1.1 200 OK\n\nall of it");
    assert_eq!(body, b"all of it");
    assert!(!reader.is_done() && reader.may_end_at_close() && !reader.keeps_alive());
}

#[test]
fn interim_answers_are_skipped() {
    let (reader, body, _) =
        whole(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(reader.head().unwrap().status, 200);
    assert_eq!(body, b"x");
}

#[test]
fn connection_close_and_http_1_0_are_not_reused() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (reader, ..) = whole(head.as_bytes());
        assert!(reader.is_done() && !reader.keeps_alive(), "{head}");
    }
}

#[test]
fn broken_answers_are_told_apart() {
    for (bytes, expected) in [
        ("SSH-2.0-OpenSSH", "not HTTP/1.1"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "a size is missing",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc",
            "longer than its size",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11112222333344445\r\n",
            "too large",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "Transfer-Encoding",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "Content-Length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "two different",
        ),
    ] {
        let error = read(bytes.as_bytes(), &[])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{bytes:?} gave {error:?}");
    }
    let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &vec![b'a'; MAX_HEAD]].concat();
    assert_eq!(
        read(&endless, &[]).map(|_| ()).unwrap_err(),
        HttpError::HeadTooLong
    );
}

proptest! {
    #[test]
    fn any_chunking_and_any_split_give_the_same_body(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..20),
        cuts in prop::collection::vec(1usize..40, 0..60),
    ) {
        let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in &chunks {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        let (reader, body, used) = read(&bytes, &cuts).unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(used, bytes.len());
        prop_assert!(reader.is_done());
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1usize..40, 0..20),
    ) {
        let _ = read(&bytes, &cuts);
        let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes.as_slice()].concat(), &cuts);
    }
}
