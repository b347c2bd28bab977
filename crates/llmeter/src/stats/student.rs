//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The value that a variable of Student's t distribution stays below with this probability, which is
/// between 0 and 1; infinite without degrees of freedom.
pub(crate) fn student_t(probability: f64, freedom: f64) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, freedom);
    distribution.map_or(f64::INFINITY, |known| known.inverse_cdf(probability))
}

/// How often a variable of Student's t distribution is at least so far from 0, on either side.
pub(crate) fn student_p_value(t: f64, freedom: f64) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, freedom);
    distribution.map_or(1.0, |known| (2.0 * known.cdf(-t.abs())).min(1.0))
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

    #[test]
    fn p_values_are_the_other_side_of_the_quantiles() {
        for freedom in [1.0, 2.0, 8.0, 30.0] {
            for level in [0.05, 0.003] {
                let t = student_t(1.0 - level / 2.0, freedom);
                for t in [t, -t] {
                    let found = student_p_value(t, freedom);
                    assert!((found - level).abs() < 1e-6, "{freedom} {level}: {found}");
                }
            }
        }
        assert_eq!(student_p_value(0.0, 3.0), 1.0);
        assert_eq!(student_p_value(f64::INFINITY, 3.0), 0.0);
        assert_eq!(student_p_value(2.0, 0.0), 1.0);
    }
}
