//! Files of this machine: opened only if they are files, read within a bound, made so that no name
//! that somebody prepared leads elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use tempfile::NamedTempFile;

/// The largest file that is read as a text: a prompt, a template, a configuration. 16 MiB.
pub const MAX_TEXT_FILE: u64 = 16 << 20;
/// The largest file of any other kind that is read as a whole: payloads, media, tokenizers, files of
/// run folders. 1 GiB.
pub const MAX_DATA_FILE: u64 = 1 << 30;
/// The longest line of `responses.jsonl`, which is read line by line. 256 MiB.
pub const MAX_LINE: u64 = 256 << 20;

/// Who may read a file that llmeter makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whom the process's umask lets: files that stay where the user wants them.
    Umask,
    /// The user alone: files on their way to elsewhere.
    Owner,
}

impl Access {
    #[cfg(unix)]
    const fn mode(self) -> u32 {
        match self {
            Self::Umask => 0o666,
            Self::Owner => 0o600,
        }
    }
}

/// Why a file is not read or written, although the system would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileProblem {
    /// It is a pipe, a device, a socket.
    #[error("it is {0}, but must be a regular file")]
    NotRegular(&'static str),
    /// It is larger than what is read, in bytes.
    #[error("it is too large: at most {} MiB are read", .0 >> 20)]
    TooLarge(u64),
    /// It is a symbolic link where none is followed.
    #[error("it is a symbolic link, which is not followed here")]
    Link,
    /// It has further names, so that writing to it would change another file, too.
    #[error("it has further names (hard links), and writing to it would change another file")]
    HardLink,
}

impl FileProblem {
    /// The problem that an error is about, if it is about one.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// What to do about it, if that is not plain.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::NotRegular(_) => Some("copy what it gives into a file"),
            Self::TooLarge(_) => Some("split the file, or name a smaller one"),
            Self::Link | Self::HardLink => Some("name the file itself, or another one"),
        }
    }
}

impl From<FileProblem> for io::Error {
    fn from(problem: FileProblem) -> Self {
        Self::new(ErrorKind::InvalidInput, problem)
    }
}

/// Opens a regular file to read it. Does not wait for the other end of a pipe.
///
/// What the process was handed open, like `/dev/stdin` or `/dev/fd/3`, is read whatever it is.
///
/// # Errors
/// If it cannot be opened, or is no regular file.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    if is_handed_over(path) {
        return File::open(path);
    }
    // Opening some devices does something to them.
    regular(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    flags(options.read(true), false, None);
    let file = options.open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// As [`open`], but follows no link: for files whose names somebody else chose.
///
/// # Errors
/// As [`open`], and if it is a link.
pub fn open_unlinked(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    unlinked(path)?;
    let mut options = OpenOptions::new();
    flags(options.read(true), true, None);
    let file = options.open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes; as [`open`].
///
/// # Errors
/// If it cannot be read, is no regular file, or is larger.
pub fn read(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    read_within(open(path)?, limit)
}

/// As [`read`], but follows no link.
///
/// # Errors
/// As [`read`], and if it is a link.
pub(crate) fn read_unlinked(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    read_within(open_unlinked(path)?, limit)
}

/// Reads a text of at most [`MAX_TEXT_FILE`] bytes; as [`open`].
///
/// # Errors
/// If it cannot be read, is no regular file, is larger, or is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    let text = String::from_utf8(read(path, MAX_TEXT_FILE)?);
    text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

fn read_within(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > limit {
        return Err(FileProblem::TooLarge(limit).into());
    }
    let mut content = Vec::new();
    content.try_reserve_exact(usize::try_from(length).unwrap_or_default())?;
    file.take(limit + 1).read_to_end(&mut content)?;
    match content.len() as u64 > limit {
        true => Err(FileProblem::TooLarge(limit).into()),
        false => Ok(content),
    }
}

/// Makes a file that was not there.
///
/// # Errors
/// If it cannot be made, or there is anything of this name, a link included.
pub fn create_new(path: impl AsRef<Path>, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    flags(options.write(true).create_new(true), true, Some(access));
    options.open(path)
}

/// Opens a file for appending, making it where it is missing.
///
/// # Errors
/// If it cannot be opened, or is a link or no regular file.
pub fn append(path: impl AsRef<Path>, access: Access) -> io::Result<File> {
    let path = path.as_ref();
    match unlinked(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        known => known?,
    }
    let mut options = OpenOptions::new();
    flags(options.append(true).create(true), true, Some(access));
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
        return Err(FileProblem::HardLink.into());
    }
    Ok(file)
}

/// Makes a file with a name that nobody can know beforehand, beside the one whose place it is to
/// take. It goes when it is dropped.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn temporary(beside: &Path, access: Access) -> io::Result<NamedTempFile> {
    let folder = match beside.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".llmeter-").suffix(".tmp").rand_bytes(12);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(access.mode()));
    builder.tempfile_in(folder)
}

