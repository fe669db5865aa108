//! The geometry of a window over an image, and the image's patches as nodes.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attrs, NodeId, Type};
use crate::ir::op::{EvalCx, InferCx, TypeError, TypeErrorKind};
use crate::lang::{Text, say};
use crate::ops::build;
use crate::ops::infer::{self, Inferred};
use crate::ops::window::{fold_windows, step, windows};
use crate::scalar::DType;
use crate::tensor::Tensor;

/// Sizes beyond this leave no room to count with.
const MOST: i64 = 1 << 31;

/// A window along one axis of an image. `same` makes as many places as the axis has elements, divided by the
/// stride and rounded up, with what is missing shared between both ends; of an odd number the end gets one more,
/// as in TensorFlow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub size: i64,
    pub window: i64,
    pub stride: i64,
    pub places: i64,
    before: i64,
    after: i64,
}

impl Line {
    fn new(size: i64, window: i64, stride: i64, same: bool) -> Line {
        if !same {
            let places = (size - window).div_euclid(stride) + 1;
            return Line { size, window, stride, places, before: 0, after: 0 };
        }
        let places = (size - 1).div_euclid(stride) + 1;
        let missing = ((places - 1) * stride + window - size).max(0);
        Line { size, window, stride, places, before: missing / 2, after: missing - missing / 2 }
    }

    pub(super) fn padded(self) -> i64 {
        self.before + self.size + self.after
    }

    /// The element under position `inside` of the window at `place`; `None` beyond the image's edge.
    pub(super) fn element(self, place: usize, inside: usize) -> Option<usize> {
        let at = place as i64 * self.stride + inside as i64 - self.before;
        (0..self.size).contains(&at).then_some(at as usize)
    }

    /// How many elements of the image lie under the window at `place`.
    pub(super) fn covered(self, place: i64) -> i64 {
        (0..self.window as usize).filter(|i| self.element(place as usize, *i).is_some()).count() as i64
    }
}

/// Height and width of an image with a window over them.
pub(super) type Grid = [Line; 2];

pub(super) fn pair(attrs: &Attrs, name: &str) -> Option<[i64; 2]> {
    match attrs.dims(name) {
        [a, b] => Some([a.as_const()?, b.as_const()?]),
        _ => None,
    }
}

/// The grid of an image of this shape; `None` unless sizes are numbers.
fn grid_of(image: &[Dim], window: Option<[i64; 2]>, attrs: &Attrs) -> Option<Grid> {
    let (window, stride) = (window?, pair(attrs, "stride")?);
    let same = attrs.str("padding").is_some_and(|p| &**p == "same");
    let size = |i: usize| image.get(i)?.as_const().filter(|n| *n <= MOST);
    let line = |i: usize| Some(Line::new(size(i + 1)?, window[i], stride[i], same));
    Some([line(0)?, line(1)?])
}

/// The window of a `conv2d` is its kernel's, that of a pooling its attribute.
pub(super) fn grid(b: &Builder, operands: &[NodeId], attrs: &Attrs) -> Grid {
    let window = match operands.get(1) {
        Some(kernel) => kernel_window(b.ty(*kernel)),
        None => pair(attrs, "size"),
    };
    grid_of(&b.ty(operands[0]).shape, window, attrs).expect("the type rule wants numbers")
}

pub(super) fn eval_grid(c: &EvalCx<'_>) -> Grid {
    let dims = |shape: &[usize]| shape.iter().map(|n| Dim::constant(*n as i64)).collect::<Vec<_>>();
    let window = match c.operands.get(1) {
        Some(k) => Some([k.shape()[0] as i64, k.shape()[1] as i64]),
        None => pair(c.attrs, "size"),
    };
    grid_of(&dims(c.operands[0].shape()), window, c.attrs).expect("the type rule wants numbers")
}

pub(super) fn kernel_window(kernel: &Type) -> Option<[i64; 2]> {
    Some([kernel.shape.first()?.as_const()?, kernel.shape.get(1)?.as_const()?])
}

