//! Dimensions: integer polynomials over named sizes, kept in a normal form so that `==` decides
//! whether two dimensions are the same whatever the sizes turn out to be.

use smallvec::{SmallVec, smallvec};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Products of terms that one product of dimensions may need.
const MAX_PRODUCTS: usize = 4096;
/// Beyond this power, a size of 2 or more leaves i64.
const MAX_POWER: u32 = 63;

/// A product of named sizes with exponents, sorted by name; empty for the constant term.
pub type Monomial = Vec<(Arc<str>, u32)>;

/// Values for named sizes.
pub type Sizes = BTreeMap<Arc<str>, i64>;

/// `2*H`, `n - 1`, `batch`, `64`: a sum of monomials with non-zero integer coefficients, sorted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    terms: SmallVec<[(Monomial, i64); 1]>,
}

impl Dim {
    pub fn constant(n: i64) -> Dim {
        Dim { terms: if n == 0 { smallvec![] } else { smallvec![(vec![], n)] } }
    }

    pub fn symbol(name: impl Into<Arc<str>>) -> Dim {
        Dim { terms: smallvec![(vec![(name.into(), 1)], 1)] }
    }

    fn from_map(map: BTreeMap<Monomial, i64>) -> Dim {
        Dim { terms: map.into_iter().filter(|(_, c)| *c != 0).collect() }
    }

    /// The number, if no name is in it.
    pub fn as_const(&self) -> Option<i64> {
        match self.terms.as_slice() {
            [] => Some(0),
            [(m, c)] if m.is_empty() => Some(*c),
            _ => None,
        }
    }

    /// The name, if this dimension is a name and nothing else.
    pub fn as_symbol(&self) -> Option<&Arc<str>> {
        match self.terms.as_slice() {
            [(m, 1)] if m.len() == 1 && m[0].1 == 1 => Some(&m[0].0),
            _ => None,
        }
    }

    pub fn is_one(&self) -> bool {
        self.as_const() == Some(1)
    }

    /// Every name in it, sorted, each once.
    pub fn symbols(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> =
            self.terms.iter().flat_map(|(m, _)| m.iter().map(|(s, _)| s.clone())).collect();
        names.sort();
        names.dedup();
        names
    }

    /// `None` when a coefficient leaves i64.
    pub fn add(&self, other: &Dim) -> Option<Dim> {
        if let (Some(a), Some(b)) = (self.as_const(), other.as_const()) {
            return a.checked_add(b).map(Dim::constant);
        }
        let mut map: BTreeMap<Monomial, i64> = self.terms.iter().cloned().collect();
        for (m, c) in &other.terms {
            let slot = map.entry(m.clone()).or_insert(0);
            *slot = slot.checked_add(*c)?;
        }
        Some(Dim::from_map(map))
    }

    /// `None` when a coefficient leaves i64.
    pub fn scale(&self, k: i64) -> Option<Dim> {
        let mut map = BTreeMap::new();
        for (m, c) in &self.terms {
            map.insert(m.clone(), c.checked_mul(k)?);
        }
        Some(Dim::from_map(map))
    }

    pub fn sub(&self, other: &Dim) -> Option<Dim> {
        self.add(&other.scale(-1)?)
    }

    /// `None` when a coefficient leaves i64, or when it gets out of hand.
    pub fn mul(&self, other: &Dim) -> Option<Dim> {
        if let (Some(a), Some(b)) = (self.as_const(), other.as_const()) {
            return a.checked_mul(b).map(Dim::constant);
        }
        if self.terms.len() * other.terms.len() > MAX_PRODUCTS {
            return None;
        }
        let mut map: BTreeMap<Monomial, i64> = BTreeMap::new();
        for (ma, ca) in &self.terms {
            for (mb, cb) in &other.terms {
                let mut powers: BTreeMap<Arc<str>, u32> = ma.iter().cloned().collect();
                for (s, e) in mb {
                    let power = powers.entry(s.clone()).or_insert(0);
                    *power = Some(*power + e).filter(|p| *p <= MAX_POWER)?;
                }
                let slot = map.entry(powers.into_iter().collect()).or_insert(0);
                *slot = slot.checked_add(ca.checked_mul(*cb)?)?;
            }
        }
        Some(Dim::from_map(map))
    }

