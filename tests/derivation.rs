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
use nn::source::Sources;

const NETS: [&str; 8] =
    ["lesson", "logistic", "classifier", "asymmetric", "clipped", "shared", "layer_norm", "attention"];

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
        let printed = text::print(&derivation, None);
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
