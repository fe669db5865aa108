//! `nn predict`: values against a computation by hand, and each way in which it is refused.

mod common;

use common::{run_in, scratch, stderr, stdout, succeed};
use std::path::{Path, PathBuf};

/// A linear model whose weights are known without training: z = 2 a - 3 b + 1 of columns divided by 10.
const FROM_CSV: &str = "dataset points {
  raw: f32[n, 2] = csv(\"points.csv\", columns=0:2)
  x: f32[n, 2] = raw / 10
  label: f32[n, 1] = csv(\"points.csv\", columns=2:3)
  split fit = first(3)
  split test = rest()
}
placeholder x: f32[batch, 2]
placeholder label: f32[batch, 1]
variable w: f32[2, 1] = zeros()
variable b: f32 = zeros()
hidden = x @ w
z = hidden + b
loss l = mean(square(z - label))
train l on points.fit {
  optimizer = sgd(lr=0.1)
  steps = 1
}
";

/// A folder with the program, its data, weights [2, -3] and 1, and new rows without a label.
fn folder(name: &str, program: &str) -> PathBuf {
    let dir = scratch(name);
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("written");
    write("points.csv", "10,20,1\n30,10,2\n20,20,3\n5,5,4\n");
    write("model.nn", program);
    write(
        "weights.nn",
        "variable w: f32[2, 1] = [[2], [-3]]\nvariable b: f32 = 1\nsave to \"w.safetensors\"\n",
    );
    succeed(&dir, &["run", "weights.nn"]);
    write("new.csv", "10,0\n0,10\n5,2.5\n");
    dir
}

/// 2 a/10 - 3 b/10 + 1 for the rows of new.csv.
const WANTED: &str = "z\n3.0\n-2.0\n1.25\n";

fn predict(dir: &Path, more: &[&str]) -> String {
    succeed(
        dir,
        &[&["predict", "model.nn", "--weights", "w.safetensors", "--data", "new.csv"], more].concat(),
    )
}

fn fails(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = run_in(dir, &[&["predict", "model.nn"], args].concat());
    assert!(output.stdout.is_empty(), "{}", stdout(&output));
    (output.status.code().expect("no signal"), stderr(&output))
}

#[test]
fn rows_go_through_the_columns_of_the_program() {
    let dir = folder("predict_columns", FROM_CSV);
    // The program's own data is not needed.
    std::fs::remove_file(dir.join("points.csv")).expect("removed");
    assert_eq!(predict(&dir, &[]), WANTED);
    assert_eq!(predict(&dir, &["--of", "hidden"]), "hidden\n2.0\n-3.0\n0.25\n");
    let json = predict(&dir, &["--format", "json"]);
    insta::assert_snapshot!(json);
    assert_eq!(predict(&dir, &["-o", "sub/out.csv"]), "");
    assert_eq!(std::fs::read_to_string(dir.join("sub/out.csv")).expect("written"), WANTED);
    assert_eq!(predict(&dir, &["-o", "out.npy"]), "");
    let npy = std::fs::read(dir.join("out.npy")).expect("written");
    let numbers: Vec<f32> =
        npy[npy.len() - 12..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().expect("four"))).collect();
    assert!(npy.starts_with(b"\x93NUMPY\x01\x00") && numbers == [3.0, -2.0, 1.25], "{numbers:?}");
}

/// More rows than one block of an evaluation has.
#[test]
fn many_rows_keep_their_order() {
    let dir = folder("predict_many", FROM_CSV);
    let rows: String = (0..9001).map(|i| format!("{i},{}\n", i % 7)).collect();
    std::fs::write(dir.join("new.csv"), rows).expect("written");
    let text = predict(&dir, &[]);
    let numbers: Vec<f64> = text.lines().skip(1).map(|l| l.parse().expect("a number")).collect();
    assert_eq!(numbers.len(), 9001);
    for (i, found) in numbers.iter().enumerate() {
        let wanted = 0.2 * i as f64 - 0.3 * (i % 7) as f64 + 1.0;
        assert!((found - wanted).abs() < 1e-3, "row {i}: {found}, not {wanted}");
    }
}

/// The mean that a column subtracts is that of the program's own rows, not of the new ones.
#[test]
fn statistics_are_those_of_the_programs_own_data() {
    let program = FROM_CSV.replace("  split fit = first(3)\n", "").replace(
        "  x: f32[n, 2] = raw / 10\n",
        "  split fit = first(3)\n  x: f32[n, 2] = raw - mean(raw.fit, axis=0)\n",
    );
    let dir = folder("predict_statistics", &program);
    // The means of the first three rows are 20 and 50/3: z = 2 (a - 20) - 3 b + 50 + 1.
    let text = predict(&dir, &[]);
    let numbers: Vec<f64> = text.lines().skip(1).map(|l| l.parse().expect("a number")).collect();
    for (found, wanted) in numbers.iter().zip([31.0, -19.0, 13.5]) {
        assert!((found - wanted).abs() < 1e-4, "{text}");
    }
    assert_eq!(numbers.len(), 3);
}

