//! Ops on images: convolution and pooling.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{NodeId, Type};
use crate::ir::op::{Adjoint, Class, EvalCx, Kernel, OpDef, Param, ParamKind, TypeErrorKind, Vjp, VjpCx};
use crate::lang::say;
use crate::ops::build::{self, Keep};
use crate::ops::infer;
use crate::ops::samples;
use crate::ops::vjp;
use crate::ops::window::BASE;
use crate::ops::window::grid::{
    Grid, by_place, checked_grid, eval_grid, grid, kernel_window, need_image, pair, patches, unpatched,
};
use crate::scalar::DType;
use ndarray::{ArrayD, Ix4, IxDyn, indices};

/// The first `n` axes as one, and the others as one.
fn flattened(b: &mut Builder, x: NodeId, n: usize) -> NodeId {
    let count = |dims: &[Dim]| infer::elements(dims).expect("the type rule counted the elements");
    let shape = b.ty(x).shape.clone();
    build::reshape(b, x, &[count(&shape[..n]), count(&shape[n..])])
}

const PADDING: &[&str] = &["same", "valid"];
const POOL_PADDING: &[&str] = &["valid", "same"];

pub static CONV2D: OpDef = OpDef {
    name: "conv2d",
    doc: "The convolution of images [rows, height, width, channels in] with a kernel [height, width, channels in, \
          channels out]; the kernel is not mirrored. `stride` is a number or two; `padding` is \"same\", zeros around \
          the image so that stride 1 keeps its size, or \"valid\", none.",
    class: Class::Contraction,
    arity: 2,
    params: &[
        Param { name: "stride", kind: ParamKind::Pair(Some(1)) },
        Param { name: "padding", kind: ParamKind::Word(PADDING) },
    ],
    infer: |c| {
        need_image(c)?;
        infer::need_float(c, 1)?;
        let (x, k) = (c.operands[0], c.operands[1]);
        if x.dtype != k.dtype {
            let message = say!("`conv2d` of {x} with the kernel {k}: the dtypes differ", x, k);
            let e = infer::at(infer::error(TypeErrorKind::DType, message), 1);
            return Err(infer::fix(e, say!("convert one of them: `cast(…, {dtype})`", dtype = x.dtype)));
        }
        let window = kernel_window(k).filter(|_| k.rank() == 4);
        if window.is_none() {
            let message =
                say!("the kernel of `conv2d` is [height, width, channels in, channels out], this is {k}", k);
            let mut e = infer::at(infer::error(TypeErrorKind::Shape, message), 1);
            e.notes.push("its height and width are numbers".into());
            return Err(e);
        }
        if x.shape[3] != k.shape[2] {
            let (has, takes) = (&x.shape[3], &k.shape[2]);
            let message = say!(
                "`conv2d` of {x}, which has {has} channels, with a kernel for {takes}: {k}",
                x,
                has,
                takes,
                k
            );
            let e = infer::at(infer::error(TypeErrorKind::Shape, message), 1);
            let sizes = (&k.shape[0], &k.shape[1], &k.shape[3]);
            return Err(infer::fix(
                e,
                say!(
                    "declare the kernel as [{height}, {width}, {has}, {out}]",
                    height = sizes.0,
                    width = sizes.1,
                    has,
                    out = sizes.2
                ),
            ));
        }
        checked_grid(c, window, &k.shape[3])
    },
    vjp: Vjp::Rule(|b, c| {
        let grid = grid(b, c.operands, c.attrs);
        let adjoint = flattened(b, c.adjoint, 3);
        vjp::each(b, c, |b, c, i| {
            // A mask says nothing about a sum of products, so it ends here.
            Adjoint::Value(if i == 0 {
                let kernel = flattened(b, c.operands[1], 3);
                let kernel = build::matrix_transpose(b, kernel);
                let shares = build::matmul(b, adjoint, kernel);
                let x = b.ty(c.operands[0]).shape.clone();
                let [high, wide] = grid;
                let sizes = [high.places, wide.places, high.window, wide.window].map(Dim::constant);
                let shares = build::reshape(b, shares, &[&x[..1], &sizes[..], &x[3..]].concat());
                unpatched(b, shares, grid)
            } else {
                let patches = patches(b, c.operands[0], grid, 0.0);
                let patches = flattened(b, patches, 3);
                let patches = build::matrix_transpose(b, patches);
                let value = build::matmul(b, patches, adjoint);
                let kernel = b.ty(c.operands[1]).shape.clone();
                build::reshape(b, value, &kernel)
            })
        })
    }),
    why: &[
        "each pixel gets the gradients of the places whose window it is in, times the kernel's element over it",
        "each element of the kernel gets the sum over all places of the pixel under it times the gradient there",
    ],
    eval: |c| {
        let [high, wide] = eval_grid(c);
        let four = |i: usize| c.operands[i].view().into_dimensionality::<Ix4>().expect("the type rule");
        let (x, k) = (four(0), four(1));
        let mut out = ArrayD::zeros(IxDyn(c.shape));
        let pixels = indices((c.shape[0], c.shape[1], c.shape[2])).into_iter();
        for ((row, i, j), mut sums) in pixels.zip(out.rows_mut()) {
            for (tap, weights) in indices((k.dim().0, k.dim().1, k.dim().2)).into_iter().zip(k.rows()) {
                if let (Some(h), Some(w)) = (high.element(i, tap.0), wide.element(j, tap.1)) {
                    sums.scaled_add(x[[row, h, w, tap.2]], &weights);
                }
            }
        }
        Ok(out)
    },
    kernel: Kernel::Expand(|b, x, attrs| {
        let grid = grid(b, x, attrs);
        let shape = b.ty(x[0]).shape.clone();
        let patches = patches(b, x[0], grid, 0.0);
        let patches = flattened(b, patches, 3);
        let kernel = flattened(b, x[1], 3);
        let product = build::matmul(b, patches, kernel);
        let places = grid.map(|line| Dim::constant(line.places));
        let out = b.ty(x[1]).shape[3..].to_vec();
        build::reshape(b, product, &[&shape[..1], &places[..], &out[..]].concat())
    }),
    samples: samples::convolutions,
    ..BASE
};

