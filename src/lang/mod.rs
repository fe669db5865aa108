//! What `nn` says, in the reader's language: a [`Text`] is an English template with what fills its holes, and
//! is looked up in the table of another language when it is shown, not before.
//!
//! A literal is a `Text`; [`say!`] makes one with holes. A `String` is none: what somebody else wrote is shown
//! as it is only where [`Text::verbatim`] or a hole says so, and our own words cannot slip past the tables.
//! This module never knows what a text is about.

pub mod zh;

use std::fmt::Display;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

impl Lang {
    /// As HTML's `lang` has it (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Zh => "zh",
        }
    }
}

/// A sentence or a part of one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Text {
    /// English, and the key of every table.
    template: &'static str,
    /// In the order in which they were given; another language may name them in its own.
    holes: Box<[(&'static str, Hole)]>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hole {
    /// Names, code, numbers, what the system says.
    Verbatim(String),
    Text(Text),
}

/// A [`Text`] with holes: `say!("`{a}` is {b}", a, b = self.ty)`. Each hole has a name; whatever can be
/// displayed stands in it as it is, a `Text` in the reader's language.
macro_rules! say {
    ($template:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {{
        const { assert!($crate::lang::fits($template, &[$(stringify!($name)),*]), "holes and names differ") }
        $crate::lang::Text::new(
            $template,
            vec![$((stringify!($name), $crate::lang::Hole::from(&$crate::lang::say!(@ $name $($value)?)))),*],
        )
    }};
    (@ $name:ident) => { $name };
    (@ $name:ident $value:expr) => { $value };
}
pub(crate) use say;

impl Text {
    pub fn new(template: &'static str, holes: Vec<(&'static str, Hole)>) -> Text {
        Text { template, holes: holes.into() }
    }

    /// Code, names, or what somebody else said: the same in every language.
    pub fn verbatim(text: impl Display) -> Text {
        Text::new("{text}", vec![("text", Hole::from(&text))])
    }

    /// A name or a piece of code, in backquotes.
    pub fn code(text: impl Display) -> Text {
        Text::verbatim(format!("`{text}`"))
    }

    /// Several, with something between them.
    pub fn joined(texts: impl IntoIterator<Item = Text>, between: impl Into<Text>) -> Text {
        let between = between.into();
        let join = |a: Text, b: Text| say!("{a}{between}{b}", a, between, b);
        texts.into_iter().reduce(join).unwrap_or_default()
    }

    /// `a or b or c`
    pub fn any_of(texts: impl IntoIterator<Item = Text>) -> Text {
        Text::joined(texts, " or ")
    }

    pub fn is_empty(&self) -> bool {
        self.template.is_empty()
    }

    pub fn english(&self) -> String {
        self.in_(Lang::En)
    }

    pub fn in_(&self, lang: Lang) -> String {
        let template = match lang {
            Lang::En => self.template,
            Lang::Zh => zh::table().get(self.template).copied().unwrap_or(self.template),
        };
        // Without holes, a brace is a brace.
        if self.holes.is_empty() {
            return template.to_string();
        }
        let mut out = String::new();
        for part in parts(template) {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Hole(name) => match self.holes.iter().find(|(n, _)| *n == name) {
                    Some((_, Hole::Verbatim(text))) => out.push_str(text),
                    Some((_, Hole::Text(text))) => out.push_str(&text.in_(lang)),
                    None => debug_assert!(false, "nothing fills `{name}` of: {template}"),
                },
            }
        }
        out
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Text {
        Text::new(text, Vec::new())
    }
}

// `Text` has no `Display`, so that this does not take it, and no `format!` can make English of it by mistake.
impl<T: Display + ?Sized> From<&T> for Hole {
    fn from(shown: &T) -> Hole {
        Hole::Verbatim(shown.to_string())
    }
}

impl From<&Text> for Hole {
    fn from(text: &Text) -> Hole {
        Hole::Text(text.clone())
    }
}

impl From<&&Text> for Hole {
    fn from(text: &&Text) -> Hole {
        Hole::Text((*text).clone())
    }
}

enum Part<'a> {
    Text(&'a str),
    Hole(&'a str),
}

/// The pieces of a template; `{{` and `}}` are braces.
fn parts(template: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        if rest[at + 1..].starts_with(&rest[at..=at]) {
            out.push(Part::Text(&rest[..=at]));
            rest = &rest[at + 2..];
        } else if let Some(end) = rest[at..].find('}').filter(|_| rest[at..].starts_with('{')) {
            out.push(Part::Text(&rest[..at]));
            out.push(Part::Hole(&rest[at + 1..at + end]));
            rest = &rest[at + end + 1..];
        } else {
            out.push(Part::Text(&rest[..=at]));
            rest = &rest[at + 1..];
        }
    }
    out.push(Part::Text(rest));
    out
}

/// Whether each hole of a template has a name in the list, and each name a hole. Read when `nn` is compiled.
pub const fn fits(template: &str, names: &[&str]) -> bool {
    if names.is_empty() {
        return true;
    }
    let text = template.as_bytes();
    let mut seen = [false; 16];
    let mut i = 0;
    while i < text.len() {
        let double = i + 1 < text.len() && text[i + 1] == text[i];
        if (text[i] == b'{' || text[i] == b'}') && double {
            i += 2;
            continue;
        }
        if text[i] == b'{' {
            let mut n = 0;
            while n < names.len() && !names_at(text, i + 1, names[n].as_bytes()) {
                n += 1;
            }
            if n == names.len() {
                return false;
            }
            seen[n] = true;
        }
        i += 1;
    }
    let mut n = 0;
    while n < names.len() {
        if !seen[n] {
            return false;
        }
        n += 1;
    }
    true
}

const fn names_at(text: &[u8], at: usize, name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if at + i >= text.len() || text[at + i] != name[i] {
            return false;
        }
        i += 1;
    }
    at + i < text.len() && text[at + i] == b'}'
}
