//! What network and servers say of a response's times, in little room.

use std::fmt;

use super::PathDetail;

/// A [`PathDetail`] of which only those fields take memory that are set: few are, and responses are many.
#[derive(Clone, Default, PartialEq)]
pub struct PackedPath(
    /// Which fields are set, a bit each, and their values in their order.
    Option<Box<[u64]>>,
);

impl PackedPath {
    /// All fields.
    pub fn get(&self) -> PathDetail {
        let Some([set, values @ ..]) = self.0.as_deref() else {
            return PathDetail::default();
        };
        let (mut set, mut values) = (*set, values.iter());
        PathDetail::of_words(|| {
            let is_set = set & 1 == 1;
            set >>= 1;
            if is_set { values.next().copied() } else { None }
        })
    }

    /// Whether no field is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl From<PathDetail> for PackedPath {
    fn from(path: PathDetail) -> Self {
        let words = path.words();
        let bits = words.as_ref().iter().enumerate();
        let set = bits.fold(0, |set, (at, word)| set | u64::from(word.is_some()) << at);
        let values = words.into_iter().flatten();
        Self((set != 0).then(|| std::iter::once(set).chain(values).collect()))
    }
}

impl fmt::Debug for PackedPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

/// A value as it is packed.
pub(super) trait Word {
    fn to_word(self) -> u64;
    fn of_word(word: u64) -> Self;
}

impl Word for f64 {
    fn to_word(self) -> u64 {
        self.to_bits()
    }

    fn of_word(word: u64) -> Self {
        Self::from_bits(word)
    }
}

impl Word for u32 {
    fn to_word(self) -> u64 {
        self.into()
    }

    fn of_word(word: u64) -> Self {
        word as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_it_was() {
        let path = PathDetail {
            network_min_round_trip: Some(0.0),
            network_repeated: Some(u32::MAX),
            time_to_first_token_rest: Some(-0.25),
            ..PathDetail::default()
        };
        assert_eq!(PackedPath::from(path).get(), path);
        assert!(!PackedPath::from(path).is_empty());
        let nothing = PackedPath::from(PathDetail::default());
        assert!(nothing.is_empty());
        assert_eq!(nothing.get(), PathDetail::default());
    }
}
