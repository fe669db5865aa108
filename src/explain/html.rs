//! The derivation as HTML: a fragment for a report, or a page of its own. Asks for nothing from outside.

use crate::explain::fold::{self, Row, abridged};
use crate::explain::page::Page;
use crate::explain::text::{cells, shape_text};

/// A page of its own around [`fragment`].
pub fn print(page: &Page) -> String {
    let style = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
                 .derivation{overflow-x:auto}td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;\
                 font-weight:normal}code{font-family:ui-monospace,monospace;white-space:nowrap}\
                 .reason{color:#444}";
    let title = escaped(&page.heading.statement);
    format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{style}</style></head>\n<body>\n{}</body>\n</html>\n",
        fragment(page),
        lang = page.lang.tag()
    )
}

/// One `div` with the lines as a table, the steps as another, and the check. Brings no style.
pub fn fragment(page: &Page) -> String {
    let derivation = &page.derivation;
    let names = derivation.names();
    let mut out = format!(
        "<div class=\"derivation\">\n<p><code>{}</code> {}</p>\n<table class=\"lines\">\n",
        escaped(&page.heading.statement),
        escaped(&page.heading.place)
    );
    for shown in fold::rows(derivation) {
        let cells = match shown {
            Row::Definition(d) => {
                (derivation.values.get(&d.node).map_or("", |n| n.as_str()), &d.value, &d.shape, "")
            }
            Row::Line(l) => (l.name.as_str(), &l.value, &l.shape, l.remark.as_deref().unwrap_or("")),
            Row::Alike(how) => {
                out.push_str(&row(&["⋮".into(), escaped(&how.in_(page.lang)), String::new(), String::new()]));
                continue;
            }
        };
        let (name, value, shape, remark) = cells;
        let value = code(&format!("= {}", abridged(value, &names).text(&names)));
        out.push_str(&row(&[code(name), value, code(&shape_text(shape)), code(remark)]));
    }
    for id in &derivation.absent {
        let name = derivation.values.get(id).map_or("", |n| n.as_str());
        out.push_str(&row(&[code(&format!("∂{}/∂{name}", derivation.loss)), code("= 0"), String::new()]));
    }
    out.push_str("</table>\n");
    if let Some(steps) = &page.steps {
        out.push_str("<table class=\"steps\">\n");
        let names = steps.names();
        for (i, step) in steps.steps.iter().enumerate() {
            let [equation, meaning, gradient, reason] = cells(step, steps, page, &names);
            let reason = format!("<span class=\"reason\">{}</span>", escaped(&reason));
            let number = (i + 1).to_string();
            out.push_str(&row(&[number, code(&equation), code(&meaning), code(&gradient), reason]));
        }
        out.push_str("</table>\n");
    }
    if let Some(checked) = &page.checked {
        out.push_str(&format!("<p class=\"checked\">{}</p>\n", escaped(&checked.sentence().in_(page.lang))));
    }
    out + "</div>\n"
}

fn row(cells: &[String]) -> String {
    let (first, rest) = cells.split_first().expect("a row has cells");
    let rest: String = rest.iter().map(|c| format!("<td>{c}</td>")).collect();
    format!("<tr><th scope=\"row\">{first}</th>{rest}</tr>\n")
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<code>{}</code>", escaped(text)) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
