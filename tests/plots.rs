//! `plot`: what the curves show, where the picture goes, and that it does not depend on how it was computed.

mod common;

use common::{root, run_in, scratch, stderr, stdout, succeed};
use nn::check::program::Overrides;
use nn::driver;
use nn::runtime::files::InMemory;
use nn::runtime::output::Collected;
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use unicode_width::UnicodeWidthStr;

/// w halves in each step: its own loss is 1/4 to the power of the step, of which `d` sees the next one.
const HALVING: &str = "dataset d {
  x: f32[n] = [1, 1]
  split fit = first(1)
}
placeholder x: f32[batch]
variable w: f32 = constant(1)
loss l = mean(square(x * w))
metric m = sum(x * w)
train l on d {
  optimizer = sgd(lr=0.25)
  steps = 4
  every 2 steps eval l, m on d.fit
  at end plot l, m to \"pictures/l.svg\"
}
";

fn run(text: &str) -> (InMemory, Collected) {
    let program = driver::front("p.nn", text, &Overrides::default(), &mut Sources::default());
    let program = program.unwrap_or_else(|e| panic!("{e:#?}"));
    let (files, mut output) = (InMemory::default(), Collected::default());
    session::run(&program, Options::default(), &files, &mut output, &mut |_, _| {}).expect("it runs");
    (files, output)
}

/// The points of each line with more than two points, and circles.
fn lines(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let number = |s: &str| s.parse::<f64>().expect("a number");
    let curves = svg.lines().filter(|l| l.contains("stroke-width=\"2\"") && l.contains("<polyline"));
    let points = |l: &str| -> Vec<(f64, f64)> {
        let all = l.split("points=\"").nth(1).expect("points").split('"').next().expect("an end").to_string();
        all.split_whitespace()
            .filter_map(|p| p.split_once(','))
            .map(|(x, y)| (number(x), number(y)))
            .collect()
    };
    // The legend's samples are as long as no curve is.
    curves.map(points).filter(|p| p.len() != 2 || p[0].1 != p[1].1 || p[1].0 - p[0].0 != 22.0).collect()
}

fn close(points: &[(f64, f64)], wanted: &[(f64, f64)]) {
    assert_eq!(points.len(), wanted.len(), "{points:?}");
    let scale = |p: &[(f64, f64)], i: usize| {
        let last = p.len() - 1;
        ((p[i].0 - p[0].0) / (p[last].0 - p[0].0), (p[i].1 - p[0].1) / (p[last].1 - p[0].1))
    };
    for i in 0..points.len() {
        let (a, b) = (scale(points, i), scale(wanted, i));
        assert!(
            (a.0 - b.0).abs() < 0.02 && (a.1 - b.1).abs() < 0.02,
            "point {i} of {points:?}: {a:?}, not {b:?}"
        );
    }
}

#[test]
fn curves_show_each_step_before_its_update_and_evaluations_after_it() {
    let (files, output) = run(HALVING);
    let svg = String::from_utf8(files.content("pictures/l.svg").expect("written")).expect("UTF-8");
    let curves = lines(&svg);
    let quarter = |k: i32| 0.25f64.powi(k);
    // Losses above, the steps' own values first; then the metric.
    assert_eq!(curves.len(), 4, "{svg}");
    close(&curves[0], &[0, 1, 2, 3].map(|k| (f64::from(k), quarter(k))));
    // After steps 0 and 2, on weights that were updated 1 and 3 times.
    assert_eq!(output.lines, ["d.fit: l = 0.25, m = 0.5", "d.fit: l = 0.015625, m = 0.125"]);
    let (own, on) = (&curves[0], &curves[1]);
    assert_eq!((on[0], on[1]), (own[1], own[3]), "the same weights, the same point");
    close(&curves[2], &[0, 1, 2, 3].map(|k| (f64::from(k), 0.5f64.powi(k))));
    for name in ["l", "l on d.fit", "m", "m on d.fit"] {
        assert!(svg.contains(&format!(">\n{name}\n<")), "{name}: {svg}");
    }
    let [picture] = &output.pictures[..] else { panic!("{:?}", output.pictures) };
    assert!(picture.lines().all(|l| l.width() <= 80) && picture.lines().count() <= 20, "{picture}");
    insta::assert_snapshot!(picture);
}

