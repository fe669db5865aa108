//! `layer`, `state`, `repeat` and tuples: what they become, and how they fail.

use crate::check::program::{Directive, Program, Source, Train, VariableKind};
use crate::check::tests::{codes, elaborate, good, shown};
use crate::driver;
use crate::ir::verify;
use crate::opt;

const DENSE: &str = "layer dense(x: f32[rows, i], n: int) -> f32[rows, n] {
  variable w: f32[i, n] = normal()
  variable b: f32[n] = zeros()
  return x @ w + b
}
placeholder x: f32[batch, 2]
";
const DATA: &str = "dataset d {\n  x: f32[n, 2] = csv(\"a.csv\", columns=0:2)\n}\n";
const TRAIN: &str = "train l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 1\n}\n";

fn names(p: &Program) -> Vec<&str> {
    p.variables.iter().map(|v| &*v.name).collect()
}

fn trains(p: &Program) -> Vec<&Train> {
    let all = p.directives.iter().filter_map(|d| match d {
        Directive::Train(t) => Some(&**t),
        Directive::Action(_) => None,
    });
    all.inspect(|t| verify::check(&t.step).expect("the step is well formed")).collect()
}

/// The variables that a step changes, by name.
fn updated(t: &Train) -> Vec<String> {
    let name = |(leaf, _): &(_, _)| t.step.graph.node(*leaf).attrs.str("name").expect("a name").to_string();
    t.step.updates.iter().map(name).collect()
}

fn says(text: &str, parts: &[&str]) {
    let told = match elaborate(text) {
        Ok(p) => shown(&p.warnings),
        Err(d) => shown(&d),
    };
    for part in parts {
        assert!(told.contains(part), "{text}\nshould say: {part}\nsaid: {told}");
    }
}

#[test]
fn variables_are_named_after_the_bindings() {
    let of = |text: &str| names(&good(&format!("{DENSE}{text}"))).join(" ");
    assert_eq!(of("h = relu(dense(x, 3))\n"), "h.w h.b");
    assert_eq!(of("h = dense(x, 3) |> relu() |> dense(4, name=\"top\")\n"), "h.w h.b top.w top.b");
    assert_eq!(of("loss l = mean(dense(x, 1))\n"), "l.w l.b");
    assert_eq!(of("p, q = (dense(x, 1), 2)\n"), "p.w p.b");
    let block = "layer block(x) {\n  fc = relu(dense(x, 2))\n  return dense(fc, 3)\n}\n";
    assert_eq!(
        of(&format!("{block}a = block(x)\nb = block(a[:, 0:2])\n")),
        "a.fc.w a.fc.b a.dense.w a.dense.b b.fc.w b.fc.b b.dense.w b.dense.b"
    );
}

#[test]
fn a_start_value_is_keyed_by_the_full_name() {
    let p = good(&format!("{DENSE}h = dense(x, 3)\n"));
    let Some((_, Source::Random { name, .. })) = p.variables[0].init.sources.first() else {
        panic!("a draw")
    };
    assert_eq!(&**name, "h.w");
    assert!(p.variables.iter().all(|v| v.kind == VariableKind::Trained));
}

#[test]
fn a_path_reads_the_variable() {
    let leaf = |text: &str, name: &str| {
        let p = good(&format!("{DENSE}{text}"));
        let m = p.measures.first().expect("a loss").node;
        let seen = p.graph.reachable([m]);
        let v = p.variables.iter().find(|v| *v.name == *name).expect("the variable");
        seen[v.node.index()]
    };
    assert!(leaf("h = dense(x, 3)\nloss l = l2(h.w)\n", "h.w"));
    assert!(!leaf("h = dense(x, 3)\nloss l = l2(h.w)\n", "h.b"));
    assert!(leaf("fn penalty() = l2(h.w)\nh = dense(x, 3)\nloss l = penalty()\n", "h.w"));
    assert!(leaf("h = dense(dense(x, 3, name=\"low\"), 3)\nloss l = l2(low.w)\n", "low.w"));
    let inner = "layer twice(x) {\n  a = dense(x, 2)\n  return a * sum(a.w)\n}\n";
    assert!(leaf(&format!("{inner}h = twice(x)\nloss l = mean(h)\n"), "h.a.w"));
    // A local of a function hides the layer, and a prelude function never sees it.
    says(&format!("{DENSE}h = dense(x, 3)\nfn f(h) = h.w\ny = f(x)\n"), &["NN0124 a tensor has no `.w`"]);
    says(
        &format!("{DENSE}h = dense(x, 3)\ny = h.q\n"),
        &["NN0124", "the variables of this layer are h.w, h.b"],
    );
    let looped = "t = x\nrepeat k in 0..2 { t = dense(t, 2) }\n";
    assert!(leaf(&format!("{looped}loss l = l2(t.1.w)\n"), "t.1.w"));
    let inside =
        "t = x\np = sum(x)\nrepeat k in 0..2 {\n  t = dense(t, 2)\n  p = p + l2(t.w)\n}\nloss l = p\n";
    assert!(leaf(inside, "t.0.w") && leaf(inside, "t.1.w") && !leaf(inside, "t.1.b"));
}

