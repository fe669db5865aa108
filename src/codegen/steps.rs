//! The function of a program: reads the frame, runs every kernel in every step, says how far it came.
//!
//! It never knows what a kernel computes.

use crate::codegen::clif::{Emit, Home, Place, Size};
use crate::codegen::map::{self, Sink};
use crate::codegen::routines::{self, Routines};
use crate::codegen::wide::{self, Shelf};
use crate::codegen::{Options, Shape, contract, reduce, symbols, tiny, walk};
use crate::kernels::Level;
use crate::loops::types::{Frame, Kernel, Place as Region, Program, Stop, Work};
use crate::scalar::DType;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{
    AbiParam, Block, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::cell::RefCell;
use std::mem::offset_of;

/// `fn(*mut Frame)` in the host's C convention.
fn signature(isa: &dyn TargetIsa) -> Signature {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.push(AbiParam::new(types::I64));
    signature
}

/// What stays the same during a call.
pub(super) struct Call {
    frame: Value,
    persistent: Value,
    scratch: Value,
    constants: Value,
    columns: Vec<Value>,
    rows: Value,
    first_step: Value,
    steps_per_epoch: Value,
    /// Takes the number of completed steps and the reason.
    pub exit: Block,
}

/// What drives the loop over steps.
pub(super) struct LoopFields {
    pub steps: Value,
    pub first_row: Value,
    pub end_row: Value,
    pub wrap_rows: Value,
}

/// A field of the frame.
pub(super) fn field(e: &mut Emit<'_>, frame: Value, offset: usize) -> Value {
    e.b.ins().load(types::I64, MemFlagsData::trusted(), frame, offset as i32)
}

fn set_field(e: &mut Emit<'_>, frame: Value, offset: usize, value: Value) {
    e.b.ins().store(MemFlagsData::trusted(), value, frame, offset as i32);
}

/// The functions of a program, not yet compiled.
pub(super) struct Functions {
    /// Called by `main`, in the order of their numbers.
    pub routines: Vec<Function>,
    /// Called by both, after them in the module.
    pub wide: Vec<wide::Function>,
    pub main: Function,
}

pub(super) fn functions(program: &Program, options: &Options, isa: &dyn TargetIsa) -> Functions {
    let tiny = options.shape == Shape::Auto && tiny::suits(program);
    let routines = if tiny { Routines::none(program) } else { Routines::find(program) };
    let shelf =
        Shelf { first: symbols::count() + routines.examples.len() as u32, functions: RefCell::default() };
    let is_wide =
        options.level == Level::Avx2 && isa.name() == "x64" && isa.default_call_conv() == CallConv::SystemV;
    let shelf = is_wide.then_some(&shelf);
    let main = main_function(program, options.shape, &routines, isa, shelf);
    let write = |example: &usize| routines::function(program, *example, options.shape, isa, shelf);
    let routines = routines.examples.iter().map(write).collect();
    Functions { routines, wide: shelf.map_or(vec![], |s| s.functions.take()), main }
}

fn main_function(
    program: &Program,
    shape: Shape,
    routines: &Routines,
    isa: &dyn TargetIsa,
    shelf: Option<&Shelf>,
) -> Function {
    let mut function = Function::with_name_signature(UserFuncName::default(), signature(isa));
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let frame = b.block_params(entry)[0];
    let (fault, exit) = (b.create_block(), b.create_block());
    let mut e = Emit::new(b, program, isa.name() == "x64", fault);
    e.wide = shelf;
    let call = enter(&mut e, frame, exit);
    if shape == Shape::Auto && tiny::suits(program) {
        tiny::run(&mut e, &call);
    } else {
        run(&mut e, &call, shape, routines);
    }
    leave(&mut e, &call);
    let Emit { mut b, .. } = e;
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    function
}

fn enter(e: &mut Emit<'_>, frame: Value, exit: Block) -> Call {
    let program = e.program;
    let persistent = field(e, frame, offset_of!(Frame, persistent));
    let scratch = field(e, frame, offset_of!(Frame, scratch));
    let constants = field(e, frame, offset_of!(Frame, constants));
    let table = field(e, frame, offset_of!(Frame, columns));
    let columns = (0..program.columns.len()).map(|i| field(e, table, i * 8)).collect();
    let rows = match program.rows {
        Some(n) => e.iconst(n),
        None => field(e, frame, offset_of!(Frame, rows)),
    };
    let first_step = field(e, frame, offset_of!(Frame, step));
    let steps_per_epoch = field(e, frame, offset_of!(Frame, steps_per_epoch));
    let offsets = program.buffers.iter().filter_map(|b| match &b.place {
        Region::Scratch(offset) => Some(offset.clone()),
        _ => None,
    });
    e.define_sizes(rows, program.kernels.iter().flat_map(walk::extents).chain(offsets));
    Call { frame, persistent, scratch, constants, columns, rows, first_step, steps_per_epoch, exit }
}

/// The loop over steps.
fn run(e: &mut Emit<'_>, call: &Call, shape: Shape, routines: &Routines) {
    let fields = call.loop_fields(e);
    let (header, inside) = (e.b.create_block(), e.b.create_block());
    let i = e.b.append_block_param(header, types::I64);
    let row = e.b.append_block_param(header, types::I64);
    let zero = e.iconst(0);
    e.go(header, &[zero, fields.first_row]);
    e.b.switch_to_block(header);
    let more = e.b.ins().icmp(IntCC::SignedLessThan, i, fields.steps);
    let done = e.iconst(Stop::Done as i64);
    e.b.ins().brif(more, inside, &[], call.exit, &[i.into(), done.into()]);
    e.b.switch_to_block(inside);
    // A fault names how many steps were completed: keep the count where it can be read.
    set_field(e, call.frame, offset_of!(Frame, completed), i);
    e.homes = call.homes(e, i, row);
    let program = e.program;
    for (number, kernel) in program.kernels.iter().enumerate() {
        match routines.of(number) {
            Some(routine) => routines::call(e, routine, number, call.frame),
            None => {
                e.begin_kernel(Size::Const(number as i64));
                self::kernel(e, kernel, shape);
            }
        }
    }
    let next = e.b.ins().iadd_imm_s(i, 1);
    guard(e, call, next);
    let row = next_row(e, call, row, fields.end_row, fields.wrap_rows);
    e.go(header, &[next, row]);
}

/// The first row of the next batch.
pub(super) fn next_row(e: &mut Emit<'_>, call: &Call, row: Value, end: Value, wrap: Value) -> Value {
    let row = match e.program.rows {
        Some(n) => e.b.ins().iadd_imm_s(row, n),
        None => e.b.ins().iadd(row, call.rows),
    };
    let over = e.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, row, end);
    let back = e.b.ins().isub(row, wrap);
    e.b.ins().select(over, back, row)
}