const POOL: OpDef = OpDef {
    class: Class::Reduction,
    params: &[
        Param { name: "size", kind: ParamKind::Pair(Some(2)) },
        Param { name: "stride", kind: ParamKind::Pair(None) },
        Param { name: "padding", kind: ParamKind::Word(POOL_PADDING) },
    ],
    infer: |c| {
        need_image(c)?;
        checked_grid(c, pair(c.attrs, "size"), &c.operands[0].shape[3])
    },
    ..BASE
};

/// Where the window lies in the axes of [`patches`].
const INSIDE: [usize; 2] = [3, 4];

/// A value of each place, for every element of its window.
fn over_windows(b: &mut Builder, x: NodeId, grid: Grid) -> NodeId {
    let mut shape = b.ty(x).shape.clone();
    shape.splice(3..3, grid.map(|line| Dim::constant(line.window)));
    vjp::spread(b, x, &INSIDE, &shape)
}

/// Folds, for each place, the elements of the image under the window, in row-major order.
fn pooled(c: &EvalCx<'_>, start: f64, fold: impl Fn(f64, f64) -> f64) -> (ArrayD<f64>, Grid) {
    let grid = eval_grid(c);
    let [high, wide] = grid;
    let out = ArrayD::from_shape_fn(IxDyn(c.shape), |at| {
        let rows = (0..high.window as usize).filter_map(|i| high.element(at[1], i));
        let columns = || (0..wide.window as usize).filter_map(|j| wide.element(at[2], j));
        let elements = rows.flat_map(|h| columns().map(move |w| (h, w)));
        elements.fold(start, |acc, (h, w)| fold(acc, c.operands[0][[at[0], h, w, at[3]].as_slice()]))
    });
    (out, grid)
}

pub static MAX_POOL2D: OpDef = OpDef {
    name: "max_pool2d",
    doc: "The largest element under each place of a window over [rows, height, width, channels]; NaN if one is NaN. \
          `size` is a number or two, `stride` is the size unless given; padding \"same\" adds nothing that counts.",
    vjp: Vjp::Rule(|b, c| vec![first_largest(b, c)]),
    why: &["the largest element of each window, the first of several in reading order, gets its gradient"],
    eval: |c| Ok(pooled(c, f64::NEG_INFINITY, |x, y| if x.is_nan() || x >= y { x } else { y }).0),
    kernel: Kernel::Expand(|b, x, attrs| {
        let grid = grid(b, x, attrs);
        let patches = patches(b, x[0], grid, f64::NEG_INFINITY);
        build::max(b, patches, &INSIDE, Keep::No)
    }),
    samples: samples::max_pools,
    ..POOL
};