#[test]
fn the_sizes_of_a_layer_are_its_own() {
    // `i` and `batch` of the file mean nothing inside.
    good(&format!(
        "const i = 7\nlayer f(x: f32[batch, k]) {{\n  variable w: f32[k] = ones()\n  return x * w\n}}\n{DENSE}\
y = f(x)\nz = f(x.T @ x)\n"
    ));
    says(
        &format!("{DENSE}y = dense(x.T, 3)\n"),
        &["NN0116 the size batch of a variable is not known", "an `int` parameter"],
    );
    says(
        "placeholder x: f32[batch, k]\ny = dense(x, 3)\n",
        &["NN0116 the size k of a variable is not known", "in `number[x.shape[-1], n]`, prelude/layers.nn"],
    );
}

#[test]
fn wrt_names_layers() {
    let text = |wrt: &str| {
        format!(
            "{DENSE}{DATA}layer two(x) {{\n  a = dense(x, 2)\n  frozen variable s: f32 = ones()\n  return dense(a, 3) * s\n}}\n\
h = two(x)\ny = dense(h, 1)\nloss l = mean(y)\n\
train l on d {{\n  optimizer = adam(lr=0.1)\n  steps = 1\n{wrt}\n}}\n"
        )
    };
    let trained = |wrt: &str| {
        let p = good(&text(wrt));
        let found: Vec<&str> = trains(&p)[0].gradients.iter().map(|(v, _)| &*p.variables[*v].name).collect();
        found.join(" ")
    };
    assert_eq!(trained(""), "h.a.w h.a.b h.dense.w h.dense.b y.w y.b");
    assert_eq!(trained("  wrt = h"), "h.a.w h.a.b h.dense.w h.dense.b");
    assert_eq!(trained("  wrt = h.a, y.b, h.a.w"), "h.a.w h.a.b y.b");
    says(&text("  wrt = h.s"), &["NN0305 `h.s` is frozen"]);
    says(&text("  wrt = x"), &["NN0305 `x` is no variable, and no layer with variables"]);
    says(&text("  wrt = h.q"), &["NN0124 a tensor has no `.q`"]);
    good(&text("  ema = 0.9\n  at end print h.a.w.ema"));
}

#[test]
fn what_nothing_reads_is_left_out() {
    let maybe = "layer f(x, bias: bool = true) {\n  variable b: f32[2] = zeros()\n  variable w: f32[2] = ones()\n\
  variable v: f32[2] = w * 2\n  return if bias { x * v + b } else { x * v }\n}\nplaceholder x: f32[batch, 2]\n";
    let p = good(&format!("{maybe}a = f(x)\nc = f(x, bias=false)\n"));
    assert_eq!(names(&p), ["a.b", "a.w", "a.v", "c.w", "c.v"]);
    let sources: Vec<_> = p.variables[4].init.sources.iter().map(|(_, s)| s.clone()).collect();
    assert!(matches!(sources[..], [Source::Variable(3)]), "{sources:?}");
    assert_eq!(p.prepare.len(), 5);
}

const COUNT: &str = "layer count(x) {\n  state n: f32 = zeros()\n  n <- n + 1\n  return x * (1 + 0 * n)\n}\n";

