//! Numbers that can be computed with by hand: small whole numbers and halves.

use crate::check::program::{Program, VariableKind};
use crate::interp::Bindings;
use ndarray::ArrayD;

/// Data of floats and variables as [`friendly`] numbers; labels, indices and states stay as they are.
pub fn round(program: &Program, bindings: &mut Bindings) {
    let data = program.placeholders.iter().map(|p| (&p.name, p.node));
    let variables =
        program.variables.iter().filter(|v| v.kind != VariableKind::State).map(|v| (&v.name, v.node));
    for (name, node) in data.chain(variables) {
        if program.graph.ty(node).dtype.is_float()
            && let Some(value) = bindings.names.get_mut(name)
        {
            *value = friendly(value);
        }
    }
}

/// Scaled by a power of two so that the largest magnitude lies in `1..2`, then rounded to halves.
pub fn friendly(value: &ArrayD<f64>) -> ArrayD<f64> {
    let largest = value.iter().filter(|x| x.is_finite()).fold(0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 {
        return value.clone();
    }
    let scale = f64::exp2(largest.log2().floor());
    // Never -0, which a reader would stumble over.
    value.map(|x| (x / scale * 2.0).round() / 2.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    fn row(values: &[f64]) -> ArrayD<f64> {
        ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap()
    }

    #[test]
    fn numbers_become_halves_between_minus_two_and_two() {
        assert_eq!(friendly(&row(&[0.83, 0.11, -0.6, 0.0])), row(&[1.5, 0.0, -1.0, 0.0]));
        assert_eq!(friendly(&row(&[-2.44, 0.099, 1.48])), row(&[-1.0, 0.0, 0.5]));
        assert_eq!(friendly(&row(&[1.0, 0.0, 1.0])), row(&[1.0, 0.0, 1.0]));
        assert_eq!(friendly(&row(&[0.0, 0.0])), row(&[0.0, 0.0]));
        assert!(friendly(&row(&[-1e-9, 1.0]))[0].is_sign_positive());
        assert!(friendly(&row(&[f64::NAN, 3.0]))[0].is_nan());
    }
}
