//! `nn run --report`: which sections a page has, whether its numbers are those of the run, and that it asks for nothing
//! outside. What a browser makes of it is tested in `tests/external/`.

mod common;

use common::{root, run_in, scratch, stderr, stdout, succeed};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a program into a folder of its own, and runs it with a report.
fn report_of(name: &str, text: &str) -> String {
    let dir = scratch(&format!("report-{name}"));
    std::fs::write(dir.join("p.nn"), text).expect("a program");
    succeed(&dir, &["run", "p.nn", "--report", "p.html"]);
    std::fs::read_to_string(dir.join("p.html")).expect("a report")
}

fn report_of_example(name: &str) -> String {
    let dir = scratch(&format!("report-example-{name}"));
    let file = dir.join("page.html");
    let path = format!("examples/{name}.nn");
    let (page, out) = (file.to_string_lossy(), dir.to_string_lossy());
    succeed(&root(), &["run", &path, "--report", &page, "--out", &out]);
    std::fs::read_to_string(&file).expect("a report")
}

fn data(page: &str) -> Value {
    let start = "<script type=\"application/json\" id=\"data\">";
    let from = page.find(start).expect("data") + start.len();
    let text = &page[from..from + page[from..].find("</script>").expect("an end")];
    serde_json::from_str(text).expect("JSON")
}

fn sections(page: &str) -> Vec<&str> {
    let after = |part: &'static str| move |p: &'_ str| p.find(part).map(|i| i + part.len());
    let panels = page.split("<section ").skip(1);
    panels
        .map(|p| &p[after("id=\"")(p).expect("an id")..])
        .map(|p| p.split('"').next().unwrap_or(""))
        .collect()
}

/// What the page says of an item in each step: `values` or `gradients`, all elements.
fn elements(data: &Value, of: &str, name: &str) -> Vec<Value> {
    let items = data["items"].as_array().expect("items");
    let i = items.iter().position(|i| i["name"] == name).unwrap_or_else(|| panic!("no item {name}"));
    let steps = data[of][i]["steps"].as_array().expect("steps");
    steps.iter().map(|s| s["all"].clone()).collect()
}

/// w halves in each step.
const HALVING: &str = "dataset d {
  x: f32[n] = [1, 1]
}
placeholder x: f32[batch]
variable w: f32 = constant(1)
loss l = mean(square(x * w))
train l on d {
  optimizer = sgd(lr=0.25)
  steps = 4
  every 2 steps print \"{l}\" on d
}
";

#[test]
fn the_numbers_of_each_step_are_those_of_paper() {
    let page = report_of("halving", HALVING);
    let data = data(&page);
    let steps: Vec<&Value> =
        data["moments"].as_array().expect("moments").iter().map(|m| &m["step"]).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4]);
    let all = |numbers: [f64; 5]| {
        numbers.map(|x| json!([if x == 1.0 || x == 2.0 { json!(x as i64) } else { json!(x) }]))
    };
    assert_eq!(elements(&data, "values", "w"), all([1.0, 0.5, 0.25, 0.125, 0.0625]));
    assert_eq!(elements(&data, "gradients", "w"), all([2.0, 1.0, 0.5, 0.25, 0.125]));
    // An expression without a name: two rows, each twice w times half.
    let gradients = elements(&data, "gradients", "x * w");
    assert_eq!((&gradients[0], &gradients[1]), (&json!([1, 1]), &json!([0.5, 0.5])));
    let curves = data["curves"].as_array().expect("curves");
    let curve = |data: &str| curves.iter().find(|c| c["data"] == data).expect("a curve")["points"].clone();
    assert_eq!(curve(""), json!([[0, 1], [1, 0.25], [2, 0.0625], [3, 0.015625], [4, 0.00390625]]));
    // After the updates of steps 0 and 2.
    assert_eq!(curve("d"), json!([[1, 0.25], [3, 0.015625]]));
    assert_eq!(sections(&page), ["program", "graph", "curves", "weights", "derivation"]);
}

