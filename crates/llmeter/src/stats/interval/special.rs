//! The incomplete beta function, and what of probability follows from it.

/// Steps of a bisection: each halves the range, down to the precision of an `f64`.
const HALVINGS: u32 = 80;

/// The regularized incomplete beta function I_x(a, b): the probability that a Beta(a, b) variable is
/// at most `x`. By its continued fraction (Abramowitz and Stegun 26.5.8), with Lentz's algorithm.
pub(super) fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    // The fraction converges fast on the side of x that is nearer to the bulk.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front.exp() * beta_fraction(x, a, b) / a,
        false => 1.0 - front.exp() * beta_fraction(1.0 - x, b, a) / b,
    }
}

fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |value: f64| match value.abs() < TINY {
        true => TINY,
        false => value,
    };
    let (mut c, mut d) = (1.0, 1.0 / kept(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..1000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / kept(1.0 + term * d);
            c = kept(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    fraction
}

/// The logarithm of the gamma function for positive arguments: Lanczos' series, good to 15 digits.
fn ln_gamma(x: f64) -> f64 {
    const SERIES: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.120_865_097_386_617_9e-2,
        -0.539_523_938_495_3e-5,
    ];
    let shifted = x + 5.5;
    let mut sum = 1.000_000_000_190_015;
    for (place, term) in (1..).zip(SERIES) {
        sum += term / (x + f64::from(place));
    }
    (x + 0.5) * shifted.ln() - shifted + (2.506_628_274_631_000_5 * sum / x).ln()
}

/// The quantile of Student's t distribution: what a variable with `freedom` degrees of freedom stays
/// below with `probability`, which is above a half.
pub(super) fn student_t(probability: f64, freedom: f64) -> f64 {
    let tail = 2.0 * (1.0 - probability);
    // P(|T| > t) = I_x(freedom / 2, 1 / 2) with x = freedom / (freedom + t²).
    let x = bisect(|x| beta(x, freedom / 2.0, 0.5) > tail, 0.0, 1.0);
    (freedom * (1.0 - x) / x.max(f64::MIN_POSITIVE)).sqrt()
}

/// Where a predicate that is false at `low` and true at `high` turns.
pub(super) fn bisect(is_above: impl Fn(f64) -> bool, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        match is_above(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-7, "{found} {expected}");
    }

    #[test]
    fn the_beta_function_agrees_with_closed_forms() {
        near(beta(0.3, 1.0, 1.0), 0.3);
        near(beta(0.3, 2.0, 1.0), 0.09);
        near(beta(0.9, 500.0, 1.0), 0.9_f64.powi(500));
        // P(a binomial of 10 and 0.4 is 3 or more).
        near(beta(0.4, 3.0, 8.0), 0.832_710_246_4);
    }

    #[test]
    fn student_quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [(1.0, 12.706), (5.0, 2.571), (30.0, 2.042), (1e6, 1.960)] {
            let found = student_t(0.975, freedom);
            assert!((found - quantile).abs() < 1e-3, "{freedom}: {found}");
        }
    }
}
