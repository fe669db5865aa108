//! The derivation for other programs: one object, `"schema": 1`.

use crate::explain::page::Page;
use crate::explain::text::{cells, shape_text};
use crate::explain::verify::Checked;
use serde_json::{Value, json};

pub fn print(page: &Page) -> String {
    let derivation = &page.derivation;
    let names = derivation.names();
    let codes = crate::explain::code::expressions(derivation);
    let lines = derivation.lines.iter().zip(codes).map(|(line, code)| {
        json!({
            "name": line.name,
            "expression": line.value.text(&names),
            "identifier": line.identifier,
            "code": code,
            "shape": shape_text(&line.shape),
            "remark": line.remark,
            "primal": derivation.values.get(&line.primal),
            "place": page.places.get(&line.primal),
        })
    });
    let lines: Vec<Value> = lines.collect();
    let codes = crate::explain::code::definitions(derivation);
    let definitions = derivation.definitions.iter().zip(codes).map(|(d, code)| {
        json!({
            "name": derivation.values.get(&d.node),
            "expression": d.value.text(&names),
            "identifier": d.identifier,
            "code": code,
            "shape": shape_text(&d.shape),
            "named_by_program": d.has_name,
        })
    });
    let definitions: Vec<Value> = definitions.collect();
    let absent: Vec<_> = derivation.absent.iter().map(|id| derivation.values.get(id)).collect();
    let mut out = json!({
        "schema": 1,
        "loss": derivation.loss,
        "statement": page.heading.statement,
        "place": page.heading.place,
        "definitions": definitions,
        "lines": lines,
        "absent": absent,
    });
    if let Some(steps) = &page.steps {
        let names = steps.names();
        let step = |step| {
            let [equation, meaning, gradient, reason] = cells(step, steps, page, &names);
            json!({ "equation": equation, "where": meaning, "gradient": gradient, "reason": reason })
        };
        out["steps"] = steps.steps.iter().map(step).collect();
    }
    out["check"] = match &page.checked {
        Some(Checked::Error(e)) => {
            json!({ "error": e, "passed": page.checked.as_ref().is_some_and(Checked::passed) })
        }
        Some(Checked::Not(why)) => json!({ "not_checked": why.in_(page.lang) }),
        None => Value::Null,
    };
    format!("{out:#}\n")
}
