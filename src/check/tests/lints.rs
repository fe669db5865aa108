//! Each lint on programs that have the mistake, and on near misses that have not.

use super::{elaborate, shown};
use crate::diag::codes::lint;
use crate::diag::{Code, Diagnostic};
use crate::lang::Text;

/// The warnings of a program in which these lines stand above `loss l = …`.
fn warnings(lines: &str, loss: &str) -> Vec<Diagnostic> {
    let text = format!(
        "rng r = numpy(1)\ndataset d {{\n  x: f32[n, 4] = r.uniform([32, 4])\n  y: f32[n, 4] = r.uniform([32, 4])\n  \
         t: i64[n] = r.integers(0, 4, [32])\n}}\nplaceholder x: f32[batch, 4]\nplaceholder y: f32[batch, 4]\n\
         placeholder t: i64[batch]\nvariable w: f32[4, 4] = normal()\nz = x @ w\n{lines}\nloss l = {loss}\n\
         train l on d {{\n  optimizer = adam(lr=cosine(from=0.1, to=0.01, over=100))\n  steps = 10\n}}\n"
    );
    let program = elaborate(&text).unwrap_or_else(|d| panic!("{text}\n{}", shown(&d)));
    program.warnings.0
}

fn finds(code: Code, lines: &str, loss: &str, fix: &str) {
    let found = warnings(lines, loss);
    let codes: Vec<&str> = found.iter().map(|d| d.code.code).collect();
    assert_eq!(codes, [code.code], "{lines}\n{loss}\n{found:#?}");
    assert_eq!(found[0].fix.as_ref().map(Text::english).as_deref(), Some(fix), "{lines}\n{loss}");
}

fn clean(lines: &str, loss: &str) {
    let found = warnings(lines, loss);
    assert!(found.is_empty(), "{lines}\n{loss}\n{found:#?}");
}

/// The fix of a lint, put in the place of the loss, is clean.
#[test]
fn softmaxed_logits() {
    for (lines, loss, fix) in [
        ("", "cross_entropy(softmax(z), y)", "write `cross_entropy(z, y)`"),
        ("", "cross_entropy(softmax(x @ w), t)", "write `cross_entropy(x @ w, t)`"),
        ("p = softmax(z)", "cross_entropy(p, t)", "write `cross_entropy(z, t)`"),
        ("p = z |> softmax()", "2 * cross_entropy(p, t)", "write `cross_entropy(z, t)`"),
        ("p = log_softmax(z)", "cross_entropy(p, t)", "write `cross_entropy(z, t)`"),
        ("p = sigmoid(z)", "cross_entropy(p, y)", "write `cross_entropy(z, y)`"),
        (
            "e = exp(z)\np = e / sum(e, axis=1, keepdims=true)",
            "cross_entropy(p, y)",
            "write `cross_entropy(z, y)`",
        ),
        ("", "cross_entropy(reshape(softmax(z), [batch, 4]), y)", "write `cross_entropy(z, y)`"),
        ("p = sigmoid(z)", "binary_cross_entropy(p, y)", "write `binary_cross_entropy(z, y)`"),
        ("fn pay(p) = cross_entropy(p, y)", "pay(softmax(z))", "write `cross_entropy(z, y)`"),
    ] {
        finds(&lint::SOFTMAXED, lines, loss, fix);
    }
    for (lines, loss) in [
        ("", "cross_entropy(z, y)"),
        ("p = softmax(z)", "cross_entropy_probs(p, y)"),
        ("p = sigmoid(z)", "cross_entropy_probs(p, y)"),
        ("p = softmax(z)", "mse(p, y)"),
        // Attention: the softmax is inside, not at the end.
        ("p = softmax(z) @ x.T @ x", "cross_entropy(p, y)"),
        ("p = 5 * softmax(z)", "cross_entropy(p, y)"),
        ("e = exp(z)\np = e / sum(exp(2 * z), axis=1, keepdims=true)", "cross_entropy(p, y)"),
        // The labels may well be probabilities.
        ("teacher = stop_gradient(softmax(2 * z))", "cross_entropy(z, softmax(y))"),
        ("p = tanh(z)", "cross_entropy(p, y)"),
        // One's own loss of this name may take what it likes.
        ("fn cross_entropy(p, y) = mse(p, y)", "cross_entropy(softmax(z), y)"),
    ] {
        clean(lines, loss);
    }
}