pub(super) fn kernel(e: &mut Emit<'_>, kernel: &Kernel, shape: Shape) {
    match &kernel.work {
        Work::Map { body, stores } => map::map(e, kernel, body, Sink::Store(stores), shape),
        Work::Scatter { body, index, value, stride, to } => {
            let sink = Sink::Add { index: *index, value: *value, stride, to };
            map::map(e, kernel, body, sink, shape);
        }
        Work::Reduce { body, value, combine, out, partials, .. } => {
            let r = reduce::Reduce { body, value: *value, combine: *combine, out, partials: *partials };
            reduce::reduce(e, kernel, &r, shape);
        }
        Work::ArgReduce { body, value, extreme, out, .. } => {
            reduce::arg_reduce(e, kernel, body, *value, *extreme, out);
        }
        Work::Contract { a, b, out, .. } => contract::contract(e, kernel, a, b, out, shape),
    }
}

impl Call {
    pub fn loop_fields(&self, e: &mut Emit<'_>) -> LoopFields {
        LoopFields {
            steps: field(e, self.frame, offset_of!(Frame, steps)),
            first_row: field(e, self.frame, offset_of!(Frame, first_row)),
            end_row: field(e, self.frame, offset_of!(Frame, end_row)),
            wrap_rows: field(e, self.frame, offset_of!(Frame, wrap_rows)),
        }
    }

