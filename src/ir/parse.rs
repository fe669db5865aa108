//! Reads the text form of [`crate::ir::print`] back into a [`Function`].
//!
//! For tests and tools: the input is a listing, not a user's program, so an error is a line number and
//! a sentence. Which ops exist is asked from outside; nothing here knows the op table.

use crate::ir::build::Builder;
use crate::ir::dim::Dim;
use crate::ir::graph::{Attr, Attrs, Function, Graph, Node, NodeId, Type};
use crate::ir::op::{Class, OpDef, ParamKind, SliceStep};
use crate::scalar::text;
use crate::scalar::{DType, Literal};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A listing that cannot be read: the line, counted from 1, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    pub line: usize,
    pub message: String,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Attributes that an op's parameters need not name, because only the compiler sets them.
const HIDDEN_ATTRIBUTES: [&str; 11] =
    ["name", "value", "dim", "dtype", "shape", "axis", "keepdims", "axes", "slice", "ta", "tb"];

/// Reads one listing. `find` gives an op by name. Node names come from the comments; places (`@ …`) are
/// dropped. A node without a type gets the one its op infers.
pub fn parse(text: &str, find: &dyn Fn(&str) -> Option<&'static OpDef>) -> Result<Function, ParseError> {
    let mut function = Function::default();
    let mut builder = Builder::new(Graph::default());
    let mut numbers = BTreeMap::new();
    let mut open = false;
    for (i, line) in text.lines().enumerate() {
        let mut scan = Scanner { rest: line.trim() };
        let at = |message: String| ParseError { line: i + 1, message };
        if scan.rest.is_empty() {
            continue;
        }
        if !open {
            function.name = head(&mut scan).map_err(at)?;
            open = true;
        } else if scan.eat("}") {
            function.graph = builder.graph;
            return Ok(function);
        } else if scan.rest.starts_with('%') {
            let number = scan.number().map_err(at)?;
            let id = node(&mut scan, &mut builder, &numbers, find).map_err(at)?;
            if numbers.insert(number, id).is_some() {
                return Err(at(format!("%{number} is there twice")));
            }
        } else {
            root(&mut scan, &mut function, &numbers).map_err(at)?;
        }
    }
    let line = text.lines().count().max(1);
    Err(ParseError { line, message: "expected `}`".to_string() })
}

type Numbers = BTreeMap<u32, NodeId>;

/// `graph lesson.step(batch=8) {`
fn head(scan: &mut Scanner<'_>) -> Result<String, String> {
    scan.expect("graph")?;
    let name = scan.word()?;
    if scan.eat("(") {
        let end = scan.rest.find(')').ok_or("expected `)`")?;
        scan.rest = &scan.rest[end + 1..];
    }
    scan.expect("{")?;
    Ok(name)
}

/// `result`, `update` and `guard` lines.
fn root(scan: &mut Scanner<'_>, function: &mut Function, numbers: &Numbers) -> Result<(), String> {
    if scan.eat("result") {
        // A canonical listing leaves out names that are only numbers.
        let name = if scan.peek('%') {
            scan.rest.split_whitespace().next().unwrap_or_default().to_string()
        } else {
            let name = scan.word()?;
            scan.expect("=")?;
            name
        };
        function.results.push((Arc::from(name), scan.reference(numbers)?));
    } else if scan.eat("update") {
        let leaf = scan.reference(numbers)?;
        scan.expect("<-")?;
        function.updates.push((leaf, scan.reference(numbers)?));
    } else if scan.eat("guard") {
        function.guard = Some(scan.reference(numbers)?);
    } else {
        return Err(format!("unknown line `{}`", scan.rest));
    }
    Ok(())
}

