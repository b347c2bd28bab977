//! Messages of AWS event streams.

/// The type of a header whose value is a text.
const TEXT: u8 = 7;

/// Appends a message with these headers, all of them texts, and this payload.
pub(super) fn append(out: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    let start = out.len();
    let of_headers: usize = headers
        .iter()
        .map(|(name, value)| 1 + name.len() + 1 + 2 + value.len())
        .sum();
    let length = 12 + of_headers + payload.len() + 4;
    // Names, values and payloads of the simulator are far from these limits.
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.extend_from_slice(&(of_headers as u32).to_be_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
    for (name, value) in headers {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(TEXT);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(payload);
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// Appends an event.
pub(super) fn event(out: &mut Vec<u8>, kind: &str, media_type: &str, payload: &[u8]) {
    let headers = [
        (":event-type", kind),
        (":content-type", media_type),
        (":message-type", "event"),
    ];
    append(out, &headers, payload);
}

/// Appends a failure.
pub(super) fn exception(out: &mut Vec<u8>, kind: &str, payload: &[u8]) {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    append(out, &headers, payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_protocols_own_example() {
        let mut out = Vec::new();
        append(&mut out, &[], b"");
        // The empty message of the AWS SDKs' test vectors.
        assert_eq!(
            out,
            [
                0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff
            ]
        );
    }
}
