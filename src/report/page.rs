//! The page: one file of HTML with its own style, script and data.

use crate::explain;
use crate::lang::Lang;
use crate::picture::svg::escaped;
use crate::report::labels::{label, labels};
use serde_json::Value;
use std::fmt::Write;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("page.js"), "\n", include_str!("drawings.js"));

#[derive(Clone, Debug)]
pub struct Page {
    pub title: String,
    /// The program's text as HTML.
    pub program: String,
    pub figures: Vec<Figure>,
    /// For the script.
    pub data: Value,
    /// Nothing was recorded, for the size of it.
    pub too_large: bool,
    pub stopped: bool,
}

/// The pictures of one loss.
#[derive(Clone, Debug)]
pub struct Figure {
    pub title: String,
    /// SVG
    pub graph: String,
    pub derivation: Option<explain::page::Page>,
}

impl Page {
    pub fn html(&self, lang: Lang) -> String {
        let sections = self.sections(lang);
        let label = |key: &str| label(key, lang);
        let mut tabs = String::new();
        let mut panels = String::new();
        for (i, (key, content)) in sections.iter().enumerate() {
            let (selected, tab, hidden) = if i == 0 { ("true", "0", "") } else { ("false", "-1", " hidden") };
            let name = label(key);
            let _ = writeln!(
                tabs,
                "<button role=\"tab\" id=\"tab-{key}\" aria-controls=\"{key}\" aria-selected=\"{selected}\" tabindex=\"{tab}\">{name}</button>"
            );
            let _ = writeln!(
                panels,
                "<section role=\"tabpanel\" id=\"{key}\" aria-labelledby=\"tab-{key}\"{hidden}>\n{content}\n</section>"
            );
        }
        let mut notes = String::new();
        let notes_of = [(self.too_large, "tooLarge"), (self.stopped, "stopped")];
        for (_, key) in notes_of.iter().filter(|(holds, _)| *holds) {
            let _ = write!(notes, "<p class=\"note\">{}</p>", label(key));
        }
        let mut data = self.data.clone();
        data["labels"] = labels(lang).map(|(key, text)| (key.to_string(), Value::from(text))).collect();
        // In this order: what a program says cannot stand for a part of the page.
        let parts = [
            ("{{lang}}", lang.tag().to_string()),
            ("{{title}}", escaped(&self.title)),
            ("{{style}}", STYLE.to_string()),
            ("{{script}}", SCRIPT.to_string()),
            ("{{step}}", escaped(label("step"))),
            ("{{slider}}", escaped(label("slider"))),
            ("{{sections}}", escaped(label("sections"))),
            ("{{noScript}}", escaped(label("noScript"))),
            ("{{notes}}", notes),
            ("{{tabs}}", tabs),
            ("{{data}}", data.to_string().replace('<', "\\u003c")),
            ("{{panels}}", panels),
        ];
        filled(TEMPLATE, &parts)
    }

    /// What applies to the program: the key of a section, and what stands in it before the script runs.
    fn sections(&self, lang: Lang) -> Vec<(&'static str, String)> {
        let help = |key: &str| format!("<p class=\"help\">{}</p>", label(key, lang));
        let has = |key: &str| self.data[key].as_array().is_some_and(|a| !a.is_empty());
        let has_moments = has("moments");
        let mut sections = vec![(
            "program",
            format!(
                "{}<pre class=\"box\" id=\"source\" tabindex=\"0\">{}</pre>",
                help("programHelp"),
                self.program
            ),
        )];
        if !self.figures.is_empty() {
            let graph = |f: &Figure| {
                format!(
                    "<div class=\"box picture\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">{}</div>",
                    escaped(&f.title),
                    f.graph
                )
            };
            let graphs: String = self.figures.iter().map(graph).collect();
            sections.push(("graph", format!("{}{graphs}", help("graphHelp"))));
        }
        let drawn = [
            ("curves", "curvesHelp", has("curves")),
            ("weights", "weightsHelp", has_moments),
            ("boundary", "", self.data.get("boundary").is_some()),
            ("confusion", "confusionHelp", has("confusion")),
        ];
        for (key, text, _) in drawn.into_iter().filter(|(_, _, applies)| *applies) {
            let help = if text.is_empty() { String::new() } else { help(text) };
            sections.push((key, format!("{help}<div class=\"drawn\"></div>")));
        }
        let derivations = self.figures.iter().filter_map(|f| f.derivation.clone());
        let derivations: String =
            derivations.map(|page| explain::html::fragment(&explain::page::Page { lang, ..page })).collect();
        if !derivations.is_empty() {
            sections.push(("derivation", derivations));
        }
        sections
    }
}

/// The template with its parts, each looked for behind the one before it or anywhere in the template, never in a part.
fn filled(template: &str, parts: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        match parts.iter().find(|(name, _)| from.starts_with(name)) {
            Some((name, text)) => {
                out.push_str(text);
                rest = &from[name.len()..];
            }
            None => {
                out.push_str("{{");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}
