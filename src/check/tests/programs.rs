//! Programs that are right, and what they become.

use crate::check::program::{
    Action, ActionKind, Amount, CsvColumns, DataRef, Directive, FileFormat, Input, Length, Overrides, Piece,
    Program, Remainder, Source, Take, Train, Value, When,
};
use crate::check::tests::{elaborate, elaborate_with, good, shown};
use crate::interp;
use crate::ir::graph::{Graph, NodeId};
use crate::ir::verify;
use crate::prelude::{self, Kind};

const LESSON: &str = include_str!("lesson.nn");
const DATA: &str = "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\n\
placeholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\n";

fn train(text: &str) -> Train {
    let found = good(text).directives.into_iter().find_map(|d| match d {
        Directive::Train(t) => Some(*t),
        Directive::Action(_) => None,
    });
    let t = found.expect("a train directive");
    verify::check(&t.step).expect("the step is well formed");
    t
}

fn actions(p: &Program) -> Vec<&Action> {
    p.directives
        .iter()
        .filter_map(|d| match d {
            Directive::Action(a) => Some(a),
            Directive::Train(_) => None,
        })
        .collect()
}

fn ops(graph: &Graph, root: NodeId) -> Vec<&'static str> {
    let seen = graph.reachable([root]);
    graph.ids().filter(|i| seen[i.index()]).map(|i| graph.node(i).op.name).collect()
}

