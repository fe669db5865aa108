//! Numbers and tensors as text.
//!
//! Formats have C's meaning, exactly: `{x:.9g}` prints what `printf("%.9g", x)` would. A tensor prints as
//! nested lists and is never shortened. Never reads a locale.

use crate::scalar::Literal;
use crate::syntax::ast::Format;
use crate::tensor::Tensor;

/// Significant digits of a float when no format is given.
const DEFAULT_DIGITS: usize = 6;
/// Precisions and widths beyond this one are taken for it: no double has more digits that matter, and a
/// program must not be able to ask for a gigabyte of blanks.
const MOST: usize = 1100;

/// A tensor, or a bare scalar: `[[0.1, 0.2], [0.3, 0.4]]`, `0.25`.
pub fn tensor(t: &Tensor, format: Option<&Format>) -> String {
    let mut out = String::new();
    let mut next = 0;
    nested(t, t.shape(), format, &mut next, &mut out);
    out
}

fn nested(t: &Tensor, shape: &[usize], format: Option<&Format>, next: &mut usize, out: &mut String) {
    let Some((n, inner)) = shape.split_first() else {
        out.push_str(&element(t.at(*next), format));
        *next += 1;
        return;
    };
    out.push('[');
    for i in 0..*n {
        if i > 0 {
            out.push_str(", ");
        }
        nested(t, inner, format, next, out);
    }
    out.push(']');
}

/// One element. Without a format: floats with 6 significant digits, integers and bools as they are.
pub fn element(x: Literal, format: Option<&Format>) -> String {
    match (x, format) {
        (Literal::F32(_) | Literal::F64(_), f) => float(x.as_f64(), f),
        (Literal::I32(n), f) => integer(i64::from(n), f),
        (Literal::I64(n), f) => integer(n, f),
        (Literal::Bool(b), None) => b.to_string(),
        (Literal::Bool(b), f) => integer(i64::from(b), f),
    }
}

/// A compile-time number: an integer prints as one, whatever its type.
pub fn number(x: f64, format: Option<&Format>) -> String {
    if format.is_none() && x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0 {
        return format!("{x:.0}");
    }
    float(x, format)
}

/// To so many significant digits.
pub fn digits(x: f64, n: usize) -> String {
    general(x, n)
}

/// A float; `d` cuts the fraction off.
pub fn float(x: f64, format: Option<&Format>) -> String {
    let Some(f) = format else {
        return general(x, DEFAULT_DIGITS);
    };
    let digits = f.precision.map_or(DEFAULT_DIGITS, limited);
    let text = match f.kind {
        _ if !x.is_finite() => special(x),
        'e' => scientific(x, digits),
        'f' => format!("{x:.digits$}"),
        'd' => format!("{:.0}", x.trunc()),
        _ => general(x, digits),
    };
    pad(text, f)
}

fn integer(n: i64, format: Option<&Format>) -> String {
    match format {
        None => n.to_string(),
        Some(f) if f.kind == 'd' => {
            // A precision of an integer is a least number of digits.
            let digits = f.precision.map_or(1, limited);
            let sign = if n < 0 { "-" } else { "" };
            pad(format!("{sign}{:0digits$}", n.unsigned_abs()), f)
        }
        Some(_) => float(n as f64, format),
    }
}

fn pad(text: String, f: &Format) -> String {
    let width = f.width.map_or(0, limited);
    format!("{text:>width$}")
}

fn limited(n: u32) -> usize {
    (n as usize).min(MOST)
}

fn special(x: f64) -> String {
    match (x.is_nan(), x > 0.0) {
        (true, _) => "nan",
        (_, true) => "inf",
        _ => "-inf",
    }
    .to_string()
}

