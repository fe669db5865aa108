//! Gradients of what was looked up by index.

use super::layers::{checked, printed};
use super::*;

/// Rows that occur twice in a batch, across batches, never, and a last batch of one row.
#[test]
fn a_table_learns_from_each_row_of_a_batch_and_no_other() {
    let (ids, weights) = ([2, 0, 2, 2, 1], [1.0, 2.0, 4.0, 8.0, 16.0]);
    let text = format!(
        "dataset d {{\n  id: i64[n] = {ids:?}\n  g: f32[n] = {weights:?}\n}}\n\
         placeholder id: i64[batch]\nplaceholder g: f32[batch]\n\
         variable table: f32[4, 2] = ones()\n\
         loss l = sum(take(table, id) * g[:, None])\n\
         train l on d {{\n  optimizer = sgd(lr=0.25)\n  batch = 2\n  steps = 4\n\
           every 1 steps print \"{{table[:, 0]}} {{table[:, 1]}}\"\n}}\n"
    );
    let mut table = [1.0; 4];
    let mut want = Vec::new();
    for rows in [0..2, 2..4, 4..5, 0..2] {
        rows.for_each(|row| table[ids[row]] -= 0.25 * weights[row]);
        want.push(format!("{table:?} {table:?}").replace(".0", ""));
    }
    assert_eq!(printed(&text), want);
}

/// In f32, 1 is lost beside 1e8 unless it comes last.
#[test]
fn what_meets_in_a_place_is_added_in_the_order_of_the_rows() {
    let text = "variable w: f32[2] = ones()\n\
                c: f32[3] = [1, 1e8, -1e8]\n\
                print grad(sum(take(w, [1, 1, 1]) * c), w)[1]\n\
                print scatter_add(c[::-1], [0, 0, 0], 1)[0]\n";
    let program = checked(text);
    let of = |backend| -> Vec<String> {
        lines(&program, backend)
            .iter()
            .map(|l| l.rsplit(' ').next().unwrap_or_default().to_string())
            .collect()
    };
    assert_eq!(of(Backend::Jit), ["0", "1"]);
    assert_eq!(of(Backend::Loops), ["0", "1"]);
    assert_eq!(of(Backend::Graph), ["1", "1"]);
}

/// The gradient of `sqrt` at 0 is infinite; where a `where` masks the element it is not asked for.
#[test]
fn a_masked_element_stays_masked_behind_a_lookup() {
    let text = "x: f32[3] = [0, 4, 0]\n\
                z = take(sqrt(x), [0, 1, 1])\n\
                y = where(z > 0, log(z), 0)\n\
                print grad(sum(y), x)\n";
    // d log(sqrt(x)) = 1/(2x), for each of the two places; the third element was never taken.
    assert_eq!(printed(text), ["grad(sum(y), x) = [0, 0.25, 0]"]);
}

/// The values looked up are not needed for the gradient, so it finds the index itself.
#[test]
fn an_index_out_of_range_stops_the_gradient_too() {
    let head =
        "dataset d {\n  k: i64[n] = [0, 1, -1]\n}\nplaceholder k: i64[batch]\nvariable w: f32[4] = ones()\n";
    for (value, op) in
        [("grad(sum(take(w, k)), w)", "take"), ("scatter_add(cast(k, f32), k, 3)", "scatter_add")]
    {
        let program = checked(&format!("{head}print {value} on d\n"));
        for backend in [Backend::Jit, Backend::Loops, Backend::Graph] {
            let (result, _) = run_on(&program, backend);
            let Err(RunError::Numerical(d)) = result else { panic!("{backend:?}: {result:?}") };
            let (message, end) = (d.message.english(), if op == "take" { 3 } else { 2 });
            assert_eq!(d.code.code, "NN0402", "{message}");
            assert!(message.starts_with("index -1 is out of range in row 2"), "{backend:?}: {message}");
            assert!(message.ends_with(&format!("takes 0 to {end}")), "{backend:?}: {message}");
        }
    }
}