#[test]
fn the_lesson_becomes_one_step() {
    let t = train(LESSON);
    assert_eq!(t.gradients.iter().map(|(v, _)| *v).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(t.step.updates.len(), 2);
    assert_eq!(t.data.feeds, [(0, 0), (1, 1)]);
    assert_eq!(t.data.rows.iter().map(|r| &**r).collect::<Vec<_>>(), ["batch"]);
    assert_eq!(
        (t.batch, t.length, t.remainder, t.shuffle),
        (Some(8), Length::Steps(3000), Remainder::Keep, None)
    );
    assert!(t.states.is_empty());
    let guard = t.step.guard.expect("the loss is guarded");
    assert_eq!(t.step.results, [(guard.to_string().into(), guard)]);
    assert_eq!(t.events[0].when, When::EverySteps(500));
    assert!(matches!(t.events[0].actions[0].input, Input::On(_)));
    let names: Vec<&str> = t.step.graph.nodes.iter().filter_map(|n| n.name.as_deref()).collect();
    assert_eq!(names, ["x", "y_", "w1", "w2", "a", "y", "mse", "∂mse/∂w2", "∂mse/∂w1"]);
    let p = good(LESSON);
    assert_eq!(p.name, "test");
    let print = &actions(&p)[0].kind;
    let ActionKind::Print(lines) = print else { panic!("a print") };
    assert_eq!(lines.len(), 2);
    assert!(matches!(&lines[0].0[..], [Piece::Text(t), Piece::Value(Value::Node(_), None)] if t == "w1 = "));
}

#[test]
fn the_lessons_columns_are_small_graphs() {
    let p = good(LESSON);
    let [x, y] = p.datasets[0].columns.as_slice() else { panic!("two columns") };
    assert_eq!(x.ty.to_string(), "f32[n, 2]");
    assert!(matches!(&x.value.sources[..], [(_, Source::Draw { stream: 0, .. })]));
    let whole = DataRef { dataset: 0, split: None };
    assert!(matches!(&y.value.sources[..], [(_, Source::Column { data, column: 0 })] if *data == whole));
    assert_eq!(
        ops(&y.value.graph, y.value.root),
        ["placeholder", "slice", "slice", "add", "constant", "broadcast", "lt", "cast"]
    );
    let w = &p.variables[0].init;
    assert!(matches!(&w.sources[..], [(_, Source::Random { seed: Some(1), .. })]));
    assert_eq!(w.graph.ty(w.root).to_string(), "f32[2, 3]");
}

#[test]
fn every_prelude_definition_checks() {
    let head = "placeholder x: f32[batch, 3]\nplaceholder y: f32[batch, 3]\nplaceholder k: i64[batch]\n\
variable w: f32[3, 2] = zeros()\nfrozen variable s: f32[3, 12] = zeros()\n";
    for entry in prelude::all() {
        let name = entry.name;
        let text = match entry.kind {
            Kind::Fn => {
                let uses = match name {
                    "top_k_accuracy" => vec!["(x, k, k=2)"],
                    "accuracy" | "cross_entropy" => vec!["(x, k)", "(x, y)"],
                    "mse"
                    | "mae"
                    | "huber"
                    | "hinge"
                    | "binary_cross_entropy"
                    | "cross_entropy_probs"
                    | "kl_divergence" => vec!["(x, y)"],
                    "var" | "std" | "norm" => vec!["(x)", "(x, axis=0)", "(x, axis=1, keepdims=true)"],
                    "softmax" | "log_softmax" => vec!["(x)", "(x, axis=0)"],
                    "rnn_cell" => vec!["((x, s[:, 0:3]), y)"],
                    "lstm_cell" => vec!["((x, y, s), x @ s)"],
                    "gru_cell" => vec!["((x, s[:, 0:9], s[0, 0:9]), x @ s[:, 0:9])"],
                    "not_after" => vec!["(3)"],
                    _ => vec!["(x)"],
                };
                let carry = if name.ends_with("_cell") { "carry, " } else { "" };
                uses.iter().enumerate().map(|(i, u)| format!("{carry}v{i} = {name}{u}\n")).collect()
            }
            Kind::Initializer => {
                let args = if name == "constant" { "0.1" } else { "" };
                format!("variable v: f32[4, 2] = {name}({args})\n")
            }
            Kind::Optimizer | Kind::Schedule => {
                let rate = match name {
                    _ if entry.kind == Kind::Optimizer => "0.1",
                    "constant_rate" => "constant_rate(0.1)",
                    "step_decay" | "exponential_decay" => &format!("{name}(0.1, steps=20, rate=0.9)"),
                    "cosine" | "linear" => &format!("{name}(from=0.1, to=0.01, over=10)"),
                    "piecewise" => "piecewise([10, 20], [0.1, 0.01, 0.001])",
                    "warmup" => "warmup(cosine(from=0.1, to=0.01, over=10), over=5)",
                    other => panic!("a new schedule, {other}: add a use of it here"),
                };
                let optimizer = if entry.kind == Kind::Optimizer { name } else { "sgd" };
                format!(
                    "dataset d {{\n  x: f32[n, 3] = csv(\"a.csv\", columns=0:3)\n}}\nloss l = mean(square(x @ w))\n\
train l on d {{\n  optimizer = {optimizer}(lr={rate}, clip_value=1, clip_norm=5)\n  steps = 10\n}}\n"
                )
            }
            Kind::Layer => continue,
        };
        let p = elaborate(&format!("{head}{text}")).unwrap_or_else(|d| panic!("{name}\n{}", shown(&d)));
        assert!(p.warnings.is_empty(), "{name}\n{}", shown(&p.warnings));
        for d in &p.directives {
            if let Directive::Train(t) = d {
                verify::check(&t.step).unwrap_or_else(|e| panic!("{name}: {e:?}"));
                assert!(t.states.iter().all(|s| verify_computed(&s.init.graph)), "{name}");
            }
        }
    }
}

fn verify_computed(graph: &Graph) -> bool {
    let function = crate::ir::graph::Function { graph: graph.clone(), ..Default::default() };
    verify::check(&function).is_ok()
}

#[test]
fn options_of_an_optimizer_decide_its_states() {
    let states = |optimizer: &str| -> Vec<String> {
        let t = train(&format!("{DATA}train l on d {{\n  optimizer = {optimizer}\n  steps = 3\n}}\n"));
        t.states.iter().map(|s| s.name.to_string()).collect()
    };
    assert_eq!(states("rmsprop(lr=0.1)"), ["w.ms", "w.mom"]);
    assert_eq!(states("rmsprop(lr=0.1, centered=true)"), ["w.ms", "w.mg", "w.mom"]);
    assert_eq!(states("adam(lr=0.1)"), ["w.m", "w.v", "w.b1", "w.b2"]);
}

#[test]
fn an_optimizer_of_the_users_own_with_a_schedule_of_its_own() {
    let t = train(&format!(
        "schedule halving(start, every) = start * 0.5 ** floor(step / every)\n\
optimizer heavy_ball(lr, beta=0.9) for w, g {{\n  state v = zeros_like(w)\n  state unread = 0\n  old = v\n  v <- beta * v + g\n  w <- w - lr * v\n  unread <- unread + sum(old)\n}}\n\
{DATA}train l on d {{\n  optimizer = heavy_ball(lr=halving(0.1, every=10))\n  steps = 3\n}}\n"
    ));
    assert_eq!(t.states.len(), 1);
    assert_eq!(t.step.updates.len(), 2);
}

#[test]
fn averages_are_read_after_and_inside_the_train_that_keeps_them() {
    let text = format!(
        "{DATA}train l on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 3\n  ema = 0.99\n  ema_warmup = true\n  at end print w.ema\n}}\nprint w.ema\n"
    );
    let t = train(&text);
    assert_eq!(&*t.states[0].name, "w.ema");
    assert!(matches!(t.states[0].init.sources[..], [(_, Source::Variable(0))]));
    let p = good(&text);
    assert_eq!(p.graph.node(t.states[0].node).op.name, "state");
    assert_eq!(
        elaborate(&format!("{DATA}print w.ema\n")).map(|_| ()).map_err(|d| d.0[0].code.code),
        Err("NN0124")
    );
}

#[test]
fn only_what_the_forward_pass_must_deliver_is_a_result() {
    let t = train(&format!(
        "{DATA}metric big = max(abs(x))\ntrain l on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 3\n  every 1 step print \"{{l}} {{big}} {{w}} {{step}}\"\n}}\n"
    ));
    assert_eq!(t.step.results.len(), 2, "{:?}", t.step.results);
}

#[test]
fn a_feed_of_the_train_wins_over_the_files() {
    let data = "dataset d {\n  a: f32[n, 2] = csv(\"a.csv\", columns=0:2)\n  b: f32[n, 2] = csv(\"a.csv\", columns=2:4)\n  x: f32[n, 2] = a + b\n}\n\
placeholder x: f32[batch, 2]\nvariable w: f32[2] = ones()\nloss l = mean(x * w)\n";
    let feeds = |text: String| train(&text).data.feeds;
    let train_with = |s: &str, feed: &str| {
        format!("{data}{s}train l on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 1\n{feed}}}\n")
    };
    assert_eq!(feeds(train_with("", "")), [(0, 2)]);
    assert_eq!(feeds(train_with("feed x = a\n", "")), [(0, 0)]);
    assert_eq!(feeds(train_with("feed x = a\n", "  feed x = d.b\n")), [(0, 1)]);
}

#[test]
fn csv_and_splits() {
    let p = good(
        "dataset digits {\n  image: f32[n, 64] = csv(\"digits.csv\", columns=0:64) / 16\n  label: i64[n] = csv(\"digits.csv\", columns=64)\n  split fit = first(1500)\n  split valid = random(0.5, seed=8)\n  split test = rest()\n}\n",
    );
    let d = &p.datasets[0];
    assert_eq!(
        d.splits.iter().map(|s| s.take).collect::<Vec<_>>(),
        [Take::First(Amount::Count(1500)), Take::Random(Amount::Fraction(0.5), Some(8)), Take::Rest]
    );
    assert_eq!(d.columns[1].ty.to_string(), "i64[n]");
    assert_eq!(d.columns[1].value.graph.ty(d.columns[1].value.root).to_string(), "f64[n]");
    let [(_, Source::File(file))] = &d.columns[0].value.sources[..] else { panic!("a csv") };
    assert_eq!(file.format, FileFormat::Csv { columns: CsvColumns::Range(0, Some(64)), header: false });
}

#[test]
fn overrides_replace_constants() {
    let set = |name: &str, value: &str| Overrides {
        set: vec![(name.to_string(), value.to_string())],
        seed: Some(9),
    };
    let p = elaborate_with("seed 3\nconst A = 2\nconst B = A * 3\nprint \"{B}\"\n", &set("A", "5"))
        .expect("good");
    assert_eq!(p.seed, 9);
    let ActionKind::Print(lines) = &actions(&p)[0].kind else { panic!("a print") };
    assert!(matches!(&lines[0].0[..], [Piece::Value(Value::Text(t), None)] if t == "15"));
    let e = elaborate_with("const ALPHA = 2\n", &set("ALPA", "5")).expect_err("no such constant");
    assert_eq!(e.0[0].code.code, "NN0125");
    assert_eq!(e.0[0].fix.as_ref().map(|f| f.english()).as_deref(), Some("did you mean `ALPHA`?"));
}

/// The value of the last binding, by the oracle; every leaf must be constant.
fn value(text: &str) -> Vec<f64> {
    let p = good(&format!("{text}\nprint result\n"));
    let ActionKind::Print(lines) = &actions(&p)[0].kind else { panic!("a print") };
    match lines[0].0.last() {
        Some(Piece::Value(Value::Node(id), None)) => {
            let function = crate::ir::graph::Function {
                name: "test".into(),
                graph: p.graph.clone(),
                results: vec![("result".into(), *id)],
                ..Default::default()
            };
            verify::check(&function).expect("well formed");
            let out = interp::eval(&p.graph, &[*id], &interp::Bindings::default()).expect("no fault");
            out[0].iter().copied().collect()
        }
        Some(Piece::Value(Value::Number(x), None)) => vec![*x],
        Some(Piece::Value(Value::Text(t), None)) => vec![t.parse().expect("a number")],
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_fold_exactly() {
    assert_eq!(
        value("const N = 2 ** 40\nresult = (N * 3 - 1) % 7"),
        [((1i64 << 40) * 3 - 1).rem_euclid(7) as f64]
    );
    assert_eq!(value("result = -7 // 2"), [-4.0]);
    assert_eq!(value("result = sqrt(6 / (2 + 4))"), [1.0]);
    assert_eq!(value("result = if 1 + 1 == 2 and not false { 3 } else { 4 }"), [3.0]);
    assert_eq!(value("s = [2, 3]\nresult = s[0] * s[-1]"), [6.0]);
    assert_eq!(value("fn f(a, k=3) = a * k\nresult = f(2) + f(2, k=1) + f(k=2, a=1)"), [10.0]);
    assert_eq!(value("fn f(a) {\n  b, c = (a + 1, a * 2)\n  return b * c\n}\nresult = 3 |> f()"), [24.0]);
}

#[test]
fn indexing_is_numpys() {
    let t = "t = cast([[1, 2, 3], [4, 5, 6]], f32)\n";
    assert_eq!(value(&format!("{t}result = t[1]")), [4.0, 5.0, 6.0]);
    assert_eq!(value(&format!("{t}result = t[:, -1]")), [3.0, 6.0]);
    assert_eq!(value(&format!("{t}result = t[0, ::-2]")), [3.0, 1.0]);
    assert_eq!(value(&format!("{t}result = t[-1, 1:3]")), [5.0, 6.0]);
    assert_eq!(value(&format!("{t}result = (t.T)[0]")), [1.0, 4.0]);
    assert_eq!(
        value(&format!(
            "{t}result = sum(broadcast(t[:, None, 0:2], [2, 2, 2]) * t[None, :, 0:2], axis=-1)[0]"
        )),
        [5.0, 14.0]
    );
    assert_eq!(value(&format!("{t}result = t.shape[0] * t.shape[1]")), [6.0]);
    assert_eq!(value(&format!("{t}result = reshape(t, [3, -1])[2]")), [5.0, 6.0]);
    assert_eq!(value(&format!("{t}result = take(t, [1, 0], axis=0)[:, 0]")), [4.0, 1.0]);
}

#[test]
fn gradients_are_expressions() {
    let x = "x = cast([1, 2, 3], f32)\n";
    assert_eq!(value(&format!("{x}result = grad(sum(x ** 3), x)")), [3.0, 12.0, 27.0]);
    assert_eq!(
        value(&format!("{x}g = grad(sum(x ** 3), x)\nresult = grad(sum(g * g), x)")),
        [36.0, 288.0, 972.0]
    );
    assert_eq!(value(&format!("{x}result = grad(sum(x * stop_gradient(x)), x)")), [1.0, 2.0, 3.0]);
    assert_eq!(
        value(&format!("{x}y = x * 2\na, b = grad(sum(x * y), [x, y])\nresult = a - b")),
        [3.0, 6.0, 9.0]
    );
}

#[test]
fn a_stated_derivative_replaces_the_derived_one() {
    let f = "fn f(a, k) = a * a * k\n  derivative a: 100 + 0 * a\nx = cast([1, 2], f32)\n";
    assert_eq!(value(&format!("{f}result = f(x, 3)")), [3.0, 12.0]);
    assert_eq!(value(&format!("{f}result = grad(sum(f(x, 3)), x)")), [100.0, 100.0]);
    assert_eq!(value(&format!("{f}result = grad(sum(f(3, x)), x)")), [9.0, 9.0]);
    let soft = "x = cast([-1, 0, 2], f32)\nresult = grad(sum(softplus(x)), x) - sigmoid(x)\n";
    assert_eq!(value(soft), [0.0, 0.0, 0.0]);
    // The second derivative is that of the stated one.
    let second = "x = cast([0], f32)\ng = grad(sum(softplus(x)), x)\nresult = grad(sum(g), x)\n";
    assert_eq!(value(second), [0.25]);
}

#[test]
fn training_chooses_a_branch_per_function() {
    let t = train(
        "dataset d {\n  x: f32[n, 2] = csv(\"a.csv\", columns=0:2)\n}\nplaceholder x: f32[batch, 2]\nvariable w: f32[2] = ones()\n\
y = if training { x * w } else { x }\nloss l = mean(y)\ntrain l on d {\n  optimizer = sgd(lr=0.1)\n  steps = 1\n}\n",
    );
    let mode = t.step.graph.nodes.iter().find(|n| n.op.name == "by_mode").expect("both branches");
    assert!(mode.attrs.flag("training"));
}

#[test]
fn slices_of_symbolic_sizes_become_requirements() {
    let p = good("placeholder x: f32[batch, 2]\na: f32[4, 2] = x[0:4]\nb = x[-2:]\nc = x[1:]\n");
    let wanted: Vec<String> = p.requirements.iter().map(|r| format!("{} >= {}", r.dim, r.at_least)).collect();
    assert_eq!(wanted, ["batch >= 4", "batch >= 2", "batch >= 1"]);
}

#[test]
fn a_file_may_hide_the_prelude_which_keeps_its_own() {
    assert_eq!(value("fn square(x) = x * 100\nx = cast([2], f32)\nresult = l2(x) + sum(square(x))"), [204.0]);
    good(
        "placeholder y: f32[batch]\nplaceholder t: f32[batch]\nloss mse = mse(y, t)\nmetric accuracy = mean(y)\n",
    );
    good("loss loss = sum(cast([1, 2], f32))\nseed = 3\nsteps = seed + 1\n");
}
