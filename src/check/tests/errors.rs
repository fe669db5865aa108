//! Mistakes, and how they are told.

use crate::check::tests::{codes, elaborate, shown};
use crate::diag::codes::{check, directive, lint};

const X: &str = "placeholder x: f32[batch, 2]\n";
const DATA: &str = "rng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n}\n\
placeholder x: f32[batch, 2]\nvariable w: f32[2, 1] = zeros()\nloss l = mean(square(x @ w))\n";

fn told(text: &str) -> String {
    match elaborate(text) {
        Ok(p) => shown(&p.warnings),
        Err(d) => shown(&d),
    }
}

fn says(text: &str, parts: &[&str]) {
    let told = told(text);
    for part in parts {
        assert!(told.contains(part), "{text}\nshould say: {part}\nsaid: {told}");
    }
}

#[test]
fn every_code_has_examples_that_fail_and_pass() {
    let all = check::CODES.iter().chain(directive::CODES).chain(lint::CODES);
    for code in all.filter(|c| !c.failing.is_empty()) {
        let found = codes(code.failing);
        assert_eq!(found, [code.code], "{}\n{}", code.failing, told(code.failing));
        assert_eq!(told(code.mended), "", "{}\n{}", code.code, code.mended);
    }
}

#[test]
fn codes_are_in_order_and_of_their_family() {
    for (family, prefix) in [(check::CODES, "NN01"), (directive::CODES, "NN03"), (lint::CODES, "NN05")] {
        assert!(family.windows(2).all(|w| w[0].code < w[1].code));
        assert!(family.iter().all(|c| c.code.starts_with(prefix)));
        assert!(family.iter().all(|c| !c.explanation.is_empty() && !c.title.is_empty()));
    }
}

#[test]
fn the_commonest_silent_bug_is_told_with_both_shapes_and_a_fix() {
    says(
        "placeholder y: f32[batch, 1]\nplaceholder y_: f32[batch]\nloss mse = mean(square(y - y_))\n",
        &[
            "NN0107 the shapes of `-` do not fit [79..85] <f32[batch, 1] - f32[batch]>",
            "at 45..55 `y_` has no second dimension",
            "this would pair every prediction with every answer: [batch, batch]",
            "fix: write `y_[:, None]`, or declare `placeholder y_: f32[batch, 1]`",
        ],
    );
}

#[test]
fn five_mistakes_are_five_errors_and_do_not_breed() {
    let text = format!(
        "{X}a = sqare(x)\nb = a + x\nc = x @ x\nd = reduce_sum(c)\ne = sum(x, axes=1)\nf: f32[batch, 3] = x\ng = f + d * e\n"
    );
    assert_eq!(codes(&text), ["NN0101", "NN0108", "NN0103", "NN0105", "NN0109"]);
}

#[test]
fn names_of_other_libraries_get_ours() {
    for (theirs, ours) in [
        ("reduce_mean(x)", "`mean`"),
        ("tf.reduce_sum(x)", "`sum`"),
        ("tf.matmul(x, x)", "`@`"),
        ("nn.ReLU(x)", "`relu`"),
        ("np.dot(x, x)", "`@`"),
        ("torch.sum(x)", "`sum`"),
        ("F.softmax(x)", "`softmax`"),
        ("Dense(x)", "`dense`"),
    ] {
        says(&format!("{X}y = {theirs}\n"), &["NN0103", &format!("in .nn this is {ours}")]);
    }
    // A name of the file's own is never foreign.
    assert!(codes("np = [1, 2]\ny = np[0]\n").is_empty());
}

#[test]
fn a_mistake_inside_the_prelude_points_at_the_call() {
    let text = format!("{X}placeholder t: f32[batch]\nloss l = mse(x, t)\n");
    says(&text, &["NN0107", "[64..73]", "in `prediction - target`, prelude/losses.nn:"]);
    let text = format!("{X}fn f(a) = a @ a\ny = f(x)\n");
    says(&text, &["NN0108", "[39..44]", "at 49..53 `f` is used here"]);
}

