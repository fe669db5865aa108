//! Data, values given to a directive, and everything that is refused.

use super::*;

#[test]
fn splits_are_trained_and_evaluated_on() {
    let split = |name: &str, take| Split { name: name.into(), take, span: span() };
    let mut s = sums(
        10,
        vec![
            split("fit", Take::First(Amount::Fraction(0.7))),
            split("none", Take::First(Amount::Fraction(0.1))),
            split("test", Take::Rest),
        ],
    );
    let use_of = |i| DataUse { data: DataRef { dataset: 0, split: Some(i) }, ..s.data.clone() };
    let (fit, none, test) = (use_of(0), use_of(1), use_of(2));
    let mut t = s.train(None, Remainder::Keep, Length::Steps(1));
    t.data = fit;
    let eval = |on: DataUse, name: &str| Action {
        kind: ActionKind::Eval { data: name.into(), values: vec![("total".into(), Value::Node(s.total))] },
        input: Input::On(on),
        span: span(),
    };
    t.events = vec![Event { when: When::End, actions: vec![eval(test, "d.test")] }];
    let empty = eval(none, "d.none");
    let (result, output) = s.run(t, Backend::Jit);
    result.expect("a run without errors");
    assert_eq!(output.lines[0], "d.test: total = 27");
    assert_eq!(output.lines[1].parse::<f64>(), Ok(update(0.0, &[1, 2, 3, 4, 5, 6, 7])));
    s.program.directives = vec![Directive::Action(empty)];
    let (result, _) = run_on(&s.program, Backend::Jit);
    assert_eq!(result.unwrap_err().diagnostic().unwrap().code.code, "NN0214");
}

#[test]
fn values_given_with_a_print() {
    let mut s = sums(3, vec![]);
    let given = Arc::new(Tensor::from_f64(DType::F64, &[2], vec![0.5, 0.25]));
    let input = Input::With(vec![(0, given)], vec!["batch".into()]);
    s.program.directives =
        vec![Directive::Action(print(vec![value(s.total), text(" of "), value(s.x)], input))];
    for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
        assert_eq!(lines(&s.program, backend), ["0.75 of [0.5, 0.25]"]);
    }
}

#[test]
fn failed_checks_and_bad_indices_stop_the_run() {
    let mut s = sums(4, vec![]);
    let mut b = Builder::new(s.program.graph.clone());
    let index = o::cast(&mut b, s.x, DType::I64);
    let hot = o::one_hot(&mut b, index, &Dim::constant(4), DType::F32);
    let zero = o::like(&mut b, index, 0.0);
    let quotient = o::floor_div(&mut b, index, zero);
    s.program.graph = b.graph;
    let on = Input::On(s.data.clone());
    let outcome = |program: &mut Program, action: Action, backend| {
        program.directives = vec![Directive::Action(action)];
        let (result, _) = run_on(program, backend);
        let e = result.expect_err("a failure");
        (e.exit_code(), e.diagnostic().unwrap().code.code, e.diagnostic().unwrap().message.english())
    };
    for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
        let (exit, code, message) = outcome(&mut s.program, print(vec![value(hot)], on.clone()), backend);
        assert_eq!((exit, code), (3, "NN0402"));
        assert!(message.starts_with("index 4 is out of range in row 3"), "{backend:?}: {message}");
        assert!(message.ends_with("takes 0 to 3"), "{backend:?}: {message}");
        let (exit, code, message) =
            outcome(&mut s.program, print(vec![value(quotient)], on.clone()), backend);
        assert_eq!((exit, code), (3, "NN0403"), "{message}");
        let check = Action {
            kind: ActionKind::Check {
                condition: Value::Number(0.0),
                message: Line(vec![text("the sum is "), value(s.total)]),
            },
            input: on.clone(),
            span: span(),
        };
        let failed = outcome(&mut s.program, check, backend);
        assert_eq!(failed, (3, "NN0404", "the sum is 10".to_string()));
    }
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let mut s = sums(3, vec![]);
    s.program.datasets[0].columns[0].ty = ty(DType::I64, &["n"]);
    // 2.5.csv holds a fraction.
    if let Source::File(DataFile { path, .. }) = &mut s.program.datasets[0].columns[0].value.sources[0].1 {
        *path = "2.5.csv".into();
    }
    let code = |program: &Program| {
        let e = run_on(program, Backend::Jit).0.expect_err("an error");
        (e.exit_code(), e.diagnostic().unwrap().code.code)
    };
    assert_eq!(code(&s.program), (1, "NN0209"));
    if let Source::File(DataFile { path, .. }) = &mut s.program.datasets[0].columns[0].value.sources[0].1 {
        *path = "none.csv".into();
    }
    assert_eq!(code(&s.program), (4, "NN0201"));
    if let Source::File(DataFile { path, .. }) = &mut s.program.datasets[0].columns[0].value.sources[0].1 {
        *path = "../3.csv".into();
    }
    assert_eq!(code(&s.program), (1, "NN0202"));
    let mut s = sums(3, vec![]);
    let wide = s.program.datasets[0].columns[0].clone();
    s.program.datasets[0].columns.push(crate::check::program::Column {
        name: "y".into(),
        value: sums(4, vec![]).program.datasets[0].columns[0].value.clone(),
        ..wide
    });
    assert_eq!(code(&s.program), (1, "NN0211"));
    let mut s = sums(3, vec![]);
    s.program.requirements = vec![Requirement { dim: Dim::symbol("n"), at_least: 4, span: span() }];
    assert_eq!(code(&s.program), (1, "NN0212"));
    let mut s = sums(3, vec![]);
    let t = s.train(Some(4), Remainder::Drop, Length::Epochs(1));
    s.program.directives = vec![Directive::Train(Box::new(t))];
    assert_eq!(code(&s.program), (1, "NN0214"));
}

#[test]
fn memory_is_counted_before_it_is_taken() {
    let l = lesson_with_prints();
    let mut output = Collected::default();
    let options = Options { max_memory: 1000, ..Options::default() };
    let e = session::run(&l, options, &InMemory::default(), &mut output, &mut |_, _| {}).unwrap_err();
    assert_eq!((e.exit_code(), e.diagnostic().unwrap().code.code), (5, "NN0210"));
}
