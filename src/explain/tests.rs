//! Random small nets: whatever is printed must be the gradient.

use crate::explain::{Derivation, Request, check, derive, text};
use crate::interp::Bindings;
use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{NodeId, Type};
use crate::lang::Lang;
use crate::ops::build as o;
use crate::scalar::DType;
use ndarray::{ArrayD, IxDyn};

/// Builds graphs as the checker does: names on what the user named, broadcasts as nodes.
struct Net {
    b: Builder,
    variables: Vec<NodeId>,
}

fn dims(shape: &[&str]) -> Vec<Dim> {
    shape.iter().map(|d| d.parse::<i64>().map_or_else(|_| Dim::symbol(*d), Dim::constant)).collect()
}

impl Net {
    fn new() -> Net {
        Net { b: Builder::default(), variables: vec![] }
    }

    fn placeholder(&mut self, name: &str, dtype: DType, shape: &[&str]) -> NodeId {
        o::placeholder(&mut self.b, name, Type::new(dtype, dims(shape)))
    }

    fn input(&mut self, name: &str, shape: &[&str]) -> NodeId {
        self.placeholder(name, DType::F64, shape)
    }

    fn variable(&mut self, name: &str, shape: &[&str]) -> NodeId {
        let id = o::variable(&mut self.b, name, Type::new(DType::F64, dims(shape)));
        self.variables.push(id);
        id
    }

    fn name(&mut self, name: &str, id: NodeId) -> NodeId {
        self.b.graph.node_mut(id).name = Some(name.into());
        id
    }

    fn number(&mut self, x: f64) -> NodeId {
        o::scalar(&mut self.b, DType::F64, x)
    }

    /// Broadcasts the one of lower rank or with ones.
    fn fit(&mut self, x: NodeId, y: NodeId) -> (NodeId, NodeId) {
        let shape = crate::explain::normal::join(&self.b.ty(x).shape, &self.b.ty(y).shape);
        (o::broadcast_to(&mut self.b, x, &shape), o::broadcast_to(&mut self.b, y, &shape))
    }

    fn two(&mut self, f: fn(&mut Builder, NodeId, NodeId) -> NodeId, x: NodeId, y: NodeId) -> NodeId {
        let (x, y) = self.fit(x, y);
        f(&mut self.b, x, y)
    }

    fn add(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.two(o::add, x, y)
    }

    fn sub(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.two(o::sub, x, y)
    }

    fn mul(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.two(o::mul, x, y)
    }

    fn matmul(&mut self, x: NodeId, y: NodeId) -> NodeId {
        o::matmul(&mut self.b, x, y)
    }

    fn square(&mut self, x: NodeId) -> NodeId {
        let two = self.number(2.0);
        self.two(o::pow, x, two)
    }

    fn relu(&mut self, x: NodeId) -> NodeId {
        let zero = self.number(0.0);
        self.two(o::maximum, zero, x)
    }

    fn mean(&mut self, x: NodeId) -> NodeId {
        let axes: Vec<usize> = (0..self.b.ty(x).rank()).collect();
        o::mean(&mut self.b, x, &axes, o::Keep::No)
    }

    fn total(&mut self, x: NodeId) -> NodeId {
        let axes: Vec<usize> = (0..self.b.ty(x).rank()).collect();
        o::sum(&mut self.b, x, &axes, o::Keep::No)
    }

    fn derive(&self, loss: NodeId) -> Derivation {
        let request = Request { loss, variables: &self.variables, wrt: &self.variables };
        derive(&self.b.graph, &request).expect("a scalar loss of a small net")
    }
}

/// A linear congruential generator: nets and data must be the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0
    }
}

/// Values for every leaf, with sizes that are no size in a program.
fn data(net: &Net, dice: &mut Dice) -> Bindings {
    let mut bindings = Bindings::default();
    bindings.sizes.insert("batch".into(), 5);
    bindings.sizes.insert("n".into(), 7);
    for id in net.b.graph.ids() {
        let node = net.b.graph.node(id);
        if !matches!(node.op.name, "placeholder" | "variable") {
            continue;
        }
        let shape: Vec<usize> =
            node.ty.shape.iter().map(|d| d.size(&bindings.sizes).expect("a known size") as usize).collect();
        let integer = !node.ty.dtype.is_float();
        let array = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
            if integer { dice.below(3) as f64 } else { dice.unit() }
        });
        bindings.nodes.insert(id, array);
    }
    bindings
}

