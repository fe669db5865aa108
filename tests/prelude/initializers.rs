//! Start values: exact formulas over one and the same draw, and the properties that each promises.
//!
//! With `rng="tf1"` a draw depends on the seed alone, so `he_uniform(seed=3)` must be a known line through
//! `uniform(seed=3)`. The draws themselves are compared with TensorFlow's in `random_streams.rs`.

use crate::{close, run};

pub struct Case {
    pub name: &'static str,
    /// The arguments, without seed and generator.
    arguments: &'static str,
    /// Which draw is stretched and shifted.
    draw: Draw,
    /// Factor and summand, given fan_in and fan_out.
    line: fn(f64, f64) -> (f64, f64),
}

#[derive(Clone, Copy, PartialEq)]
enum Draw {
    Nothing,
    /// In [0, 1).
    Uniform,
    Normal,
    /// Cut at 2.
    Truncated,
    Orthogonal,
}

/// The standard deviation of the standard normal distribution cut at ±2:
/// sqrt(1 - 4 φ(2) / (2 Φ(2) - 1)), Johnson, Kotz and Balakrishnan 1994, section 13.10.
fn cut_deviation() -> f64 {
    let density = (-2.0f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
    // 2 Φ(2) - 1, from Abramowitz and Stegun, table 26.1.
    let inside = 0.954_499_736_103_641_6;
    (1.0 - 4.0 * density / inside).sqrt()
}

pub const CASES: &[Case] = &[
    Case { name: "zeros", arguments: "", draw: Draw::Nothing, line: |_, _| (0.0, 0.0) },
    Case { name: "ones", arguments: "", draw: Draw::Nothing, line: |_, _| (0.0, 1.0) },
    Case { name: "constant", arguments: "0.25", draw: Draw::Nothing, line: |_, _| (0.0, 0.25) },
    Case { name: "uniform", arguments: "", draw: Draw::Uniform, line: |_, _| (1.0, 0.0) },
    Case { name: "uniform", arguments: "low=-2, high=6", draw: Draw::Uniform, line: |_, _| (8.0, -2.0) },
    Case { name: "normal", arguments: "", draw: Draw::Normal, line: |_, _| (1.0, 0.0) },
    Case { name: "normal", arguments: "mean=3, stddev=0.5", draw: Draw::Normal, line: |_, _| (0.5, 3.0) },
    Case { name: "truncated_normal", arguments: "", draw: Draw::Truncated, line: |_, _| (1.0, 0.0) },
    Case {
        name: "truncated_normal",
        arguments: "mean=-1, stddev=0.25",
        draw: Draw::Truncated,
        line: |_, _| (0.25, -1.0),
    },
    // Glorot and Bengio 2010, equation 16; tf.glorot_uniform_initializer.
    Case {
        name: "glorot_uniform",
        arguments: "",
        draw: Draw::Uniform,
        line: |i, o| ((24.0 / (i + o)).sqrt(), -(6.0 / (i + o)).sqrt()),
    },
    // tf.variance_scaling_initializer, mode fan_avg, with its correction for the cut.
    Case {
        name: "glorot_normal",
        arguments: "",
        draw: Draw::Truncated,
        line: |i, o| ((2.0 / (i + o)).sqrt() / cut_deviation(), 0.0),
    },
    // He et al. 2015, equation 10: a variance of 2 / fan_in.
    Case {
        name: "he_uniform",
        arguments: "",
        draw: Draw::Uniform,
        line: |i, _| ((24.0 / i).sqrt(), -(6.0 / i).sqrt()),
    },
    Case {
        name: "he_normal",
        arguments: "",
        draw: Draw::Truncated,
        line: |i, _| ((2.0 / i).sqrt() / cut_deviation(), 0.0),
    },
    // LeCun et al. 1998, section 4.6.
    Case {
        name: "lecun_normal",
        arguments: "",
        draw: Draw::Truncated,
        line: |i, _| ((1.0 / i).sqrt() / cut_deviation(), 0.0),
    },
    Case { name: "orthogonal", arguments: "", draw: Draw::Orthogonal, line: |_, _| (1.0, 0.0) },
    Case { name: "orthogonal", arguments: "gain=2", draw: Draw::Orthogonal, line: |_, _| (2.0, 0.0) },
];

/// Shapes with their fan_in and fan_out as Keras counts them: the window of a convolution counts for both.
const SHAPES: [(&[usize], f64, f64); 5] = [
    (&[7], 7.0, 7.0),
    (&[40, 30], 40.0, 30.0),
    (&[3, 50], 3.0, 50.0),
    (&[5, 8, 20], 40.0, 100.0),
    (&[3, 2, 4, 6], 24.0, 36.0),
];

fn call(name: &str, arguments: &str, more: &str) -> String {
    let comma = if arguments.is_empty() || more.is_empty() { "" } else { ", " };
    format!("{name}({arguments}{comma}{more})")
}

/// The start values of one variable for each call.
fn starts(dtype: &str, shape: &[usize], calls: &[String]) -> Vec<Vec<f64>> {
    let text: String = calls
        .iter()
        .enumerate()
        .map(|(i, c)| format!("variable v{i}: {dtype}{shape:?} = {c}\nprint \"{{v{i}:.17g}}\"\n"))
        .collect();
    run(&text)
}

#[test]
fn every_initializer_is_its_line_through_a_draw() {
    const SEED: &str = "seed=3, rng=\"tf1\"";
    for (shape, fan_in, fan_out) in SHAPES {
        let mut calls: Vec<String> =
            ["uniform", "normal", "truncated_normal"].iter().map(|n| call(n, "", SEED)).collect();
        let cases: Vec<&Case> = CASES.iter().filter(|c| c.draw != Draw::Orthogonal).collect();
        let seed = |c: &Case| if c.draw == Draw::Nothing { "" } else { SEED };
        calls.extend(cases.iter().map(|c| call(c.name, c.arguments, seed(c))));
        let values = starts("f32", shape, &calls);
        let (draws, got) = values.split_at(3);
        for ((case, got), text) in cases.iter().zip(got).zip(&calls[3..]) {
            let draw = match case.draw {
                Draw::Normal => &draws[1],
                Draw::Truncated => &draws[2],
                _ => &draws[0],
            };
            let (factor, summand) = (case.line)(fan_in, fan_out);
            let want: Vec<f64> = draw.iter().map(|u| u * factor + summand).collect();
            close(&format!("{text} for {shape:?}"), got, &want, 5e-7);
        }
    }
}

fn moments(x: &[f64]) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    (mean, x.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / x.len() as f64)
}

