//! `nn graph`: what it prints, and whether what it draws can be read.

mod common;

use common::{root, scratch, succeed};
use std::collections::BTreeSet;
use unicode_width::UnicodeWidthStr;

fn graph(args: &[&str]) -> String {
    succeed(&root(), &[&["graph"], args].concat())
}

fn shown(args: &[&str]) -> String {
    format!("$ nn graph {}\n{}", args.join(" "), graph(args))
}

#[test]
fn lesson() {
    let format = |f: &'static str| shown(&["examples/lesson.nn", "--backward", "--format", f]);
    insta::assert_snapshot!(["ascii", "dot", "mermaid", "svg"].map(format).concat());
}

#[test]
fn numbers() {
    insta::assert_snapshot!(shown(&[
        "examples/lesson.nn",
        "--backward",
        "--values",
        "--grads",
        "--step",
        "2"
    ]));
}

#[test]
fn other_programs() {
    let programs = ["logistic_regression", "digits", "attention", "gradient_penalty"];
    let one = |name: &str| shown(&[&format!("examples/{name}.nn"), "--backward"]);
    insta::assert_snapshot!(programs.map(one).concat());
}

#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn meets(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn holds(&self, other: &Area) -> bool {
        self.left <= other.left
            && other.right <= self.right
            && self.top <= other.top
            && other.bottom <= self.bottom
    }
}

fn number(line: &str, name: &str) -> f64 {
    let rest = line.split(&format!(" {name}=\"")).nth(1).expect(name);
    rest.split('"').next().unwrap().parse().expect(name)
}

/// What a text covers in a font whose letters are 0.602 of its size wide, as those of DejaVu Sans Mono are: 13 px.
fn covered(line: &str) -> (String, Area) {
    let text = line.split_once('>').unwrap().1.split("</text>").next().unwrap();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let (left, base) = (number(line, "x"), number(line, "y"));
    let right = left + text.width() as f64 * 13.0 * 0.602;
    (text, Area { left, top: base - 10.0, right, bottom: base + 3.0 })
}

/// A box with the texts in it, and those beside it.
struct Drawn {
    area: Area,
    inside: Vec<(String, Area)>,
    beside: Vec<(String, Area)>,
}

/// Boxes and the corners of edges of a picture.
fn read(svg: &str) -> (Vec<Drawn>, Vec<Vec<(f64, f64)>>) {
    let (mut boxes, mut edges) = (Vec::new(), Vec::new());
    let body = svg.split("<g transform").nth(1).unwrap();
    for group in body.split("<g><title>").skip(1) {
        let group = group.split("</g>").next().unwrap();
        let mut drawn: Option<Drawn> = None;
        for line in group.lines() {
            if line.starts_with("<rect ") || line.starts_with("<path ") {
                let area = if line.starts_with("<rect ") {
                    let (left, top) = (number(line, "x"), number(line, "y"));
                    Area {
                        left,
                        top,
                        right: left + number(line, "width"),
                        bottom: top + number(line, "height"),
                    }
                } else {
                    // M left+6 top H right-6 L right bottom H left z
                    let d = line.split(" d=\"").nth(1).unwrap();
                    let n: Vec<f64> = d
                        .split(|c: char| !(c.is_ascii_digit() || c == '-'))
                        .filter_map(|w| w.parse().ok())
                        .collect();
                    Area { left: n[5], top: n[1], right: n[3], bottom: n[4] }
                };
                drawn = Some(Drawn { area, inside: vec![], beside: vec![] });
            } else if line.starts_with("<text ") {
                let drawn = drawn.as_mut().expect("a box comes first");
                let list = if line.contains("class=\"s\"") { &mut drawn.beside } else { &mut drawn.inside };
                list.push(covered(line));
            }
        }
        boxes.extend(drawn);
    }
    for line in body.lines().filter(|l| l.starts_with("<path class=\"e")) {
        let d = line.split(" d=\"M").nth(1).unwrap().split('"').next().unwrap();
        let steps = d.split(['L', 'C']).map(|step| {
            let n: Vec<f64> = step.split(' ').map(|w| w.parse().unwrap()).collect();
            (n[n.len() - 2], n[n.len() - 1])
        });
        edges.push(steps.collect());
    }
    (boxes, edges)
}

