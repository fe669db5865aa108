//! A function in every form it can be compiled to: machine code against the loop interpreter, bit for bit.

use ndarray::ArrayD;
use nn::autodiff;
use nn::codegen::{self, Options};
use nn::interp::{self, Bindings, EvalError};
use nn::ir::build::Builder;
use nn::ir::dim::{Dim, Sizes};
use nn::ir::graph::{Attr, Attrs, Function, NodeId, Type};
use nn::ir::op::{Kernel, LeafKind, OpDef, Sample};
use nn::loops::memory::{self, Batches, Enter, Interpreted, Memory, Region, scratch_bytes};
use nn::loops::types::{BufferId, Place, Program, Stop};
use nn::loops::{print, verify};
use nn::lower::{Fusion, Target, lower};
use nn::ops::build::{self, Keep};
use nn::opt::{self, Arithmetic, Checks};
use nn::scalar::DType;
use nn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the dimension that is the row count in every case.
pub const BATCH: &str = "batch";

/// A function with a value for each of its placeholders, variables and states.
#[derive(Clone, Debug)]
pub struct Case {
    pub function: Function,
    pub values: BTreeMap<Arc<str>, Tensor>,
    pub rows: i64,
    /// Every step works on the same rows.
    pub steps: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rows {
    Fixed,
    Dynamic,
}

/// Values of the f64 definition by name.
pub type Defined = Vec<(Arc<str>, ArrayD<f64>)>;

/// How a case is lowered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    pub level: u8,
    pub arithmetic: Arithmetic,
    pub rows: Rows,
    /// Columns lie element by element, as the engine lays them out for a net that is kept in registers.
    pub transposed: bool,
}

/// The form that defines the bits.
pub const PLAIN: Form =
    Form { level: 0, arithmetic: Arithmetic::Exact, rows: Rows::Fixed, transposed: false };

/// What a run left: how it ended, the results, then the kept values in the order of their names.
#[derive(Clone, Debug)]
pub struct Left {
    pub completed: i64,
    pub stop: Stop,
    /// Position, value and limit of a fault.
    pub fault: [i64; 3],
    pub values: Vec<(Arc<str>, Tensor)>,
}

impl Case {
    /// Whether anything depends on the row count.
    pub fn has_rows(&self) -> bool {
        let named = |d: &Dim| d.as_const().is_none();
        self.function.graph.nodes.iter().any(|n| n.ty.shape.iter().any(named))
    }

    fn leaves(&self, kinds: &[LeafKind]) -> Vec<(Arc<str>, Type)> {
        let nodes = self.function.graph.nodes.iter();
        nodes
            .filter(|n| matches!(n.op.kernel, Kernel::Leaf(kind) if kinds.contains(&kind)))
            .map(|n| (n.attrs.str("name").expect("a leaf of this kind has a name").clone(), n.ty.clone()))
            .collect()
    }

    fn target(&self, form: Form) -> Target {
        let mut persistent = BTreeMap::new();
        let mut end = 0u64;
        for (name, _) in self.leaves(&[LeafKind::Variable, LeafKind::State]) {
            persistent.insert(name.clone(), end);
            end += (self.values[&name].to_bytes().len() as u64).next_multiple_of(64);
        }
        Target {
            name: self.function.name.clone(),
            rows: (form.rows == Rows::Fixed).then_some(self.rows),
            row_names: vec![BATCH.into()],
            sizes: Sizes::new(),
            persistent,
            columns: self.leaves(&[LeafKind::Placeholder]).into_iter().map(|(name, _)| name).collect(),
            transposed_columns: form.transposed.then_some(self.rows),
            fusion: if form.level == 0 { Fusion::None } else { Fusion::Full },
        }
    }

    /// The f64 definition's values after the first step: results, then the kept values by name.
    pub fn defined(&self) -> Result<Defined, EvalError> {
        let mut bindings = self.bindings();
        let found = interp::step(&self.function, &mut bindings)?;
        let results = self.function.results.iter().map(|(name, _)| name.clone()).zip(found.results);
        let graph = &self.function.graph;
        let kept = |name: &Arc<str>| {
            let leaf = graph.ids().find(|id| graph.node(*id).attrs.str("name") == Some(name));
            let updated = leaf.and_then(|id| bindings.nodes.get(&id).cloned());
            (name.clone(), updated.unwrap_or_else(|| self.values[name].to_f64()))
        };
        let names: Vec<Arc<str>> = self.target(PLAIN).persistent.into_keys().collect();
        Ok(results.chain(names.iter().map(kept)).collect())
    }