/// The draws have the moments that the formulas count on: with the language's own generator, the variance of
/// each scaled initializer is what its paper asks for.
#[test]
fn variances_are_what_the_papers_ask_for() {
    let cut = 2.0 / cut_deviation();
    // Name, variance, and where the values end, in standard deviations.
    let wanted: [(&str, f64, f64); 5] = [
        ("glorot_uniform", 2.0 / 250.0, 3f64.sqrt()),
        ("glorot_normal", 2.0 / 250.0, cut),
        ("he_uniform", 2.0 / 150.0, 3f64.sqrt()),
        ("he_normal", 2.0 / 150.0, cut),
        ("lecun_normal", 1.0 / 150.0, cut),
    ];
    let calls: Vec<String> = wanted.iter().map(|(n, _, _)| format!("{n}()")).collect();
    let values = starts("f32", &[150, 100], &calls);
    for ((name, variance, end), x) in wanted.iter().zip(&values) {
        let (mean, got) = moments(x);
        assert!(mean.abs() < 4.0 * (variance / 15_000.0).sqrt(), "{name}: mean {mean}");
        assert!((got / variance - 1.0).abs() < 0.04, "{name}: variance {got} instead of {variance}");
        let end = end * variance.sqrt();
        let most = x.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        assert!(most <= end * (1.0 + 1e-6) && most > 0.99 * end, "{name}: largest {most}, end {end}");
    }
}

#[test]
fn orthogonal_is_orthogonal() {
    for (rng, dtype, tolerance) in [("native", "f32", 1e-6), ("tf1", "f32", 1e-6), ("numpy", "f64", 1e-13)] {
        for (shape, rows, columns) in
            [(vec![12, 5], 12, 5), (vec![4, 9], 4, 9), (vec![6, 6], 6, 6), (vec![2, 3, 4], 6, 4)]
        {
            for (arguments, gain) in [("", 1.0), ("gain=2", 2.0)] {
                let calls = [call("orthogonal", arguments, &format!("seed=5, rng=\"{rng}\""))];
                let w = &starts(dtype, &shape, &calls)[0];
                let tall = rows >= columns;
                let (few, many) = if tall { (columns, rows) } else { (rows, columns) };
                let at = |few: usize, many: usize| {
                    if tall { w[many * columns + few] } else { w[few * columns + many] }
                };
                for a in 0..few {
                    for b in 0..few {
                        let dot: f64 = (0..many).map(|k| at(a, k) * at(b, k)).sum();
                        let want = if a == b { gain * gain } else { 0.0 };
                        close(&format!("{calls:?} for {shape:?}, {a} {b}"), &[dot], &[want], tolerance);
                    }
                }
            }
        }
    }
}

/// A variable's start values depend on the file's seed and its own name, not on its neighbours.
#[test]
fn a_new_variable_changes_no_other() {
    let start = |text: &str| run(&format!("{text}print \"{{w:.17g}}\"\n")).remove(0);
    for init in ["he_normal()", "uniform()", "normal(rng=\"tf1\")", "orthogonal()"] {
        let w = format!("variable w: f32[4, 3] = {init}\n");
        let alone = start(&w);
        assert_eq!(
            alone,
            start(&format!("variable a: f32[5] = {init}\n{w}variable b: f32[2] = {init}\n")),
            "{init}"
        );
        assert_eq!(alone, start(&format!("{w}variable w2: f32[4, 3] = {init}\n")), "{init}");
        assert_ne!(alone, start(&format!("seed 1\n{w}")), "{init}: the seed counts");
        let renamed = run(&format!("variable v: f32[4, 3] = {init}\nprint \"{{v:.17g}}\"\n")).remove(0);
        assert_ne!(alone, renamed, "{init}: the name counts");
    }
}
