//! Pictures of made curves: where points stand, and that odd values do no harm.

use super::*;

fn curve(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Curve {
    Curve { name: name.to_string(), points: points.into_iter().collect() }
}

/// Two panels as a training makes them: a noisy loss, its validation, a metric.
fn training() -> Vec<Panel> {
    let noise = |i: i32| f64::from(i * 7919 % 101 - 50) / 600.0;
    let loss = |x: f64| 2.3 * (-x / 300.0).exp() + 0.1;
    let steps = (0..=400).map(|i| (f64::from(i) * 5.0, loss(f64::from(i) * 5.0) + noise(i)));
    let epochs = || (1..=40).map(|e| f64::from(e) * 50.0);
    let losses =
        vec![curve("nll", steps), curve("nll on digits.valid", epochs().map(|x| (x, loss(x) + 0.15)))];
    let metric = vec![curve("hits on digits.valid", epochs().map(|x| (x, 1.0 - 0.4 * loss(x))))];
    vec![Panel { curves: losses }, Panel { curves: metric }]
}

#[test]
fn a_training_as_svg() {
    let text = svg(&training()).expect("a picture");
    assert_eq!(text, svg(&training()).expect("a picture"));
    assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
    for part in ["nll on digits.valid", "hits on digits.valid", ">\nstep\n<", "800", "500"] {
        assert!(text.contains(part), "{part}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_training_as_text() {
    let text = text(&training());
    assert!(text.lines().count() <= 20, "{text}");
    assert!(text.lines().all(|l| unicode_width::UnicodeWidthStr::width(l) <= 80), "{text}");
    insta::assert_snapshot!(text);
}

/// A straight line stands where it must: corners and middle.
#[test]
fn points_stand_in_their_places() {
    let panels = [Panel { curves: vec![curve("l", [(0.0, 0.0), (67.0, 6.0)])] }];
    let drawn = text(&panels);
    let lines: Vec<&str> = drawn.lines().collect();
    for (row, line) in lines[..7].iter().enumerate() {
        let inside: String = line.chars().skip(12).collect();
        // y = 6 x / 67 at the middle of each row.
        let wanted = 67.0 * (6 - row) as f64 / 6.0;
        let at = inside.find('*').expect("a sign in each row");
        let end = inside.rfind('*').expect("one");
        assert!(at as f64 <= wanted.ceil() && end as f64 >= wanted.floor(), "row {row}: {drawn}");
    }
    assert!(lines[0].trim_start().starts_with("6 │") && lines[6].trim_start().starts_with("0 │"), "{drawn}");
}

#[test]
fn odd_values_are_drawn_somehow() {
    let nan = f64::NAN;
    for points in [
        vec![],
        vec![(0.0, 1.0)],
        vec![(0.0, 0.0), (1.0, 0.0)],
        vec![(0.0, 1e-320), (1.0, 2e-320)],
        vec![(0.0, -1e299), (1.0, 1e299)],
        vec![(0.0, nan), (1.0, f64::INFINITY)],
        vec![(0.0, 1.0), (1.0, nan), (2.0, 3.0)],
        vec![(0.0, 1.0), (1.0, 1.0 + 1e-15)],
        vec![(0.0, 1e-30), (1e15, 2e-30)],
        vec![(9e15, 5.0), (9e15, 6.0)],
    ] {
        let panels = [Panel { curves: vec![curve("l", points.clone()), curve("误差<&>", points.clone())] }];
        let picture = svg(&panels).expect("a picture");
        assert!(!picture.contains("NaN") && !picture.contains("inf"), "{points:?}: {picture}");
        assert!(picture.contains("误差&lt;&amp;&gt;"), "{picture}");
        let drawn = text(&panels);
        assert!(drawn.lines().count() <= 12, "{drawn}");
    }
    assert!(svg(&[]).is_ok());
    let many = (0..12).map(|i| curve(&format!("a rather long name {i}"), [(0.0, f64::from(i))])).collect();
    let drawn = text(&[Panel { curves: many }]);
    assert!(drawn.lines().all(|l| l.chars().count() <= 80), "{drawn}");
}
