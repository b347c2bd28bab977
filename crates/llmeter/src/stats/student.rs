//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The value that a variable of Student's t distribution stays below with this probability, which is
/// between 0 and 1; infinite without degrees of freedom.
pub(crate) fn student_t(probability: f64, freedom: f64) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, freedom);
    distribution.map_or(f64::INFINITY, |known| known.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, freedom, expected) in [
            (0.975, 1.0, 12.706),
            (0.975, 2.0, 4.303),
            (0.975, 9.0, 2.262),
            (0.975, 30.0, 2.042),
            (0.995, 5.0, 4.032),
            (0.975, 1000.0, 1.962),
            (0.975, 1e6, 1.960),
        ] {
            let found = student_t(probability, freedom);
            assert!(
                (found - expected).abs() < 6e-4,
                "{probability} {freedom}: {found}"
            );
        }
        assert_eq!(student_t(0.975, 0.0), f64::INFINITY);
    }
}
