//! The listing, its columns, and that it reads back.

use super::*;
use crate::ir::build::Builder;
use crate::ir::graph::{Attrs, Graph};
use crate::ir::op::SliceStep;
use crate::ir::parse::parse;
use crate::ir::toy;
use crate::scalar::DType;
use crate::source::FileId;

#[test]
fn a_listing_has_aligned_columns() {
    let expected = "\
graph toy.step {
  %0 = placeholder x                     : f32[batch, 2]  # x
  %1 = variable w                        : f32[batch, 2]  # w
  %2 = sub %0, %1                        : f32[batch, 2]  # d
  %3 = sum %2, axis=(0, 1)               : f32
  %4 = constant 0.5                      : f32
  %5 = broadcast %4, shape=[batch, 2]    : f32[batch, 2]
  %6 = sub %1, %5                        : f32[batch, 2]
  result loss = %3
  update %1 <- %6  # w
  guard %3
}
";
    // The widest right-hand side is the broadcast; two blanks more would be a change of layout.
    let expected = expected.replace("    : f32[batch, 2]\n  %6", " : f32[batch, 2]\n  %6");
    let squeeze =
        |s: &str| s.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>();
    let text = print(&toy::function(), &Style::default());
    assert_eq!(squeeze(&text), squeeze(&expected));
    let colons: Vec<_> =
        text.lines().filter(|l| l.contains(" = ") && l.contains(" : ")).map(|l| l.find(" : ")).collect();
    assert_eq!(colons.len(), 7);
    assert!(colons.windows(2).all(|w| w[0] == w[1]), "{text}");
}

#[test]
fn what_is_printed_reads_back() {
    let mut f = toy::function();
    let mut b = Builder::new(std::mem::take(&mut f.graph));
    let values = vec![0.1, -0.0, f64::INFINITY, f64::NAN, 1e-45, -3.5];
    let t = toy::constant(&mut b, Tensor::from_f64(DType::F32, &[2, 3], values));
    toy::constant(&mut b, Tensor::from_f64(DType::I64, &[0, 3], vec![]));
    let start = Dim::symbol("n").sub(&Dim::constant(1)).unwrap();
    let odd = Attrs::none()
        .with("slice", Attr::Slice(vec![SliceStep { start, step: -1 }]))
        .with("shape", Attr::Dims(vec![Dim::symbol("n").mul(&Dim::symbol("n")).unwrap().scale(2).unwrap()]))
        .with("dtype", Attr::DType(DType::F64))
        .with("dim", Attr::Int(-3))
        .with("ta", Attr::Bool(true))
        .with("axes", Attr::Axes(vec![1, 0]))
        .with("axis", Attr::Str(Arc::from("a \"b\"\n#")));
    let node = b.graph.node(t).clone();
    b.push(Node {
        op: &toy::SUB,
        operands: vec![t, t],
        attrs: odd,
        name: Some(Arc::from("∂mse/∂w 1")),
        ..node
    });
    toy::leaf(&mut b, &toy::VARIABLE, "1 变量 %x", Type::scalar(DType::Bool));
    f.graph = b.graph;
    let text = print(&f, &Style::default());
    let back = parse(&text, &toy::find).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(print(&back, &Style::default()), text);
    for (a, b) in f.graph.nodes.iter().zip(&back.graph.nodes) {
        assert_eq!((a.op, &a.operands, &a.ty, &a.name), (b.op, &b.operands, &b.ty, &b.name));
        assert_eq!(a.attrs, b.attrs);
    }
    assert_eq!((f.results, f.updates, f.guard), (back.results, back.updates, back.guard));
}

