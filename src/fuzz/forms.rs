//! THE TABLE OF FORMS: what a random program is made of. A row is a name and a function that binds one more value, or
//! finds that the values so far do not fit it. Adding one is adding a row.

use crate::fuzz::program::{Growing, Size, Statement, Value, shape_text};

type Form = (&'static str, fn(&mut Growing<'_, '_>) -> Option<Value>);

pub static FORMS: [Form; 24] = [
    ("dense", dense),
    ("elementwise", elementwise),
    ("domain", domain),
    ("binary", binary),
    ("broadcast", broadcast),
    ("matmul", matmul),
    ("gram", gram),
    ("batched matmul", batched),
    ("reduce", reduce),
    ("reduce all", reduce_all),
    ("normalise", normalise),
    ("softmax", softmax),
    ("reshape", reshape),
    ("transpose", transpose),
    ("slice", slice),
    ("join", join),
    ("pad", pad),
    ("look up", look_up),
    ("where", select),
    ("image", image),
    ("function", function),
    ("repeat", repeat),
    ("layer", layer),
    ("second derivative", second),
];

fn dense(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let k = Growing::number(v.shape[1])?;
    let n = g.size();
    let (w, b) = (g.variable(&[k, n]), g.variable(&[n]));
    let f = *g.choices.pick(&["tanh", "sigmoid", "relu", "gelu", "silu", "softplus", "elu", "leaky_relu"]);
    g.bind(vec![v.shape[0], Size::N(n)], format!("{f}({} @ {} + {})", v.name, w.name, b.name))
}

fn elementwise(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let f = *g.choices.pick(&[
        "tanh(V)",
        "sigmoid(V)",
        "sin(V)",
        "cos(V)",
        "abs(V)",
        "-V",
        "V ** 2 * 0.5",
        "tanh(V) ** 3",
        "maximum(V, 0.1)",
        "minimum(V, 0.2)",
        "clip(V, -0.7, 0.9)",
        "erf(V)",
        "exp(tanh(V))",
        "expm1(tanh(V))",
        "V * stop_gradient(V) * 0.5",
        "sign(V) * V",
        "round(V) + V",
        "floor(V) - V",
    ]);
    let first = g.bind(v.shape.clone(), f.replace('V', &v.name))?;
    // Ops meet ops: some more of them.
    if g.choices.below(3) == 0 { Some(first) } else { elementwise(g).or(Some(first)) }
}

fn domain(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let f = *g.choices.pick(&[
        "log(abs(V) + 0.5)",
        "sqrt(abs(V) + 0.25)",
        "rsqrt(V ** 2 + 1)",
        "log1p(abs(V))",
        "1 / (1 + V ** 2)",
        "V / (2 + cos(V))",
    ]);
    g.bind(v.shape.clone(), f.replace('V', &v.name))
}

fn binary(g: &mut Growing<'_, '_>) -> Option<Value> {
    let a = g.any();
    let same: Vec<Value> = g.values.iter().filter(|v| v.shape == a.shape).cloned().collect();
    let b = g.choices.pick(&same).clone();
    let f =
        *g.choices.pick(&["A + B", "A - B", "A * B", "A / (1 + abs(B))", "maximum(A, B)", "minimum(A, B)"]);
    g.bind(a.shape.clone(), f.replace('A', &a.name).replace('B', &b.name))
}

fn broadcast(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let (last, before) = v.shape.split_last()?;
    let n = Growing::number(*last)?;
    let op = *g.choices.pick(&["+", "*", "-"]);
    match g.choices.below(3) {
        0 => {
            let w = g.variable(&[n]);
            g.bind(v.shape.clone(), format!("{} {op} {}", v.name, w.name))
        }
        1 => {
            let axis = before.len();
            g.bind(v.shape.clone(), format!("{0} {op} mean({0}, axis={axis}, keepdims=true)", v.name))
        }
        _ => {
            let w = g.variable(&[]);
            g.bind(v.shape.clone(), format!("{} {op} {}", v.name, w.name))
        }
    }
}

fn matmul(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let k = Growing::number(v.shape[1])?;
    let n = g.size();
    let out = vec![v.shape[0], Size::N(n)];
    if g.choices.below(2) == 0 {
        let w = g.variable(&[k, n]);
        g.bind(out, format!("tanh({} @ {})", v.name, w.name))
    } else {
        let w = g.variable(&[n, k]);
        g.bind(out, format!("tanh({} @ {}.T)", v.name, w.name))
    }
}

fn gram(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let (a, b) = (v.shape[0], v.shape[1]);
    match g.choices.below(2) {
        0 => g.bind(vec![b, b], format!("tanh(0.3 * ({0}.T @ {0}))", v.name)),
        _ => g.bind(vec![a, a], format!("tanh(0.3 * ({0} @ {0}.T))", v.name)),
    }
}

fn batched(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(3)?;
    let k = Growing::number(v.shape[2])?;
    if g.choices.below(2) == 0 {
        let n = g.size();
        let w = g.variable(&[k, n]);
        return g.bind(vec![v.shape[0], v.shape[1], Size::N(n)], format!("tanh({} @ {})", v.name, w.name));
    }
    let out = vec![v.shape[0], v.shape[1], v.shape[1]];
    g.bind(out, format!("tanh({0} @ transpose({0}, [0, 2, 1]))", v.name))
}

fn reduce(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let rank = v.shape.len();
    if rank == 0 {
        return None;
    }
    let axis = g.choices.below(rank);
    let f = *g.choices.pick(&["mean", "sum", "max", "min", "logsumexp", "prod", "var"]);
    let keep = g.choices.below(2) == 1;
    let mut shape = v.shape.clone();
    if keep {
        shape[axis] = Size::N(1);
    } else {
        shape.remove(axis);
    }
    let keeps = if keep { ", keepdims=true" } else { "" };
    g.bind(shape, format!("{f}(tanh({}), axis={axis}{keeps})", v.name))
}

fn reduce_all(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let f = *g.choices.pick(&["mean", "max", "logsumexp", "norm"]);
    let inside = if f == "norm" { format!("{} + 2", v.name) } else { v.name.clone() };
    g.bind(vec![], format!("tanh({f}({inside}))"))
}

fn normalise(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let axis = g.choices.below(2);
    let f = *g.choices.pick(&["mean", "max"]);
    let text = format!(
        "({0} - {f}({0}, axis={axis}, keepdims=true)) / (1 + std({0} + 0 * sin({0}), axis={axis}, keepdims=true) ** 2)",
        v.name
    );
    let text = text.replace("std(", "var(").replace(" ** 2)", ")");
    g.bind(v.shape.clone(), text)
}

fn softmax(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    if v.shape.is_empty() {
        return None;
    }
    let axis = g.choices.below(v.shape.len());
    let f = *g.choices.pick(&["softmax", "log_softmax"]);
    g.bind(v.shape.clone(), format!("{f}({}, axis={axis})", v.name))
}

fn reshape(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let mut shape = v.shape.clone();
    match g.choices.below(3) {
        0 => shape.insert(g.choices.below(v.shape.len() + 1), Size::N(1)),
        1 if shape.len() >= 2 => {
            let b = Growing::number(shape.pop()?)?;
            let a = Growing::number(shape.pop()?)?;
            shape.push(Size::N(a * b));
        }
        _ => {
            let n = Growing::number(shape.pop()?)?;
            let d = (2..=n).find(|d| n.is_multiple_of(*d))?;
            shape.extend([Size::N(d), Size::N(n / d)]);
        }
    }
    let text = shape_text(&shape);
    g.bind(shape, format!("reshape({}, {text})", v.name))
}

fn transpose(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let rank = v.shape.len();
    if rank < 2 {
        return None;
    }
    if rank == 2 {
        return g.bind(vec![v.shape[1], v.shape[0]], format!("{}.T", v.name));
    }
    let turn = 1 + g.choices.below(rank - 1);
    let axes: Vec<usize> = (0..rank).map(|i| (i + turn) % rank).collect();
    let shape = axes.iter().map(|a| v.shape[*a]).collect();
    g.bind(shape, format!("transpose({}, {axes:?})", v.name))
}

fn slice(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let (last, before) = v.shape.split_last()?;
    let n = Growing::number(*last)?;
    let whole = ":, ".repeat(before.len());
    let mut shape = before.to_vec();
    let index = match g.choices.below(4) {
        0 => {
            let from = g.choices.below(n);
            shape.push(Size::N(n - from));
            format!("{from}:")
        }
        1 => {
            shape.push(Size::N(n));
            "::-1".to_string()
        }
        2 => {
            shape.push(Size::N(n.div_ceil(2)));
            "::2".to_string()
        }
        _ => g.choices.below(n).to_string(),
    };
    g.bind(shape, format!("{}[{whole}{index}]", v.name))
}

fn join(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let (last, before) = v.shape.split_last()?;
    let n = Growing::number(*last)?;
    match g.choices.below(3) {
        0 => {
            let mut shape = before.to_vec();
            shape.push(Size::N(2 * n));
            g.bind(shape, format!("concat([{0}, tanh({0})], axis={1})", v.name, before.len()))
        }
        1 => {
            let at = g.choices.below(v.shape.len() + 1);
            let mut shape = v.shape.clone();
            shape.insert(at, Size::N(2));
            g.bind(shape, format!("stack([{0}, 0.5 * {0}], axis={at})", v.name))
        }
        _ => {
            let axis = before.len();
            let reverse = if g.choices.below(2) == 1 { ", reverse=true" } else { "" };
            g.bind(v.shape.clone(), format!("tanh(cumsum({}, axis={axis}{reverse}))", v.name))
        }
    }
}

fn pad(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let n = Growing::number(v.shape[1])?;
    let (before, after) = (g.choices.below(3), g.choices.below(3));
    let shape = vec![v.shape[0], Size::N(n + before + after)];
    g.bind(shape, format!("pad({}, [[0, 0], [{before}, {after}]], value=0.5)", v.name))
}

fn look_up(g: &mut Growing<'_, '_>) -> Option<Value> {
    let (classes, n) = (g.model.classes, g.size());
    match g.choices.below(3) {
        0 => {
            let w = g.variable(&[classes, n]);
            g.bind(vec![Size::Batch, Size::N(n)], format!("take({}, k0)", w.name))
        }
        1 => {
            let dtype = g.model.dtype;
            g.bind(vec![Size::Batch, Size::N(classes)], format!("cast(one_hot(k0, {classes}), {dtype})"))
        }
        _ => {
            let v = g.of_rank(2).filter(|v| v.shape[0] == Size::Batch)?;
            let shape = vec![Size::N(classes), v.shape[1]];
            g.bind(shape, format!("tanh(scatter_add({}, k0, {classes}))", v.name))
        }
    }
}

fn select(g: &mut Growing<'_, '_>) -> Option<Value> {
    let a = g.any();
    let same: Vec<Value> = g.values.iter().filter(|v| v.shape == a.shape).cloned().collect();
    let b = g.choices.pick(&same).clone();
    let f = *g.choices.pick(&[
        "where(A > B, A, 2 * B)",
        "where(A <= 0.1 and B != 0, A, B)",
        "where(not (A < B), log(abs(A) + 1), B)",
        "if training { A } else { B }",
    ]);
    g.bind(a.shape.clone(), f.replace('A', &a.name).replace('B', &b.name))
}

fn image(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = match g.of_rank(4) {
        Some(v) => v,
        None => {
            let v = g.of_rank(2).filter(|v| v.shape[0] == Size::Batch)?;
            let w = g.variable(&[Growing::number(v.shape[1])?, 16]);
            let shape = vec![Size::Batch, Size::N(4), Size::N(2), Size::N(2)];
            g.bind(shape.clone(), format!("reshape(tanh({} @ {}), {})", v.name, w.name, shape_text(&shape)))?
        }
    };
    let (Size::Batch, Size::N(h), Size::N(w), Size::N(c)) = (v.shape[0], v.shape[1], v.shape[2], v.shape[3])
    else {
        return None;
    };
    let f = g.choices.below(3);
    if f == 0 {
        let n = 1 + g.choices.below(3);
        let k = g.variable(&[2, 2, c, n]);
        let shape = vec![Size::Batch, v.shape[1], v.shape[2], Size::N(n)];
        return g.bind(shape, format!("tanh(conv2d({}, {}, padding=\"same\"))", v.name, k.name));
    }
    if h < 2 || w < 2 {
        return None;
    }
    let pool = if f == 1 { "max_pool2d" } else { "avg_pool2d" };
    g.bind(vec![Size::Batch, Size::N(h / 2), Size::N(w / 2), Size::N(c)], format!("{pool}({})", v.name))
}

fn function(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.any();
    let name = g.name('u');
    let body = *g.choices.pick(&[
        "NAME(a, s=0.5) = tanh(s * a) + a ** 2 * 0.1",
        "NAME(a, s=2) {\n  b = sigmoid(a) * s\n  return b - 0.5 * a\n}",
        "NAME(a) = if a.rank == 2 { tanh(a) } else { sin(a) }",
    ]);
    g.model.functions.push(format!("fn {}", body.replace("NAME", &name)));
    let call = if g.choices.below(2) == 0 {
        format!("{name}({})", v.name)
    } else {
        format!("{} |> {name}()", v.name)
    };
    g.bind(v.shape.clone(), call)
}

fn repeat(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let k = Growing::number(v.shape[1])?;
    let times = *g.choices.pick(&[2, 0, 1, 3]);
    let w = g.variable(&[k, k]);
    let out = g.bind(v.shape.clone(), format!("{} * 1", v.name))?;
    let body = format!("{0} = tanh({0} @ {1}) + i * 0.1", out.name, w.name);
    g.model.statements.push(Statement::Repeat { times, body });
    Some(out)
}

fn layer(g: &mut Growing<'_, '_>) -> Option<Value> {
    g.model.keyed = true;
    if let Some(v) = g.of_rank(3).filter(|v| v.shape[0] == Size::Batch && g.choices.below(2) == 0) {
        Growing::number(v.shape[1]).and(Growing::number(v.shape[2]))?;
        let n = g.size();
        let kind = *g.choices.pick(&["gru", "rnn", "lstm"]);
        return g.bind(vec![v.shape[0], v.shape[1], Size::N(n)], format!("{kind}({}, {n})", v.name));
    }
    let v = g.of_rank(2).filter(|v| v.shape[0] == Size::Batch)?;
    Growing::number(v.shape[1])?;
    let n = g.size();
    let (text, last) = match g.choices.below(4) {
        0 => (format!("tanh(dense({}, {n}))", v.name), Size::N(n)),
        1 => (format!("batch_norm({})", v.name), v.shape[1]),
        2 => (format!("layer_norm({}, epsilon=0.1)", v.name), v.shape[1]),
        _ => (format!("dropout({}, 0.3)", v.name), v.shape[1]),
    };
    g.bind(vec![v.shape[0], last], text)
}

fn second(g: &mut Growing<'_, '_>) -> Option<Value> {
    let v = g.of_rank(2)?;
    let k = Growing::number(v.shape[1])?;
    let w = g.variable(&[k, 2]);
    let inner = format!("grad(mean(tanh({} @ {}) ** 2), {})", v.name, w.name, w.name);
    g.bind(vec![Size::N(k), Size::N(2)], format!("tanh(2 * {inner})"))
}
