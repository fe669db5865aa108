//! `random(shape)` in the graph: which numbers it gives, wherever they are used and whatever runs the program.
//!
//! The expected bits come from a program of its own, written from the definition in `rng::native`.

mod common;

use common::{scratch, succeed};

/// 24-bit numerators of the stream "raw" of seed 42: draws 0, 1 and 2, twelve elements each.
const RAW: [[u32; 12]; 3] = [
    [
        8893170, 9133345, 15630474, 1783443, 159627, 4449207, 1564480, 9338281, 386021, 3140054, 8815497,
        11593471,
    ],
    [
        4834476, 13827398, 12522449, 16300143, 16325187, 9299605, 5525586, 6190354, 5528151, 1383022,
        15581848, 11303976,
    ],
    [
        10148503, 5967247, 10039313, 10559732, 11746686, 12145577, 6432576, 1094325, 4124607, 10861400,
        7341040, 8744903,
    ],
];

const FORMS: [[&str; 4]; 5] = [
    ["--backend", "jit", "--opt", "2"],
    ["--backend", "jit", "--opt", "0"],
    ["--backend", "loops", "--opt", "2"],
    ["--backend", "loops", "--opt", "0"],
    ["--backend", "graph", "--opt", "2"],
];

/// What each form prints; all must print the same.
fn output(name: &str, program: &str) -> String {
    let dir = scratch(&format!("draws-{name}"));
    std::fs::write(dir.join("case.nn"), program).expect("a program");
    let run =
        |form: &[&str; 4]| succeed(&dir, &[&["run", "--no-progress"], &form[..], &["case.nn"]].concat());
    let first = run(&FORMS[0]);
    for form in &FORMS[1..] {
        assert_eq!(run(form), first, "{name} by {form:?}");
    }
    first
}

fn numbers(line: &str) -> Vec<f64> {
    let words = line.split(['[', ']', ',', ' ']).filter(|w| !w.is_empty());
    words.map(|w| w.parse().expect("a number")).collect()
}