#[test]
fn a_step_updates_the_states_of_layers_that_it_depends_on() {
    let of = |text: &str| {
        let p = good(&format!("{COUNT}{DENSE}{DATA}{text}"));
        trains(&p).iter().map(|t| updated(t).join(" ")).collect::<Vec<_>>()
    };
    let two = "a = count(x)\nb = count(x)\ny = dense(a, 1)\nloss l = mean(y)\nloss m = mean(y) + mean(b)\n";
    let on = |l: &str| format!("train {l} on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 1\n}}\n");
    assert_eq!(of(&format!("{two}{}{}", on("l"), on("m"))), ["y.w y.b a.n", "y.w y.b a.n b.n"]);
    // Only where it is evaluated: no state moves.
    let eval = "y = dense(x, 1)\nz = if training { y } else { count(y) }\nloss l = mean(z)\n";
    assert_eq!(of(&format!("{eval}{TRAIN}")), ["y.w y.b"]);
    let eval = "y = dense(x, 1)\nz = if not training { y } else { count(y) }\nloss l = mean(z)\n";
    assert_eq!(of(&format!("{eval}{TRAIN}")), ["y.w y.b z.n"]);
    let p = good(&format!("{COUNT}{DENSE}y = count(x)\n"));
    assert_eq!(p.variables[0].kind, VariableKind::State);
}

#[test]
fn a_graph_that_evaluates_holds_nothing_of_training() {
    let norm = "layer norm(x) {\n  state m: f32[2] = zeros()\n  m <- m * 0.5 + tanh(mean(x, axis=0))\n\
  return if training { x - sin(x) } else { x - cos(m) }\n}\nlayer outer(x) {\n  inner = norm(x)\n  return relu(inner)\n}\n";
    let p = good(&format!("{norm}{DENSE}{DATA}y = outer(x)\nh = dense(y, 1)\nloss l = mean(h)\n{TRAIN}"));
    let ops = |function| {
        let report = &mut |_: &opt::Report, _: &crate::ir::graph::Function| {};
        let passes: Vec<&opt::Pass> = opt::PASSES.iter().collect();
        let done = opt::run(function, &passes, opt::Checks::default(), report).expect("no bug");
        done.function().graph.nodes.iter().map(|n| n.op.name).collect::<Vec<_>>()
    };
    let (eval, step) = (ops(driver::forward(&p)), ops(driver::step(&p, trains(&p)[0])));
    assert!(eval.contains(&"cos") && !eval.contains(&"sin") && !eval.contains(&"tanh"), "{eval:?}");
    assert!(step.contains(&"sin") && step.contains(&"tanh") && !step.contains(&"cos"), "{step:?}");
}

#[test]
fn mistakes_in_layers() {
    let d = |text: &str| format!("{DENSE}{text}");
    says(
        &d("y = dense(dense(x, 3), 4)\n"),
        &[
            "NN0129 there would be two layers or variables of the name `y`",
            "the first",
            "add `, name=\"y2\"`",
        ],
    );
    says(
        &d("y = x\nrepeat k in 0..2 {\n  y = dense(y, 2)\n  y = dense(y, 2)\n}\n"),
        &["NN0129", "`y.0`", "name=\"y2\""],
    );
    says(&d("variable h: f32[2] = ones()\ny = dense(x * h, 3, name=\"h\")\n"), &["NN0129", "`h`"]);
    says(
        &d("print dense(x, 3)\n"),
        &["NN0122 `dense` is called outside of a binding", "write `h = dense(x, 3)`"],
    );
    says(
        &d("fn f(x) {\n  h = dense(x, 3)\n  return h\n}\ny = f(x)\n"),
        &[
            "NN0122 `dense` makes variables, and `f` is no layer",
            "declare `layer f(…) { … return … }` instead",
        ],
    );
    says(&d("variable w: f32[2, 3] = dense(x, 3)\n"), &["NN0122"]);
    says(&d("y = dense(x, 3, name=\"a b\")\n"), &["NN0111 the name of a layer is a word such as \"fc1\""]);
    says(&d("layer f(x) { y = f(x) }\nz = f(x)\n"), &["NN0117 `f` calls itself"]);
    says(&d("layer f(x) { y = dense(x, 2) }\nz = f(x)\n"), &["NN0122 nothing is returned"]);
    says(
        &d("layer f(x) -> f32[rows, 3] { return dense(x, 2) }\nz = f(x)\n"),
        &["NN0109 the result is [batch, 2]"],
    );
    says(
        &d("layer f(x) {\n  x <- x + 1\n  return x\n}\nz = f(x)\n"),
        &["NN0130 `<-` needs a state of the layer"],
    );
    says(
        &d(
            "layer f(x) {\n  state n: f32 = zeros()\n  n <- n + 1\n  n <- n + 1\n  return x * n\n}\nz = f(x)\n",
        ),
        &["NN0130 `n` is assigned twice in one step"],
    );
    says(
        &d("layer f(x) {\n  state n: f32 = zeros()\n  n <- mean(x, axis=0)\n  return x * n\n}\nz = f(x)\n"),
        &["NN0130 `n` is f32, and this is f32[2]"],
    );
    // A layer that fails is told once.
    assert_eq!(
        codes(&d("y = dense(x, 3.5, name=\"low\")\nprint y.w, low.w\nloss l = mean(y)\n")),
        ["NN0112"]
    );
    assert_eq!(codes(&d("y = relu(dense(x @ x, 3, name=\"low\"))\nprint y.w, low.w\n")), ["NN0108"]);
}

