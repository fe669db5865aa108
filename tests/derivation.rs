//! `nn grad` over whole programs: the lines a person would write, their agreement with autodiff, and the same
//! lines as code that compiles. `tests/data/grad/NAME.nn` is the program, `NAME.txt` what must be printed.

use ndarray::{ArrayD, IxDyn};
use nn::check::program::{Overrides, Program};
use nn::explain::page::Page;
use nn::explain::steps::Step;
use nn::explain::{Derivation, Line, Request, check, code, derive, text};
use nn::interp::{self, Bindings};
use nn::ir::build::Builder;
use nn::ir::graph::NodeId;
use nn::lang::Lang;
use nn::source::Sources;
use std::path::{Path, PathBuf};
use std::process::Command;

const NETS: [&str; 9] = [
    "lesson",
    "logistic",
    "classifier",
    "asymmetric",
    "clipped",
    "shared",
    "layer_norm",
    "attention",
    "scan",
];

fn data(name: &str, extension: &str) -> String {
    let path = format!("{}/tests/data/grad/{name}.{extension}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn elaborate(name: &str, text: &str) -> Program {
    elaborate_in(&mut Sources::default(), name, text)
}

fn elaborate_in(sources: &mut Sources, name: &str, text: &str) -> Program {
    let id = sources.add(format!("{name}.nn"), text);
    let file = sources.file(id).clone();
    let (ast, diagnostics) = nn::syntax::parse(&file);
    assert!(!diagnostics.has_errors(), "{diagnostics:?}\n{text}");
    nn::check::elaborate(&ast, &file, sources, &Overrides::default())
        .unwrap_or_else(|d| panic!("{d:?}\n{text}"))
}

fn find(program: &Program, name: &str) -> NodeId {
    let named = |id: &NodeId| program.graph.node(*id).name.as_deref() == Some(name);
    program.graph.ids().find(named).unwrap_or_else(|| panic!("nothing is called {name}"))
}

/// The loss, and its gradient by all variables, or by those of a first line `# of NAMES, shown NAMES`.
fn derived(name: &str, program: &Program) -> (NodeId, Derivation) {
    let loss = program.measures[0].node;
    let source = data(name, "nn");
    let line = source.lines().next().and_then(|l| l.strip_prefix("# of ")?.split_once(", shown "));
    let nodes = |names: &str| names.split(' ').map(|n| find(program, n)).collect::<Vec<_>>();
    let (variables, wrt) = match line {
        Some((all, shown)) => (nodes(all), nodes(shown)),
        None => {
            let all: Vec<NodeId> = program.variables.iter().map(|v| v.node).collect();
            (all.clone(), all)
        }
    };
    let request = Request { loss, variables: &variables, wrt: &wrt };
    (loss, derive(&program.graph, &request).unwrap_or_else(|e| panic!("{e}")))
}

/// Values for the leaves; labels are 0, 1 and 2 in turn.
fn bindings(program: &Program) -> Bindings {
    let mut out = Bindings::default();
    for (name, size) in [("batch", 5), ("rows", 5), ("n", 7), ("dk", 6)] {
        out.sizes.insert(name.into(), size);
    }
    let leaves = program.placeholders.iter().map(|p| p.node);
    for id in leaves.chain(program.variables.iter().map(|v| v.node)) {
        let ty = program.graph.ty(id);
        let shape: Vec<usize> = ty.shape.iter().map(|d| d.size(&out.sizes).unwrap() as usize).collect();
        let mut i = 0u32;
        let value = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
            i += 1;
            if ty.dtype.is_float() { (f64::from(i * 7 + id.0 * 13) * 1.7).sin() } else { f64::from(i % 3) }
        });
        out.nodes.insert(id, value);
    }
    out
}

