//! Arithmetic on compile-time numbers: exact on integers, f64 otherwise.

use crate::check::value::Num;
use crate::lang::{Text, say};
use crate::syntax::ast::BinaryOp;

/// The result, or what is wrong in the user's words.
///
/// `/` of two integers is their quotient in f64, which stays usable as an integer only if it is whole.
pub fn arithmetic(op: BinaryOp, a: Num, b: Num) -> Result<Num, Text> {
    if let (Num::Int(x), Num::Int(y)) = (a, b) {
        let exact = match op {
            BinaryOp::Add => Some(x.checked_add(y)),
            BinaryOp::Sub => Some(x.checked_sub(y)),
            BinaryOp::Mul => Some(x.checked_mul(y)),
            BinaryOp::FloorDiv | BinaryOp::Rem if y == 0 => return Err("division by 0".into()),
            BinaryOp::FloorDiv => Some(floor_div(x, y)),
            BinaryOp::Rem => Some(floor_div(x, y).and_then(|q| x.checked_sub(q.checked_mul(y)?))),
            BinaryOp::Pow if y >= 0 => Some(u32::try_from(y).ok().and_then(|y| x.checked_pow(y))),
            _ => None,
        };
        match exact {
            Some(Some(n)) => return Ok(Num::Int(n)),
            Some(None) => return Err(say!("{x} {op} {y} does not fit 64 bits", x, op = op.symbol(), y)),
            None => {}
        }
    }
    let (x, y) = (a.as_f64(), b.as_f64());
    Ok(Num::Float(match op {
        BinaryOp::Add => x + y,
        BinaryOp::Sub => x - y,
        BinaryOp::Mul => x * y,
        BinaryOp::Div if y == 0.0 => return Err("division by 0".into()),
        BinaryOp::Div => x / y,
        BinaryOp::FloorDiv => (x / y).floor(),
        BinaryOp::Rem => x - (x / y).floor() * y,
        BinaryOp::Pow => libm::pow(x, y),
        _ => return Err(say!("`{op}` is no arithmetic on numbers", op = op.symbol())),
    }))
}

fn floor_div(x: i64, y: i64) -> Option<i64> {
    let q = x.checked_div(y)?;
    if x % y != 0 && (x < 0) != (y < 0) { q.checked_sub(1) } else { Some(q) }
}

/// `None` if the operator is no comparison.
pub fn compare(op: BinaryOp, a: Num, b: Num) -> Option<bool> {
    use std::cmp::Ordering;
    let order = match (a, b) {
        (Num::Int(x), Num::Int(y)) => Some(x.cmp(&y)),
        _ => a.as_f64().partial_cmp(&b.as_f64()),
    };
    Some(match op {
        BinaryOp::Eq => order == Some(Ordering::Equal),
        BinaryOp::Ne => order != Some(Ordering::Equal),
        BinaryOp::Lt => order == Some(Ordering::Less),
        BinaryOp::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        BinaryOp::Gt => order == Some(Ordering::Greater),
        BinaryOp::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stay_exact() {
        let int = |op, a, b| arithmetic(op, Num::Int(a), Num::Int(b));
        assert_eq!(int(BinaryOp::FloorDiv, -7, 2), Ok(Num::Int(-4)));
        assert_eq!(int(BinaryOp::Rem, -7, 2), Ok(Num::Int(1)));
        assert_eq!(int(BinaryOp::Pow, 2, 62), Ok(Num::Int(1 << 62)));
        assert_eq!(int(BinaryOp::Pow, 2, -1), Ok(Num::Float(0.5)));
        assert_eq!(int(BinaryOp::Div, 1, 4), Ok(Num::Float(0.25)));
        assert!(int(BinaryOp::Add, i64::MAX, 1).is_err());
        assert!(int(BinaryOp::FloorDiv, i64::MIN, -1).is_err());
        assert!(int(BinaryOp::Rem, 1, 0).is_err());
    }

    #[test]
    fn nan_compares_as_ieee_says() {
        let nan = Num::Float(f64::NAN);
        assert_eq!(compare(BinaryOp::Eq, nan, nan), Some(false));
        assert_eq!(compare(BinaryOp::Ne, nan, nan), Some(true));
        assert_eq!(compare(BinaryOp::Ge, nan, Num::Int(0)), Some(false));
        assert_eq!(compare(BinaryOp::Add, nan, nan), None);
    }
}