/// Writes a file so that it is, at any moment, the old one or the new one. A link of this name is
/// replaced, not followed. To pipes, terminals and other devices of characters it is written.
///
/// # Errors
/// If it cannot be written; the old one is there then.
pub fn replace(path: impl AsRef<Path>, content: &[u8], access: Access) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = Replacement::of(path.as_ref(), access)?;
    file.file().write_all(content)?;
    file.finish()
}

/// A file under way to its name; as [`replace`].
pub(crate) struct Replacement<'p> {
    path: &'p Path,
    to: To,
}

enum To {
    Temporary(NamedTempFile),
    /// What has the name, and takes bytes as they come.
    There(File),
}

impl<'p> Replacement<'p> {
    /// # Errors
    /// If nothing can be written there.
    pub(crate) fn of(path: &'p Path, access: Access) -> io::Result<Self> {
        let to = match there(path)? {
            Some(file) => To::There(file),
            None => To::Temporary(temporary(path, access)?),
        };
        Ok(Self { path, to })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        match &mut self.to {
            To::Temporary(file) => file.as_file_mut(),
            To::There(file) => file,
        }
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// If what was written does not reach the disk.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.to {
            To::Temporary(file) => {
                file.as_file().sync_all()?;
                file.persist(self.path)
                    .map(drop)
                    .map_err(|error| error.error)
            }
            To::There(_) => Ok(()),
        }
    }
}

/// Opens what has a name and cannot be replaced: what the process was handed open, pipes, devices.
fn there(path: &Path) -> io::Result<Option<File>> {
    if is_handed_over(path) {
        return OpenOptions::new().append(true).open(path).map(Some);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let Ok(metadata) = fs::symlink_metadata(path) else {
            return Ok(None);
        };
        let kind = metadata.file_type();
        if kind.is_fifo() || kind.is_char_device() {
            // Not to wait for a reader: without one this fails.
            flags(OpenOptions::new().write(true), true, None).open(path)?;
            return OpenOptions::new().write(true).open(path).map(Some);
        }
        if !kind.is_file() && !kind.is_dir() && !kind.is_symlink() {
            return Err(FileProblem::NotRegular(name_of(kind)).into());
        }
    }
    Ok(None)
}

/// Whether anything has this name, be it a link to nowhere.
pub(crate) fn is_taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a path is a symbolic link.
pub(crate) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink())
}

/// Whether a path stands for what the process has open already.
fn is_handed_over(path: &Path) -> bool {
    ["/dev/stdin", "/dev/stdout", "/dev/stderr"]
        .iter()
        .any(|name| path == Path::new(name))
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.parent() == Some(Path::new(folder)))
}

/// Checks what has a name, without following it.
fn unlinked(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    match metadata.is_symlink() {
        true => Err(FileProblem::Link.into()),
        false => regular(&metadata),
    }
}