/// The printed text, parsed back, must agree with autodiff's graph.
#[track_caller]
fn agrees(net: &Net, loss: NodeId, dice: &mut Dice) {
    let derivation = net.derive(loss);
    for _ in 0..3 {
        let error = check::largest_error(&net.b.graph, loss, &derivation, &data(net, dice));
        let text = || text::print(&derivation, None, Lang::En);
        match error {
            Ok(error) => assert!(error < 1e-10, "error {error:e} in\n{}", text()),
            Err(why) => panic!("{why}\nin\n{}", text()),
        }
    }
}

/// One more step of a random net, from a value `[batch, k]` to another.
fn random_step(n: &mut Net, dice: &mut Dice, h: NodeId, count: usize) -> NodeId {
    let k = n.b.ty(h).shape[1].clone();
    let k = k.to_string();
    let next = ["2", "3", "4", "n"][dice.below(4)];
    let half = n.number([0.5, 2.0, 0.1, 3.0, -1.5][dice.below(5)]);
    let keep = |n: &mut Net, f: fn(&mut Builder, NodeId, &[usize], o::Keep) -> NodeId, x| {
        f(&mut n.b, x, &[1], o::Keep::Yes)
    };
    match dice.below(20) {
        0..=2 => {
            let w = n.variable(&format!("w{count}"), &[&k, next]);
            n.matmul(h, w)
        }
        3 => {
            let w = n.variable(&format!("w{count}"), &[next, &k]);
            let t = o::matrix_transpose(&mut n.b, w);
            n.matmul(h, t)
        }
        4 | 5 => {
            let shape = [vec![k.as_str()], vec!["1", &k], vec!["batch", "1"]];
            let b = n.variable(&format!("b{count}"), &shape[dice.below(3)]);
            n.add(h, b)
        }
        6 => {
            let g = n.variable(&format!("g{count}"), &[&k]);
            n.mul(g, h)
        }
        7 => o::tanh(&mut n.b, h),
        8 => o::sigmoid(&mut n.b, h),
        9 => n.relu(h),
        10 => {
            let small = n.mul(h, half);
            let bounded = o::tanh(&mut n.b, small);
            o::exp(&mut n.b, bounded)
        }
        11 => {
            let lse = keep(n, o::logsumexp, h);
            let shifted = n.sub(h, lse);
            if dice.below(2) == 0 { shifted } else { o::exp(&mut n.b, shifted) }
        }
        12 => {
            let m = keep(n, o::mean, h);
            n.sub(h, m)
        }
        13 => {
            let s = n.square(h);
            let v = keep(n, o::mean, s);
            let one = n.number(1.0);
            let v = n.add(v, one);
            let inv = o::rsqrt(&mut n.b, v);
            n.mul(h, inv)
        }
        14 => {
            let zero = n.number(0.25);
            let yes = n.two(o::gt, h, zero);
            let other = n.mul(h, half);
            o::select(&mut n.b, yes, h, other)
        }
        15 => {
            let s = n.square(h);
            let two = n.number(2.0);
            let s = n.add(s, two);
            if dice.below(2) == 0 { o::sqrt(&mut n.b, s) } else { n.two(o::div, h, s) }
        }
        16 => n.mul(h, half),
        17 => {
            let axis = dice.below(2);
            let s = o::sum(&mut n.b, h, &[axis], o::Keep::Yes);
            let s = o::tanh(&mut n.b, s);
            n.mul(h, s)
        }
        18 => {
            let s = o::sin(&mut n.b, h);
            n.add(h, s)
        }
        _ => {
            let s = o::mean(&mut n.b, h, &[1], o::Keep::No);
            let s = n.square(s);
            let s = o::reshape(&mut n.b, s, &dims(&["batch", "1"]));
            n.sub(h, s)
        }
    }
}