#[test]
fn dims_are_rigid() {
    says(
        "placeholder x: f32[batch, 2]\nplaceholder y: f32[rows, 2]\nz = x + y\n",
        &["NN0107", "dimension 0 is batch on the left and rows on the right", "dimension 0 of `x` is batch"],
    );
    // A named size never stretches, a const 1 does.
    assert_eq!(
        codes("const ONE = 1\nplaceholder x: f32[batch, ONE]\nplaceholder y: f32[batch, 3]\nz = x + y\n"),
        [""; 0]
    );
    assert_eq!(codes("placeholder x: f32[batch, m]\nplaceholder y: f32[batch, 3]\nz = x + y\n"), ["NN0107"]);
    says(
        "fn f(a: f32[rows, i], b: f32[rows, i]) = a + b\nplaceholder x: f32[batch, 2]\nplaceholder y: f32[batch, 3]\nz = f(x, y)\n",
        &["NN0109", "`b` is [batch, 3], not f32[rows, i]"],
    );
}

#[test]
fn dtypes_do_not_mix_and_literals_adapt() {
    assert_eq!(
        codes("placeholder k: i64[n]\na = k + 1\nb = k // 2 % 3\nc = cast(k, f32) * 0.5\nd = k == 1\n"),
        [""; 0]
    );
    says(
        "placeholder k: i64[n]\nb = k / 2\n",
        &["NN0110", "fix: write `k // 2` for the whole quotient, or `cast(k, f32) / …`"],
    );
    says(
        "placeholder k: i64[n]\nplaceholder x: f32[n]\nb = k + x\n",
        &["NN0106", "fix: write `cast(k, f32)`"],
    );
    says("placeholder x: f32[n]\nb = (x > 0) * 2\n", &["NN0106", "arithmetic on bool needs a cast"]);
    assert_eq!(codes("placeholder k: i64[n]\nb = k + 0.5\n"), ["NN0112"]);
    // A quotient of numbers stays usable as an integer if it is whole.
    assert_eq!(codes("placeholder x: f32[n, 6 / 2]\ny: f32[n, 3] = x\n"), [""; 0]);
    assert_eq!(codes("placeholder x: f32[n, 5 / 2]\n"), ["NN0112"]);
    says(&format!("{X}i: f32[batch] = argmax(x, axis=1)\n"), &["NN0106", "is i64[batch], not f32"]);
}

#[test]
fn slices_are_never_clamped() {
    assert_eq!(
        codes(&format!(
            "{X}a: f32[batch, 1] = x[:, 1:]\nb: f32[batch] = x[:, -1]\nc: f32[batch, 1, 2] = x[:, None]\n"
        )),
        [""; 0]
    );
    assert_eq!(codes(&format!("{X}a = x[:, 2]\n")), ["NN0114"]);
    assert_eq!(codes(&format!("{X}a = x[:, -3]\n")), ["NN0114"]);
    assert_eq!(codes(&format!("{X}a = x[:, 0:3]\n")), ["NN0114"]);
    assert_eq!(codes(&format!("{X}a = x[0, 0, 0]\n")), ["NN0114"]);
    assert_eq!(
        codes(&format!("{X}a: f32[batch, 2] = x[::-1, ::-1]\nb: f32[batch, 1] = x[:, ::2]\n")),
        [""; 0]
    );
    assert_eq!(codes(&format!("{X}a = x[::2]\n")), ["NN0116"]);
    says(&format!("{X}placeholder i: i64[batch]\na = x[i]\n"), &["NN0114", "take(x, i, axis=0)"]);
}

#[test]
fn if_is_decided_at_compile_time() {
    assert_eq!(codes(&format!("{X}const DEEP = true\ny = if DEEP {{ x @ x.T }} else {{ x }}\n")), [""; 0]);
    says(&format!("{X}y = if sum(x) > 0 {{ x }} else {{ -x }}\n"), &["NN0116", "where(sum(x) > 0, x, -x)"]);
}

