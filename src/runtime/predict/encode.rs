//! A tensor as the bytes of a file: csv, npy or JSON. Numbers are written so that they read back exactly.

use crate::runtime::tensor_file;
use crate::scalar::Literal;
use crate::tensor::Tensor;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    Csv,
    Npy,
    Json,
}

pub fn encode(format: Format, name: &str, value: &Tensor) -> Vec<u8> {
    match format {
        Format::Csv => csv(name, value).into_bytes(),
        Format::Npy => tensor_file::npy(value),
        Format::Json => json(name, value).into_bytes(),
    }
}

/// A header, then a line a row; of what has more than two dimensions, a row is all of its elements in order.
fn csv(name: &str, value: &Tensor) -> String {
    let rows = value.shape().first().copied().unwrap_or(1);
    let width = value.len() / rows.max(1);
    let header: Vec<String> = match width {
        1 => vec![name.to_string()],
        k => (0..k).map(|i| format!("{name}.{i}")).collect(),
    };
    let mut out = header.join(",") + "\n";
    for row in 0..rows {
        let cells: Vec<String> = (0..width).map(|i| number(value.at(row * width + i))).collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

/// One object on one line; what is not finite is `null`.
fn json(name: &str, value: &Tensor) -> String {
    let shape: Vec<String> = value.shape().iter().map(ToString::to_string).collect();
    let mut values = String::new();
    nested(value, value.shape(), &mut 0, &mut values);
    let name = serde_json::Value::from(name);
    format!(
        "{{\"schema\": 1, \"name\": {name}, \"dtype\": \"{}\", \"shape\": [{}], \"values\": {values}}}\n",
        value.dtype(),
        shape.join(", ")
    )
}

fn nested(value: &Tensor, shape: &[usize], next: &mut usize, out: &mut String) {
    let Some((n, inner)) = shape.split_first() else {
        let x = value.at(*next);
        *next += 1;
        out.push_str(&match x {
            Literal::Bool(b) => b.to_string(),
            x if !x.as_f64().is_finite() => "null".to_string(),
            x => number(x),
        });
        return;
    };
    out.push('[');
    for i in 0..*n {
        if i > 0 {
            out.push_str(", ");
        }
        nested(value, inner, next, out);
    }
    out.push(']');
}

/// The shortest text that reads back as the same number; a bool is 0 or 1.
fn number(x: Literal) -> String {
    match x {
        Literal::F32(bits) if f32::from_bits(bits).is_finite() => format!("{:?}", f32::from_bits(bits)),
        Literal::F64(bits) if f64::from_bits(bits).is_finite() => format!("{:?}", f64::from_bits(bits)),
        Literal::F32(_) | Literal::F64(_) => x.as_f64().to_string().to_lowercase(),
        Literal::I32(n) => n.to_string(),
        Literal::I64(n) => n.to_string(),
        Literal::Bool(b) => u8::from(b).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::DType;

    #[test]
    fn numbers_read_back_exactly() {
        for x in [0.1f32, 1e-7, 3.4e38, 1.0, -0.0, f32::MIN_POSITIVE, 16_777_217.0] {
            let text = number(Literal::F32(x.to_bits()));
            assert_eq!(text.parse::<f32>().map(f32::to_bits), Ok(x.to_bits()), "{text}");
        }
        assert_eq!(number(Literal::F32(f32::NAN.to_bits())), "nan");
        assert_eq!(number(Literal::F64(f64::NEG_INFINITY.to_bits())), "-inf");
    }

    #[test]
    fn forms() {
        let t = Tensor::from_f64(DType::F32, &[2, 3], vec![1.0, 2.5, f64::NAN, -4.0, 0.0, 1e9]);
        assert_eq!(csv("y", &t), "y.0,y.1,y.2\n1.0,2.5,nan\n-4.0,0.0,1000000000.0\n");
        let json = json("y", &t);
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["shape"], serde_json::json!([2, 3]));
        assert_eq!(read["values"], serde_json::json!([[1.0, 2.5, null], [-4.0, 0.0, 1e9]]));
        let classes = Tensor::from_f64(DType::I64, &[2], vec![7.0, 3.0]);
        assert_eq!(csv("class", &classes), "class\n7\n3\n");
    }
}
