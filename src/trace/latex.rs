//! A trace as a LaTeX document: titles in typewriter type, numbers as matrices. Needs amsmath alone.

use crate::trace::grid::{BLANK, Limits, grid};
use crate::trace::text::shown;
use crate::trace::{Fill, Trace};

/// A matrix of amsmath has at most ten columns unless it is told otherwise.
const LIMITS: Limits = Limits { rows: 8, columns: 10, width: 84 };

pub fn print(trace: &Trace, heading: &[String], fill: Fill) -> String {
    let mut out = String::from(
        "\\documentclass[11pt]{article}\n\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n\\usepackage{amsmath}\n\
         \\usepackage[margin=2cm]{geometry}\n\\setlength{\\parindent}{0pt}\n\\setlength{\\parskip}{6pt}\n\
         \\newcommand{\\blank}{\\underline{\\hspace{2.5em}}}\n\\begin{document}\n\\raggedright\n",
    );
    for (i, line) in heading.iter().enumerate() {
        out.push_str(&if i == 0 {
            format!("\\section*{{{}}}\n", escaped(line))
        } else {
            format!("{}\n", escaped(line))
        });
    }
    for section in &trace.sections {
        out.push_str(&format!("\n\\subsection*{{{}}}\n", section.title));
        for item in &section.items {
            let remark = item
                .remark
                .as_deref()
                .map(|r| format!(" \\quad \\texttt{{{}}}", escaped(r)))
                .unwrap_or_default();
            let shape = match item.shape.as_str() {
                "[]" => String::new(),
                shape => format!(" \\quad \\texttt{{{}}}", escaped(shape)),
            };
            out.push_str(&format!("\n\\texttt{{{}}}{shape}{remark}\n", escaped(&item.title())));
            for value in shown(item, fill) {
                let grid = grid(value, fill, LIMITS);
                let rows: Vec<String> = grid.rows.iter().map(|r| cells(r)).collect();
                let caption = if fill == Fill::All && !value.caption.is_empty() {
                    format!("\\text{{{}}}\\quad ", value.caption)
                } else {
                    String::new()
                };
                let rest =
                    grid.rest.map(|rest| format!(" \\quad \\text{{\\ldots\\ {rest}}}")).unwrap_or_default();
                out.push_str(&format!(
                    "\\[ {caption}\\begin{{bmatrix}} {} \\end{{bmatrix}}{rest} \\]\n",
                    rows.join(" \\\\ ")
                ));
            }
        }
    }
    for note in &trace.notes {
        out.push_str(&format!("\nNote: {}.\n", escaped(note)));
    }
    out.push_str("\\end{document}\n");
    out
}

fn cells(row: &[String]) -> String {
    let cell = |c: &String| match c.trim() {
        BLANK => "\\blank".to_string(),
        "nan" | "inf" | "-inf" => format!("\\text{{{}}}", c.trim()),
        number => match number.split_once('e') {
            Some((mantissa, exponent)) => {
                let exponent = exponent.trim_start_matches('+').parse::<i32>().unwrap_or(0);
                format!("{mantissa} \\cdot 10^{{{exponent}}}")
            }
            None => number.to_string(),
        },
    };
    row.iter().map(cell).collect::<Vec<_>>().join(" & ")
}

/// Text with every sign that means something to LaTeX spelled out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => out.extend(['\\', c]),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '∂' => out.push_str("$\\partial$"),
            'δ' => out.push_str("$\\delta$"),
            '²' => out.push_str("\\textsuperscript{2}"),
            '…' => out.push_str("\\ldots{}"),
            '`' => out.push_str("\\textasciigrave{}"),
            '\'' => out.push_str("\\textquotesingle{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
