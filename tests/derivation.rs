//! `nn grad` over whole programs: the lines a person would write, their agreement with autodiff, and the same
//! lines as code that compiles. `tests/data/grad/NAME.nn` is the program, `NAME.txt` what must be printed.

use ndarray::{ArrayD, IxDyn};
use nn::check::program::{Overrides, Program};
use nn::explain::{Derivation, Request, check, code, derive, text};
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
    let mut sources = Sources::default();
    let id = sources.add(format!("{name}.nn"), text);
    let file = sources.file(id).clone();
    let (ast, diagnostics) = nn::syntax::parse(&file);
    assert!(!diagnostics.has_errors(), "{diagnostics:?}\n{text}");
    nn::check::elaborate(&ast, &file, &mut sources, &Overrides::default())
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