/// What is wrong with a picture.
fn faults(svg: &str) -> Vec<String> {
    let (boxes, edges) = read(svg);
    let mut faults = Vec::new();
    let page = Area { left: 0.0, top: 0.0, right: number(svg, "width"), bottom: number(svg, "height") };
    for (i, a) in boxes.iter().enumerate() {
        for (text, area) in &a.inside {
            if !a.area.holds(area) {
                faults.push(format!("`{text}` leaves its box"));
            }
        }
        for (text, area) in &a.beside {
            if !page.holds(area) {
                faults.push(format!("`{text}` leaves the page"));
            }
        }
        for (j, b) in boxes.iter().enumerate() {
            if i < j && a.area.meets(&b.area) {
                faults.push(format!("boxes {i} and {j} overlap"));
            }
            for (text, area) in &a.beside {
                let others = b.beside.iter().filter(|_| i < j);
                if b.area.meets(area) || others.into_iter().any(|(_, o)| o.meets(area)) {
                    faults.push(format!("`{text}` of {i} overlaps {j} or its labels"));
                }
            }
        }
    }
    for edge in &edges {
        // Level pieces alone are in columns, where boxes are; a piece touches the boxes it joins at its ends.
        for pair in edge.windows(2).filter(|p| p[0].1 == p[1].1) {
            let (from, to) = (pair[0].0.min(pair[1].0), pair[0].0.max(pair[1].0));
            let line =
                Area { left: from + 1.0, right: to - 1.0, top: pair[0].1 - 0.5, bottom: pair[0].1 + 0.5 };
            for (i, b) in boxes.iter().enumerate() {
                if b.area.meets(&line) || b.beside.iter().any(|(_, t)| t.meets(&line)) {
                    faults.push(format!("an edge at {},{} runs through {i} or its labels", from, pair[0].1));
                }
            }
        }
        let (start, end) = (edge[0], edge[edge.len() - 1]);
        for (x, y) in [start, end] {
            let touches = |b: &Drawn| {
                (b.area.left - 1.0..=b.area.right + 1.0).contains(&x)
                    && (b.area.top - 1.0..=b.area.bottom + 1.0).contains(&y)
            };
            if !boxes.iter().any(touches) {
                faults.push(format!("an edge ends at {x},{y} where no box is"));
            }
        }
    }
    faults
}

fn examples() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("examples")).unwrap().map(|e| e.unwrap().path());
    let files = entries.filter(|p| p.extension().is_some_and(|e| e == "nn"));
    let mut names: Vec<String> =
        files.map(|p| format!("examples/{}", p.file_name().unwrap().to_str().unwrap())).collect();
    names.sort();
    names
}

#[test]
fn nothing_overlaps_in_any_example() {
    for file in examples() {
        // A minute for a net of attention, unfolded and not optimized.
        let is_large = file.contains("attention");
        let fold = if is_large { "6" } else { "1000" };
        for more in [&["--backward"][..], &["--backward", "--fold", fold]] {
            let svg = graph(&[&[&file, "--format", "svg"], more].concat());
            let faults = faults(&svg);
            assert!(faults.is_empty(), "{file} {more:?}:\n{}", faults.join("\n"));
            let (boxes, edges) = read(&svg);
            assert!(boxes.len() >= 3 && edges.len() + 1 >= boxes.len() / 2, "{file}: {} boxes", boxes.len());
        }
    }
    for file in ["examples/lesson.nn", "examples/digits.nn", "examples/char_rnn.nn"] {
        let faults =
            faults(&graph(&[file, "--format", "svg", "--backward", "--values", "--grads", "--rows", "4"]));
        assert!(faults.is_empty(), "{file} with numbers:\n{}", faults.join("\n"));
    }
}

