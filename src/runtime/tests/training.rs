//! What a training does: the lesson's numbers, the rows of every step, what its actions see.

use super::*;

#[test]
fn the_lesson_prints_its_own_numbers() {
    let program = lesson_with_prints();
    let want = [
        "w1 = [[-0.811318, 1.4846, 0.0653294], [-2.4427, 0.0992484, 0.591224]]",
        "5.13118",
        "0.429111",
        "0.409789",
        "0.399923",
        "0.394146",
        "0.390597",
        "w1 = [[-0.700066, 0.913632, 0.0895357], [-2.34025, -0.146413, 0.58823]]",
    ];
    assert_eq!(lines(&program, Backend::Jit), want);
    assert_eq!(lines(&program, Backend::Loops), want);
    // In f64 the weights differ in the sixth digit, the losses do not.
    assert_eq!(lines(&program, Backend::Graph)[..7], want[..7]);
}

/// The batches of LANGUAGE.md, row by row; rows are numbered from 1 here.
fn batches(n: i64, b: i64, remainder: Remainder, steps: i64) -> Vec<Vec<i64>> {
    let per_epoch = if remainder == Remainder::Drop { n / b } else { (n + b - 1) / b };
    (0..steps)
        .map(|i| {
            let cut = |start: i64| (start..(start + b).min(n)).collect::<Vec<i64>>();
            match remainder {
                Remainder::Keep | Remainder::Drop => cut(i % per_epoch * b),
                Remainder::Lesson => cut(i * b % n),
                Remainder::Wrap => (0..b).map(|j| (i * b + j) % n).collect(),
            }
        })
        .map(|rows| rows.into_iter().map(|r| r + 1).collect())
        .collect()
}

#[test]
fn every_step_sees_its_rows() {
    for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
        for remainder in [Remainder::Keep, Remainder::Drop, Remainder::Wrap, Remainder::Lesson] {
            for (n, b) in [(12, 4), (10, 4), (7, 3), (5, 5), (3, 7), (1, 1), (9, 2)] {
                if remainder == Remainder::Drop && b > n {
                    continue;
                }
                let mut s = sums(n as usize, vec![]);
                let t = s.train(Some(b as u64), remainder, Length::Steps(23));
                let (result, output) = s.run(t, backend);
                result.expect("a run without errors");
                let w = batches(n, b, remainder, 23).iter().fold(0.0, |w, rows| update(w, rows));
                let got: f64 = output.lines[0].parse().expect("a number");
                assert_eq!(got, w, "{backend:?} {remainder:?} n={n} b={b}");
            }
        }
    }
}

/// Long calls cross many epochs; the last one is cut short.
#[test]
fn long_runs_cross_epochs() {
    let mut s = sums(12, vec![]);
    // The modulus keeps the numbers exact: w·2 grows beyond 2^53 after some 40 steps.
    let t = s.train(Some(4), Remainder::Keep, Length::Epochs(13));
    let (result, output) = s.run(t, Backend::Jit);
    result.expect("a run without errors");
    let w = batches(12, 4, Remainder::Keep, 39).iter().fold(0.0, |w, rows| update(w, rows));
    assert_eq!(output.lines[0].parse::<f64>(), Ok(w));
    assert_eq!(output.last_progress.map(|p| (p.step, p.total)), Some((39, 39)));
    assert_eq!(output.notes.len(), 13, "without an action, a line an epoch");
    assert_eq!(output.notes[0], "epoch 1/13: total = 42");
}

#[test]
fn shuffled_epochs_follow_the_documented_order() {
    for (n, b, remainder) in [(12, 4, Remainder::Keep), (10, 4, Remainder::Keep), (10, 4, Remainder::Drop)] {
        let mut s = sums(n, vec![]);
        let mut t = s.train(Some(b), remainder, Length::Epochs(5));
        t.shuffle = Some(7);
        let (result, output) = s.run(t, Backend::Jit);
        result.expect("a run without errors");
        let mut w = 0.0;
        for epoch in 0..5 {
            let order: Vec<i64> =
                crate::rng::epoch_order(7, epoch, n).into_iter().map(|r| r as i64 + 1).collect();
            for rows in order.chunks(b as usize) {
                if remainder == Remainder::Keep || rows.len() == b as usize {
                    w = update(w, rows);
                }
            }
        }
        assert_eq!(output.lines[0].parse::<f64>(), Ok(w), "n={n} b={b} {remainder:?}");
    }
}

/// What an action inside `train` shows without `on` is the forward pass of the step it follows.
#[test]
fn actions_see_the_step_they_follow() {
    for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
        let mut s = sums(10, vec![]);
        let mut t = s.train(Some(4), Remainder::Keep, Length::Epochs(3));
        let w = s.program.variables[0].node;
        let seen = print(vec![value(s.x), text(" "), value(s.total), text(" "), value(w)], Input::None);
        let total = print(vec![text("total "), value(s.total)], Input::None);
        t.events = vec![
            Event { when: When::Start, actions: vec![print(vec![text("start "), value(w)], Input::None)] },
            Event { when: When::EverySteps(4), actions: vec![seen.clone()] },
            Event { when: When::EveryEpochs(1), actions: vec![total] },
            Event { when: When::End, actions: vec![seen] },
        ];
        let (result, output) = s.run(t, backend);
        result.expect("a run without errors");
        let all = batches(10, 4, Remainder::Keep, 9);
        let w_after = |i: usize| all[..=i].iter().fold(0.0, |w, rows| update(w, rows));
        let shown = |i: usize| {
            let total: i64 = all[i].iter().sum();
            format!("{:?} {total} {}", all[i], crate::runtime::format::float(w_after(i), None))
        };
        let want = [
            "start 0".to_string(),
            shown(0),
            "total 19".to_string(),
            shown(4),
            "total 19".to_string(),
            shown(8),
            "total 19".to_string(),
            shown(8),
        ];
        assert_eq!(output.lines[..8], want, "{backend:?}");
        assert!(output.notes.is_empty(), "there are actions, so no line of its own");
    }
}

#[test]
fn a_loss_that_is_no_number_stops_in_its_step() {
    for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
        let mut l = lesson();
        let t = train(&l, 1e4, Some(8), Length::Steps(3000), &[]);
        l.program.directives = vec![Directive::Train(Box::new(t))];
        let (result, _) = run_on(&l.program, backend);
        let e = result.expect_err("it diverges");
        assert_eq!(e.exit_code(), 3);
        let message = e.diagnostic().unwrap().message.english();
        if backend == Backend::Graph {
            assert!(message.starts_with("the loss `mse` became"), "{message}");
        } else {
            // The same step in both, for they give the same bits.
            assert_eq!(message, "the loss `mse` became infinite in step 2", "{backend:?}");
        }
    }
}