    pub fn bindings(&self) -> Bindings {
        let names = self.values.iter().map(|(name, value)| (name.clone(), value.to_f64())).collect();
        let sizes = Sizes::from([(Arc::from(BATCH), self.rows)]);
        Bindings { names, sizes, ..Bindings::default() }
    }
}

/// A case lowered in a form, and verified.
pub fn lowered(case: &Case, form: Form) -> Result<(Program, Target), String> {
    let target = case.target(form);
    let mut function = case.function.clone();
    if form.rows == Rows::Fixed {
        function = opt::specialize(function, &Sizes::from([(Arc::from(BATCH), case.rows)]));
    }
    let passes = opt::select(form.level, form.arithmetic, &[]);
    let verified =
        opt::run(function, &passes, Checks::Ends, &mut |_, _| {}).map_err(|e| format!("{form:?}: {e}"))?;
    let program = lower(&verified, &target).map_err(|e| format!("{form:?}: {e}"))?;
    checked(&program, case.rows).map_err(|e| format!("{form:?}: {e}"))?;
    Ok((program, target))
}

/// `loops::verify` with the listing.
pub fn checked(program: &Program, rows: i64) -> Result<(), String> {
    verify::verify(program, rows)
        .map_err(|errors| format!("verify: {}\n{}", errors.join("; "), print::print(program)))
}

/// The batches of the case, each the same rows.
pub fn batches(case: &Case) -> Batches {
    let once = Batches::once(case.rows);
    if case.rows == 0 || case.steps == 1 {
        return once;
    }
    Batches { end_row: case.rows, wrap_rows: case.rows, steps: case.steps, ..once }
}

/// A column's bytes where the program wants them.
pub fn column(value: &Tensor, target: &Target) -> Vec<u8> {
    let bytes = value.to_bytes();
    if target.transposed_columns.is_none() || value.is_empty() {
        return bytes;
    }
    let (rows, width) = (value.shape()[0], value.dtype().bytes());
    let elements = value.len() / rows;
    let order = (0..elements).flat_map(|e| (0..rows).map(move |r| (r * elements + e) * width));
    order.flat_map(|at| bytes[at..at + width].iter().copied()).collect()
}

/// The case with its columns transposed, if it is a net that is kept in registers; the host has no result that is a column.
pub fn in_registers(case: &Case) -> Result<Option<(Program, Target)>, String> {
    if case.rows == 0 {
        return Ok(None);
    }
    let (program, target) = lowered(case, Form { level: 2, transposed: true, ..PLAIN })?;
    let is_column = |id: &BufferId| matches!(program.buffer(*id).place, Place::Column(_));
    let suits = codegen::is_tiny(&program) && !program.results.iter().any(|(_, id)| is_column(id));
    Ok(suits.then_some((program, target)))
}

/// Runs a program of the case's.
pub fn run(case: &Case, program: &Program, target: &Target, code: &dyn Enter) -> Result<Left, String> {
    run_batches(case, program, target, code, &batches(case))
}

pub fn run_batches(
    case: &Case,
    program: &Program,
    target: &Target,
    code: &dyn Enter,
    batches: &Batches,
) -> Result<Left, String> {
    let region = |bytes| Region::zeroed(bytes).ok_or("no memory");
    let ends = target.persistent.iter().map(|(n, at)| *at as usize + case.values[n].to_bytes().len());
    let mut persistent = region(ends.max().unwrap_or(0))?;
    for (name, at) in &target.persistent {
        persistent.write(*at as usize, &case.values[name]);
    }
    let mut scratch = region(scratch_bytes(program, case.rows))?;
    // What nobody wrote must not look like a number.
    scratch.bytes_mut().fill(0xff);
    let mut columns = Vec::new();
    for name in &target.columns {
        let bytes = column(&case.values[name], target);
        let mut column = region(bytes.len())?;
        column.bytes_mut().copy_from_slice(&bytes);
        columns.push(column);
    }
    let columns: Vec<&Region> = columns.iter().collect();
    let mut constants = region(program.constants.len())?;
    constants.bytes_mut().copy_from_slice(&program.constants);
    let mut memory = Memory {
        persistent: &mut persistent,
        scratch: &mut scratch,
        columns: &columns,
        constants: &constants,
    };
    let end = memory::call(program, code, &mut memory, batches)?;
    let mut values = Vec::new();
    if matches!(end.stop, Stop::Done | Stop::Guard) {
        for (name, buffer) in &program.results {
            values.push((name.as_str().into(), memory::read(program, *buffer, &memory, batches)?));
        }
        for (name, at) in &target.persistent {
            let value = &case.values[name];
            values.push((name.clone(), memory.persistent.read(*at as usize, value.dtype(), value.shape())));
        }
    }
    let fault = [end.fault_position, end.fault_value, end.fault_limit];
    Ok(Left { completed: end.completed, stop: end.stop, fault, values })
}