fn random_net(seed: u64) -> (Net, NodeId) {
    let mut dice = Dice(seed);
    for _ in 0..8 {
        dice.below(2);
    }
    let mut n = Net::new();
    let mut h = n.input("x", &["batch", "3"]);
    let w = n.variable("w", &["3", "4"]);
    h = n.matmul(h, w);
    let mut last = h;
    for step in 0..1 + dice.below(6) {
        let before = h;
        h = random_step(&mut n, &mut dice, h, step);
        if dice.below(6) == 0 && n.b.ty(last).shape == n.b.ty(h).shape {
            h = if dice.below(2) == 0 { n.add(h, last) } else { n.mul(h, last) };
        }
        if dice.below(2) == 0 && n.b.graph.node(h).name.is_none() {
            n.name(&format!("h{step}"), h);
        }
        last = before;
    }
    let k = n.b.ty(h).shape[1].to_string();
    let loss = match dice.below(4) {
        0 => n.total(h),
        1 => {
            let axes = [0];
            let s = o::mean(&mut n.b, h, &axes, o::Keep::No);
            let s = n.square(s);
            n.total(s)
        }
        _ => {
            let y_ = n.input("y_", &["batch", &k]);
            let r = n.sub(h, y_);
            let r = n.square(r);
            n.mean(r)
        }
    };
    let loss = if dice.below(3) == 0 {
        let lambda = n.number(0.5);
        n.name("LAMBDA", lambda);
        let s = n.square(w);
        let s = n.total(s);
        let s = n.mul(lambda, s);
        n.add(loss, s)
    } else {
        loss
    };
    n.name("l", loss);
    (n, loss)
}

#[test]
fn random_nets_agree_with_autodiff() {
    // An unoptimised build takes a third of a second for each.
    let nets = if cfg!(debug_assertions) { 40 } else { 300 };
    for seed in 0..nets {
        let (net, loss) = random_net(seed);
        agrees(&net, loss, &mut Dice(seed));
    }
}

#[test]
fn a_wrong_line_is_seen() {
    let (net, loss) = random_net(3);
    let mut derivation = net.derive(loss);
    let last = derivation.lines.last_mut().expect("a net has a line");
    last.value = last.value.clone().negated();
    let error = check::largest_error(&net.b.graph, loss, &derivation, &data(&net, &mut Dice(1)));
    assert!(matches!(error, Ok(e) if e > 1e-3), "{error:?}");
}

/// What looks like a rule's left side and is not.
#[test]
fn near_misses_agree_with_autodiff() {
    let start = || {
        let mut n = Net::new();
        let x = n.input("x", &["batch", "3"]);
        let w = n.variable("w", &["3", "4"]);
        let t = n.matmul(x, w);
        (n, t)
    };
    // exp(2*t - logsumexp(t)) is no softmax.
    let (mut n, t) = start();
    let two = n.number(2.0);
    let lse = o::logsumexp(&mut n.b, t, &[1], o::Keep::Yes);
    let double = n.mul(two, t);
    let shifted = n.sub(double, lse);
    let e = o::exp(&mut n.b, shifted);
    let weighted = n.mul(e, t);
    let loss = n.total(weighted);
    agrees(&n, loss, &mut Dice(5));
    // A name for -1.5 * t is no name for t.
    let (mut n, t) = start();
    let factor = n.number(-1.5);
    let h = n.mul(factor, t);
    n.name("h", h);
    let bounded = o::tanh(&mut n.b, t);
    let product = n.mul(h, bounded);
    let loss = n.total(product);
    agrees(&n, loss, &mut Dice(6));
}

#[test]
fn brackets_stand_where_the_language_needs_them() {
    use crate::explain::rational::Rat;
    use crate::explain::tree::{Expr, Naming, Op};
    struct None;
    impl Naming for None {
        fn size(&self, name: &str) -> String {
            name.into()
        }
        fn value(&self, id: NodeId) -> String {
            id.to_string()
        }
        fn adjoint(&self, primal: NodeId) -> String {
            primal.to_string()
        }
    }
    let n = |n: i64| Expr::number(Rat::int(n));
    let two = |op, a, b| Expr::binary(op, a, b);
    let text = |e: Expr| e.text(&None);
    assert_eq!(text(two(Op::Sub, n(1), two(Op::Sub, n(2), n(3)))), "1 - (2 - 3)");
    assert_eq!(text(two(Op::Sub, two(Op::Sub, n(1), n(2)), n(3))), "1 - 2 - 3");
    assert_eq!(text(two(Op::Div, n(1), two(Op::Mul, n(2), n(3)))), "1/(2*3)");
    assert_eq!(text(two(Op::Pow, n(1).negated(), n(2))), "(-1)**2");
    assert_eq!(text(two(Op::Pow, n(1), n(2)).negated()), "-1**2");
    assert_eq!(text(two(Op::Mul, two(Op::Add, n(1), n(2)), n(3))), "(1 + 2) * 3");
    assert_eq!(text(two(Op::Gt, two(Op::Add, n(1), n(2)), n(3))), "1 + 2 > 3");
}