/// What follows `%4` on a node's line.
fn node(
    scan: &mut Scanner<'_>,
    builder: &mut Builder,
    numbers: &Numbers,
    find: &dyn Fn(&str) -> Option<&'static OpDef>,
) -> Result<NodeId, String> {
    scan.expect("=")?;
    let name = scan.word()?;
    let op = find(&name).ok_or_else(|| format!("unknown op `{name}`"))?;
    let mut operands = Vec::new();
    let mut attrs = Attrs::none();
    // Read with the node's type, which stands after it.
    let mut value = None;
    while !scan.rest.is_empty() && !scan.peek(':') && !scan.peek('#') {
        if !operands.is_empty() || !attrs.0.is_empty() || value.is_some() {
            scan.expect(",")?;
        }
        if scan.peek('%') {
            operands.push(scan.reference(numbers)?);
        } else if let Some(key) = scan.key() {
            attrs = attrs.with(intern(op, &key)?, scan.attribute()?);
        } else if scan.peek('[') || scan.at_number() {
            value = Some((attrs.0.len(), scan.literals()?));
        } else {
            attrs = attrs.with("name", Attr::Str(Arc::from(scan.word()?)));
        }
    }
    let ty = if scan.eat(":") { Some(scan.ty()?) } else { None };
    if let Some((position, words)) = value {
        let ty = ty.as_ref().ok_or("a value needs a type")?;
        attrs.0.insert(position, ("value", Attr::Tensor(Arc::new(tensor(ty, &words)?))));
    }
    for param in op.params.iter().filter(|p| p.kind == ParamKind::Flag) {
        if attrs.find(param.name).is_none() {
            attrs = attrs.with(param.name, Attr::Bool(false));
        }
    }
    let name = scan.comment();
    match ty {
        Some(ty) => Ok(builder.push(Node { op, operands, attrs, ty, name, span: None })),
        None if op.class == Class::Leaf => Err("a leaf needs a type".to_string()),
        None => {
            let id = builder.apply(op, &operands, attrs).map_err(|e| e.message.english())?;
            builder.graph.node_mut(id).name = name;
            Ok(id)
        }
    }
}

fn intern(op: &OpDef, key: &str) -> Result<&'static str, String> {
    let own = op.params.iter().map(|p| p.name);
    own.chain(HIDDEN_ATTRIBUTES).find(|n| *n == key).ok_or_else(|| format!("unknown attribute `{key}`"))
}

fn tensor(ty: &Type, words: &[String]) -> Result<Tensor, String> {
    let shape: Option<Vec<usize>> =
        ty.shape.iter().map(|d| d.as_const().and_then(|n| usize::try_from(n).ok())).collect();
    let shape = shape.ok_or("the shape of a value must be numbers")?;
    if shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(words.len()) {
        return Err(format!("{} numbers for {ty}", words.len()));
    }
    let mut bytes = Vec::new();
    for word in words {
        match text::read(ty.dtype, word).ok_or_else(|| format!("`{word}` is no {}", ty.dtype))? {
            Literal::F32(b) => bytes.extend(b.to_le_bytes()),
            Literal::F64(b) => bytes.extend(b.to_le_bytes()),
            Literal::I32(n) => bytes.extend(n.to_le_bytes()),
            Literal::I64(n) => bytes.extend(n.to_le_bytes()),
            Literal::Bool(b) => bytes.push(u8::from(b)),
        }
    }
    Ok(Tensor::from_bytes(ty.dtype, &shape, &bytes))
}

