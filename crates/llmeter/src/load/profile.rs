//! A quantity over time in straight pieces: an arrival rate, or a number of clients.

use std::sync::Arc;

/// A quantity over time, in straight pieces one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pieces: Arc<[Piece]>,
}

/// One straight piece. Times are seconds.
#[derive(Debug, Clone, Copy)]
struct Piece {
    begin: f64,
    /// May be without an end.
    length: f64,
    from: f64,
    to: f64,
    /// The integral over all pieces before.
    before: f64,
}

impl Piece {
    /// Its own integral.
    fn area(&self) -> f64 {
        match self.length.is_finite() {
            true => (self.from + self.to) / 2.0 * self.length,
            false if self.from > 0.0 => f64::INFINITY,
            false => 0.0,
        }
    }

    /// How fast the quantity grows.
    fn slope(&self) -> f64 {
        (self.to - self.from) / self.length
    }
}

impl Profile {
    /// The same value all the time.
    pub(crate) fn constant(value: f64) -> Self {
        Self::new([(f64::INFINITY, value, value)])
    }

    /// Pieces, each of so many seconds and from one value to another.
    pub(crate) fn new(pieces: impl IntoIterator<Item = (f64, f64, f64)>) -> Self {
        let (mut begin, mut before) = (0.0, 0.0);
        let place = |(length, from, to)| {
            let piece = Piece {
                begin,
                length,
                from,
                to,
                before,
            };
            begin += length;
            before += piece.area();
            piece
        };
        Self {
            pieces: pieces.into_iter().map(place).collect(),
        }
    }

    /// When the integral reaches `amount`; `None` if it does not before the profile ends.
    pub(crate) fn time_of(&self, amount: f64) -> Option<f64> {
        let after = self.pieces.partition_point(|piece| piece.before <= amount);
        // Of pieces without any area the first ones have nothing to reach.
        let piece = self.pieces.get(after.checked_sub(1)?)?;
        let left = amount - piece.before;
        if left >= piece.area() {
            return None;
        }
        // The root of from·t + slope·t²/2 = left that is stable for small slopes.
        let slope = match piece.length.is_finite() {
            true => piece.slope(),
            false => 0.0,
        };
        let root = (piece.from * piece.from + 2.0 * slope * left)
            .max(0.0)
            .sqrt();
        let time = match left > 0.0 {
            true => 2.0 * left / (piece.from + root),
            false => 0.0,
        };
        Some(piece.begin + time.min(piece.length))
    }

    /// Its value, if it has one and the same all the time.
    pub(crate) fn level(&self) -> Option<f64> {
        match &*self.pieces {
            [piece] if piece.length.is_infinite() => Some(piece.from),
            _ => None,
        }
    }

    /// When the quantity is `level` or more, in order: seconds from and to. It begins where it passes
    /// the level and ends where it falls below.
    pub(crate) fn at_least(&self, level: f64) -> Vec<(f64, f64)> {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        for piece in self.pieces.iter() {
            let crossing = || piece.begin + (level - piece.from) / piece.slope();
            let end = piece.begin + piece.length;
            let span = match (piece.from >= level, piece.to >= level) {
                (true, true) => (piece.begin, end),
                (false, true) => (crossing(), end),
                (true, false) => (piece.begin, crossing()),
                (false, false) => continue,
            };
            match spans.last_mut() {
                Some(last) if last.1 >= span.0 => last.1 = span.1,
                _ if span.1 > span.0 => spans.push(span),
                _ => {}
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_rate_is_a_line() {
        let profile = Profile::constant(4.0);
        assert_eq!(profile.time_of(0.0), Some(0.0));
        assert_eq!(profile.time_of(10.0), Some(2.5));
    }

    #[test]
    fn pieces_follow_one_another_and_have_an_end() {
        // 10 in the first second, a pause, 5 and 15 in a ramp of two seconds.
        let profile = Profile::new([(1.0, 10.0, 10.0), (3.0, 0.0, 0.0), (2.0, 0.0, 20.0)]);
        for (amount, time) in [(5.0, 0.5), (10.0, 4.0), (15.0, 5.0)] {
            assert_eq!(profile.time_of(amount), Some(time), "{amount}");
        }
        assert_eq!(profile.time_of(30.0), None);
        assert!(profile.time_of(29.999).is_some_and(|time| time < 6.0));
    }

    #[test]
    fn a_level_is_kept_between_two_crossings() {
        let up_and_down = Profile::new([(4.0, 0.0, 8.0), (2.0, 8.0, 8.0), (4.0, 8.0, 0.0)]);
        assert_eq!(up_and_down.at_least(1.0), [(0.5, 9.5)]);
        assert_eq!(up_and_down.at_least(8.0), [(4.0, 6.0)]);
        assert_eq!(up_and_down.at_least(9.0), []);
        let steps = Profile::new([(1.0, 2.0, 2.0), (1.0, 1.0, 1.0), (1.0, 2.0, 2.0)]);
        assert_eq!(steps.at_least(2.0), [(0.0, 1.0), (2.0, 3.0)]);
        assert_eq!(steps.at_least(1.0), [(0.0, 3.0)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_integral_up_to_a_time_is_the_amount(
            pieces in proptest::collection::vec((0.1..60.0, 0.0..100.0, 0.0..100.0), 1..6),
            share in 0.0..1.0,
        ) {
            let profile = Profile::new(pieces.clone());
            let total: f64 = pieces.iter().map(|(length, from, to)| (from + to) / 2.0 * length).sum();
            let amount = total * share;
            let Some(time) = profile.time_of(amount) else {
                prop_assert!(amount >= total * (1.0 - 1e-12));
                return Ok(());
            };
            let (mut begin, mut sum) = (0.0, 0.0);
            for (length, from, to) in pieces {
                let part = (time - begin).clamp(0.0, length);
                sum += from * part + (to - from) / length * part * part / 2.0;
                begin += length;
            }
            prop_assert!((sum - amount).abs() < 1e-6 * total.max(1.0), "{sum} for {amount} at {time}");
        }
    }
}