#[test]
fn missing_data_is_told_with_directive_and_dataset() {
    let text = format!(
        "{}train l on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 3\n}}\n",
        DATA.replace("placeholder x", "placeholder input").replace("x @ w", "input @ w")
    );
    says(&text, &["NN0302 nothing feeds `input` in `train` on `d`", "fix: write `feed input = x`"]);
    says(&format!("{DATA}print l\n"), &["NN0304", "fix: add `on d`"]);
    says(&format!("{DATA}print l with x = [0.5, 0.2]\n"), &["NN0303", "fix: write `[[0.5, 0.2]]`: one row"]);
    assert_eq!(
        codes(&format!("{DATA}print l with x = [[0.5, 0.2]]\nprint w, 3, \"{{w.shape}}\"\n")),
        [""; 0]
    );
}

#[test]
fn train_settings_are_checked() {
    let train = |body: &str| format!("{DATA}train l on d {{\n  optimizer = sgd(lr=0.1)\n{body}}}\n");
    assert_eq!(codes(&train("  steps = 3\n  remainder = lesson\n  batch = 8\n  shuffle = false\n")), [""; 0]);
    says(&train("  steps = 3\n  batchsize = 8\n"), &["NN0305", "its settings are"]);
    says(&train(""), &["NN0305", "how long to train is not said"]);
    says(&train("  epochs = 0\n"), &["NN0306"]);
    says(
        &train("  steps = 3\n  remainder = drop\n  batch = 64\n"),
        &["NN0306", "no batch of 64 fits into 32 rows"],
    );
    says(&train("  steps = 3\n  shuffle = true\n  remainder = wrap\n"), &["NN0305", "`shuffle` goes with"]);
    says(&train("  steps = 3\n  at start print l\n"), &["NN0304", "at the start"]);
    says(&train("  steps = 3\n  stop when l\n"), &["NN0111", "`stop when` needs one condition"]);
    says(&train("  steps = 3\n  stop after 0 epochs without better l\n"), &["NN0305", "at least 1, not 0"]);
    says(&train("  steps = 3\n  stop after 2 epochs without better l by -1\n"), &["NN0305", "not -1"]);
    says(
        &train("  steps = 3\n  stop after 2 epochs without better q on d\n"),
        &["NN0101 there is no loss `q`"],
    );
    says(&train("  steps = 3\n  keep best l on d to \"best\"\n"), &["NN0312", "fix: let it end in"]);
    says(&train("  steps = 3\n  keep best l to \"{l}.npz\"\n"), &["NN0312", "known before the run"]);
    says(
        &train("  steps = 3\n  every 2 steps save to \"{l}.npz\"\n"),
        &["NN0312", "depend on data, here `x`"],
    );
    says(
        &train("  steps = 3\n  every 2 steps save l to \"l.npz\"\n"),
        &["NN0313", "computed, not a variable"],
    );
    says(&train("  steps = 3\n  wrt = v\n"), &["NN0101"]);
    says(
        &format!("{DATA}train l on d {{\n  optimizer = sgd(learning_rate=0.1)\n  steps = 3\n}}\n"),
        &["NN0105", "the only argument of `sgd` is lr"],
    );
    says(
        &format!("{DATA}train l on d.fit {{\n  optimizer = sgd(lr=0.1)\n  steps = 3\n}}\n"),
        &["NN0124", "`d` has no split `fit`"],
    );
    says(
        &format!("{DATA}train q on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 3\n}}\n"),
        &["NN0101 there is no loss `q`"],
    );
}

#[test]
fn what_cut_the_path_is_named() {
    let text = format!(
        "{DATA}variable v: f32[2] = zeros()\nloss m = l + cast(argmax(v), f32)\ntrain m on d {{\n  optimizer = sgd(lr=0.1)\n  steps = 3\n}}\n"
    );
    says(&text, &["warning NN0501 `m` does not vary smoothly with `v`", "`argmax` cuts the path"]);
    let text = text.replace("  steps", "  wrt = v\n  steps");
    says(&text, &["NN0307"]);
}