    /// The quotient, if the division is exact as polynomials. The divisor must be one term
    /// (a number, a name or a product of such), or equal to a multiple of `self`.
    pub fn div_exact(&self, by: &Dim) -> Option<Dim> {
        if by.terms.len() == 1 {
            let (mb, cb) = &by.terms[0];
            let mut map = BTreeMap::new();
            for (ma, ca) in &self.terms {
                if ca.checked_rem(*cb)? != 0 {
                    return None;
                }
                let mut powers: BTreeMap<Arc<str>, u32> = ma.iter().cloned().collect();
                for (s, e) in mb {
                    let have = powers.get_mut(s)?;
                    *have = have.checked_sub(*e)?;
                    if *have == 0 {
                        powers.remove(s);
                    }
                }
                map.insert(powers.into_iter().collect(), ca / cb);
            }
            return Some(Dim::from_map(map));
        }
        let (m, c) = self.terms.first()?;
        let (mb, cb) = by.terms.first()?;
        if m == mb && c.checked_rem(*cb)? == 0 && by.scale(c / cb)? == *self {
            return Some(Dim::constant(c / cb));
        }
        None
    }

    /// Replaces names by dimensions; names that `by` does not have stay.
    pub fn substitute(&self, by: &BTreeMap<Arc<str>, Dim>) -> Option<Dim> {
        let mut out = Dim::constant(0);
        for (m, c) in &self.terms {
            let mut term = Dim::constant(*c);
            for (s, e) in m {
                let base = by.get(s).cloned().unwrap_or_else(|| Dim::symbol(s.clone()));
                for _ in 0..*e {
                    term = term.mul(&base)?;
                }
            }
            out = out.add(&term)?;
        }
        Some(out)
    }

    /// The size once every name has a value; `None` if a name has none or the result leaves i64.
    pub fn size(&self, sizes: &Sizes) -> Option<i64> {
        let mut total = 0i64;
        for (m, c) in &self.terms {
            let mut term = *c;
            for (s, e) in m {
                for _ in 0..*e {
                    term = term.checked_mul(*sizes.get(s)?)?;
                }
            }
            total = total.checked_add(term)?;
        }
        Some(total)
    }

    /// The terms as (names with exponents, coefficient), the constant term first.
    pub fn terms(&self) -> &[(Monomial, i64)] {
        &self.terms
    }
}

impl From<i64> for Dim {
    fn from(n: i64) -> Dim {
        Dim::constant(n)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        // Names first, the constant last: `n - 1`, `2*H + 3`.
        let named = self.terms.iter().filter(|(m, _)| !m.is_empty());
        let constant = self.terms.iter().filter(|(m, _)| m.is_empty());
        for (i, (m, c)) in named.chain(constant).enumerate() {
            match (i, *c < 0) {
                (0, true) => f.write_str("-")?,
                (0, false) => {}
                (_, true) => f.write_str(" - ")?,
                (_, false) => f.write_str(" + ")?,
            }
            let magnitude = c.unsigned_abs();
            let mut first = true;
            if magnitude != 1 || m.is_empty() {
                write!(f, "{magnitude}")?;
                first = false;
            }
            for (s, e) in m {
                if !first {
                    f.write_str("*")?;
                }
                first = false;
                f.write_str(s)?;
                if *e > 1 {
                    write!(f, "**{e}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `[batch, 2]`
pub struct ShapeText<'a>(pub &'a [Dim]);

impl fmt::Display for ShapeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n() -> Dim {
        Dim::symbol("n")
    }

    #[test]
    fn equal_polynomials_have_one_form() {
        let two = Dim::constant(2);
        let a = n().add(&n()).unwrap();
        let b = two.mul(&n()).unwrap();
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "2*n");
        assert_eq!(n().sub(&Dim::constant(1)).unwrap().to_string(), "n - 1");
        assert_eq!(n().sub(&n()).unwrap(), Dim::constant(0));
    }

    #[test]
    fn exact_division_only() {
        let six_n = n().scale(6).unwrap();
        assert_eq!(six_n.div_exact(&n()), Some(Dim::constant(6)));
        assert_eq!(six_n.div_exact(&Dim::constant(4)), None);
        assert_eq!(Dim::constant(6).div_exact(&n()), None);
    }

    #[test]
    fn overflow_is_seen() {
        let big = Dim::constant(i64::MAX);
        assert_eq!(big.add(&Dim::constant(1)), None);
        assert_eq!(big.mul(&n()).unwrap().scale(2), None);
    }
}