/// A gradient stands beneath its value, and edges of values go right, those of gradients left.
#[test]
fn gradients_stand_beneath_their_values() {
    let (boxes, edges) = read(&graph(&["examples/lesson.nn", "--backward", "--format", "svg"]));
    let find =
        |name: &str| boxes.iter().find(|b| b.inside[0].0 == name).unwrap_or_else(|| panic!("{name}")).area;
    for (value, gradient) in
        [("w1", "∂mse/∂w1"), ("w2", "∂mse/∂w2"), ("a", "∂mse/∂a"), ("y", "d"), ("mse", "∂mse/∂mse")]
    {
        let (value, gradient) = (find(value), find(gradient));
        assert_eq!((value.left, value.right), (gradient.left, gradient.right));
        assert!(
            boxes
                .iter()
                .filter(|b| !b.inside[0].0.contains('∂') && b.inside[0].0 != "d")
                .all(|b| b.area.bottom < gradient.top)
        );
    }
    let beneath = find("∂mse/∂mse").top.min(find("d").top).min(find("∂mse/∂w2").top);
    for edge in edges {
        let ((x, y), (end, _)) = (edge[0], edge[edge.len() - 1]);
        assert!(if y >= beneath { end < x } else { end >= x }, "{edge:?}");
    }
}

/// A large picture is folded, and a folded one has every value still.
#[test]
fn large_pictures_are_folded() {
    for file in examples() {
        let count = |svg: &str| svg.matches("<g><title>").count();
        let whole = graph(&[&file, "--format", "svg", "--fold", "100000"]);
        let folded = graph(&[&file, "--format", "svg"]);
        assert!(count(&folded) <= 40, "{file}: {} boxes", count(&folded));
        assert_eq!(count(&whole) <= 40, whole == folded, "{file}");
        if whole != folded {
            let members = |title: &str| {
                let words: Vec<&str> = title.split_whitespace().collect();
                let at = words.windows(2).position(|w| w[1] == "values" && w[0].parse::<usize>().is_ok());
                at.map_or(1, |at| words[at].parse().unwrap())
            };
            let titles = folded.split("<g><title>").skip(1).map(|t| t.split("</title>").next().unwrap());
            assert_eq!(titles.map(members).sum::<usize>(), count(&whole), "{file}");
        }
    }
}

/// A thousand values are forty boxes, with every edge in its direction still.
#[test]
fn a_thousand_values_can_be_read() {
    let dir = scratch("graph_thousand");
    let line = |i: usize| format!("h{i} = tanh(h{} * 0.9 + x) + h{}\n", i - 1, i.saturating_sub(3));
    let body: String = (1..250).map(line).collect();
    let head = "placeholder x: f32[n, 4]\nvariable w: f32[4, 4] = normal(seed=1)\nh0 = x @ w\n";
    std::fs::write(dir.join("p.nn"), format!("{head}{body}loss l = mean(square(h249))\n")).unwrap();
    let svg = succeed(&dir, &["graph", "p.nn", "--format", "svg"]);
    let (boxes, edges) = read(&svg);
    assert!((20..=40).contains(&boxes.len()), "{} boxes", boxes.len());
    assert!(edges.iter().all(|e| e[0].0 < e[e.len() - 1].0));
    assert_eq!(faults(&svg), Vec::<String>::new());
}

#[test]
fn characters_fit_a_terminal() {
    for file in examples() {
        for line in graph(&[&file, "--backward"]).lines() {
            assert!(line.width() <= 80, "{file}: {line}");
        }
    }
}

/// The page is the picture, asks nobody for anything and runs nothing.
#[test]
fn the_page_is_offline() {
    let dir = scratch("graph_page");
    let path = dir.join("lesson.html");
    let args = ["examples/lesson.nn", "--backward", "--format"];
    let printed = graph(&[&args[..], &["html", "-o", path.to_str().unwrap()]].concat());
    assert_eq!(printed, "");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains(&graph(&[&args[..], &["svg"]].concat())));
    let outside: BTreeSet<&str> =
        page.match_indices("http").map(|(i, _)| page[i..].split('"').next().unwrap()).collect();
    assert_eq!(outside, BTreeSet::from(["http://www.w3.org/2000/svg"]));
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("@import"));
}

/// A program that trains nothing has a picture of its loss.
#[test]
fn a_program_without_training_has_a_picture() {
    let dir = scratch("graph_without_training");
    let program = "placeholder x: f32[n, 2]\nvariable w: f32[2] = zeros()\nloss l = mean(square(x * w))\n";
    std::fs::write(dir.join("p.nn"), program).unwrap();
    let text = succeed(&dir, &["graph", "p.nn", "--backward"]);
    assert!(text.contains("∂l/∂w"), "{text}");
}