#[test]
fn nothing_panics_on_odd_programs() {
    for text in [
        "",
        "x = x\n",
        "fn f(a) = g(a)\nfn g(a) = f(a)\ny = f(1)\n",
        "const A = 9223372036854775807 + 1\n",
        "const A = -(-9223372036854775807 - 1)\n",
        "placeholder x: f32[9223372036854775807, 9223372036854775807]\ny = reshape(x, [-1])\n",
        "placeholder x: f32[n]\ny = x[9223372036854775807]\nz = x[-9223372036854775807:]\n",
        "variable w: f32[9223372036854775807, 2] = zeros()\n",
        "a, b = 1\n",
        "y = []\nz = sum(y)\n",
        "y = [[1, 2], [3]]\nz = sum(y)\n",
        "y = sum()\nz = where(1, 2, 3)\nw = clip(1, 2, 3)\n",
        "print \"{1:d} {nan} {inf:.3f}\"\n",
        "placeholder x: f32[n]\ny = reshape(x, [-1, -1])\nz = one_hot(x, 0 - 1)\n",
        "y = cast(true, f32)\nz = not 1\nw = -true\n",
        "y = pi |> sum() |> sum(axis=0)\n",
        "placeholder x: f32[]\nloss l = x\ny = grad(l, x)\nz = grad(y, l)\n",
        "seed 1.5\nseed true\n",
        "placeholder x: f32[n, 0]\ny = mean(x, axis=1)\nz = max(x, axis=1)\nw = argmax(x, axis=1)\n",
    ] {
        let _ = told(text);
    }
}

/// Tokens of good programs, dropped, doubled and exchanged: whatever comes out is told, nothing panics.
#[test]
fn mutants_do_not_panic() {
    let whole = "const K = 3\nrng r = numpy(1)\ndataset d {\n  x: f32[n, 2] = r.uniform([32, 2])\n  k: i64[n] = r.integers(0, K, [32])\n\
  split fit = first(0.5)\n  split test = rest()\n}\nplaceholder x: f32[batch, 2]\nplaceholder k: i64[batch]\n\
variable w: f32[2, K] = glorot_uniform(seed=1)\nvariable b: f32[K] = zeros()\nfn act(z, a=0.5) {\n  p = where(z > 0, z, a * z)\n  return p\n}\n\
fn sp(z) = log1p(exp(z)) derivative z: sigmoid(z)\nlogits = act(x @ w + b) + sp(b)\nt: f32[2, _] = x[0:4, :].T\n\
loss l = cross_entropy(logits, k) + 0.1 * sum(grad(sum(w * w), w) ** 2)\nmetric m = accuracy(logits, k)\n\
optimizer own(lr, beta=0.9) for v, g {\n  state s = zeros_like(v)\n  s <- beta * s + g\n  v <- v - lr * s\n}\n\
train l on d.fit {\n  optimizer = own(lr=cosine(from=0.1, to=0.01, over=9), clip_norm=1)\n  batch = 8\n  epochs = 2\n  ema = 0.9\n  every 2 steps print \"{l:.3f} {step}\" on d.fit\n  at end eval m on d.test\n}\n\
print w.ema, logits with x = [[1, 2]]\ncheck all(isfinite(w)), \"w {w}\"\n";
    assert_eq!(told(whole), "");
    let mut tokens: Vec<&str> = Vec::new();
    let mut rest = whole;
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (token, tail) = rest.split_at(word.max(c.len_utf8()));
        tokens.push(token);
        rest = tail;
    }
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for _ in 0..300 {
        let mut mutant = tokens.clone();
        for _ in 0..1 + random(3) {
            let (at, other) = (random(mutant.len()), random(mutant.len()));
            match random(4) {
                0 => drop(mutant.remove(at)),
                1 => mutant.insert(at, tokens[other % tokens.len()]),
                2 => mutant.swap(at, other),
                _ => mutant[at] = tokens[other % tokens.len()],
            }
        }
        let text = mutant.concat();
        let done = std::panic::catch_unwind(|| told(&text).len());
        assert!(done.is_ok(), "{text}");
    }
}
