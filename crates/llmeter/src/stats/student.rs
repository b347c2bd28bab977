//! Student's t distribution.

/// The probability that a variable of Student's t distribution is within `t` of 0: the series for whole
/// degrees of freedom of Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.3 and 26.7.4.
fn probability_within(t: f64, degrees: u32) -> f64 {
    let angle = (t / f64::from(degrees).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let is_odd = degrees % 2 == 1;
    // Terms are products: each is the one before times cos² and a ratio.
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = if degrees == 1 { 0.0 } else { term };
    let mut step = if is_odd { 3 } else { 2 };
    while step < degrees {
        term *= cosine * cosine * f64::from(step - 1) / f64::from(step);
        sum += term;
        step += 2;
    }
    match is_odd {
        true => (angle + sine * sum) * std::f64::consts::FRAC_2_PI,
        false => sine * sum,
    }
}

/// The value that a variable of Student's t distribution stays within, to either side, with this
/// probability. `None` without degrees of freedom or for a probability that is not between 0 and 1.
pub(crate) fn t_within(probability: f64, degrees: u32) -> Option<f64> {
    if degrees == 0 || !(probability > 0.0 && probability < 1.0) {
        return None;
    }
    let mut high = 1.0;
    while probability_within(high, degrees) < probability {
        high *= 2.0;
    }
    let mut low = 0.0;
    // Halved until nothing of a number's digits is left.
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        match probability_within(middle, degrees) < probability {
            true => low = middle,
            false => high = middle,
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, degrees, expected) in [
            (0.95, 1, 12.706),
            (0.95, 2, 4.303),
            (0.95, 3, 3.182),
            (0.95, 4, 2.776),
            (0.95, 9, 2.262),
            (0.95, 30, 2.042),
            (0.99, 5, 4.032),
            (0.99, 10, 3.169),
            (0.95, 1000, 1.962),
        ] {
            let found = t_within(probability, degrees).unwrap();
            assert!(
                (found - expected).abs() < 6e-4,
                "{probability} {degrees}: {found}"
            );
        }
        assert_eq!(t_within(0.95, 0), None);
        assert_eq!(t_within(1.0, 5), None);
    }
}