#[test]
fn repeat_unrolls() {
    let p = good(&format!(
        "{DENSE}const N = 3\nh = x\ns = 0\nrepeat k in 0..N {{\n  a = dense(h, 2 + k)\n  h = a[:, 0:2]\n  s = s + k\n}}\n\
a = s\nprint a\n"
    ));
    assert_eq!(names(&p), ["a.0.w", "a.0.b", "a.1.w", "a.1.b", "a.2.w", "a.2.b"]);
    assert_eq!(p.graph.ty(p.variables[4].node).to_string(), "f32[2, 4]");
    let h: Vec<_> =
        p.graph.nodes.iter().filter_map(|n| n.name.as_deref()).filter(|n| n.starts_with('h')).collect();
    assert_eq!(h, ["h.0", "h.1", "h.2"]);
    // Nested, in a layer, in a function; an empty range does nothing.
    let nested = "layer tower(x) {\n  h = x\n  repeat i in 0..2 {\n    repeat j in 3..5 { h = dense(h, 2) }\n  }\n  return h\n}\n\
fn power(x, n: int) {\n  y = x\n  repeat i in 1..n { y = y * x }\n  return y\n}\n";
    let p = good(&format!("{DENSE}{nested}t = tower(x)\nu = power(x, 3)\nv = power(u, 0)\n"));
    assert_eq!(
        names(&p).join(" "),
        "t.h.0.3.w t.h.0.3.b t.h.0.4.w t.h.0.4.b t.h.1.3.w t.h.1.3.b t.h.1.4.w t.h.1.4.b"
    );
    assert_eq!(p.graph.nodes.iter().filter(|n| n.op.name == "mul").count(), 2);
    let p = good(&format!(
        "{DENSE}h = x\nrepeat k in 0..2 {{\n  variable v: f32[2] = ones()\n  h = h * v\n}}\ny = v.1 + v.0\n"
    ));
    assert_eq!(names(&p), ["v.0", "v.1"]);
}

#[test]
fn mistakes_in_repeat() {
    let x = "placeholder x: f32[batch, 2]\nh = x\n";
    let of = |text: &str| format!("{x}{text}");
    says(&of("repeat i in 0..2 { y = h * i }\nz = y\n"), &["NN0101 there is no `y`"]);
    says(&of("repeat i in 0..2 {\n  y = h\n  y = h * 2\n}\n"), &["NN0102 `y` has a meaning already"]);
    says(&of("repeat i in 0..2 { x = h }\n"), &["NN0102 `x` has a meaning already"]);
    says(&of("repeat h in 0..2 { y = h }\n"), &["NN0102 `h` has a meaning already"]);
    says(&of("repeat i in 0..2.5 { h = h + 1 }\n"), &["NN0112 a bound of `repeat` must be a whole number"]);
    says(&of("repeat i in 0..3 { h = h @ h }\nz = h + q\n"), &["NN0108", "NN0101 there is no `q`"]);
    assert_eq!(codes(&of("repeat i in 0..3 { h = h @ h }\nz = h[5]\n")), ["NN0108"]);
    // A function does not see what the `repeat` it is called in has bound.
    says(&of("fn f(x) = x * i\nrepeat i in 0..2 { h = f(h) }\n"), &["NN0101 there is no `i`"]);
    says(
        &of("fn f(x) {\n  repeat i in 0..2 { return x }\n}\ny = f(x)\n"),
        &["NN0122 `return` ends a function"],
    );
    for (text, good) in [("0..4999 { s = s + 1 }", true), ("0..1000000000 { s = s + 1 }", false)] {
        let text = format!("s = 0\nrepeat i in {text}\n");
        let told = elaborate(&text).err();
        assert_eq!(told.is_none(), good);
        assert!(told.is_none_or(|d| driver::exit_code(&d) == 5), "{text}");
    }
}