/// Data that a program generates: the file's columns are the placeholders.
#[test]
fn without_files_the_columns_are_the_placeholders() {
    let generated = "rng r = numpy(1)
dataset points {
  x: f32[n, 2] = r.uniform([8, 2])
  k: i64[n] = r.integers(0, 2, [8])
  label: f32[n, 1] = r.uniform([8, 1])
}
placeholder x: f32[batch, 2]
placeholder k: i64[batch]
placeholder label: f32[batch, 1]
variable w: f32[2, 1] = zeros()
variable b: f32 = zeros()
z = x @ w + b + cast(k, f32)[:, None]
loss l = mean(square(z - label))
train l on points {
  optimizer = sgd(lr=0.1)
  steps = 1
}
";
    let dir = folder("predict_placeholders", generated);
    let write = |text: &str| std::fs::write(dir.join("new.csv"), text).expect("written");
    // z = 2 x0 - 3 x1 + 1 + k
    write("1,0,7\n0,1,5\n");
    assert_eq!(predict(&dir, &[]), "z\n10.0\n3.0\n");
    write("k,x.1,other,x.0\n7,0,100,1\n5,1,100,0\n");
    assert_eq!(predict(&dir, &[]), "z\n10.0\n3.0\n");
    write("1,0\n0,1\n");
    let (exit, text) = fails(&dir, &["--weights", "w.safetensors", "--data", "new.csv"]);
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("2 columns, and 3 are needed") && text.contains("`k` is i64[batch]"), "{text}");
    write("1,0,0.5\n");
    let (exit, text) = fails(&dir, &["--weights", "w.safetensors", "--data", "new.csv"]);
    assert!(exit != 0 && text.contains("0.5"), "{text}");
}

#[test]
fn what_is_unclear_or_missing_is_refused() {
    let dir = folder("predict_refused", FROM_CSV);
    let good = ["--weights", "w.safetensors", "--data", "new.csv"];
    let with = |more: &[&'static str]| fails(&dir, &[&good[..], more].concat());
    let (exit, text) = with(&["--of", "nothing"]);
    assert_eq!(exit, 2);
    assert_eq!(text, "error: no value of the program is called `nothing`; there are: `hidden`, `z`, `l`\n");
    assert_eq!(fails(&dir, &["--weights", "none.npz", "--data", "new.csv"]).0, 4);
    assert_eq!(fails(&dir, &["--weights", "w.safetensors", "--data", "none.csv"]).0, 4);
    assert_eq!(fails(&dir, &["--weights", "new.csv", "--data", "new.csv"]).0, 4);
    assert_eq!(fails(&dir, &["--data", "new.csv"]).0, 2);
    std::fs::write(dir.join("ragged.csv"), "1,2\n3\n").expect("written");
    assert_eq!(fails(&dir, &["--weights", "w.safetensors", "--data", "ragged.csv"]).0, 4);
    std::fs::create_dir(dir.join("out.csv")).expect("made");
    assert_eq!(with(&["-o", "out.csv"]).0, 4);
    // Weights of another program.
    std::fs::write(dir.join("other.nn"), "variable w: f32[3, 1] = ones()\nsave to \"o.npz\"\n")
        .expect("written");
    succeed(&dir, &["run", "other.nn"]);
    let (exit, text) = fails(&dir, &["--weights", "o.npz", "--data", "new.csv"]);
    assert_eq!(exit, 4);
    assert!(text.contains("`w` is f32[2, 1] in the program and f32[3, 1] in the file"), "{text}");
    // Two heads: which one is meant?
    let two = FROM_CSV.replace("square(z - label)", "square(z - label) + square(2 * other - label)");
    let two = two.replace("z = hidden", "other = x @ (w + 1)\nz = hidden");
    std::fs::write(dir.join("model.nn"), two).expect("written");
    let (exit, text) = with(&[]);
    assert_eq!(exit, 2);
    assert!(text.contains("`other`, `z`") && text.contains("--of"), "{text}");
    assert_eq!(predict(&dir, &["--of", "z"]), WANTED);
}

/// Dropout and its like are off: `training` is false.
#[test]
fn a_prediction_is_no_training() {
    let program =
        FROM_CSV.replace("z = hidden + b", "z = (if training { 100 * hidden } else { hidden }) + b");
    let dir = folder("predict_mode", &program);
    assert_eq!(predict(&dir, &[]), WANTED);
}