/// Two trainings are drawn one after the other, and a long one in a bounded number of points.
#[test]
fn trainings_follow_each_other_and_points_are_bounded() {
    let second = "train l on d {\n  optimizer = sgd(lr=0.25)\n  steps = 100000\n}\nplot l to \"l.svg\"\n";
    let (files, _) = run(&format!("{HALVING}{second}"));
    let svg = String::from_utf8(files.content("l.svg").expect("written")).expect("UTF-8");
    let long = &lines(&svg)[0];
    assert!((400..=801).contains(&long.len()), "{} points", long.len());
    // The first four steps are the first training's.
    assert!(long.iter().zip(&long[1..]).all(|(a, b)| a.0 <= b.0), "{long:?}");
    assert!(svg.contains(">\n100000\n<"), "{svg}");
}

#[test]
fn nothing_to_draw_is_said() {
    let text = HALVING.replace("metric m = sum(x * w)\n", "placeholder z: f32[batch]\nmetric m = sum(z)\n");
    let text = text.replace("eval l, m", "eval l");
    let (_, output) = run(&text);
    assert_eq!(output.notes, ["plot: no training has seen a value of m"]);
}

#[test]
fn a_picture_does_not_depend_on_how_it_was_computed() {
    let dir = scratch("plot_ways");
    std::fs::write(dir.join("p.nn"), HALVING).expect("written");
    let mut pictures = Vec::new();
    for (i, how) in
        [&[][..], &["--opt", "0"], &["--backend", "loops"], &["--backend", "graph"]].iter().enumerate()
    {
        let out = format!("out{i}");
        let text = succeed(&dir, &[&["run", "p.nn", "--out", &out], *how].concat());
        // No terminal: no picture in text.
        assert_eq!(text, "d.fit: l = 0.25, m = 0.5\nd.fit: l = 0.015625, m = 0.125\n");
        pictures.push(std::fs::read(dir.join(out).join("pictures/l.svg")).expect("a picture"));
    }
    assert!(pictures.iter().all(|p| *p == pictures[0]));
    assert!(!dir.join("pictures").exists(), "--out keeps the program's directory clean");
}

/// A run that goes on draws what it sees itself, at the steps where it sees it.
#[test]
fn a_resumed_run_draws_on() {
    let dir = scratch("plot_resumed");
    let program = HALVING.replace("  steps = 4\n", "  steps = 6\n  checkpoint every 3 steps to \"runs\"\n");
    std::fs::write(dir.join("p.nn"), program).expect("written");
    let picture = |args: &[&str]| {
        succeed(&dir, &[&["run", "p.nn"], args].concat());
        lines(&std::fs::read_to_string(dir.join("pictures/l.svg")).expect("a picture")).swap_remove(0)
    };
    assert_eq!(picture(&[]).len(), 6);
    // The last checkpoint is that of step 3.
    close(&picture(&["--resume", "runs"]), &[4, 5].map(|k| (f64::from(k), 0.25f64.powi(k))));
}

#[test]
fn pictures_go_beside_the_program_and_never_outside() {
    let dir = scratch("plot_places");
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("written");
    std::fs::create_dir(dir.join("project")).expect("made");
    std::fs::create_dir(dir.join("other")).expect("made");
    write("project/p.nn", HALVING);
    // From another directory: beside the program all the same.
    succeed(&root(), &["run", dir.join("project/p.nn").to_str().expect("text")]);
    assert!(dir.join("project/pictures/l.svg").exists());
    for path in ["../l.svg", "/tmp/nn-l.svg", "../other/l.svg"] {
        write("project/p.nn", &HALVING.replace("pictures/l.svg", path));
        let output = run_in(&dir, &["run", "project/p.nn"]);
        assert_eq!(output.status.code(), Some(1), "{path}: {}", stderr(&output));
        // Known before anything is computed.
        assert_eq!(stdout(&output), "", "{path}");
        assert!(!dir.join("l.svg").exists() && !dir.join("other/l.svg").exists());
    }
    succeed(&dir, &["run", "project/p.nn", "--allow-write", "other"]);
    assert!(dir.join("other/l.svg").exists());
    // A file stands where a directory should be made.
    write("project/p.nn", &HALVING.replace("pictures/l.svg", "p.nn/l.svg"));
    assert_eq!(run_in(&dir, &["run", "project/p.nn"]).status.code(), Some(4));
}