/// C's `%.{digits}e`: an exponent of at least two digits, with its sign.
fn scientific(x: f64, digits: usize) -> String {
    let text = format!("{x:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').expect("an exponent");
    let (sign, magnitude) = match exponent.strip_prefix('-') {
        Some(m) => ('-', m),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{magnitude:0>2}")
}

/// C's `%.{digits}g`.
fn general(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return special(x);
    }
    let digits = digits.max(1);
    let text = scientific(x, digits - 1);
    let (mantissa, exponent) = text.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("a number");
    if exponent < -4 || exponent >= i32::try_from(digits).unwrap_or(i32::MAX) {
        let mantissa = without_trailing_zeros(mantissa);
        return format!("{mantissa}e{}", &text[text.rfind('e').expect("an exponent") + 1..]);
    }
    let places = (digits as i32 - 1 - exponent) as usize;
    without_trailing_zeros(&format!("{x:.places$}")).to_string()
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::DType;

    fn c(spec: &str) -> Format {
        let (size, kind) = spec.split_at(spec.len() - 1);
        let (width, precision) = size.split_once('.').map_or((size, None), |(w, p)| (w, Some(p)));
        Format {
            width: width.parse().ok(),
            precision: precision.map(|p| p.parse().unwrap()),
            kind: kind.chars().next().unwrap(),
        }
    }

    /// `tests/data/printf.txt` holds `bits spec text` lines made with Python's `%`.
    #[test]
    fn agrees_with_c() {
        let table = include_str!("../../tests/data/printf.txt");
        let mut lines = 0;
        for line in table.lines().filter(|l| !l.starts_with('#')) {
            let mut parts = line.splitn(3, '\t');
            let bits = u64::from_str_radix(parts.next().unwrap(), 16).unwrap();
            let spec = parts.next().unwrap();
            let want = parts.next().unwrap();
            let x = f64::from_bits(bits);
            assert_eq!(float(x, Some(&c(spec))), want, "%{spec} of {x:e}");
            lines += 1;
        }
        assert!(lines > 1500, "{lines}");
    }

    #[test]
    fn tensors_are_nested_lists() {
        let t = Tensor::from_f64(DType::F32, &[2, 2], vec![0.1, 0.2, 0.3, 0.4]);
        assert_eq!(tensor(&t, None), "[[0.1, 0.2], [0.3, 0.4]]");
        assert_eq!(tensor(&t, Some(&c(".9g"))), "[[0.100000001, 0.200000003], [0.300000012, 0.400000006]]");
        assert_eq!(tensor(&Tensor::from_f64(DType::F32, &[0], vec![]), None), "[]");
        assert_eq!(tensor(&Tensor::from_f64(DType::F32, &[2, 0], vec![]), None), "[[], []]");
        let long = Tensor::from_f64(DType::I64, &[5000], (0..5000).map(f64::from).collect());
        assert!(tensor(&long, None).ends_with(", 4998, 4999]"));
    }

    #[test]
    fn scalars_of_each_dtype() {
        assert_eq!(element(Literal::of(DType::F32, 5.131_18), None), "5.13118");
        assert_eq!(element(Literal::of(DType::F64, f64::NAN), None), "nan");
        assert_eq!(element(Literal::of(DType::F32, -0.0), None), "-0");
        assert_eq!(element(Literal::I64(i64::MIN), None), "-9223372036854775808");
        assert_eq!(element(Literal::I64(-7), Some(&c("5d"))), "   -7");
        assert_eq!(element(Literal::I32(7), Some(&c(".3d"))), "007");
        assert_eq!(element(Literal::I32(7), Some(&c(".2f"))), "7.00");
        assert_eq!(element(Literal::Bool(true), None), "true");
        assert_eq!(element(Literal::Bool(true), Some(&c("d"))), "1");
        let absurd = Format { width: Some(u32::MAX), precision: Some(u32::MAX), kind: 'f' };
        assert_eq!(float(1.0, Some(&absurd)).len(), MOST + 2);
        assert_eq!(number(3000.0, None), "3000");
        assert_eq!(number(0.125, None), "0.125");
        assert_eq!(number(12_345_678.0, None), "12345678");
    }
}
