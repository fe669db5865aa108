//! The loop IR as text: buffers with their places, and each kernel as the formulas it computes.
//!
//! Deterministic, and without addresses, so that it can be committed. Index names: `i0 i1 …` for the axes
//! of a kernel's space, `r0 r1 …` for the folded ones; `b0 … m n k` in a contraction.

use crate::loops::types::{
    Access, Body, Buffer, BufferId, Extent, Guard, Inst, Kernel, Place, Program, Work,
};
use crate::scalar::{DType, Literal, V, text};
use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

/// The listing of a program, ending in a newline.
pub fn print(program: &Program) -> String {
    let names = names(program);
    let mut out = String::new();
    let rows = program.rows.map_or_else(|| "any number of rows".to_string(), |n| format!("{n} rows"));
    let _ = writeln!(out, "program {}, {rows} {{", program.name);
    if !program.columns.is_empty() {
        out.push_str("  columns\n");
        let table = program.columns.iter().map(|c| {
            let order = match c.transposed {
                None => "row by row".to_string(),
                Some(n) => format!("element by element, {n} rows side by side"),
            };
            vec![c.name.clone(), c.dtype.to_string(), format!("{} a row, {order}", c.row_elements)]
        });
        table_lines(table.collect(), &mut out);
    }
    out.push_str("  buffers\n");
    let table =
        program.buffers.iter().zip(&names).map(|(b, name)| {
            vec![name.clone(), format!("{}{}", b.dtype, shape(&b.shape)), place(program, b)]
        });
    table_lines(table.collect(), &mut out);
    let _ = writeln!(out, "  scratch {} bytes, constants {} bytes", program.scratch, program.constants.len());
    for (i, k) in program.kernels.iter().enumerate() {
        let _ = write!(out, "\n  kernel {i} `{}`: ", k.label);
        kernel(k, &names, &mut out);
    }
    out.push('\n');
    for (name, id) in &program.results {
        let _ = writeln!(out, "  result {name} = {}", names[id.0 as usize]);
    }
    if let Some(g) = program.guard {
        let _ = writeln!(out, "  guard {}", names[g.0 as usize]);
    }
    out.push_str("}\n");
    out
}

/// A buffer's name; with its number where two have the same.
fn names(program: &Program) -> Vec<String> {
    let mut count: BTreeMap<&str, u32> = BTreeMap::new();
    for b in &program.buffers {
        *count.entry(&b.name).or_default() += 1;
    }
    let name = |(i, b): (usize, &Buffer)| {
        if count[b.name.as_str()] > 1 { format!("{}'{i}", b.name) } else { b.name.clone() }
    };
    program.buffers.iter().enumerate().map(name).collect()
}

fn shape(shape: &[Extent]) -> String {
    let dims: Vec<String> = shape.iter().map(Extent::to_string).collect();
    if dims.is_empty() { String::new() } else { format!("[{}]", dims.join(", ")) }
}

fn place(program: &Program, buffer: &Buffer) -> String {
    match &buffer.place {
        Place::Column(c) => format!("column {c}"),
        Place::Persistent(offset) => format!("persistent + {offset}"),
        Place::Scratch(offset) => format!("scratch + {offset}"),
        Place::Constant(offset) => match scalar_constant(program, buffer, *offset) {
            Some(x) => format!("constant + {offset} = {}", text::shortest(x)),
            None => format!("constant + {offset}"),
        },
        Place::Step => "number of the step".to_string(),
        Place::Epoch => "number of the epoch".to_string(),
    }
}

fn scalar_constant(program: &Program, buffer: &Buffer, offset: u64) -> Option<Literal> {
    if !buffer.shape.is_empty() {
        return None;
    }
    let start = usize::try_from(offset).ok()?;
    let bytes = program.constants.get(start..start.checked_add(buffer.dtype.bytes())?)?;
    Some(match buffer.dtype {
        DType::F32 => Literal::F32(u32::from_le_bytes(bytes.try_into().ok()?)),
        DType::F64 => Literal::F64(u64::from_le_bytes(bytes.try_into().ok()?)),
        DType::I32 => Literal::I32(i32::from_le_bytes(bytes.try_into().ok()?)),
        DType::I64 => Literal::I64(i64::from_le_bytes(bytes.try_into().ok()?)),
        DType::Bool => Literal::Bool(bytes[0] != 0),
    })
}

/// Rows of cells in aligned columns.
fn table_lines(rows: Vec<Vec<String>>, out: &mut String) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, w)| format!("{cell}{}", " ".repeat(w - cell.chars().count())))
            .collect();
        let _ = writeln!(out, "    {}", cells.join("  ").trim_end());
    }
}

