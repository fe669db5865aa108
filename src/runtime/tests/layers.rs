//! States of layers and trainings one after another, from the text to the printed line.

use super::*;
use crate::driver;
use crate::source::Sources;

pub fn checked(text: &str) -> Program {
    driver::front("test.nn", text, &Overrides::default(), &mut Sources::default())
        .unwrap_or_else(|found| panic!("{found:#?}\nin\n{text}"))
}

/// What a program prints, the same on every backend.
pub fn printed(text: &str) -> Vec<String> {
    let program = checked(text);
    let of = |backend| lines(&program, backend);
    let told = of(Backend::Jit);
    assert_eq!(told, of(Backend::Loops), "{text}");
    assert_eq!(told, of(Backend::Graph), "{text}");
    told
}

const HEAD: &str = "dataset d {
  x: f32[n] = [1, 2, 3, 6]
}
placeholder x: f32[batch]
variable w: f32 = constant(2)
";

/// A training of `l` by so many steps, with further settings.
fn train(loss: &str, steps: u32, more: &str) -> String {
    format!(
        "train {loss} on d {{\n  optimizer = sgd(lr=0.25)\n  steps = {steps}\n{more}  at end print \"done\"\n}}\n"
    )
}

#[test]
fn a_state_lives_as_long_as_the_program() {
    let layer = "layer tally(x) {
  state steps: i64 = cast(0, i64)
  state total: f32 = zeros()
  steps <- steps + 1
  total <- total + sum(x)
  return if training { x } else { x * 0 + total }
}
y = tally(x)
loss l = mean(w * y)
loss m = w * w
print y.steps, y.total
";
    // Two rows a step, so 1+2, 3+6, 1+2; what does not depend on the layer leaves it alone.
    let text = format!(
        "{HEAD}{layer}{}print y.steps, y.total\n{}{}print y.steps, y.total\nprint y on d\nprint y with x = [5, 7]\n",
        train("l", 3, "  batch = 2\n  every 1 steps print \"{y.steps} {y.total}\"\n"),
        train("m", 2, ""),
        train("l", 1, ""),
    );
    assert_eq!(
        printed(&text),
        [
            "y.steps = 0",
            "y.total = 0",
            "1 3",
            "2 12",
            "3 15",
            "done",
            "y.steps = 3",
            "y.total = 15",
            "done",
            "done",
            "y.steps = 4",
            "y.total = 27",
            "y = [27, 27, 27, 27]",
            "y = [27, 27]",
        ]
    );
}

#[test]
fn states_are_read_before_any_is_written() {
    let text = format!(
        "{HEAD}layer swap(x) {{
  state a: f32[2] = [1, 2]
  state b: f32[2] = [3, 4]
  a <- b
  b <- a
  return x * sum(a * [10, 1])
}}
y = swap(x)
loss l = mean(w * y)
{}print y.a, y.b
{}print y.a, y.b
",
        train("l", 1, "  every 1 steps print \"{l}\"\n"),
        train("l", 2, "  wrt = w\n  every 1 steps print \"{l}\"\n"),
    );
    // 2 * 3 * 12 = 72, slope 36, so w = 2 - 9; then -7 * 3 * 34, slope 102; then (-7 - 25.5) * 3 * 12.
    assert_eq!(
        printed(&text),
        [
            "72",
            "done",
            "y.a = [3, 4]",
            "y.b = [1, 2]",
            "-714",
            "-1170",
            "done",
            "y.a = [3, 4]",
            "y.b = [1, 2]"
        ]
    );
}

#[test]
fn what_wrt_leaves_out_stays() {
    let text = format!(
        "{HEAD}layer scale(x) {{
  variable k: f32 = constant(3)
  return x * k
}}
h = scale(x)
loss l = mean(h * w)
loss hold = square(w - 1)
{}print w, h.k
{}print w, h.k
{}print w, h.k
",
        train("l", 1, "  wrt = h\n"),
        train("l", 1, "  wrt = w\n"),
        train("hold", 1, ""),
    );
    // mean(x) = 3: k = 3 - 0.25*3*2, w = 2 - 0.25*3*1.5; then w moves halfway to 1.
    assert_eq!(
        printed(&text.replace("{}", "")),
        ["done", "w = 2", "h.k = 1.5", "done", "w = 0.875", "h.k = 1.5", "done", "w = 0.9375", "h.k = 1.5",]
    );
}

/// Two players: each follows its own loss and leaves the other's weight alone, in turns.
#[test]
fn players_take_turns() {
    let turn = format!("{}{}", train("mine", 1, "  wrt = w\n"), train("yours", 1, "  wrt = v\n"));
    let shown = "print \"w = {w:.9g}\", \"v = {v:.9g}\"\n";
    let text = format!(
        "{HEAD}variable v: f32 = constant(1)\nloss mine = w * v + 0 * mean(x)\nloss yours = 0 - w * v\n{turn}{shown}{turn}{shown}"
    );
    let (mut w, mut v) = (2.0, 1.0);
    let mut want = vec![];
    for _ in 0..2 {
        w -= 0.25 * v;
        v += 0.25 * w;
        want.extend(["done".to_string(), "done".to_string(), format!("w = {w}"), format!("v = {v}")]);
    }
    assert_eq!(printed(&text), want);
}

/// Adam's first step is as long as its rate whatever the slope is; a second one in the same training is not.
#[test]
fn an_optimizer_starts_anew_in_each_training() {
    let adam = |steps: u32| {
        format!(
            "train l on d {{\n  optimizer = adam(lr=step * 0 + 0.5)\n  steps = {steps}\n  at end print \"{{w:.4f}}\"\n}}\n"
        )
    };
    let loss = "loss l = w ** 2 * mean(x)\n";
    let twice = printed(&format!("{HEAD}{loss}{}{}", adam(1), adam(1)));
    assert_eq!(twice, ["1.5000", "1.0000"]);
    let once = printed(&format!("{HEAD}{loss}{}", adam(2)));
    assert_ne!(once, ["1.0000"]);
}