#[test]
fn log_of_a_possible_zero() {
    for (lines, loss, fix) in [
        ("p = softmax(z)", "-mean(y * log(p))", "write `log_softmax(z)`"),
        ("", "-mean(y * log(softmax(x @ w)))", "write `log_softmax(x @ w)`"),
        ("", "-mean(y * log(sigmoid(z)))", "write `-softplus(-z)`"),
        ("", "-mean(y * log(sigmoid(x @ w)))", "write `-softplus(-(x @ w))`"),
        ("p = sigmoid(z)", "-mean(y * log(1 - p))", "write `-softplus(z)`"),
        ("p = softmax(z)", "mean(log(1 - p) * y)", "write `log(clip(1 - p, 1e-12, 1))`"),
        ("e = exp(z)", "mean(log(e / sum(e, axis=1, keepdims=true)) * y)", "write `log_softmax(z)`"),
        (
            "p = softmax(z)",
            "-mean(log(sum(p * one_hot(t, 4), axis=1)))",
            "write `log(clip(sum(p * one_hot(t, 4), axis=1), 1e-12, 1))`",
        ),
        ("h = relu(z)", "mean(log(h))", "write `log(maximum(h, 1e-12))`"),
        ("h = abs(z)", "mean(h |> log())", "write `log(maximum(h, 1e-12))`"),
        ("", "mean(log(square(z)))", "write `log(maximum(square(z), 1e-12))`"),
        ("", "mean(log(z * z))", "write `log(maximum(z * z, 1e-12))`"),
        ("", "mean(log(x) * z)", "write `log(maximum(x, 1e-12))`"),
        ("n = cast(t, f32)", "mean(log(n)[:, None] * z)", "write `log(maximum(n, 1e-12))`"),
        ("", "mean(log(clip(softmax(z), 0, 1)))", "write `log(maximum(clip(softmax(z), 0, 1), 1e-12))`"),
        ("fn nll(p, y) = -mean(y * log(p))", "nll(softmax(z), y)", "write `log_softmax(z)`"),
    ] {
        finds(&lint::LOG_OF_ZERO, lines, loss, fix);
    }
    for (lines, loss) in [
        ("p = softmax(z)", "-mean(y * log(clip(p, 1e-12, 1)))"),
        ("p = softmax(z)", "-mean(y * log(p + 1e-8))"),
        ("p = softmax(z)", "-mean(y * log(maximum(p, 1e-8)))"),
        ("", "-mean(y * log(1e-8 + relu(z)))"),
        ("", "mean(log(x + 1) * z)"),
        ("", "mean(log(1 + square(z)))"),
        ("", "mean(log(exp(z) + 1))"),
        ("", "mean(log(sum(exp(z), axis=1)))"),
        ("", "mean(log1p(exp(z)))"),
        // A scale of a distribution, as people write it.
        ("s = softplus(z)", "mean(log(s) + square(y) / s)"),
        ("s = sqrt(var(z) + 1e-5)", "mean(log(s) + z)"),
        ("", "log(mean(square(z - y)))"),
        ("", "mean(log(z))"),
        // Masked: what is not taken costs nothing.
        ("p = softmax(z)", "mean(where(p > 0, p * log(p), 0))"),
        ("p = softmax(z)", "mean(log(where(p > 0, p, 1)))"),
        ("", "cross_entropy(z, y) + binary_cross_entropy(z, y) + cross_entropy_probs(softmax(z), y)"),
        ("p = softmax(z)", "kl_divergence(p, softmax(y))"),
        // The derivative of a power holds a logarithm that nobody wrote.
        ("u = mean(square(w) ** w)", "u + sum(grad(u, w)) + mean(z)"),
    ] {
        clean(lines, loss);
    }
    // A mask at one use is none at another.
    finds(
        &lint::LOG_OF_ZERO,
        "p = softmax(z)\ng = log(p)",
        "mean(where(p > 0, g, 0)) + mean(g)",
        "write `log_softmax(z)`",
    );
}