    /// Where every buffer is in this step.
    pub fn homes(&self, e: &mut Emit<'_>, i: Value, row: Value) -> Vec<Home> {
        let program = e.program;
        let uses = |place: &Region| program.buffers.iter().any(|b| b.place == *place);
        let mut step = self.first_step;
        let mut epoch = self.first_step;
        if uses(&Region::Step) || uses(&Region::Epoch) {
            step = e.b.ins().iadd(self.first_step, i);
        }
        if uses(&Region::Epoch) {
            let one = e.iconst(1);
            let per = e.b.ins().smax(self.steps_per_epoch, one);
            epoch = e.b.ins().sdiv(step, per);
        }
        let columns: Vec<Value> = program
            .columns
            .iter()
            .zip(&self.columns)
            .map(|(column, &base)| {
                let elements = if column.transposed.is_some() { 1 } else { column.row_elements };
                let place = Place { base, disp: 0 };
                let moved = e.advance(place, Size::Var(row), Size::Const(elements), column.dtype.bytes());
                moved.base
            })
            .collect();
        program
            .buffers
            .iter()
            .map(|buffer| {
                let place = match &buffer.place {
                    Region::Column(c) => Place { base: columns[*c as usize], disp: 0 },
                    Region::Persistent(at) => Place { base: self.persistent, disp: *at as i64 },
                    Region::Constant(at) => Place { base: self.constants, disp: *at as i64 },
                    Region::Scratch(at) => {
                        let base = Place { base: self.scratch, disp: 0 };
                        let at = e.size(at);
                        e.advance(base, Size::Const(1), at, 1)
                    }
                    Region::Step => return Home::Number(step),
                    Region::Epoch => return Home::Number(epoch),
                };
                Home::Memory(place)
            })
            .collect()
    }
}

/// Leaves the loop when the guard is NaN or infinite.
fn guard(e: &mut Emit<'_>, call: &Call, completed: Value) {
    let Some(id) = e.program.guard else { return };
    let dtype = e.buffer(id).dtype;
    let Home::Memory(place) = e.home(id) else { return };
    let loss = e.load_one(place, dtype).only();
    let fine = is_finite(e, dtype, loss);
    let on = e.b.create_block();
    let stop = e.iconst(Stop::Guard as i64);
    e.fork(fine, (on, &[]), (call.exit, &[completed, stop]));
    e.b.switch_to_block(on);
}

/// Whether one number is neither NaN nor infinite.
pub(super) fn is_finite(e: &mut Emit<'_>, dtype: DType, x: Value) -> Value {
    let magnitude = e.b.ins().fabs(x);
    let inf = match dtype {
        DType::F64 => e.b.ins().f64const(Ieee64::with_float(f64::INFINITY)),
        _ => e.b.ins().f32const(Ieee32::with_float(f32::INFINITY)),
    };
    e.b.ins().fcmp(FloatCC::LessThan, magnitude, inf)
}

/// The ends of the function: the exit, and the faults.
fn leave(e: &mut Emit<'_>, call: &Call) {
    e.b.switch_to_block(call.exit);
    let completed = e.b.append_block_param(call.exit, types::I64);
    let stop = e.b.append_block_param(call.exit, types::I64);
    set_field(e, call.frame, offset_of!(Frame, completed), completed);
    set_field(e, call.frame, offset_of!(Frame, stop), stop);
    e.b.ins().return_(&[]);

    write_fault(e, call.frame);
    e.b.ins().return_(&[]);
}

/// Writes into the frame what the fault block is given. The way out is the caller's.
pub(super) fn write_fault(e: &mut Emit<'_>, frame: Value) {
    let fault = e.fault;
    e.b.set_cold_block(fault);
    e.b.switch_to_block(fault);
    let values: Vec<Value> = (0..5).map(|_| e.b.append_block_param(fault, types::I64)).collect();
    let fields = [
        offset_of!(Frame, stop),
        offset_of!(Frame, fault_kernel),
        offset_of!(Frame, fault_position),
        offset_of!(Frame, fault_value),
        offset_of!(Frame, fault_limit),
    ];
    for (offset, value) in fields.into_iter().zip(values) {
        set_field(e, frame, offset, value);
    }
}
