//! Numbers as listings write and read them. Never knows what a listing is of.

use crate::scalar::{DType, Literal};

/// The shortest text that reads back to the same bits. A NaN that is not the usual one shows its bits.
pub fn shortest(x: Literal) -> String {
    match x {
        Literal::F32(bits) => match f32::from_bits(bits) {
            x if x.is_nan() && bits != f32::NAN.to_bits() => format!("nan({bits:#x})"),
            x if x.is_nan() => "nan".to_string(),
            x => trim(format!("{x:?}")),
        },
        Literal::F64(bits) => match f64::from_bits(bits) {
            x if x.is_nan() && bits != f64::NAN.to_bits() => format!("nan({bits:#x})"),
            x if x.is_nan() => "nan".to_string(),
            x => trim(format!("{x:?}")),
        },
        Literal::I32(n) => n.to_string(),
        Literal::I64(n) => n.to_string(),
        Literal::Bool(b) => b.to_string(),
    }
}

fn trim(text: String) -> String {
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

/// Floats to six significant digits as C's `%g` writes them, so that a last bit does not change a
/// snapshot; everything else as [`shortest`].
pub fn six_digits(x: Literal) -> String {
    match x {
        Literal::F32(_) | Literal::F64(_) => general(x.as_f64()),
        _ => shortest(x),
    }
}

fn general(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_string();
    }
    if x.is_infinite() || x == 0.0 {
        return trim(format!("{x:?}"));
    }
    let scientific = format!("{x:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let plain = |s: &str| {
        if s.contains('.') {
            s.trim_end_matches('0').trim_end_matches('.').to_string()
        } else {
            s.to_string()
        }
    };
    if (-4..6).contains(&exponent) {
        plain(&format!("{x:.*}", (5 - exponent) as usize))
    } else {
        format!("{}e{exponent}", plain(digits))
    }
}

/// Reads a number of the given dtype, rounding once; `None` if it is none.
pub fn read(dtype: DType, text: &str) -> Option<Literal> {
    let bits = || u64::from_str_radix(text.strip_prefix("nan(0x")?.strip_suffix(')')?, 16).ok();
    Some(match dtype {
        DType::F32 => match (text, bits()) {
            ("nan", _) => Literal::F32(f32::NAN.to_bits()),
            (_, Some(bits)) => Literal::F32(u32::try_from(bits).ok()?),
            _ => Literal::F32(text.parse::<f32>().ok()?.to_bits()),
        },
        DType::F64 => match (text, bits()) {
            ("nan", _) => Literal::F64(f64::NAN.to_bits()),
            (_, Some(bits)) => Literal::F64(bits),
            _ => Literal::F64(text.parse::<f64>().ok()?.to_bits()),
        },
        DType::I32 => Literal::I32(text.parse().ok()?),
        DType::I64 => Literal::I64(text.parse().ok()?),
        DType::Bool => Literal::Bool(text.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_text_reads_back_to_the_same_bits() {
        let floats =
            [0.0f32, -0.0, 1.0, 0.1, 1e-45, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 16777216.0];
        for x in floats.map(f32::to_bits).into_iter().chain([0x7f80_0001, 0xffc0_0000]) {
            let literal = Literal::F32(x);
            assert_eq!(read(DType::F32, &shortest(literal)), Some(literal), "{}", shortest(literal));
        }
        for x in [0.1f64, -0.0, 5e-324, f64::NAN].map(f64::to_bits).into_iter().chain([0x7ff8_0000_0000_0001])
        {
            assert_eq!(read(DType::F64, &shortest(Literal::F64(x))), Some(Literal::F64(x)));
        }
        assert_eq!(shortest(Literal::F32(8f32.to_bits())), "8");
        assert_eq!(shortest(Literal::F32((-0f32).to_bits())), "-0");
        assert_eq!(read(DType::I32, "2147483648"), None);
    }

    #[test]
    fn six_digits_are_those_of_c() {
        let text = |x: f64| six_digits(Literal::F64(x.to_bits()));
        assert_eq!(text(0.1), "0.1");
        assert_eq!(text(5.13118), "5.13118");
        assert_eq!(text(2.0 / 3.0), "0.666667");
        assert_eq!(text(123456.7), "123457");
        assert_eq!(text(1234567.0), "1.23457e6");
        assert_eq!(text(9.999999), "10");
        assert_eq!(text(1e-8), "1e-8");
        assert_eq!(text(-0.000012345678), "-1.23457e-5");
        assert_eq!(text(f64::INFINITY), "inf");
        assert_eq!(text(100.0), "100");
    }
}