fn kernel(kernel: &Kernel, names: &[String], out: &mut String) {
    let space: Vec<String> = (0..kernel.space.len()).map(|i| format!("i{i}")).collect();
    let axes = |names: &[String], extents: &[Extent]| {
        let texts: Vec<String> = names.iter().zip(extents).map(|(n, e)| format!("{n} < {e}")).collect();
        if texts.is_empty() { "once".to_string() } else { texts.join(", ") }
    };
    let folded = |n: usize| space.iter().cloned().chain((0..n).map(|i| format!("r{i}"))).collect::<Vec<_>>();
    match &kernel.work {
        Work::Map { body, stores } => {
            let _ = writeln!(out, "map {}", axes(&space, &kernel.space));
            write_body(body, &space, names, out);
            for s in stores {
                let _ = writeln!(out, "    {} = v{}", access(&s.to, &space, names), s.value.0);
            }
        }
        Work::Reduce { over, body, value, combine, out: to, partials } => {
            let all = folded(over.len());
            let (space_text, over_text) = (axes(&space, &kernel.space), axes(&all[space.len()..], over));
            let _ = write!(out, "reduce {space_text} over {over_text}");
            if let Some(p) = partials {
                let _ = write!(out, ", partials in {}", name_of(*p, names));
            }
            out.push('\n');
            write_body(body, &all, names, out);
            let _ = writeln!(out, "    {} = {} v{}", access(to, &space, names), word(combine), value.0);
        }
        Work::ArgReduce { over, body, value, extreme, out: to } => {
            let all = folded(1);
            let (space_text, over_text) =
                (axes(&space, &kernel.space), axes(&all[space.len()..], std::slice::from_ref(over)));
            let _ = writeln!(out, "arg reduce {space_text} over {over_text}");
            write_body(body, &all, names, out);
            let _ = writeln!(out, "    {} = arg{} v{}", access(to, &space, names), word(extreme), value.0);
        }
        Work::Scatter { body, index, value, stride, to } => {
            let _ = writeln!(out, "scatter {}", axes(&space, &kernel.space));
            write_body(body, &space, names, out);
            let _ = writeln!(out, "    {} += v{}", moved(to, &space, names, *index, stride), value.0);
        }
        Work::Contract { k, a, b, out: to } => {
            let batch = kernel.space.len().saturating_sub(2);
            let mut all: Vec<String> = (0..batch).map(|i| format!("b{i}")).collect();
            all.extend(["m".to_string(), "n".to_string()]);
            all.truncate(kernel.space.len());
            let _ = writeln!(out, "contract {} over k < {k}", axes(&all, &kernel.space));
            let to = access(to, &all, names);
            all.push("k".to_string());
            let _ = writeln!(out, "    {to} = sum {} * {}", access(a, &all, names), access(b, &all, names));
        }
    }
}

fn write_body(body: &Body, index: &[String], names: &[String], out: &mut String) {
    for (i, (inst, dtype)) in body.insts.iter().zip(&body.dtypes).enumerate() {
        let value = match inst {
            Inst::Literal(x) => text::shortest(*x),
            Inst::Load(a) => access(a, index, names),
            Inst::Gather { access: a, index: at, stride } => moved(a, index, names, *at, stride),
            Inst::LoadIf { access: a, guards, otherwise } => {
                let conditions: Vec<String> = guards.iter().map(|g| guard(g, index)).collect();
                let (element, conditions) = (access(a, index, names), conditions.join(" and "));
                format!("{element} moved by {conditions}, else {}", text::shortest(*otherwise))
            }
            Inst::Index(d) => index.get(*d as usize).cloned().unwrap_or_else(|| format!("axis {d}")),
            Inst::Size(extent, _) => format!("size {extent}"),
            Inst::Un(op, x) => format!("{} v{}", word(op), x.0),
            Inst::Bin(op, x, y) => format!("{} v{}, v{}", word(op), x.0, y.0),
            Inst::Cmp(op, x, y) => format!("{} v{}, v{}", word(op), x.0, y.0),
            Inst::Select { condition, then, otherwise } => {
                format!("select v{}, v{}, v{}", condition.0, then.0, otherwise.0)
            }
            Inst::Cast(x) => format!("cast v{}", x.0),
            Inst::Random { key, draw, position } => {
                format!("random {key:016x}, v{}, v{}", draw.0, position.0)
            }
            Inst::CheckIndex { value, limit } => format!("check v{} < {limit}", value.0),
        };
        let _ = writeln!(out, "    v{i}: {dtype} = {value}");
    }
}

/// `FloorDiv` as `floordiv`.
fn word(op: &impl Debug) -> String {
    format!("{op:?}").to_lowercase()
}

fn name_of(id: BufferId, names: &[String]) -> &str {
    names.get(id.0 as usize).map_or("?", String::as_str)
}

/// `w1[3*k + n]`; an axis that does not move it is left out.
fn access(access: &Access, index: &[String], names: &[String]) -> String {
    format!("{}[{}]", name_of(access.buffer, names), affine(&access.offset, &access.strides, index))
}

/// `table[i1 + v2*(64)]`: an access moved by a looked-up index.
fn moved(a: &Access, index: &[String], names: &[String], by: V, stride: &Extent) -> String {
    let plain = access(a, index, names);
    let inner = plain.strip_suffix(']').unwrap_or(&plain);
    format!("{inner} + v{}*({stride})]", by.0)
}

/// `64*((i1 - 1)/2 < 4)`: the stride of the place among those that are allowed.
fn guard(guard: &Guard, index: &[String]) -> String {
    let position = affine(&guard.offset, &guard.strides, index);
    let place = if guard.step == 1 { position } else { format!("({position})/{}", guard.step) };
    format!("{}*({place} < {})", guard.stride, guard.count)
}

fn affine(offset: &Extent, strides: &[Extent], index: &[String]) -> String {
    let mut terms = Vec::new();
    for (d, stride) in strides.iter().enumerate() {
        let axis = index.get(d).map_or("?", String::as_str);
        match stride.as_const() {
            Some(0) => {}
            Some(1) => terms.push(axis.to_string()),
            Some(n) => terms.push(format!("{n}*{axis}")),
            None if stride.coefficients().iter().filter(|c| **c != 0).count() > 1 => {
                terms.push(format!("({stride})*{axis}"));
            }
            None => terms.push(format!("{stride}*{axis}")),
        }
    }
    if !offset.is(0) || terms.is_empty() {
        terms.push(offset.to_string());
    }
    terms.join(" + ").replace("+ -", "- ")
}
