//! Normal forms: a text with its escapes undone, and of what is left only what tells.

/// How often escapes are undone: what was escaped by one program may be escaped again by the next.
const ROUNDS: usize = 4;
/// Longest entity, mark and semicolon included.
const LONGEST_ENTITY: usize = 10;

/// A text with escapes undone, and where in the original each of its bytes comes from.
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// Where each byte begins in the original, and its length at the end.
    pub(super) starts: Vec<usize>,
}

impl Decoded {
    pub(super) fn new(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_owned(),
            starts: (0..=text.len()).collect(),
        }
    }

    /// The same with one more level of escapes undone; `None` if there is none.
    fn undone(&self) -> Option<Self> {
        let mut at = next_escape(&self.bytes, 0)?;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut starts = Vec::with_capacity(self.starts.len());
        let mut copied = 0;
        loop {
            bytes.extend_from_slice(&self.bytes[copied..at.from]);
            starts.extend_from_slice(&self.starts[copied..at.from]);
            let mut buffer = [0; 4];
            let meant = at.means.encode_utf8(&mut buffer).as_bytes();
            bytes.extend_from_slice(meant);
            starts.extend(meant.iter().map(|_| self.starts[at.from]));
            copied = at.to;
            match next_escape(&self.bytes, copied) {
                Some(next) => at = next,
                None => break,
            }
        }
        bytes.extend_from_slice(&self.bytes[copied..]);
        starts.extend_from_slice(&self.starts[copied..]);
        Some(Self { bytes, starts })
    }
}

/// Calls `look` with the text as it is and after each level of escapes that is undone.
pub(super) fn each_level(text: &str, mut look: impl FnMut(&Decoded)) {
    let mut decoded = Decoded::new(text);
    look(&decoded);
    for _ in 0..ROUNDS {
        let Some(undone) = decoded.undone() else {
            return;
        };
        decoded = undone;
        look(&decoded);
    }
}

/// Whether `is_found` holds for the bytes after any level of escapes that is undone.
pub(super) fn any_undone(text: &[u8], is_found: impl Fn(&[u8]) -> bool) -> bool {
    let Some(mut bytes) = undone_once(text) else {
        return false;
    };
    for _ in 1..ROUNDS {
        if is_found(&bytes) {
            return true;
        }
        match undone_once(&bytes) {
            Some(undone) => bytes = undone,
            None => return false,
        }
    }
    is_found(&bytes)
}

/// The same as [`Decoded::undone`] without the places.
fn undone_once(text: &[u8]) -> Option<Vec<u8>> {
    let mut at = next_escape(text, 0)?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut copied = 0;
    loop {
        bytes.extend_from_slice(&text[copied..at.from]);
        bytes.extend_from_slice(at.means.encode_utf8(&mut [0; 4]).as_bytes());
        copied = at.to;
        match next_escape(text, copied) {
            Some(next) => at = next,
            None => break,
        }
    }
    bytes.extend_from_slice(&text[copied..]);
    Some(bytes)
}

/// The bytes of the last level.
pub(super) fn undone(text: &str) -> Vec<u8> {
    let mut last = text.as_bytes().to_owned();
    for _ in 0..ROUNDS {
        match undone_once(&last) {
            Some(undone) => last = undone,
            None => break,
        }
    }
    last
}

/// An escape: where it is, and the character that it stands for.
struct Escape {
    from: usize,
    to: usize,
    means: char,
}

fn next_escape(text: &[u8], from: usize) -> Option<Escape> {
    let marks = memchr::memchr3_iter(b'%', b'&', b'\\', text.get(from..)?);
    marks.map(|at| from + at).find_map(|from| {
        let rest = &text[from + 1..];
        let (means, length) = match text[from] {
            b'%' => (number(rest.get(..2)?, 16)?, 2),
            b'&' => entity(rest)?,
            _ => backslash(rest)?,
        };
        let to = from + 1 + length;
        Some(Escape { from, to, means })
    })
}

/// What the characters after a backslash stand for, and how many they are.
fn backslash(rest: &[u8]) -> Option<(char, usize)> {
    let digits = |from: usize, count: usize, radix| {
        let means = number(rest.get(from..from + count)?, radix)?;
        Some((means, from + count))
    };
    match rest.first()? {
        b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'a' => Some((' ', 1)),
        mark @ (b'"' | b'\'' | b'\\' | b'/' | b'`') => Some((char::from(*mark), 1)),
        b'x' => digits(1, 2, 16),
        b'u' if rest.get(1) == Some(&b'{') => {
            let end = rest
                .iter()
                .take(LONGEST_ENTITY)
                .position(|byte| *byte == b'}')?;
            Some((number(&rest[2..end], 16)?, end + 1))
        }
        b'u' => digits(1, 4, 16),
        b'U' => digits(1, 8, 16),
        b'0'..=b'3' => digits(0, 3, 8),
        _ => None,
    }
}

/// What the characters after an ampersand stand for, and how many they are.
fn entity(rest: &[u8]) -> Option<(char, usize)> {
    if let Some(digits) = rest.strip_prefix(b"#") {
        let (radix, mark) = match digits.first()? {
            b'x' | b'X' => (16, 1),
            _ => (10, 0),
        };
        let digits = &digits[mark..];
        let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        let count = digits
            .iter()
            .take(LONGEST_ENTITY)
            .take_while(is_digit)
            .count();
        let means = number(&digits[..count], radix)?;
        let end = usize::from(digits.get(count) == Some(&b';'));
        return Some((means, 1 + mark + count + end));
    }
    let end = rest
        .iter()
        .take(LONGEST_ENTITY)
        .position(|byte| *byte == b';')?;
    let means = match &rest[..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        b"nbsp" | b"Tab" | b"NewLine" | b"shy" => ' ',
        b"sol" => '/',
        b"bsol" => '\\',
        b"plus" => '+',
        b"equals" => '=',
        b"lowbar" => '_',
        b"hyphen" | b"dash" => '-',
        b"period" => '.',
        b"colon" => ':',
        b"comma" => ',',
        b"semi" => ';',
        b"excl" => '!',
        b"quest" => '?',
        b"num" => '#',
        b"dollar" => '$',
        b"percnt" => '%',
        b"commat" => '@',
        b"ast" => '*',
        b"lpar" => '(',
        b"rpar" => ')',
        _ => return None,
    };
    Some((means, end + 1))
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    // A sign is no digit.
    let is_number = digits.iter().all(|byte| char::from(*byte).is_digit(radix));
    let digits = str::from_utf8(digits).ok().filter(|_| is_number)?;
    char::from_u32(u32::from_str_radix(digits, radix).ok()?)
}