#[test]
fn layers_without_a_non_linearity() {
    const V: &str = "variable v: f32[4, 4] = normal()\n";
    const B: &str = "variable v: f32[4, 4] = normal()\nvariable b: f32[4] = zeros()\n";
    for (lines, loss, through) in [
        (V, "mse(z @ v, y)", "z"),
        (V, "mse(x @ w @ v, y)", "x @ w"),
        (B, "mse((z + b) @ v + b, y)", "z + b"),
        (B, "mse(-z[:, 0:3] / 2 @ v[0:3, :] + b, y)", "…"),
        (V, "mse((x + z) @ v, y)", "x + z"),
        (
            "variable v: f32[4, 4] = normal()\nfrozen variable u: f32[4, 4] = normal()\n",
            "mse((x @ u + z) @ v, y)",
            "x @ u + z",
        ),
        (V, "mse(v @ (x @ w).T, y.T)", "…"),
        (V, "mse(tanh(z @ v), y)", "z"),
        (V, "mse(relu(x) @ w @ v, y)", "relu(x) @ w"),
    ] {
        let fix = format!("put one between, such as `relu({through})`, or use one matrix");
        let found = warnings(lines, loss);
        let codes: Vec<&str> = found.iter().map(|d| d.code.code).collect();
        assert_eq!(codes, [lint::LINEAR.code], "{lines}{loss}\n{found:#?}");
        if through != "…" {
            assert_eq!(found[0].fix.as_ref().map(Text::english), Some(fix), "{loss}");
        }
        let message = found[0].message.english();
        assert!(message.starts_with("`w` and `v` are never separated"), "{message}");
    }
    const NARROW: &str = "variable a: f32[4, 2] = normal()\nvariable c: f32[2, 4] = normal()\n";
    const FROZEN: &str = "frozen variable v: f32[4, 4] = normal()\n";
    const G: &str = "variable v: f32[4, 4] = normal()\nvariable g: f32[4] = ones()\n";
    for (lines, loss) in [
        (V, "mse(relu(z) @ v, y)"),
        (V, "mse(tanh(z) @ v + z, y)"),
        // The way past the non-linearity does not make the whole linear.
        (V, "mse((z + relu(z)) @ v, y)"),
        (
            "variable u: f32[4, 4] = normal()\nvariable v: f32[4, 4] = normal()\n",
            "mse((z + relu(z) @ u) @ v, y)",
        ),
        (V, "mse((z * z) @ v, y)"),
        (V, "mse(max(z, axis=1, keepdims=true) * z @ v, y)"),
        // Attention: linear in the values, not in the data.
        (V, "mse(softmax(z @ x.T) @ x @ v, y)"),
        (V, "mse((z @ (x @ v).T) @ x, y)"),
        // Normalised by what the data are.
        (G, "mse(g * (z - mean(z, axis=0)) / std(z) @ v, y)"),
        // A code or a low rank is a choice.
        (NARROW, "mse(x @ a @ c, y) + mean(z)"),
        (FROZEN, "mse(z @ v, y)"),
        // One matrix again and again is a recurrence.
        ("", "mse(z @ w @ w, y)"),
        (V, "mse(z, y) + mse(x @ v, y)"),
        // A penalty on the product of both is no layer.
        (V, "mse(z, y) + l2(w @ v)"),
    ] {
        clean(lines, loss);
    }
    // Only what is trained through a loss counts.
    clean("variable v: f32[4, 4] = normal()\nmetric m = mean(z @ v)", "mse(z + x @ v, y)");
}

#[test]
fn a_comment_on_the_line_silences_one_lint_there() {
    const P: &str = "p = softmax(z)\n";
    let with = |comment: &str| warnings(&format!("{P}q = mean(log(p)) {comment}"), "mse(z, y) + q").len();
    assert_eq!(with(""), 1);
    assert_eq!(with("# allow: NN0503"), 0);
    assert_eq!(with("# allow: NN0502, NN0503 (none is 0 here)"), 0);
    assert_eq!(with("# allow: NN0502"), 1);
    assert_eq!(with("# NN0503"), 1);
    assert_eq!(warnings("variable u: f32 = zeros()", "mse(z, y)").len(), 1);
    assert_eq!(warnings("variable u: f32 = zeros()  # allow: NN0501", "mse(z, y)").len(), 0);
}