fn regular(metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        #[cfg(unix)]
        return Err(rustix::io::Errno::ISDIR.into());
        #[cfg(not(unix))]
        return Err(ErrorKind::IsADirectory.into());
    }
    Err(FileProblem::NotRegular(name_of(kind)).into())
}

fn name_of(kind: fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    let _ = kind;
    "something else"
}

/// Sets how a file is opened: without waiting for anybody, without following a link, and, if it is made, for
/// whom.
fn flags(options: &mut OpenOptions, is_unlinked: bool, access: Option<Access>) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut flags = OFlags::NONBLOCK;
        flags.set(OFlags::NOFOLLOW, is_unlinked);
        options.custom_flags(flags.bits() as i32);
        if let Some(access) = access {
            options.mode(access.mode());
        }
    }
    #[cfg(not(unix))]
    let _ = (is_unlinked, access);
    options
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn problem<T>(result: io::Result<T>) -> Option<FileProblem> {
        FileProblem::of(&result.err()?)
    }

    #[test]
    fn only_regular_files_are_read_and_within_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let link = folder.path().join("link");
        symlink("pipe", &link).unwrap();
        for path in [&fifo, &link] {
            assert_eq!(problem(open(path)), Some(FileProblem::NotRegular("a pipe")));
        }
        assert_eq!(problem(open_unlinked(&link)), Some(FileProblem::Link));
        let device = problem(read("/dev/zero", MAX_TEXT_FILE));
        assert_eq!(device, Some(FileProblem::NotRegular("a device")));

        let giant = folder.path().join("giant");
        File::create(&giant).unwrap().set_len(1 << 40).unwrap();
        let error = read(&giant, MAX_DATA_FILE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is too large: at most 1024 MiB are read"
        );
        let small = folder.path().join("small");
        fs::write(&small, "123").unwrap();
        assert_eq!(read(&small, 3).unwrap(), b"123");
        assert_eq!(problem(read(&small, 2)), Some(FileProblem::TooLarge(2)));
        // One that says that it is empty.
        let machine = read("/proc/self/maps", 10);
        assert!(
            cfg!(not(target_os = "linux")) || problem(machine) == Some(FileProblem::TooLarge(10))
        );
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays_what_it_is() {
        use std::os::fd::AsRawFd as _;
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        // Nobody reads it.
        assert!(replace(&fifo, b"lost", Access::Umask).is_err());
        let reader = {
            let mut options = OpenOptions::new();
            flags(options.read(true), false, None).open(&fifo).unwrap()
        };
        replace(&fifo, b"to a pipe", Access::Umask).unwrap();
        let mut text = String::new();
        { reader }.read_to_string(&mut text).unwrap();
        assert_eq!(text, "to a pipe");
        let kind = fs::symlink_metadata(&fifo).unwrap().file_type();
        assert_eq!(name_of(kind), "a pipe");

        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        replace(&path, b"handed over", Access::Umask).unwrap();
        drop(writer);
        text.clear();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "handed over");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(
            problem(replace(&socket, b"", Access::Umask)),
            Some(FileProblem::NotRegular("a socket"))
        );
    }

    #[test]
    fn nothing_is_written_by_way_of_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "precious").unwrap();
        symlink("victim", at("link")).unwrap();
        symlink("elsewhere", at("dangling")).unwrap();
        fs::hard_link(at("victim"), at("twin")).unwrap();
        for name in ["link", "dangling"] {
            assert_eq!(
                problem(append(at(name), Access::Umask)),
                Some(FileProblem::Link)
            );
            let error = create_new(at(name), Access::Umask).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        }
        let twin = problem(append(at("twin"), Access::Umask));
        assert_eq!(twin, Some(FileProblem::HardLink));
        replace(at("link"), b"new", Access::Owner).unwrap();
        assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(at("link")).unwrap(), "new");
        assert_eq!(fs::metadata(at("link")).unwrap().mode() & 0o777, 0o600);
        assert!(!at("elsewhere").exists());
    }
}