#[test]
fn a_section_is_there_if_it_applies() {
    let of =
        |name: &str| sections(&report_of_example(name)).into_iter().map(str::to_string).collect::<Vec<_>>();
    let all = ["program", "graph", "curves", "weights", "boundary", "confusion", "derivation"];
    let without = |left: &[&str]| all.into_iter().filter(|s| !left.contains(s)).collect::<Vec<_>>();
    assert_eq!(of("lesson"), all);
    assert_eq!(of("spirals"), all);
    assert_eq!(of("logistic_regression"), without(&["boundary"]));
    assert_eq!(of("linear_regression"), without(&["boundary", "confusion"]));
    let nothing = report_of("nothing", "const A = 1\nprint A\n");
    assert_eq!(sections(&nothing), ["program"]);
}

/// Labels 0 or 1 for points of the plane; weights that no step moves.
fn fixed(loss: &str) -> String {
    format!(
        "dataset d {{
  x: f32[n, 2] = [[0, 0], [1, 0], [0, 1], [1, 1], [0.3, 0]]
  y: f32[n, 1] = [[0], [0], [1], [1], [1]]
  split fit = first(4)
  split more = rest()
}}
placeholder x: f32[batch, 2]
placeholder y: f32[batch, 1]
variable w: f32[2, 1] = constant(1)
z = x @ w
loss l = {loss}
train l on d.fit {{
  optimizer = sgd(lr=0)
  steps = 1
  every 1 steps print \"{{l}}\"
}}
"
    )
}

/// The border between the classes of z as the page draws it: the share of the plane that is class 1.
fn share(data: &Value) -> f64 {
    let cells = data["boundary"]["pictures"][0]["cells"].as_str().expect("cells");
    cells.bytes().filter(|c| *c == b'b').count() as f64 / cells.len() as f64
}

#[test]
fn the_border_is_where_the_loss_does_not_care() {
    // The plane goes from -0.08 to 1.08 both ways, and z = x0 + x1. Below the diagonal z = c lies the triangle with
    // legs c + 0.16, of a square with sides 1.16.
    let above = |c: f64| 1.0 - (c + 0.16f64).powi(2) / 2.0 / (1.16 * 1.16);
    let squares = data(&report_of("squares", &fixed("mean(square(z - y))")));
    assert!((share(&squares) - above(0.5)).abs() < 0.01, "{}", share(&squares));
    let logits = data(&report_of("logits", &fixed("binary_cross_entropy(z, y)")));
    assert!((share(&logits) - above(0.0)).abs() < 0.01, "{}", share(&logits));
    // Too much costs three times what too little does: 3 (z - 0) = 1 (1 - z).
    let costs = data(&report_of("costs", &fixed("mean(where(z > y, 3 * (z - y), y - z))")));
    assert!((share(&costs) - above(0.25)).abs() < 0.01, "{}", share(&costs));
    // z of fit is 0, 1, 1, 2 and of more 0.3; rows are what is, columns what is named.
    let of = |data: &str, counts: Value| json!({ "data": data, "names": [0, 1], "counts": counts });
    let fit = of("d.fit", json!([[1, 1], [0, 2]]));
    // One value alone is no two classes, but the border is known from the training.
    assert_eq!(squares["confusion"], json!([fit, of("d.more", json!([[0, 0], [1, 0]]))]));
    assert_eq!(logits["confusion"][1], of("d.more", json!([[0, 0], [0, 1]])));
    assert_eq!(costs["confusion"][1], of("d.more", json!([[0, 0], [0, 1]])));
}