#[test]
fn tuples_come_from_functions_and_layers() {
    let p = good(&format!(
        "{DENSE}fn f(x) {{\n  return x * 2, (sum(x), 3)\n}}\nlayer g(x) {{\n  h = dense(x, 2)\n  return h, if training {{ (x, h) }} else {{ (h, x) }}\n}}\n\
a, b = f(x)\nc, d = b\ny = a * d + c\np, q = g(x)\nu, v = q\nz = u + v\nt = f(x)\nw = t[0] + 1\n"
    ));
    assert_eq!(names(&p), ["p.h.w", "p.h.b"]);
    assert_eq!(p.graph.nodes.iter().filter(|n| n.op.name == "by_mode").count(), 2);
    let of = |text: &str| format!("{DENSE}fn f(x) = (x, (x, 1))\n{text}");
    says(&of("a, b = f(x)\ny = b + 1\n"), &["NN0111 a tensor is expected here, not a tuple"]);
    says(&of("a, b, c = f(x)\n"), &["NN0111 3 names are bound to a group of 2"]);
    says(&of("a, b = x\n"), &["NN0111 2 names are bound to a tensor"]);
    says(&of("y = f(x) + 1\n"), &["NN0111 a tensor is expected here, not a tuple"]);
    says(&of("loss l = f(x)\n"), &["NN0111 a tensor is expected here, not a tuple"]);
    says(
        &of("fn g(x) -> f32[n, 2] = (x, x)\ny = g(x)\n"),
        &["NN0111 the result is a group of 2, not f32[n, 2]"],
    );
}

#[test]
fn a_training_after_another_has_its_own() {
    let p = good(&format!(
        "{DENSE}{DATA}h = dense(x, 3)\ny = dense(h, 1)\nloss l = mean(square(y))\nloss m = mean(y)\n\
train l on d {{\n  optimizer = adam(lr=0.1)\n  steps = 2\n  ema = 0.5\n}}\n\
train m on d {{\n  optimizer = momentum(lr=0.1)\n  steps = 2\n  wrt = y\n}}\n"
    ));
    let [a, b] = trains(&p)[..] else { panic!("two trainings") };
    assert_eq!(b.gradients.len(), 2);
    assert_eq!(b.states.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["y.w.v", "y.b.v"]);
    assert!(a.states.iter().any(|s| &*s.name == "h.w.ema") && a.states.iter().any(|s| &*s.name == "h.w.m"));
}

#[test]
fn the_layers_of_the_prelude_check() {
    let text = "placeholder x: f32[batch, 4]\nplaceholder i: i64[batch, 3]\n\
a = dense(x, 3) |> layer_norm(name=\"norm\") |> relu() |> dense(2, bias=false, init=he_normal, name=\"top\")\n\
b = batch_norm(reshape(x, [-1, 2, 2]))\ne = embedding(i, 10, 6)\ny: f32[batch, 3, 6] = e\n";
    let p = good(text);
    assert_eq!(names(&p).join(" "), "a.w a.b norm.gamma norm.beta top.w b.gamma b.beta b.mean b.var e.w");
    assert_eq!(p.trained().count(), 8);
    // They have the dtype of their input.
    let p = good("placeholder x: f64[batch, 4]\na = batch_norm(x)\ny = dense(a, 2)\n");
    assert!(p.variables.iter().all(|v| p.graph.ty(v.node).dtype == crate::scalar::DType::F64));
    says("placeholder x: i64[batch, 4]\ny = dense(x, 2)\n", &["NN0106 a variable of i64 cannot be trained"]);
}