/// The rest of a line; blanks before a token are skipped.
struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn peek(&mut self, c: char) -> bool {
        self.skip();
        self.rest.starts_with(c)
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("expected `{token}` at `{}`", self.rest)) }
    }

    /// The longest start made of such characters.
    fn take(&mut self, of: fn(char) -> bool) -> String {
        self.skip();
        let end = self.rest.find(|c| !of(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_string()
    }

    fn number(&mut self) -> Result<u32, String> {
        self.expect("%")?;
        let digits = self.take(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| format!("expected a number after `%` at `{}`", self.rest))
    }

    fn reference(&mut self, numbers: &Numbers) -> Result<NodeId, String> {
        let number = self.number()?;
        numbers.get(&number).copied().ok_or_else(|| format!("%{number} is not there yet"))
    }

    /// A name, bare or in quotes.
    fn word(&mut self) -> Result<String, String> {
        if self.peek('"') {
            return self.quoted();
        }
        let word = self.take(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '∂'));
        if word.is_empty() { Err(format!("expected a name at `{}`", self.rest)) } else { Ok(word) }
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[i + 1..];
                    return Ok(out);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => out.push('\n'),
                    Some('u') => {
                        let code: String =
                            chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
                        let c = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                        out.push(c.ok_or("bad `\\u{…}`")?);
                    }
                    Some(c) => out.push(c),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err("a string without an end".to_string())
    }

    /// `axis` of `axis=(0, 1)`, if that is what stands here.
    fn key(&mut self) -> Option<String> {
        self.skip();
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let rest = self.rest[end..].strip_prefix('=')?;
        let key = self.rest[..end].to_string();
        self.rest = rest;
        Some(key)
    }

    fn at_number(&mut self) -> bool {
        self.skip();
        let word = self.rest.split([',', ' ', ']', '(']).next().unwrap_or_default();
        matches!(word, "inf" | "nan" | "true" | "false")
            || word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
    }

    /// The numbers of a nested list, in order.
    fn literals(&mut self) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        let mut depth = 0u32;
        loop {
            if self.eat("[") {
                depth += 1;
                if !self.peek(']') {
                    continue;
                }
            } else {
                let mut word = self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
                if word == "nan" && self.eat("(") {
                    word = format!("nan({})", self.take(|c| c.is_ascii_alphanumeric()));
                    self.expect(")")?;
                    word.push(')');
                }
                if word.is_empty() {
                    return Err(format!("expected a number at `{}`", self.rest));
                }
                out.push(word);
            }
            while depth > 0 && self.eat("]") {
                depth -= 1;
            }
            if depth == 0 {
                return Ok(out);
            }
            self.expect(",")?;
        }
    }

    fn attribute(&mut self) -> Result<Attr, String> {
        if self.eat("(") {
            let axes = self.list(")", |s| {
                s.take(|c| c.is_ascii_digit()).parse().map_err(|_| "expected an axis".to_string())
            })?;
            return Ok(Attr::Axes(axes));
        }
        if self.eat("[") {
            return Ok(Attr::Dims(self.list("]", Scanner::dim)?));
        }
        if self.eat("{") {
            let step = |s: &mut Scanner<'_>| {
                let start = s.dim()?;
                s.expect(":")?;
                Ok(SliceStep { start, step: s.int()? })
            };
            return Ok(Attr::Slice(self.list("}", step)?));
        }
        if self.peek('"') {
            return Ok(Attr::Str(Arc::from(self.quoted()?)));
        }
        if self.eat("true") {
            return Ok(Attr::Bool(true));
        }
        if self.eat("false") {
            return Ok(Attr::Bool(false));
        }
        if self.rest.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Ok(Attr::Int(self.int()?));
        }
        let ty = self.ty()?;
        if self.rest.is_empty() || self.peek(',') || self.peek(':') || self.peek('#') {
            return Ok(Attr::DType(ty.dtype));
        }
        let words = self.literals()?;
        let tensor = tensor(&ty, &words)?;
        // A literal and a tensor of rank 0 are written alike; the tensor is the one that rules read.
        Ok(Attr::Tensor(Arc::new(tensor)))
    }

    /// Entries up to `end`, which is taken too.
    fn list<T>(
        &mut self,
        end: &str,
        mut entry: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut out = Vec::new();
        while !self.eat(end) {
            if !out.is_empty() {
                self.expect(",")?;
            }
            out.push(entry(self)?);
        }
        Ok(out)
    }

    fn int(&mut self) -> Result<i64, String> {
        let word = self.take(|c| c == '-' || c.is_ascii_digit());
        word.parse().map_err(|_| format!("expected an integer at `{}`", self.rest))
    }

    fn ty(&mut self) -> Result<Type, String> {
        let word = self.take(|c| c.is_ascii_alphanumeric());
        let dtype = DType::parse(&word).ok_or_else(|| format!("`{word}` is no dtype"))?;
        let shape = if self.rest.starts_with('[') {
            self.expect("[")?;
            self.list("]", Scanner::dim)?
        } else {
            vec![]
        };
        Ok(Type::new(dtype, shape))
    }

    /// `2*H**2 - n + 3`
    fn dim(&mut self) -> Result<Dim, String> {
        let overflow = || "a size leaves i64".to_string();
        let mut total = Dim::constant(0);
        let mut sign = if self.eat("-") { -1 } else { 1 };
        loop {
            let mut term = Dim::constant(sign);
            loop {
                let factor = self.take(|c| !c.is_whitespace() && !"+-*,[](){}:=#".contains(c));
                let base = match factor.parse::<i64>() {
                    Ok(n) => Dim::constant(n),
                    Err(_) if factor.is_empty() || factor.starts_with(|c: char| c.is_ascii_digit()) => {
                        return Err(format!("expected a size at `{}`", self.rest));
                    }
                    Err(_) => Dim::symbol(factor),
                };
                let power = if self.eat("**") { self.int()? } else { 1 };
                if !(1..=64).contains(&power) {
                    return Err(format!("a size to the power of {power}"));
                }
                for _ in 0..power {
                    term = term.mul(&base).ok_or_else(overflow)?;
                }
                if !self.eat("*") {
                    break;
                }
            }
            total = total.add(&term).ok_or_else(overflow)?;
            sign = match (self.eat("+"), self.eat("-")) {
                (true, _) => 1,
                (_, true) => -1,
                _ => return Ok(total),
            };
        }
    }

    /// The name in a comment `# a  @ lesson.nn:21`.
    fn comment(&mut self) -> Option<Arc<str>> {
        if !self.eat("#") {
            return None;
        }
        let text = self.rest.trim();
        let name = match text.strip_prefix("@ ") {
            Some(_) => "",
            None => text.split_once("  @ ").map_or(text, |(name, _)| name),
        };
        if name.is_empty() { None } else { Some(Arc::from(name)) }
    }
}