#[test]
fn classes_are_told_from_the_graph_whatever_they_are_called() {
    let program = |label: &str, loss: &str| {
        format!(
            "dataset d {{
  a: f32[n, 3] = [[3, 0, 1], [0, 5, 1], [1, 2, 0], [0, 1, 2]]
  b: {label}
}}
placeholder a: f32[batch, 3]
placeholder b: {}
variable w: f32[3, 3] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
q = a @ w
loss l = {loss}
train l on d {{
  optimizer = sgd(lr=0)
  steps = 1
  every 1 steps print \"{{l}}\"
}}
",
            label.split(" = ").next().unwrap_or("").replace("n]", "batch]").replace("n,", "batch,")
        )
    };
    // The largest of each row: 0, 1, 1, 2.
    let expected = json!([{ "data": "d", "names": [0, 1, 2], "counts": [[1, 1, 0], [0, 1, 0], [0, 0, 1]] }]);
    let indices = program("i64[n] = [0, 1, 0, 2]", "cross_entropy(q, b)");
    assert_eq!(data(&report_of("indices", &indices))["confusion"], expected);
    let rows = "f32[n, 3] = [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]";
    let rows_of = program(rows, "mean(square(softmax(q) - b))");
    assert_eq!(data(&report_of("rows", &rows_of))["confusion"], expected);
    // Numbers that are no labels.
    let numbers =
        program("f32[n, 3] = [[1, 0, 0], [0, 1, 0], [1, 0.5, 0], [0, 0, 1]]", "mean(square(q - b))");
    assert_eq!(data(&report_of("numbers", &numbers)).get("confusion"), None);
}

#[test]
fn a_report_changes_no_bit_of_the_run() {
    for (name, backend) in [("lesson", "jit"), ("lesson_adam", "loops"), ("spirals", "jit")] {
        let dir = scratch(&format!("report-bits-{name}"));
        let text = std::fs::read_to_string(root().join(format!("examples/{name}.nn"))).expect("an example");
        std::fs::write(dir.join("p.nn"), format!("{text}\nsave to \"w.safetensors\"\n")).expect("a program");
        let run = |out: &str, more: &[&str]| {
            let args = ["run", "p.nn", "--backend", backend, "--out", out];
            let printed = succeed(&dir, &[&args[..], more].concat());
            (printed, std::fs::read(dir.join(out).join("w.safetensors")).expect("weights"))
        };
        assert!(run("without", &[]) == run("with", &["--report", "p.html"]), "{name}");
        assert!(dir.join("p.html").exists());
    }
}

#[test]
fn the_last_weights_are_those_that_are_printed() {
    let dir = scratch("report-last");
    let page = dir.join("page.html");
    let printed = succeed(&root(), &["run", "examples/lesson.nn", "--report", &page.to_string_lossy()]);
    let data = data(&std::fs::read_to_string(page).expect("a report"));
    for name in ["w1", "w2"] {
        let line = printed.lines().rfind(|l| l.starts_with(name)).expect("printed");
        let numbers = line.split(" = ").nth(1).expect("a value").replace(['[', ']', ' '], "");
        let numbers: Vec<Value> =
            numbers.split(',').map(|n| json!(n.parse::<f64>().expect("a number"))).collect();
        assert_eq!(elements(&data, "values", name).last(), Some(&Value::Array(numbers)));
    }
    // And the lesson's own last line is a point of the curve of what it prints.
    let curves = data["curves"].as_array().expect("curves");
    let on_parts = curves.iter().find(|c| c["data"] == "parts").expect("a curve");
    assert_eq!(on_parts["points"][5], json!([2501, 0.390597]));
}

#[test]
fn the_page_asks_for_nothing_and_is_always_the_same() {
    let dir = scratch("report-same");
    let from = |cwd: &Path, program: &str, page: &str| {
        let page = dir.join(page);
        succeed(cwd, &["run", program, "--report", &page.to_string_lossy()]);
        std::fs::read_to_string(page).expect("a report")
    };
    let first = from(&root(), "examples/lesson.nn", "one.html");
    assert!(first == from(&root().join("examples"), "lesson.nn", "two.html"), "two runs, two pages");
    assert!(first == from(&root().join("src"), "../examples/lesson.nn", "two.html"), "a path is in the page");
    let plain = first
        .replace("xmlns=\"http://www.w3.org/2000/svg\"", "")
        .replace("\"http://www.w3.org/2000/svg\"", "");
    for outside in ["http:", "https:", "src=", "href=", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!plain.contains(outside), "{outside}");
    }
    // Arrows of the graph are in the page.
    assert!(!plain.replace("url(#", "").contains("url("));
    assert!(plain.contains("default-src 'none'"));
}

