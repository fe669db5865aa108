//! Random graphs of toy ops, each value worked out while the graph is made. All numbers are integers below
//! 2^53, so that sums are exact in any order and results must agree in every bit.

use super::{Case, counts, toy, values};
use crate::ir::dim::{Dim, Sizes};
use crate::ir::graph::NodeId;
use crate::lower::Fusion;
use crate::scalar::DType;
use crate::tensor::Tensor;
use ndarray::{ArrayD, Axis, IxDyn, Slice};

const ROWS: i64 = 5;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n as u64) as usize
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

struct Maker {
    random: Random,
    case: Case,
    pool: Vec<(NodeId, ArrayD<f64>)>,
}

fn concrete(shape: &[Dim]) -> Vec<usize> {
    let sizes = Sizes::from([("batch".into(), ROWS)]);
    shape.iter().map(|d| d.size(&sizes).expect("batch is the only name") as usize).collect()
}

impl Maker {
    fn new(seed: u64) -> Maker {
        let mut m = Maker { random: Random(seed), case: Case::new(), pool: vec![] };
        for i in 0..2 {
            let row = m.random.pick(&[vec![], vec![3], vec![4, 2], vec![1, 3]]);
            let id = m.case.placeholder(&format!("x{i}"), ROWS as usize, &row);
            let value = m.case.columns[i].1.to_f64();
            m.pool.push((id, value));
        }
        for i in 0..4 {
            let shape = m.random.pick(&[vec![], vec![3], vec![3, 3], vec![2, 4], vec![9, 9], vec![3, 3]]);
            let id = m.case.variable(&format!("w{i}"), &shape, [1.0, -1.0, 2.0, -3.0][i]);
            let value = m.case.variables[i].1.to_f64();
            m.pool.push((id, value));
        }
        m
    }

    fn shape(&self, id: NodeId) -> Vec<Dim> {
        self.case.b.ty(id).shape.clone()
    }

    /// The latest are picked more often, so that chains form.
    fn any(&mut self) -> (NodeId, ArrayD<f64>) {
        let n = self.pool.len();
        let from = if self.random.below(2) == 0 { n.saturating_sub(5) } else { 0 };
        let i = from + self.random.below(n - from);
        self.pool[i].clone()
    }

    fn grow(&mut self) {
        let (x, value) = self.any();
        let shape = self.shape(x);
        let rank = shape.len();
        let made = match self.random.below(9) {
            0 | 1 => {
                let partners: Vec<_> =
                    self.pool.iter().filter(|(y, _)| self.shape(*y) == shape).cloned().collect();
                let (y, other) = self.random.pick(&partners);
                if self.random.below(2) == 0 {
                    (toy::add(&mut self.case.b, x, y), &value + &other)
                } else {
                    (toy::mul(&mut self.case.b, x, y), &value * &other)
                }
            }
            2 => {
                let mut axes: Vec<usize> = (0..rank).collect();
                for i in (1..rank).rev() {
                    axes.swap(i, self.random.below(i + 1));
                }
                (toy::transpose(&mut self.case.b, x, &axes), value.permuted_axes(IxDyn(&axes)))
            }
            3 => {
                let to = self.reshaped(&shape);
                let flat = value.as_standard_layout().to_owned();
                let value = flat.into_shape_with_order(IxDyn(&concrete(&to))).expect("as many elements");
                (toy::reshape(&mut self.case.b, x, to), value)
            }
            4 => {
                let mut to = shape.clone();
                for d in &mut to {
                    if d.is_one() && self.random.below(2) == 0 {
                        *d = Dim::constant(3);
                    }
                }
                if rank < 3 && self.random.below(2) == 0 {
                    let lead = [Dim::symbol("batch"), Dim::constant(2), Dim::constant(1)];
                    to.insert(0, self.random.pick(&lead));
                }
                let wide = value.broadcast(IxDyn(&concrete(&to))).expect("stretched ones only").to_owned();
                (toy::broadcast(&mut self.case.b, x, to), wide)
            }
            5 | 6 if rank > 0 => {
                let axes: Vec<usize> = (0..rank).filter(|_| self.random.below(2) == 0).collect();
                let mut sum = value;
                for a in axes.iter().rev() {
                    sum = sum.sum_axis(Axis(*a));
                }
                if axes.is_empty() {
                    return;
                }
                (toy::sum(&mut self.case.b, x, &axes), sum)
            }
            7 if rank > 0 && shape.iter().all(|d| d.as_const().is_some()) => {
                let mut steps = Vec::new();
                let mut part = value;
                for (axis, n) in concrete(&shape).into_iter().enumerate() {
                    if self.random.below(2) == 0 {
                        steps.push((-1, -1, n as i64));
                        part = part.slice_axis(Axis(axis), Slice::new(0, None, -1)).to_owned();
                    } else {
                        let start = self.random.below(n);
                        steps.push((start as i64, 1, (n - start) as i64));
                        part = part.slice_axis(Axis(axis), Slice::from(start..)).to_owned();
                    }
                }
                (toy::slice(&mut self.case.b, x, &steps), part)
            }
            8 if rank == 2 => {
                let (ta, tb) = (self.random.below(2) == 0, self.random.below(2) == 0);
                let inner = shape[usize::from(!ta)].clone();
                let fits = |y: NodeId| self.shape(y).len() == 2 && self.shape(y)[usize::from(tb)] == inner;
                let partners: Vec<_> = self.pool.iter().filter(|(y, _)| fits(*y)).cloned().collect();
                if partners.is_empty() {
                    return;
                }
                let (y, other) = self.random.pick(&partners);
                let matrix = |v: &ArrayD<f64>, t| {
                    let m = v.clone().into_dimensionality::<ndarray::Ix2>().expect("rank 2");
                    if t { m.reversed_axes() } else { m }
                };
                let product = matrix(&value, ta).dot(&matrix(&other, tb)).into_dyn();
                (toy::matmul_stored(&mut self.case.b, x, y, ta, tb), product)
            }
            _ => return,
        };
        let large = made.1.iter().any(|x| x.abs() > 1e6);
        if !large && made.1.len() < 2000 {
            self.pool.push(made);
        }
    }