const HEAD: &str = "seed 42
dataset d {
  x: f32[n, 3] = [[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]
}
placeholder x: f32[batch, 3]
variable w: f32[3, 2] = ones()
loss l = mean(square(x @ w))
";

const TRAIN: &str = "optimizer = sgd(lr=0.01)\n  batch = 4\n  steps = 3\n";

/// A batch of four rows, then the one that is left over, then four again.
fn rows_of(step: usize) -> usize {
    if step == 1 { 1 } else { 4 }
}

#[test]
fn each_step_draws_the_numbers_of_its_name() {
    let program = format!(
        "{HEAD}raw = random([batch, 3])
train l on d {{\n  {TRAIN}  every 1 step print \"{{16777216 * raw:.0f}}\"\n}}\n"
    );
    let text = output("named", &program);
    for (step, line) in text.lines().enumerate() {
        let want: Vec<f64> = RAW[step][..3 * rows_of(step)].iter().map(|n| f64::from(*n)).collect();
        assert_eq!(numbers(line), want, "step {step}");
    }
    assert_eq!(text.lines().count(), 3);
}

/// In a view, a sum, a product's operand, beside other things: a number belongs to its row-major position. Of 12 bits
/// each, sums are exact.
#[test]
fn numbers_belong_to_elements_wherever_they_are_used() {
    let program = format!(
        "{HEAD}fn raw() = floor(4096 * random([batch, 3], name=\"raw\"))
column = raw()[:, 1]
turned = raw().T
total = sum(raw(), axis=0)
largest = max(raw() + 0 * x, axis=1)
product = raw() @ ones_like(w)
all_of_it = where(x > 0, raw(), 0 * x)
train l on d {{
  {TRAIN}  every 1 step {{
    print \"{{column:.0f}}\", \"{{turned:.0f}}\", \"{{total:.0f}}\", \"{{largest:.0f}}\", \"{{product:.0f}}\"
    print \"{{all_of_it:.0f}}\"
  }}
}}
"
    );
    let text = output("used", &program);
    let lines: Vec<Vec<f64>> = text.lines().map(numbers).collect();
    assert_eq!(lines.len(), 18);
    for step in 0..3 {
        let rows: Vec<[f64; 3]> = (0..rows_of(step))
            .map(|i| std::array::from_fn(|j| f64::from(RAW[step][3 * i + j] >> 12)))
            .collect();
        let column = |j: usize| rows.iter().map(|row| row[j]).collect::<Vec<f64>>();
        let sum = |row: &[f64; 3]| row.iter().sum::<f64>();
        let want = [
            column(1),
            [column(0), column(1), column(2)].concat(),
            (0..3).map(|j| column(j).iter().sum()).collect(),
            rows.iter().map(|row| row.iter().fold(0.0, |m: f64, x| m.max(*x))).collect(),
            rows.iter().flat_map(|row| [sum(row); 2]).collect(),
            rows.concat(),
        ];
        assert_eq!(lines[6 * step..6 * step + 6], want, "step {step}");
    }
}

#[test]
fn other_draws_and_the_place_of_the_seed_change_nothing() {
    let program = |before: &str, seed: &str, after: &str| {
        let head = HEAD.strip_prefix("seed 42\n").expect("it starts with the seed");
        format!("{before}{head}h = random([3]) + random([3])\nprint h\n{seed}{after}")
    };
    let plain = output("plain", &program("seed 42\n", "", ""));
    assert_eq!(output("after", &program("", "seed 42\n", "")), plain);
    assert_eq!(output("more", &program("seed 42\ng = random([5, 5])\n", "", "k = random([7])\n")), plain);
    assert_ne!(output("other", &program("seed 43\n", "", "")), plain);
    // The two draws of one binding differ.
    let twice =
        output("twice", &program("seed 42\nk = random([3])\n", "", "").replace("print h", "print h - 2 * k"));
    assert!(numbers(twice.trim().split_once("= ").expect("a value").1).iter().all(|x| *x != 0.0));
}

/// The name leads through layers as a variable's does; a function draws for the binding that calls it.
#[test]
fn names_lead_through_layers_and_functions() {
    let text = output(
        "layers",
        "layer noise(x) { return x * random([3]) }
layer pair(x) {
  first = noise(x)
  y = noise(first)
  mask = random([3], name=\"m\")
  return y + 0 * mask, mask
}
fn shaken(x) {
  inside = x * random([3])
  return inside
}
one = noise(1)
two, mask = pair(1)
three = shaken(1)
four = noise(1)
repeat i in 0..2 { four = noise(1) }
print all(one == random([3], name=\"one\"))
print all(two == random([3], name=\"two.first\") * random([3], name=\"two.y\"))
print all(mask == random([3], name=\"two.m\"))
print all(three == random([3], name=\"three\"))
print all(four == random([3], name=\"four.1\"))
print all(four == random([3], name=\"four.0\"))
",
    );
    let values: Vec<&str> = text.lines().filter_map(|l| Some(l.rsplit_once(" = ")?.1)).collect();
    assert_eq!(values, ["true", "true", "true", "true", "true", "false"], "{text}");
}

/// A mask is a constant within its step: the gradient passes where it kept.
#[test]
fn a_mask_is_the_same_forward_and_backward() {
    let program = format!(
        "{HEAD}keep = cast(random([batch, 3]) < 0.5, f32)
kept = keep * x
g = grad(sum(kept), x)
train l on d {{\n  {TRAIN}  every 1 step print \"{{sum(abs(g - keep))}} {{sum(keep)}}\"\n}}\n"
    );
    let text = output("mask", &program);
    let lines: Vec<Vec<f64>> = text.replace(' ', ",").lines().map(numbers).collect();
    let kept: f64 = lines.iter().map(|line| line[1]).sum();
    assert!(lines.len() == 3 && (1.0..27.0).contains(&kept), "{text}");
    assert!(lines.iter().all(|line| line[0] == 0.0), "{text}");
}