/// The bytes of a tensor; every NaN has the same.
pub fn canonical(value: &Tensor) -> Vec<u8> {
    let mut bytes = value.to_bytes();
    match value.dtype() {
        DType::F32 => {
            for at in bytes.chunks_exact_mut(4) {
                if f32::from_le_bytes((&*at).try_into().expect("four bytes")).is_nan() {
                    at.copy_from_slice(&f32::NAN.to_le_bytes());
                }
            }
        }
        DType::F64 => {
            for at in bytes.chunks_exact_mut(8) {
                if f64::from_le_bytes((&*at).try_into().expect("eight bytes")).is_nan() {
                    at.copy_from_slice(&f64::NAN.to_le_bytes());
                }
            }
        }
        _ => {}
    }
    bytes
}

/// Whether two runs left the same bits.
pub fn same(have: &Left, want: &Left) -> Result<(), String> {
    let end = |l: &Left| (l.completed, l.stop);
    if end(have) != end(want) {
        return Err(format!("ended with {:?}, not {:?}", end(have), end(want)));
    }
    for ((name, have), (_, want)) in have.values.iter().zip(&want.values) {
        if have.shape() != want.shape() || canonical(have) != canonical(want) {
            return Err(format!("bits of `{name}`: {have:?}\nnot {want:?}"));
        }
    }
    if have.values.len() != want.values.len() {
        return Err(format!("{} values, not {}", have.values.len(), want.values.len()));
    }
    Ok(())
}

/// Machine code of every shape against the interpreter's run of the same program.
pub fn machine_agrees(case: &Case, program: &Program, target: &Target, want: &Left) -> Result<(), String> {
    for options in Options::all() {
        let code = codegen::compile(program, &options).map_err(|e| e.to_string())?;
        let have = run(case, program, target, &code)?;
        let told =
            if have.fault == want.fault { same(&have, want) } else { Err("another fault".to_string()) };
        told.map_err(|e| format!("{options:?}: {e}\n{}", print::print(program)))?;
    }
    Ok(())
}

/// Every form gives the bits of [`PLAIN`], interpreted and as machine code. What `PLAIN` left.
pub fn every_form_agrees(case: &Case) -> Result<Left, String> {
    forms_agree(case, if case.has_rows() { &[Rows::Fixed, Rows::Dynamic] } else { &[Rows::Fixed] })
}

/// As [`every_form_agrees`], with these row counts.
pub fn forms_agree(case: &Case, kinds: &[Rows]) -> Result<Left, String> {
    let (program, target) = lowered(case, PLAIN)?;
    let plain = run(case, &program, &target, &Interpreted)?;
    for level in [0, 2] {
        for rows in kinds {
            let form = Form { level, rows: *rows, ..PLAIN };
            let (program, target) = lowered(case, form)?;
            let left = run(case, &program, &target, &Interpreted)?;
            same(&left, &plain).map_err(|e| format!("{form:?}: {e}\n{}", print::print(&program)))?;
            machine_agrees(case, &program, &target, &left).map_err(|e| format!("{form:?}: {e}"))?;
        }
    }
    if let Some((program, target)) = in_registers(case)? {
        let left = run(case, &program, &target, &Interpreted)?;
        same(&left, &plain).map_err(|e| format!("in registers: {e}\n{}", print::print(&program)))?;
        machine_agrees(case, &program, &target, &left).map_err(|e| format!("in registers: {e}"))?;
    }
    Ok(plain)
}