    fn reshaped(&mut self, shape: &[Dim]) -> Vec<Dim> {
        let mut to = shape.to_vec();
        let at = self.random.below(shape.len() + 1);
        match self.random.below(3) {
            0 => to.insert(at, Dim::constant(1)),
            1 if at + 1 < to.len() => {
                let inner = to.remove(at + 1);
                to[at] = to[at].mul(&inner).expect("small");
            }
            _ => {
                if let Some(half) = to.get(at).and_then(|d| d.div_exact(&Dim::constant(2))) {
                    to[at] = half;
                    to.insert(at + 1, Dim::constant(2));
                }
            }
        }
        to
    }

    /// Results and updates, with what they must be.
    fn finish(mut self) -> (Case, Vec<(String, ArrayD<f64>)>) {
        let mut expected = Vec::new();
        for i in 0..2 {
            let (id, value) = self.any();
            let name = format!("r{i}");
            self.case.result(&name, id);
            expected.push((name, value));
        }
        for i in 0..4 {
            let (w, old) = self.pool[2 + i].clone();
            let name = format!("w{i}");
            let fits: Vec<_> =
                self.pool.iter().filter(|(y, _)| self.shape(*y) == self.shape(w)).cloned().collect();
            let (new, value) = match self.random.below(4) {
                0 => (w, old),
                1 => self.random.pick(&fits),
                _ => fits[fits.len() - 1 - self.random.below(fits.len().min(3))].clone(),
            };
            if new != w || self.random.below(2) == 0 {
                self.case.update(w, new);
            }
            expected.push((name, value));
        }
        (self.case, expected)
    }
}

#[test]
fn random_graphs_give_the_exact_numbers() {
    let mut seen = (0, 0, 0);
    let mut in_place = 0;
    let mut through_scratch = 0;
    for seed in 0..400 {
        let mut maker = Maker::new(seed);
        for _ in 0..30 {
            maker.grow();
        }
        let (case, expected) = maker.finish();
        let left = case.check(ROWS);
        for (name, value) in expected {
            let have = Tensor::from_f64(DType::F64, value.shape(), values(&left, &name));
            assert_eq!(have.to_f64(), value, "seed {seed}, {name}");
        }
        let program = case.lower(Some(ROWS), Fusion::Full);
        let (maps, folds, contractions) = counts(&program);
        seen = (seen.0 + maps, seen.1 + folds, seen.2 + contractions);
        let copies = program.kernels.iter().filter(|k| k.label.ends_with(" stored")).count();
        through_scratch += copies;
        in_place += case.updates.len() - copies;
    }
    // A generator that makes nothing of a kind tests nothing of it.
    assert!(seen.0 > 400 && seen.1 > 100 && seen.2 > 100, "{seen:?}");
    assert!(in_place > 200 && through_scratch > 20, "{in_place} in place, {through_scratch} through scratch");
}