fn first_largest(b: &mut Builder, c: &VjpCx<'_>) -> Adjoint {
    let grid = grid(b, c.operands, c.attrs);
    let [high, wide] = grid;
    let patches = patches(b, c.operands[0], grid, f64::NEG_INFINITY);
    let shape = b.ty(patches).shape.clone();
    let largest = over_windows(b, c.out, grid);
    let winner = build::eq(b, patches, largest);
    // Positions in reading order; the smallest winner's is the first one's. A NaN equals nothing: no winner.
    let numbers = Type::new(DType::I64, shape.clone());
    let columns = build::filled(b, &numbers, wide.window as f64);
    let (i, j) = (build::iota(b, &shape, INSIDE[0]), build::iota(b, &shape, INSIDE[1]));
    let above = build::mul(b, i, columns);
    let position = build::add(b, above, j);
    let beyond = build::filled(b, &numbers, (high.window * wide.window) as f64);
    let candidates = build::select(b, winner, position, beyond);
    let first = build::min(b, candidates, &INSIDE, Keep::No);
    let first = over_windows(b, first, grid);
    let hit = build::eq(b, position, first);
    let mask = match c.mask {
        Some(m) => {
            let m = over_windows(b, m, grid);
            build::logical_and(b, m, hit)
        }
        None => hit,
    };
    let adjoint = over_windows(b, c.adjoint, grid);
    let zero = build::like(b, adjoint, 0.0);
    let shares = build::select(b, mask, adjoint, zero);
    let value = unpatched(b, shares, grid);
    vjp::moved(b, &VjpCx { mask: Some(mask), ..*c }, 0, value, |b, m| {
        vjp::any_of(b, m, |b, m| unpatched(b, m, grid))
    })
}

pub static AVG_POOL2D: OpDef = OpDef {
    name: "avg_pool2d",
    doc: "The mean of the elements under each place of a window over [rows, height, width, channels]. `size` is a \
          number or two, `stride` is the size unless given; padding \"same\" adds nothing that counts.",
    vjp: Vjp::Rule(|b, c| {
        let grid = grid(b, c.operands, c.attrs);
        let counts = counts(b, c.adjoint, grid);
        let share = build::div(b, c.adjoint, counts);
        let shares = over_windows(b, share, grid);
        let value = unpatched(b, shares, grid);
        vec![vjp::moved(b, c, 0, value, |b, m| {
            let m = over_windows(b, m, grid);
            vjp::any_of(b, m, |b, m| unpatched(b, m, grid))
        })]
    }),
    why: &["each element of a window gets an equal share of its gradient, summed over the windows"],
    eval: |c| {
        let (mut out, [high, wide]) = pooled(c, 0.0, |x, y| x + y);
        for (at, x) in out.indexed_iter_mut() {
            *x /= (high.covered(at[1] as i64) * wide.covered(at[2] as i64)) as f64;
        }
        Ok(out)
    },
    kernel: Kernel::Expand(|b, x, attrs| {
        let grid = grid(b, x, attrs);
        let patches = patches(b, x[0], grid, 0.0);
        let sum = build::sum(b, patches, &INSIDE, Keep::No);
        let counts = counts(b, sum, grid);
        build::div(b, sum, counts)
    }),
    samples: samples::avg_pools,
    ..POOL
};

/// How many elements of the image lie under each place, in the shape of `like`.
fn counts(b: &mut Builder, like: NodeId, [high, wide]: Grid) -> NodeId {
    let ty = b.ty(like).clone();
    if high.padded() == high.size && wide.padded() == wide.size {
        return build::filled(b, &ty, (high.window * wide.window) as f64);
    }
    let count = |at: [i64; 2]| (high.covered(at[0]) * wide.covered(at[1])) as f64;
    let counts = by_place(b, [high.places, wide.places], ty.dtype, count);
    build::broadcast_to(b, counts, &ty.shape)
}