/// Which results a case of an op has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Value,
    /// The value, and the derivative of its sum by each float operand.
    Gradient,
}

/// The op over a sample, float operands in `float`: with fixed shapes, and with each leading dimension that
/// can be the row count as the row count.
pub fn op_cases(op: &'static OpDef, sample: &Sample, float: DType, part: Part) -> Vec<Case> {
    let mut out: Vec<Case> = op_case(op, sample, float, part, None).into_iter().collect();
    let mut leading: Vec<usize> = sample.operands.iter().filter_map(|x| x.shape().first().copied()).collect();
    leading.sort_unstable();
    leading.dedup();
    for rows in leading {
        for chosen in 1..1u32 << (sample.operands.len() + 1) {
            out.extend(op_case(op, sample, float, part, Some((rows, chosen))));
        }
    }
    out
}

/// `symbolic`: (n, bits of which operands' leading n is the row count; the last bit is for attributes).
fn op_case(
    op: &'static OpDef,
    sample: &Sample,
    float: DType,
    part: Part,
    symbolic: Option<(usize, u32)>,
) -> Option<Case> {
    let mut b = Builder::default();
    let mut values = BTreeMap::new();
    let mut operands = Vec::new();
    let is_chosen = |i: usize| symbolic.is_some_and(|(_, chosen)| chosen >> i & 1 == 1);
    for (i, (value, dtype)) in sample.operands.iter().zip(&sample.dtypes).enumerate() {
        let dtype = if dtype.is_float() { float } else { *dtype };
        let name: Arc<str> = format!("v{i}").into();
        values.insert(name.clone(), Tensor::from_f64(dtype, value.shape(), value.iter().copied().collect()));
        let mut shape: Vec<Dim> = value.shape().iter().map(|n| Dim::constant(*n as i64)).collect();
        if is_chosen(i) {
            let first = shape.first_mut()?;
            if first.as_const() != symbolic.map(|(n, _)| n as i64) {
                return None;
            }
            *first = Dim::symbol(BATCH);
            operands.push(build::placeholder(&mut b, &name, Type::new(dtype, shape)));
        } else {
            operands.push(build::variable(&mut b, &name, Type::new(dtype, shape)));
        }
    }
    let mut attrs = sample.attrs.clone();
    if is_chosen(sample.operands.len()) {
        let n = symbolic.map(|(n, _)| n as i64)?;
        let shape = attrs.0.iter_mut().find_map(|(name, a)| match a {
            Attr::Dims(d) if *name == "shape" && d.first().is_some_and(|d| d.as_const() == Some(n)) => {
                Some(d)
            }
            _ => None,
        })?;
        shape[0] = Dim::symbol(BATCH);
    }
    let dtype = attrs.0.iter_mut().find_map(|(name, a)| match a {
        Attr::DType(d) if *name == "dtype" && d.is_float() && op.arity == 0 => Some(d),
        _ => None,
    });
    if let Some(d) = dtype {
        *d = float;
    }
    let function = op_function(op, b, &operands, attrs, part)?;
    let rows = symbolic.map_or(1, |(n, _)| n as i64);
    Some(Case { function, values, rows, steps: 1 })
}

fn op_function(
    op: &'static OpDef,
    mut b: Builder,
    operands: &[NodeId],
    attrs: Attrs,
    part: Part,
) -> Option<Function> {
    let out = b.apply(op, operands, attrs).ok()?;
    let mut results = vec![(Arc::from("out"), out)];
    if part == Part::Gradient {
        let wrt: Vec<NodeId> = operands.iter().copied().filter(|o| b.ty(*o).dtype.is_float()).collect();
        if !b.ty(out).dtype.is_float() || wrt.is_empty() {
            return None;
        }
        let axes: Vec<usize> = (0..b.ty(out).rank()).collect();
        let loss = if axes.is_empty() { out } else { build::sum(&mut b, out, &axes, Keep::No) };
        let gradients = autodiff::gradient(&mut b, loss, &wrt).ok()?;
        results.extend(gradients.into_iter().enumerate().map(|(i, g)| (format!("g{i}").into(), g)));
    }
    Some(Function { name: op.name.into(), graph: b.graph, results, ..Function::default() })
}