#[test]
fn a_listing_that_is_wrong_says_where() {
    let error = |text: &str| parse(text, &toy::find).unwrap_err().to_string();
    assert_eq!(error("graph a {\n  %0 = tanh %1 : f32\n}"), "line 2: unknown op `tanh`");
    assert_eq!(error("graph a {\n  %0 = sub %1, %1 : f32\n}"), "line 2: %1 is not there yet");
    assert_eq!(error("graph a {\n"), "line 1: expected `}`");
    assert_eq!(error(""), "line 1: expected `}`");
    assert_eq!(error("graph a {\n %0 = constant [1, 2] : f32[3]\n}"), "line 2: 2 numbers for f32[3]");
    assert_eq!(error("graph a {\n %0 = variable w\n}"), "line 2: a leaf needs a type");
    assert_eq!(error("graph a {\n %0 = sub colour=3 : f32\n}"), "line 2: unknown attribute `colour`");
}

#[test]
fn only_what_a_name_depends_on() {
    let text =
        print(&toy::function(), &Style { only: Some("d"), shapes: Shapes::Hidden, ..Style::default() });
    assert_eq!(
        text,
        "graph toy.step {\n  %0 = placeholder x  # x\n  %1 = variable w     # w\n  %2 = sub %0, %1     # d\n}\n"
    );
}

#[test]
fn sizes_and_places_are_shown_on_request() {
    let mut f = toy::function();
    f.graph.node_mut(NodeId(2)).span = Some(Span::new(FileId(0), 3, 4));
    let sizes = Sizes::from([(Arc::from("batch"), 8)]);
    let place = |s: Span| format!("toy.nn:{}", s.start);
    let text = print(&f, &Style { sizes: Some(&sizes), place: Some(&place), ..Style::default() });
    assert!(text.starts_with("graph toy.step(batch=8) {\n"), "{text}");
    assert!(text.contains(": f32[8, 2]  # d  @ toy.nn:3\n"), "{text}");
    assert!(text.contains("shape=[8, 2]"), "{text}");
    let back = parse(&text, &toy::find).unwrap();
    assert_eq!(back.graph.node(NodeId(2)).name.as_deref(), Some("d"));
}

#[test]
fn the_canonical_form_ignores_order_and_dead_code() {
    let one = toy::function();
    // The same with the update's part first, a dead node, and the results in another order.
    let mut b = Builder::new(Graph::default());
    let shape = vec![Dim::symbol("batch"), Dim::constant(2)];
    let ty = Type::new(DType::F32, shape.clone());
    let rate = toy::constant(&mut b, Tensor::scalar(DType::F32, 0.500_000_1));
    let wide = b.emit(&toy::BROADCAST, &[rate], Attrs::none().with("shape", Attr::Dims(shape)));
    let w = toy::leaf(&mut b, &toy::VARIABLE, "w", ty.clone());
    let new = b.emit(&toy::SUB, &[w, wide], Attrs::none());
    let x = toy::leaf(&mut b, &toy::PLACEHOLDER, "x", ty);
    b.emit(&toy::SUB, &[x, x], Attrs::none());
    let d = b.emit(&toy::SUB, &[x, w], Attrs::none());
    b.graph.node_mut(d).name = Some(Arc::from("d"));
    let axes = Attrs::none().with("axis", Attr::Axes(vec![0, 1])).with("keepdims", Attr::Bool(false));
    let loss = b.emit(&toy::SUM, &[d], axes);
    let name = "toy.step".to_string();
    let results = vec![(Arc::from("loss"), loss)];
    let two = Function { name, graph: b.graph, results, updates: vec![(w, new)], guard: Some(loss) };
    assert_eq!(canonical(&one), canonical(&two));
    assert_ne!(print(&one, &Style::default()), print(&two, &Style::default()));
    // And it is not blind: another operand order is another program.
    let mut three = two.clone();
    three.graph.node_mut(d).operands.reverse();
    assert_ne!(canonical(&two), canonical(&three));
    // It reads back too.
    let back = parse(&canonical(&one), &toy::find).unwrap();
    assert_eq!(canonical(&back), canonical(&one));
}

#[test]
fn numbered_results_do_not_bring_numbers_into_a_snapshot() {
    let mut f = toy::function();
    f.results.push((Arc::from("%6"), NodeId(6)));
    assert!(canonical(&f).contains("  result %6\n  update"), "{}", canonical(&f));
    f.results[1] = (Arc::from("%99"), NodeId(6));
    assert!(!canonical(&f).contains("99"));
}
