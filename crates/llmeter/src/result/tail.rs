//! The responses of a run that may be in progress, as they come.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::cloud_folder::{part, part_number};
use super::folder::RESPONSES_FILE;
use super::line_reader::LineReader;
use crate::base::file::{self, MAX_LINE};
use crate::base::runtime::block_on;
use crate::storage::{CloudUrl, Store};
use crate::{InvocationResponse, Result};

/// Bytes that are read at a time, and at most at once.
const PIECE: usize = 256 * 1024;
const MAX_AT_ONCE: u64 = 32 << 20;

/// Follows `responses.jsonl` in a folder of this machine, whoever writes to it. A line that is not complete yet
/// waits for its end.
#[derive(Debug)]
pub(crate) struct ResponsesTail {
    path: PathBuf,
    file: Option<File>,
    /// Bytes that were read.
    read: u64,
    lines: Lines,
}

/// The responses of lines that come in pieces.
#[derive(Debug)]
struct Lines {
    /// The beginning of a line.
    waiting: Vec<u8>,
    /// Whether the rest of a line that is too long is passed over.
    is_skipping: bool,
    reader: LineReader,
}

/// What following a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Everything that was there is read.
    All,
    /// There is more.
    Part,
    /// The file is another one or was cut: what came before does not count.
    Anew,
}

impl ResponsesTail {
    /// From the file's beginning.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            path: folder.join(RESPONSES_FILE),
            file: None,
            read: 0,
            lines: Lines::new(),
        }
    }

    /// Reads what was added, or some of it if that is much. A file that is not there has nothing; lines that
    /// cannot be read are passed over.
    ///
    /// # Errors
    /// If the file cannot be read, or a link is in its place.
    pub(crate) fn follow(
        &mut self,
        mut each: impl FnMut(InvocationResponse),
    ) -> io::Result<Followed> {
        if self.is_replaced()? {
            *self = Self {
                path: std::mem::take(&mut self.path),
                ..Self::of(Path::new(""))
            };
            return Ok(Followed::Anew);
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => match file::open_unlinked(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Followed::All),
                Err(error) => return Err(error),
            },
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut piece = vec![0; PIECE];
        let mut total = 0;
        while total < MAX_AT_ONCE {
            let length = match file.read(&mut piece) {
                Ok(0) => return Ok(Followed::All),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.read += length as u64;
            total += length as u64;
            self.lines.take(&piece[..length], &mut each);
        }
        Ok(Followed::Part)
    }

    /// Whether the file that was read is gone, another one, or shorter than what was read.
    fn is_replaced(&self) -> io::Result<bool> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let known = file.metadata()?;
        if known.len() < self.read {
            return Ok(true);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Ok(match std::fs::symlink_metadata(&self.path) {
                Ok(now) => (now.dev(), now.ino()) != (known.dev(), known.ino()),
                Err(error) if error.kind() == ErrorKind::NotFound => true,
                Err(error) => return Err(error),
            })
        }
        #[cfg(not(unix))]
        Ok(false)
    }
}

impl Lines {
    fn new() -> Self {
        Self {
            waiting: Vec::new(),
            is_skipping: false,
            reader: LineReader::measuring(),
        }
    }

    /// Reads the lines that end within a piece; those that cannot be read are passed over.
    fn take(&mut self, piece: &[u8], each: &mut impl FnMut(InvocationResponse)) {
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            let line = match self.waiting.is_empty() {
                true => line,
                false => {
                    self.waiting.extend_from_slice(line);
                    &self.waiting
                }
            };
            if let Ok(response) = self.reader.read(line) {
                each(response);
            }
            self.waiting.clear();
        }
        if !self.is_skipping {
            self.waiting.extend_from_slice(rest);
            if self.waiting.len() as u64 > MAX_LINE {
                self.waiting = Vec::new();
                self.is_skipping = true;
            }
        }
    }
}

/// Follows the responses in a folder of the cloud, where a run uploads them in parts, and at its end as the file
/// of which the parts are pieces.
#[derive(Debug)]
pub(crate) struct PartsTail {
    url: CloudUrl,
    seen: Seen,
    lines: Lines,
}

/// How far a folder in the cloud was read.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Parts that were read; they are counted from 1.
    parts: u64,
    /// Bytes of the responses that were read.
    bytes: u64,
}

impl PartsTail {
    /// From the first response.
    pub(crate) fn of(url: &CloudUrl) -> Self {
        Self {
            url: url.clone(),
            seen: Seen::default(),
            lines: Lines::new(),
        }
    }

