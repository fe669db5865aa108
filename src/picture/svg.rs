//! A picture as SVG. Kinds differ in outline as well as in colour (Okabe and Ito's), and text is text.

use crate::picture::layout::{Area, CHARACTER, LINE, Layout, Route, Text, layout};
use crate::picture::{Kind, Picture};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

const HEAD: f64 = 34.0;
const LEGEND: f64 = 44.0;

const STYLE: &str = "text{font:13px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#000}\
.n{font-weight:bold}.d,.s{fill:#333}.b{stroke:#000;stroke-width:1.2}\
.data{fill:#cfe8f7;stroke:#0072b2}.variable{fill:#fbe3b3;stroke:#8a5a00}.value{fill:#fff}\
.loss{fill:#f7d3bd;stroke:#d55e00;stroke-width:3}.gradient{fill:#d5efe5;stroke:#00664b;stroke-dasharray:6 3}\
.e{fill:none;stroke:#333;stroke-width:1.2}.g{stroke:#00664b;stroke-dasharray:6 3}";

/// The legend, in the order in which it is drawn.
const KINDS: [(Kind, &str); 5] = [
    (Kind::Data, "data"),
    (Kind::Variable, "variable"),
    (Kind::Value, "value"),
    (Kind::Loss, "loss"),
    (Kind::Gradient, "gradient"),
];

pub fn print(picture: &Picture) -> String {
    let layout = layout(picture);
    let kinds: Vec<(Kind, &str)> =
        KINDS.into_iter().filter(|(k, _)| picture.nodes.iter().any(|n| n.kind == *k)).collect();
    let legend: f64 = kinds.iter().map(|(_, name)| legend_width(name)).sum();
    let width = layout.width.max(legend + 20.0).max(picture.title.width() as f64 * CHARACTER + 40.0);
    let height = layout.height + HEAD + LEGEND;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#333\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text class=\"n\" x=\"20\" y=\"24\">{title}</text>\n",
        title = escaped(&picture.title)
    );
    let _ = writeln!(out, "<g transform=\"translate(0 {HEAD:.0})\">");
    draw(&mut out, picture, &layout);
    out.push_str("</g>\n");
    let mut x = 20.0;
    for (kind, name) in kinds {
        let area = Area { left: x, top: height - LEGEND + 12.0, width: 24.0, height: LINE };
        outline(&mut out, kind, 1, area);
        text(&mut out, "d", &Text { x: x + 32.0, y: area.top + 13.0, text: name.into() });
        x += legend_width(name);
    }
    out.push_str("</svg>\n");
    out
}

fn legend_width(name: &str) -> f64 {
    name.width() as f64 * CHARACTER + 56.0
}

fn draw(out: &mut String, picture: &Picture, layout: &Layout) {
    for route in &layout.routes {
        let class = if picture.nodes[route.to].kind == Kind::Gradient { "e g" } else { "e" };
        let _ = writeln!(out, "<path class=\"{class}\" marker-end=\"url(#arrow)\" d=\"{}\"/>", path(route));
    }
    for (node, placed) in picture.nodes.iter().zip(&layout.nodes) {
        let whole = node.detail.as_ref().map_or(node.name.clone(), |d| format!("{} = {d}", node.name));
        let shape = if node.shape.is_empty() { String::new() } else { format!("   {}", node.shape) };
        let _ = writeln!(out, "<g><title>{}{}</title>", escaped(&whole), escaped(&shape));
        outline(out, node.kind, node.members, placed.area);
        for (k, line) in placed.lines.iter().enumerate() {
            text(out, if k == 0 { "n" } else { "d" }, line);
        }
        for label in &placed.labels {
            text(out, "s", label);
        }
        out.push_str("</g>\n");
    }
}

/// Straight in a column, a curve between two.
fn path(route: &Route) -> String {
    let mut d = String::new();
    for (i, (x, y)) in route.corners.iter().enumerate() {
        let before = if i == 0 { (*x, *y) } else { route.corners[i - 1] };
        let middle = (before.0 + x) / 2.0;
        let _ = match i {
            0 => write!(d, "M{x:.0} {y:.0}"),
            _ if before.1 == *y || before.0 == *x => write!(d, "L{x:.0} {y:.0}"),
            _ => write!(d, "C{middle:.0} {:.0} {middle:.0} {y:.0} {x:.0} {y:.0}", before.1),
        };
    }
    d
}

fn outline(out: &mut String, kind: Kind, members: usize, area: Area) {
    let (_, class) = KINDS.iter().find(|(k, _)| *k == kind).expect("every kind is in the legend");
    let Area { left, top, width, height } = area;
    let mut rect = |left: f64, top: f64, radius: f64| {
        let _ = writeln!(
            out,
            "<rect class=\"b {class}\" x=\"{left:.0}\" y=\"{top:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" rx=\"{radius:.0}\"/>"
        );
    };
    if members > 1 {
        // A stack; it never covers where edges end.
        rect(if kind == Kind::Gradient { left - 4.0 } else { left + 4.0 }, top + 4.0, 0.0);
    }
    match kind {
        Kind::Variable => rect(left, top, height / 2.0),
        Kind::Data => {
            let (right, bottom) = (left + width, top + height);
            let _ = writeln!(
                out,
                "<path class=\"b {class}\" d=\"M{:.0} {top:.0}H{:.0}L{right:.0} {bottom:.0}H{left:.0}z\"/>",
                left + 6.0,
                right - 6.0
            );
        }
        Kind::Value | Kind::Loss | Kind::Gradient => rect(left, top, 0.0),
    }
}

fn text(out: &mut String, class: &str, text: &Text) {
    let Text { x, y, text } = text;
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.1}\" xml:space=\"preserve\">{}</text>",
        escaped(text)
    );
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
