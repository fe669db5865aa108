//! A picture for programs that lay out themselves, dot and mermaid, and as lines of plain characters.

use crate::picture::{Kind, Node, Picture, cut};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Labels and edges of Graphviz.
pub fn dot(picture: &Picture) -> String {
    let mut out = format!(
        "digraph {{\n  rankdir=LR\n  label={}\n  labelloc=t\n  node [fontname=monospace, shape=box, style=filled, fillcolor=white]\n  edge [fontname=monospace]\n",
        quoted(&picture.title)
    );
    for (i, node) in picture.nodes.iter().enumerate() {
        let style = match node.kind {
            Kind::Data => ", shape=parallelogram, fillcolor=\"#cfe8f7\"",
            Kind::Variable => ", style=\"filled,rounded\", fillcolor=\"#fbe3b3\"",
            Kind::Value => "",
            Kind::Loss => ", penwidth=3, fillcolor=\"#f7d3bd\"",
            Kind::Gradient => ", style=\"filled,dashed\", fillcolor=\"#d5efe5\"",
        };
        let _ = writeln!(out, "  n{i} [label={}{style}]", quoted(&lines(node).join("\n")));
    }
    for (i, node) in picture.nodes.iter().enumerate() {
        if let Some(under) = node.under {
            let _ = writeln!(out, "  {{ rank=same n{under} n{i} }}");
        }
    }
    for (a, b) in &picture.edges {
        let label = quoted(&labels(&picture.nodes[*a]).join("\n"));
        // Gradients run against the ranks, which values alone decide.
        let style =
            if picture.nodes[*b].kind == Kind::Gradient { ", style=dashed, constraint=false" } else { "" };
        let _ = writeln!(out, "  n{a} -> n{b} [label={label}{style}]");
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A flowchart for Markdown.
pub fn mermaid(picture: &Picture) -> String {
    let text = |lines: Vec<String>| {
        let safe = |l: &String| {
            let l = l.replace('#', "#35;").replace('&', "#38;").replace('"', "#34;");
            l.replace('<', "#60;").replace('>', "#62;").replace('`', "#96;")
        };
        format!("\"{}\"", lines.iter().map(safe).collect::<Vec<_>>().join("<br/>"))
    };
    let mut out = String::from("flowchart LR\n");
    for (i, node) in picture.nodes.iter().enumerate() {
        let label = text(lines(node));
        let _ = match node.kind {
            Kind::Data => writeln!(out, "  n{i}[/{label}/]:::data"),
            Kind::Variable => writeln!(out, "  n{i}([{label}]):::variable"),
            Kind::Value => writeln!(out, "  n{i}[{label}]"),
            Kind::Loss => writeln!(out, "  n{i}[[{label}]]:::loss"),
            Kind::Gradient => writeln!(out, "  n{i}[{label}]:::gradient"),
        };
    }
    for (a, b) in &picture.edges {
        let arrow = if picture.nodes[*b].kind == Kind::Gradient { "-.->" } else { "-->" };
        let labels = labels(&picture.nodes[*a]);
        let label = if labels.is_empty() { String::new() } else { format!("|{}|", text(labels)) };
        let _ = writeln!(out, "  n{a} {arrow}{label} n{b}");
    }
    out.push_str(
        "  classDef data fill:#cfe8f7,stroke:#0072b2,color:#000\n  classDef variable fill:#fbe3b3,stroke:#8a5a00,color:#000\n  \
         classDef loss fill:#f7d3bd,stroke:#d55e00,stroke-width:3px,color:#000\n  \
         classDef gradient fill:#d5efe5,stroke:#00664b,stroke-dasharray:6 3,color:#000\n",
    );
    out
}

fn lines(node: &Node) -> Vec<String> {
    [Some(&node.name), node.detail.as_ref()].into_iter().flatten().cloned().collect()
}

fn labels(node: &Node) -> Vec<String> {
    [&node.shape].into_iter().chain(&node.numbers).filter(|t| !t.is_empty()).cloned().collect()
}

const NAME: usize = 26;
const SHAPE: usize = 16;
const WIDTH: usize = 80;

/// A line a node: what it is, its shape, and after `<-` where its edges come from.
pub fn ascii(picture: &Picture) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut from: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (a, b) in &picture.edges {
        from.entry(*b).or_default().push(cut(&picture.nodes[*a].name, NAME));
    }
    let cells = |i: usize| (cut(&picture.nodes[i].name, NAME), cut(&picture.nodes[i].shape, SHAPE));
    let widest = |f: &dyn Fn(usize) -> usize| (0..picture.nodes.len()).map(f).max().unwrap_or(0);
    let name_width = widest(&|i| cells(i).0.width());
    let shape_width = widest(&|i| cells(i).1.width());
    let pad = |text: &str, width: usize| format!("{text}{}", " ".repeat(width - text.width()));
    let mut out = format!("{}\n", picture.title);
    let mut heading = "";
    for (i, node) in picture.nodes.iter().enumerate() {
        let section = if node.kind == Kind::Gradient { "backward" } else { "forward" };
        if section != heading {
            heading = section;
            let _ = writeln!(out, "\n{section}");
        }
        let mark = match node.kind {
            Kind::Data => '/',
            Kind::Variable => '(',
            Kind::Value => '[',
            Kind::Loss => '*',
            Kind::Gradient => ':',
        };
        let (name, shape) = cells(i);
        let start = format!("  {mark} {}  {}  ", pad(&name, name_width), pad(&shape, shape_width));
        let sources = match from.get(&i) {
            Some(names) => format!("<- {}", names.join(", ")),
            None => match node.kind {
                Kind::Data => "data".into(),
                Kind::Variable => "variable".into(),
                _ => String::new(),
            },
        };
        let sources = cut(&sources, WIDTH.saturating_sub(start.width()));
        let _ = writeln!(out, "{}", format!("{start}{sources}").trim_end());
        for row in &node.numbers {
            let _ = writeln!(out, "        {row}");
        }
    }
    out
}