    /// As [`ResponsesTail::follow`].
    ///
    /// # Errors
    /// If the folder cannot be listed, or an object not be read. The next time begins where this one began.
    pub(crate) fn follow(&mut self, mut each: impl FnMut(InvocationResponse)) -> Result<Followed> {
        let (url, seen) = (self.url.clone(), self.seen);
        let (followed, seen, piece) =
            block_on(async move { seen.after(&Store::open(&url)?).await })?;
        if followed == Followed::Anew {
            *self = Self::of(&self.url);
            return Ok(followed);
        }
        self.seen = seen;
        self.lines.take(&piece, &mut each);
        Ok(followed)
    }
}

impl Seen {
    /// What came after this, or some of it if that is much.
    async fn after(mut self, store: &Store) -> Result<(Followed, Self, Vec<u8>)> {
        let objects = store.list_below().await?;
        let mut piece = Vec::new();
        if let Some(whole) = objects.iter().find(|object| object.name == RESPONSES_FILE) {
            if whole.size < self.bytes {
                return Ok((Followed::Anew, self, piece));
            }
            let end = whole.size.min(self.bytes + MAX_AT_ONCE);
            if end > self.bytes {
                piece = store.get_range(RESPONSES_FILE, self.bytes..end).await?;
                self.bytes += piece.len() as u64;
            }
            let is_all = self.bytes == whole.size;
            return Ok((
                if is_all {
                    Followed::All
                } else {
                    Followed::Part
                },
                self,
                piece,
            ));
        }
        let parts = objects
            .iter()
            .filter_map(|object| part_number(&object.name))
            .max();
        let last = parts.unwrap_or(0);
        if last < self.parts {
            return Ok((Followed::Anew, self, piece));
        }
        while self.parts < last && (piece.len() as u64) < MAX_AT_ONCE {
            let name = part(self.parts + 1);
            if !store.get_into(&name, &mut piece, None).await? {
                // Its run has just come to its end.
                return Ok((Followed::Part, self, Vec::new()));
            }
            self.parts += 1;
        }
        self.bytes += piece.len() as u64;
        let is_all = self.parts == last;
        Ok((
            if is_all {
                Followed::All
            } else {
                Followed::Part
            },
            self,
            piece,
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn line(id: &str) -> String {
        format!("{{\"id\": \"{id}\", \"time_to_last_token\": 0.5}}\n")
    }

    fn followed(tail: &mut ResponsesTail) -> (Followed, usize) {
        let mut count = 0;
        let followed = tail.follow(|_| count += 1).unwrap();
        (followed, count)
    }

    #[test]
    fn lines_come_when_they_are_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESPONSES_FILE);
        let mut tail = ResponsesTail::of(folder.path());
        assert_eq!(
            followed(&mut tail),
            (Followed::All, 0),
            "there is no file yet"
        );
        let mut file = File::create(&path).unwrap();
        let mut write = |text: &str| file.write_all(text.as_bytes()).unwrap();
        let whole = line("a");
        write(&whole);
        write(&whole[..10]);
        assert_eq!(followed(&mut tail), (Followed::All, 1));
        assert_eq!(followed(&mut tail), (Followed::All, 0));
        write(&whole[10..]);
        write("broken\n\n");
        write(&line("c"));
        assert_eq!(followed(&mut tail), (Followed::All, 2));
    }

    #[test]
    fn a_file_that_is_cut_or_replaced_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESPONSES_FILE);
        fs::write(&path, line("a") + &line("b")).unwrap();
        let mut tail = ResponsesTail::of(folder.path());
        assert_eq!(followed(&mut tail), (Followed::All, 2));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        assert_eq!(followed(&mut tail), (Followed::Anew, 0));
        fs::write(&path, line("a")).unwrap();
        assert_eq!(followed(&mut tail), (Followed::All, 1));
        fs::remove_file(&path).unwrap();
        assert_eq!(followed(&mut tail), (Followed::Anew, 0));
        fs::write(&path, line("c") + &line("d") + &line("e")).unwrap();
        assert_eq!(followed(&mut tail), (Followed::All, 3));
    }

    #[test]
    fn much_comes_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{{\"response_text\": \"{}\"}}\n", "x".repeat(9 << 20));
        fs::write(folder.path().join(RESPONSES_FILE), long.repeat(5)).unwrap();
        let mut tail = ResponsesTail::of(folder.path());
        assert_eq!(followed(&mut tail), (Followed::Part, 3));
        assert_eq!(followed(&mut tail), (Followed::All, 2));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("other"), line("a")).unwrap();
        std::os::unix::fs::symlink("other", folder.path().join(RESPONSES_FILE)).unwrap();
        assert!(ResponsesTail::of(folder.path()).follow(|_| ()).is_err());
    }
}