/// The grid, and the shape `[rows, places, places, channels]`, if a window fits into the image.
pub(super) fn checked_grid(c: &InferCx<'_>, window: Option<[i64; 2]>, channels: &Dim) -> Inferred {
    let (name, x) = (c.op.name, c.operands[0]);
    let shape = |message: Text| infer::error(TypeErrorKind::Shape, message);
    let (Some(window), Some(stride)) = (window, pair(c.attrs, "stride")) else {
        return Err(shape(say!("`{name}` needs a window and a stride of two whole numbers each", name)));
    };
    for (what, [a, b]) in [("window", window), ("stride", stride)] {
        if !(1..=MOST).contains(&a) || !(1..=MOST).contains(&b) {
            let what = Text::from(what);
            return Err(shape(say!(
                "the {what} of `{name}` is [{a}, {b}]: both must be at least 1 and at most 2^31",
                what,
                name,
                a,
                b
            )));
        }
    }
    let Some(grid) = grid_of(&x.shape, Some(window), c.attrs) else {
        let e =
            shape(say!("`{name}` needs an image whose height and width are numbers, this is {x}", name, x));
        return Err(infer::fix(infer::at(e, 0), "write them where it is declared: `[batch, 28, 28, 1]`"));
    };
    for (line, what) in grid.iter().zip(["high", "wide"]) {
        if line.places < 1 {
            let Line { size, window, .. } = line;
            let e = shape(say!(
                "`{name}`: a window {window} {what} does not fit into {x}, {size} {what}",
                name,
                window,
                what = Text::from(what),
                x,
                size
            ));
            return Err(match size {
                0 => e,
                _ => infer::fix(e, "take a smaller one, or write `padding=\"same\"`"),
            });
        }
    }
    let out = vec![x.shape[0].clone(), grid[0].places.into(), grid[1].places.into(), channels.clone()];
    // The patches are the largest thing that is made of it.
    let sizes = window.map(Dim::constant);
    infer::countable(c, &[&out[..3], &sizes[..], &x.shape[3..]].concat())?;
    infer::countable(c, &out)?;
    Ok(Type::new(x.dtype, out))
}

/// Refuses operand 0 unless it is `[rows, height, width, channels]` of floats.
pub(super) fn need_image(c: &InferCx<'_>) -> Result<(), TypeError> {
    infer::need_float(c, 0)?;
    let x = c.operands[0];
    if x.rank() == 4 {
        return Ok(());
    }
    let message = say!("`{op}` needs [rows, height, width, channels], this is {x}", op = c.op.name, x);
    let e = infer::at(infer::error(TypeErrorKind::Shape, message), 0);
    Err(match x.rank() {
        3 => infer::fix(e, "one channel is an axis of size 1: `x[:, :, :, None]`"),
        2 => infer::fix(e, "lay the pixels out first: `reshape(x, [batch, 28, 28, 1])`"),
        _ => e,
    })
}

/// What lies under each place of the window, `[rows, places, places, window, window, channels]`; beyond the edge
/// it is `fill`.
pub(super) fn patches(b: &mut Builder, x: NodeId, grid: Grid, fill: f64) -> NodeId {
    let shape = b.ty(x).shape.clone();
    let mut long = shape.clone();
    let mut steps = vec![step(0, 1); 4];
    for (i, line) in grid.iter().enumerate() {
        long[i + 1] = Dim::constant(line.padded());
        steps[i + 1] = step(line.before, 1);
    }
    let mut x = x;
    if long != shape {
        x = build::pad(b, x, steps, &long);
        if fill != 0.0 {
            let edge = build::like(b, x, fill);
            let inside = by_place(b, grid.map(Line::padded), DType::Bool, |at| {
                let inside = |i: usize| (0..grid[i].size).contains(&(at[i] - grid[i].before));
                f64::from(u8::from(inside(0) && inside(1)))
            });
            let inside = build::broadcast_to(b, inside, &long);
            x = build::select(b, inside, x, edge);
        }
    }
    let [high, wide] = grid;
    let x = windows(b, x, 1, high.window, high.stride);
    let x = windows(b, x, 3, wide.window, wide.stride);
    build::transpose(b, x, &[0, 1, 3, 2, 4, 5])
}

/// A number for each place of height and width, as `[height, width, 1]`.
pub(super) fn by_place(
    b: &mut Builder,
    [h, w]: [i64; 2],
    dtype: DType,
    number: impl Fn([i64; 2]) -> f64,
) -> NodeId {
    let numbers = (0..h * w).map(|i| number([i / w, i % w])).collect();
    build::constant(b, Tensor::from_f64(dtype, &[h as usize, w as usize, 1], numbers))
}

/// The adjoint of [`patches`]: each element of the image gets the sum of its copies.
pub(super) fn unpatched(b: &mut Builder, x: NodeId, grid: Grid) -> NodeId {
    let [high, wide] = grid;
    let x = build::transpose(b, x, &[0, 1, 3, 2, 4, 5]);
    let x = fold_windows(b, x, 3, wide.stride, wide.padded());
    let x = fold_windows(b, x, 1, high.stride, high.padded());
    inner(b, x, grid)
}

/// The image without its padding.
fn inner(b: &mut Builder, x: NodeId, grid: Grid) -> NodeId {
    let mut shape = b.ty(x).shape.clone();
    let mut steps = vec![step(0, 1); 4];
    for (i, line) in grid.iter().enumerate() {
        shape[i + 1] = Dim::constant(line.size);
        steps[i + 1] = step(line.before, 1);
    }
    if b.ty(x).shape == shape { x } else { build::slice(b, x, steps, &shape) }
}
