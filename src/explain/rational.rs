//! Exact fractions: the coefficients and exponents of the normal form.
//!
//! A result that leaves 128 bits becomes [`Rat::LOST`], which every later operation keeps; the derivation
//! refuses to print it. Knows nothing about what the numbers stand for.

use std::fmt;

/// A reduced fraction with a positive denominator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rat {
    num: i128,
    den: i128,
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1)
}

impl Rat {
    pub const ZERO: Rat = Rat { num: 0, den: 1 };
    pub const ONE: Rat = Rat { num: 1, den: 1 };
    /// A number that did not fit.
    pub const LOST: Rat = Rat { num: 0, den: 0 };

    pub fn new(num: i128, den: i128) -> Rat {
        if den == 0 || num == i128::MIN || den == i128::MIN {
            return Rat::LOST;
        }
        let g = gcd(num, den).max(1);
        let sign = if den < 0 { -1 } else { 1 };
        Rat { num: sign * num / g, den: sign * den / g }
    }

    pub fn int(n: i64) -> Rat {
        Rat { num: i128::from(n), den: 1 }
    }

    /// The number that the shortest text of `x` names: 0.1 is one tenth. `None` for infinities and NaN,
    /// and for magnitudes that need too many digits.
    pub fn of_decimal(text: &str) -> Option<Rat> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{part}").parse().ok()?;
        let exponent = exponent - i32::try_from(part.len()).ok()?;
        let power = 10i128.checked_pow(exponent.unsigned_abs())?;
        let value =
            if exponent < 0 { Rat::new(digits, power) } else { Rat::new(digits.checked_mul(power)?, 1) };
        (!value.is_lost()).then_some(value)
    }

    pub fn is_lost(self) -> bool {
        self.den == 0
    }

    pub fn is_zero(self) -> bool {
        self == Rat::ZERO
    }

    pub fn is_one(self) -> bool {
        self == Rat::ONE
    }

    pub fn is_integer(self) -> bool {
        self.den == 1
    }

    pub fn is_negative(self) -> bool {
        self.num < 0
    }

    pub fn num(self) -> i128 {
        self.num
    }

    pub fn den(self) -> i128 {
        self.den
    }

    pub fn abs(self) -> Rat {
        Rat { num: self.num.abs(), den: self.den }
    }

    pub fn plus(self, o: Rat) -> Rat {
        let sum = || {
            let a = self.num.checked_mul(o.den)?;
            let b = o.num.checked_mul(self.den)?;
            Some(Rat::new(a.checked_add(b)?, self.den.checked_mul(o.den)?))
        };
        sum().unwrap_or(Rat::LOST)
    }

    pub fn negated(self) -> Rat {
        Rat { num: -self.num, den: self.den }
    }

    pub fn times(self, o: Rat) -> Rat {
        let product = || Some(Rat::new(self.num.checked_mul(o.num)?, self.den.checked_mul(o.den)?));
        product().unwrap_or(Rat::LOST)
    }

    /// `LOST` for zero.
    pub fn recip(self) -> Rat {
        Rat::new(self.den, self.num)
    }

    /// To an integer power.
    pub fn powi(self, n: i128) -> Rat {
        let Ok(times) = u32::try_from(n.unsigned_abs()) else { return Rat::LOST };
        let power = || Some(Rat::new(self.num.checked_pow(times)?, self.den.checked_pow(times)?));
        let power = power().unwrap_or(Rat::LOST);
        if n < 0 { power.recip() } else { power }
    }

    /// gcd of the numerators over gcd of the denominators. With the lcm of the denominators instead, the
    /// `1/n` that becomes a mean would disappear into brackets.
    pub fn content(self, o: Rat) -> Rat {
        Rat::new(gcd(self.num, o.num), gcd(self.den, o.den))
    }

    pub fn to_f64(self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// `0.001` or `1e-12`, if it is a fraction whose denominator has no other prime factors than 2 and 5.
    pub fn decimal(self) -> Option<String> {
        let (mut rest, mut places, mut power) = (self.den, 0usize, 1i128);
        if rest == 1 {
            return None;
        }
        while rest != 1 {
            places += 1;
            power = power.checked_mul(10)?;
            rest = self.den / gcd(self.den, power);
            if places > 30 {
                return None;
            }
        }
        let scaled = self.num.checked_mul(power / self.den)?;
        let sign = if scaled < 0 { "-" } else { "" };
        let digits = format!("{:0width$}", scaled.abs(), width = places + 1);
        let text = scaled.abs().to_string();
        if text.len() + 4 <= places {
            let (first, rest) = text.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            return Some(format!("{sign}{first}{point}{rest}e-{}", places - rest.len()));
        }
        let (whole, part) = digits.split_at(digits.len() - places);
        Some(format!("{sign}{whole}.{part}"))
    }
}

impl fmt::Display for Rat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.den, self.decimal()) {
            (1, _) => write!(f, "{}", self.num),
            (_, Some(text)) => f.write_str(&text),
            _ => write!(f, "{}/{}", self.num, self.den),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_reduced_and_signed_above() {
        assert_eq!(Rat::new(4, -6), Rat::new(-2, 3));
        assert_eq!(Rat::new(1, 2).plus(Rat::new(1, 3)), Rat::new(5, 6));
        assert_eq!(Rat::new(2, 3).powi(-2), Rat::new(9, 4));
        assert_eq!(Rat::new(1, 4).content(Rat::new(3, 4)), Rat::new(1, 4));
    }

    #[test]
    fn decimals_are_what_they_say() {
        assert_eq!(Rat::of_decimal("0.1"), Some(Rat::new(1, 10)));
        assert_eq!(Rat::of_decimal("-2.5e-3"), Some(Rat::new(-1, 400)));
        assert_eq!(Rat::of_decimal("1e30"), Some(Rat::new(10i128.pow(30), 1)));
        assert_eq!(Rat::of_decimal("inf"), None);
        assert_eq!(Rat::new(1, 10_000).to_string(), "0.0001");
        assert_eq!(Rat::new(-7, 20).to_string(), "-0.35");
        assert_eq!(Rat::new(3, 4).to_string(), "0.75");
        assert_eq!(Rat::new(2, 3).to_string(), "2/3");
        assert_eq!(Rat::of_decimal("1e-12").unwrap().to_string(), "1e-12");
        assert_eq!(Rat::of_decimal("-2.5e-7").unwrap().to_string(), "-2.5e-7");
        assert_eq!(Rat::of_decimal("12.3456789").unwrap().to_string(), "12.3456789");
    }

    #[test]
    fn what_does_not_fit_stays_lost() {
        let big = Rat::new(i128::MAX, 1);
        assert!(big.times(big).is_lost());
        assert!(big.times(big).plus(Rat::ONE).is_lost());
        assert!(Rat::ZERO.recip().is_lost());
        assert!(Rat::LOST.times(Rat::ZERO).is_lost());
    }
}
