//! Bytes that were read together, given on record by record: those of TLS, or frames of HTTP/2.

use std::io;
use std::task::{Poll, ready};

use tokio::io::ReadBuf;

/// Bytes that one read may bring.
const SIZE: usize = 64 * 1024;
/// How records begin.
#[derive(Debug, Clone, Copy)]
struct Header {
    size: usize,
    /// Where the length of what follows is in it.
    length: (usize, usize),
}

/// RFC 8446, section 5.1.
const TLS: Header = Header {
    size: 5,
    length: (3, 5),
};
/// RFC 9113, section 4.1.
const HTTP2: Header = Header {
    size: 9,
    length: (0, 3),
};

/// What was read from a connection. A portion ends where a record does, or with what was read.
#[derive(Debug)]
pub(crate) struct Portions {
    kind: Header,
    read: Vec<u8>,
    given: usize,
    /// Bytes of the record's header that were given, and its length as far as they tell.
    header: usize,
    length: usize,
    /// Bytes of the record that were given.
    of_record: usize,
}

impl Portions {
    pub(crate) fn of_tls() -> Self {
        Self::of(TLS)
    }

    pub(crate) fn of_http2() -> Self {
        Self::of(HTTP2)
    }

    fn of(kind: Header) -> Self {
        Self {
            kind,
            read: Vec::new(),
            given: 0,
            header: 0,
            length: 0,
            of_record: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// Bytes that were not given on yet.
    pub(crate) fn left(&self) -> usize {
        self.read.len() - self.given
    }

    /// Reads anew.
    pub(crate) fn fill(
        &mut self,
        read: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        self.read.resize(SIZE, 0);
        self.given = 0;
        let mut buffer = ReadBuf::new(&mut self.read);
        let result = read(&mut buffer);
        let count = buffer.filled().len();
        self.read.truncate(count);
        ready!(result)?;
        Poll::Ready(Ok(()))
    }

    /// Gives the next portion on.
    pub(crate) fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let next = &self.read[self.given..];
        let next = &next[..next.len().min(buffer.remaining())];
        let mut count = 0;
        // The header first: it tells how much follows.
        let Header {
            size,
            length: (from, to),
        } = self.kind;
        while self.header < size && count < next.len() {
            if (from..to).contains(&self.header) {
                self.length = self.length << 8 | usize::from(next[count]);
            }
            self.header += 1;
            count += 1;
        }
        if self.header == size {
            let rest = (self.length - self.of_record).min(next.len() - count);
            self.of_record += rest;
            count += rest;
            if self.of_record == self.length {
                (self.header, self.length, self.of_record) = (0, 0, 0);
            }
        }
        buffer.put_slice(&next[..count]);
        self.given += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portions(stream: &[u8], reads: &[usize], room: usize) -> Vec<Vec<u8>> {
        let (mut portions, mut given, mut at) = (Portions::of_tls(), Vec::new(), 0);
        for read in reads {
            let filled = portions.fill(|buffer| {
                buffer.put_slice(&stream[at..at + read]);
                Poll::Ready(Ok(()))
            });
            assert!(filled.is_ready());
            at += read;
            while !portions.is_empty() {
                let mut space = vec![0; room];
                let mut buffer = ReadBuf::new(&mut space);
                portions.give(&mut buffer);
                given.push(buffer.filled().to_vec());
            }
        }
        given
    }

    #[test]
    fn a_frame_of_http2_is_a_portion() {
        let frame = [0, 0, 2, 0, 1, 0, 0, 0, 1, b'h', b'i'];
        let mut portions = Portions::of_http2();
        let filled = portions.fill(|buffer| {
            buffer.put_slice(&[frame, frame].concat());
            Poll::Ready(Ok(()))
        });
        assert!(filled.is_ready());
        let mut space = [0; 64];
        let mut buffer = ReadBuf::new(&mut space);
        portions.give(&mut buffer);
        assert_eq!(
            (buffer.filled(), portions.left()),
            (&frame[..], frame.len())
        );
    }

    #[test]
    fn a_portion_ends_with_its_record_or_with_the_read() {
        let one = [23, 3, 3, 0, 3, 1, 2, 3];
        let two = [23, 3, 3, 1, 1]
            .into_iter()
            .chain([7; 257])
            .collect::<Vec<u8>>();
        let none = [20, 3, 3, 0, 0];
        let stream = [&one[..], &two, &none, &one].concat();
        let all = portions(&stream, &[stream.len()], 1000);
        assert_eq!(all, [&one[..], &two, &none, &one]);
        // However it is read.
        for size in 1..20 {
            let mut reads = vec![size; stream.len() / size];
            reads.push(stream.len() % size);
            for room in [1, 7, 1000] {
                let given = portions(&stream, &reads, room);
                assert_eq!(given.concat(), stream);
                // No portion has parts of two records.
                let mut end = 0;
                let ends = given.iter().map(|portion| {
                    end += portion.len();
                    end
                });
                let ends: Vec<usize> = ends.collect();
                for record in [8, 270, 275, 283] {
                    assert!(ends.contains(&record), "{size} {room}");
                }
            }
        }
    }
}
