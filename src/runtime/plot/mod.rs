//! Pictures of curves: SVG for a file, characters for a terminal. Knows points and names, never where they
//! come from; the same points give the same bytes.

mod svg;
mod text;

pub use svg::svg;
pub use text::text;

/// A line through points whose x never falls.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Curves that share their axes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Panel {
    pub curves: Vec<Curve>,
}

/// Values beyond this are left out: no axis could be drawn for them.
const HUGE: f64 = 1e300;

impl Curve {
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(_, y)| y.abs() < HUGE)
    }
}

impl Panel {
    /// The first and the last step of any of the panels: they share their x axis.
    fn steps(panels: &[Panel]) -> (f64, f64) {
        let all = || panels.iter().flat_map(|p| &p.curves).flat_map(|c| &c.points).map(|(x, _)| *x);
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        if low < high { (low, high) } else { spread(low, high) }
    }

    /// The values that the y axis spans: from 0 where that wastes little room.
    fn values(&self) -> (f64, f64) {
        let all = || self.curves.iter().flat_map(Curve::finite).map(|(_, y)| y);
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
        spread(low, high)
    }
}

/// A range that is not empty, around one that may be.
fn spread(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if !size.is_finite() {
        (0.0, 1.0)
    } else if high - low > 1e-9 * size && size > 1e-290 {
        (low, high)
    } else {
        let half = if size > 1e-290 { size / 2.0 } else { 1.0 };
        (low - half, high + half)
    }
}

#[cfg(test)]
mod tests;