#[test]
fn the_lines_are_those_a_person_would_write() {
    let mut wrong = String::new();
    for name in NETS {
        let program = elaborate(name, &data(name, "nn"));
        let (_, derivation) = derived(name, &program);
        let printed = text::print(&derivation, None, Lang::En);
        let expected = data(name, "txt");
        if printed != expected {
            wrong += &format!("{name}: expected\n{expected}\nbut found\n{printed}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_printed_text_agrees_with_autodiff() {
    for name in NETS {
        let program = elaborate(name, &data(name, "nn"));
        let (loss, derivation) = derived(name, &program);
        let error = check::largest_error(&program.graph, loss, &derivation, &bindings(&program));
        assert!(matches!(error, Ok(e) if e < 1e-10), "{name}: {error:?}");
    }
}

#[test]
fn the_code_compiles_and_agrees_with_autodiff() {
    for name in NETS {
        let source = data(name, "nn");
        let program = elaborate(name, &source);
        let (loss, derivation) = derived(name, &program);
        let longer = elaborate(name, &format!("{source}{}", code::print(&derivation)));
        let graph = check::exact(&longer.graph);
        let mut b = Builder::new(graph.clone());
        let primals: Vec<NodeId> = derivation.lines.iter().map(|l| l.primal).collect();
        let mut wanted = nn::autodiff::gradient(&mut b, loss, &primals).unwrap();
        wanted.extend(derivation.lines.iter().map(|l| find(&longer, &l.identifier)));
        let mut values = interp::eval(&b.graph, &wanted, &bindings(&longer)).unwrap();
        let found = values.split_off(primals.len());
        for ((line, expected), found) in derivation.lines.iter().zip(values).zip(found) {
            assert_eq!(expected.shape(), found.shape(), "{name}: {}", line.identifier);
            let worst = expected.iter().zip(&found).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-10, "{name}: {} is off by {worst:e}", line.identifier);
        }
    }
}

/// The derivation rule by rule, with each letter as a name in the graph.
fn explained(name: &str) -> (Program, NodeId, Page, String) {
    let mut sources = Sources::default();
    let program = elaborate_in(&mut sources, name, &data(name, "nn"));
    let (loss, derivation) = derived(name, &program);
    let all: Vec<NodeId> = program.variables.iter().map(|v| v.node).collect();
    let request = Request { loss, variables: &all, wrt: &all };
    let statement = program.measures[0].span;
    let page = Page::new(&program.graph, &sources, statement, derivation);
    let page = page.explained(&program.graph, &sources, &request);
    let text = text::explained(&page);
    (program, loss, page, text)
}

#[test]
fn the_steps_are_told_as_a_teacher_would() {
    for name in ["lesson", "logistic", "shared"] {
        let text = explained(name).3;
        let path = format!("{}/tests/data/grad/{name}.steps.txt", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("INSTA_UPDATE").is_some_and(|v| v == "always") {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, data(name, "steps.txt"), "{name}");
    }
}

/// Each step that is a whole gradient is a line: its text must give what autodiff gives.
#[test]
fn every_step_agrees_with_autodiff() {
    for name in NETS.into_iter().filter(|n| *n != "layer_norm" && *n != "attention") {
        let (program, loss, page, text) = explained(name);
        let steps = page.steps.expect("the nets are small");
        let mut graph = program.graph.clone();
        for (id, letter) in &steps.values {
            graph.node_mut(*id).name = Some(letter.as_str().into());
        }
        let whole = steps.steps.iter().filter(|s| s.part.is_none());
        let line = |s: &Step| Line {
            primal: s.primal,
            name: steps.values[&s.primal].clone(),
            identifier: String::new(),
            remark: None,
            shape: graph.ty(s.primal).shape.clone(),
            value: s.gradient.clone().shaped(&graph.ty(s.primal).shape),
            code: s.gradient.clone(),
        };
        let derivation = Derivation { lines: whole.map(line).collect(), ..page.derivation };
        assert!(derivation.lines.len() > 3 || name == "asymmetric", "{text}");
        let error = check::largest_error(&graph, loss, &derivation, &bindings(&program));
        assert!(matches!(error, Ok(e) if e < 1e-10), "{name}: {error:?}\n{text}");
    }
}

/// Every example's gradient as text and as code, on the first rows of its own data.
#[test]
fn the_examples_agree_with_autodiff() {
    let folder = format!("{}/examples", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "nn"));
    files.sort();
    assert!(files.len() >= 19, "{files:?}");
    let mut wrong = String::new();
    for file in &files {
        let name = file.file_stem().unwrap().to_string_lossy();
        if let Err(why) = example_agrees(&name, &std::fs::read_to_string(file).unwrap()) {
            wrong += &format!("{name}: {why}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn example_agrees(name: &str, source: &str) -> Result<(), String> {
    let program = elaborate(name, source);
    let train = program.trains().next().expect("every example trains");
    let loss = program.measures[train.loss].node;
    let all: Vec<NodeId> = program.trained().map(|v| v.node).collect();
    let request = Request { loss, variables: &all, wrt: &all };
    let derivation = derive(&program.graph, &request).map_err(|e| e.to_string())?;
    let bindings = first_rows(&program, 3);
    let error = check::largest_error(&program.graph, loss, &derivation, &bindings)?;
    if error > 1e-12 {
        return Err(format!("the text is off by {error:e}"));
    }
    let longer = compiled(&format!("{source}\n{}", code::print(&derivation)))?;
    let graph = check::exact(&longer.graph);
    let mut b = Builder::new(graph);
    let primals: Vec<NodeId> = derivation.lines.iter().map(|l| l.primal).collect();
    let mut wanted = nn::autodiff::gradient(&mut b, loss, &primals).unwrap();
    let named = |name: &str| {
        let is_it = |id: &NodeId| longer.graph.node(*id).name.as_deref() == Some(name);
        longer.graph.ids().find(is_it).ok_or_else(|| format!("nothing is called {name}"))
    };
    for line in &derivation.lines {
        wanted.push(named(&line.identifier)?);
    }
    let mut values = interp::eval(&b.graph, &wanted, &first_rows(&longer, 3)).map_err(|e| e.to_string())?;
    let found = values.split_off(primals.len());
    for ((line, expected), found) in derivation.lines.iter().zip(values).zip(found) {
        if expected.shape() != found.shape() {
            return Err(format!("{} has shape {:?}", line.identifier, found.shape()));
        }
        let scale = expected.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
        let worst = expected.iter().zip(&found).map(|(x, y)| (x - y).abs() / scale).fold(0.0, f64::max);
        if worst.is_nan() || worst > 1e-12 {
            return Err(format!("{} is off by {worst:e}", line.identifier));
        }
    }
    Ok(())
}

/// A program, or the first thing that is wrong with it.
fn compiled(text: &str) -> Result<Program, String> {
    let mut sources = Sources::default();
    let id = sources.add("longer.nn", text);
    let file = sources.file(id).clone();
    let (ast, diagnostics) = nn::syntax::parse(&file);
    let first = |d: &nn::diag::Diagnostics| {
        let d = d.0.iter().find(|d| d.severity == nn::diag::Severity::Error).expect("an error");
        format!("{}: {}", sources.line_of(d.primary.span), d.message.english())
    };
    if diagnostics.has_errors() {
        return Err(first(&diagnostics));
    }
    nn::check::elaborate(&ast, &file, &mut sources.clone(), &Overrides::default()).map_err(|d| first(&d))
}

/// Rows that look like data: small numbers, probabilities where they are asked for, labels in range.
fn first_rows(program: &Program, rows: i64) -> Bindings {
    let mut out = Bindings::default();
    let leaves = program.placeholders.iter().map(|p| p.node);
    for id in leaves.chain(program.variables.iter().map(|v| v.node)) {
        let ty = program.graph.ty(id);
        for dim in &ty.shape {
            if let Some(symbol) = dim.as_symbol() {
                out.sizes.insert(symbol.clone(), rows);
            }
        }
        let shape: Vec<usize> = ty.shape.iter().map(|d| d.size(&out.sizes).unwrap() as usize).collect();
        let mut i = 0u32;
        let value = ArrayD::from_shape_simple_fn(IxDyn(&shape), || {
            i += 1;
            let number = (f64::from(i * 7 + id.0 * 13) * 1.7).sin();
            if ty.dtype.is_float() { 0.4 * number } else { f64::from(i % 2) }
        });
        out.nodes.insert(id, value);
    }
    out
}

/// Each example's derivation, as `nn grad --explain` prints it, passes its own check on the first batch.
#[test]
fn the_derivations_of_all_examples_pass_their_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut examples: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("examples").map(|e| e.expect("an entry").path()).collect();
    examples.retain(|path| path.extension().is_some_and(|e| e == "nn"));
    examples.sort();
    assert!(examples.len() >= 19, "{examples:?}");
    for path in examples {
        let nn = Command::new(env!("CARGO_BIN_EXE_nn")).arg("grad").arg(&path).arg("--explain").output();
        let output = nn.expect("nn runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = said.lines().last().unwrap_or_default();
        assert!(output.status.success() && last.starts_with("checked on"), "{}: {last}", path.display());
    }
}