#[test]
fn text_of_a_program_is_text() {
    let text =
        HALVING.replace("dataset d {", "# </script><script>alert(1)</script> {{data}} <b>\ndataset d {");
    let text = text.replace("\"{l}\" on d", "\"</script> {l}\" on d");
    let page = report_of("escape", &text);
    assert_eq!(page.matches("<script").count(), 2, "the data and the script");
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; {{data}} &lt;b&gt;"));
    data(&page);
}

#[test]
fn a_run_that_ends_in_nan_has_a_report() {
    let dir = scratch("report-nan");
    std::fs::write(
        dir.join("p.nn"),
        HALVING.replace("lr=0.25", "lr=1e30").replace("steps = 4", "steps = 40"),
    )
    .expect("a program");
    let output = run_in(&dir, &["run", "p.nn", "--report", "p.html"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let page = std::fs::read_to_string(dir.join("p.html")).expect("a report");
    assert!(page.contains("stopped early"));
    let data = data(&page);
    let weights = elements(&data, "values", "w");
    assert_eq!(
        (weights[0].clone(), weights.len()),
        (json!([1]), data["moments"].as_array().expect("moments").len())
    );
    // 1, then -2e30, then what no f32 can square.
    assert_eq!(weights[1], json!([-2e30]));
}

#[test]
fn a_page_that_cannot_be_written_is_told_before_anything_runs() {
    let dir = scratch("report-unwritable");
    std::fs::write(dir.join("p.nn"), HALVING).expect("a program");
    for path in ["none/p.html", "."] {
        let output = run_in(&dir, &["run", "p.nn", "--report", path]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(4), String::new()), "{path}");
        assert!(stderr(&output).contains(&format!("cannot write `{path}`")), "{}", stderr(&output));
    }
    // A run that fails leaves no page, and an old one as it was.
    std::fs::write(dir.join("q.nn"), "dataset d { x: f32[n] = csv(\"none.csv\", columns=0) }\nprint d.x\n")
        .expect("a program");
    std::fs::write(dir.join("old.html"), "old").expect("an old page");
    for page in ["new.html", "old.html"] {
        run_in(&dir, &["run", "q.nn", "--report", page]);
    }
    assert!(!dir.join("new.html").exists());
    assert_eq!(std::fs::read_to_string(dir.join("old.html")).expect("an old page"), "old");
}

#[test]
fn large_variables_are_not_copied_without_end() {
    // 17 million numbers are more than 64 MB: no copy fits, and the page says so.
    let large = HALVING
        .replace("variable w: f32 = constant(1)", "variable w: f32[17_000_000] = constant(1)")
        .replace("mean(square(x * w))", "mean(square(x * w[0]))");
    let page = report_of("large", &large);
    assert!(page.contains("too large to be copied"));
    assert_eq!(data(&page)["moments"], json!([]));
    assert_eq!(sections(&page), ["program", "graph", "curves", "derivation"]);
}

#[test]
fn marks_stand_at_names_and_expressions() {
    let page = report_of_example("lesson");
    let items = data(&page)["items"].as_array().expect("items").clone();
    let mut marked: BTreeMap<String, usize> = BTreeMap::new();
    for part in page.split("<span class=\"mark\" data-item=\"").skip(1) {
        let item: usize = part.split('"').next().and_then(|n| n.parse().ok()).expect("an item");
        *marked.entry(items[item]["name"].as_str().expect("a name").to_string()).or_default() += 1;
    }
    // Names at their definitions, in both prints, in the loss, in `train` and in what it prints; what `a`, `y` and
    // `mse` are defined as.
    let expected = [("a", 3), ("mse", 4), ("w1", 4), ("w2", 4), ("x", 2), ("y", 3), ("y - y_", 1), ("y_", 2)];
    assert_eq!(marked, expected.map(|(name, n)| (name.to_string(), n)).into());
}
