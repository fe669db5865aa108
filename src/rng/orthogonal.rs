//! Matrices with orthonormal rows or columns, made from normals by Gram and Schmidt.
//!
//! Each vector is made orthogonal to the earlier ones twice ("twice is enough", Kahan and Parlett), which
//! keeps the result orthonormal to rounding. With a positive factor at each step this is the Q of the QR
//! decomposition whose R has a positive diagonal: the sign convention of Keras.

/// Orthonormal values of a shape, row-major: all axes but the last are taken together as rows. The
/// columns are orthonormal if there are at least as many rows, else the rows are. `normals` holds as many
/// values as the shape; rank 0 and 1 count as a single row.
pub fn orthonormal(shape: &[usize], normals: Vec<f64>) -> Vec<f64> {
    let columns = shape.last().copied().unwrap_or(1);
    if normals.is_empty() || columns == 0 {
        return normals;
    }
    let rows = normals.len() / columns;
    // Vectors are the shorter side's lines, so that there are at most as many as they are long.
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> =
        (0..count).map(|i| normals[i * length..(i + 1) * length].to_vec()).collect();
    for i in 0..count {
        let (done, rest) = vectors.split_at_mut(i);
        normalise(done, &mut rest[0]);
    }
    let mut out = vec![0.0; normals.len()];
    for (i, vector) in vectors.iter().enumerate() {
        for (j, x) in vector.iter().enumerate() {
            let at = if rows >= columns { j * columns + i } else { i * columns + j };
            out[at] = *x;
        }
    }
    out
}

/// Makes `v` a unit vector orthogonal to those in `done`.
fn normalise(done: &[Vec<f64>], v: &mut [f64]) {
    // A vector that lies in the span of the earlier ones is replaced by an axis, tried in order; one of
    // the first `done.len() + 1` axes does.
    for axis in 0.. {
        let before = dot(v, v).sqrt();
        for _ in 0..2 {
            for d in done {
                let k = dot(d, v);
                for (x, y) in v.iter_mut().zip(d) {
                    *x -= k * y;
                }
            }
        }
        let norm = dot(v, v).sqrt();
        if norm > 1e-8 * before || axis == v.len() {
            for x in v.iter_mut() {
                *x /= norm;
            }
            return;
        }
        v.fill(0.0);
        v[axis] = 1.0;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::numpy::RandomState;

    fn normals(n: usize) -> Vec<f64> {
        let mut s = RandomState::new(3);
        (0..n).map(|_| s.normal()).collect()
    }

    /// The largest difference of the products of the shorter side's lines from the identity.
    fn error(q: &[f64], rows: usize, columns: usize) -> f64 {
        let count = rows.min(columns);
        let at = |line: usize, k: usize| {
            if rows >= columns { q[k * columns + line] } else { q[line * columns + k] }
        };
        let mut worst: f64 = 0.0;
        for i in 0..count {
            for j in 0..count {
                let product: f64 = (0..rows.max(columns)).map(|k| at(i, k) * at(j, k)).sum();
                worst = worst.max((product - f64::from(u8::from(i == j))).abs());
            }
        }
        worst
    }

    #[test]
    fn lines_are_orthonormal() {
        for (rows, columns) in [(1, 1), (5, 3), (3, 5), (32, 32), (7, 1)] {
            let q = orthonormal(&[rows, columns], normals(rows * columns));
            assert!(error(&q, rows, columns) < 1e-14, "{rows}x{columns}");
        }
        let q = orthonormal(&[2, 3, 4], normals(24));
        assert!(error(&q, 6, 4) < 1e-14);
    }

    #[test]
    fn dependent_vectors_are_replaced() {
        let q = orthonormal(&[2, 3], vec![1.0, 2.0, 3.0, 2.0, 4.0, 6.0]);
        assert!(error(&q, 2, 3) < 1e-14);
        let q = orthonormal(&[2, 2], vec![0.0; 4]);
        assert!(error(&q, 2, 2) < 1e-14);
    }

    #[test]
    fn nothing_is_fine() {
        assert!(orthonormal(&[0, 3], vec![]).is_empty());
        assert!(orthonormal(&[3, 0], vec![]).is_empty());
        assert_eq!(orthonormal(&[], vec![-2.0]), vec![-1.0]);
    }
}
