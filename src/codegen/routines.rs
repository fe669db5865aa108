//! Kernels that a program has several times, over other buffers, are compiled once, as a routine that the
//! main function calls. The layers of a deep net and the steps of a recurrence are such kernels: compile
//! time then grows with what differs, not with depth.
//!
//! It never knows what a kernel computes.

use crate::codegen::clif::{Emit, Home, Place, Size};
use crate::codegen::wide::Shelf;
use crate::codegen::{Shape, body, steps, symbols, walk};
use crate::loops::types::{BufferId, Extent, Frame, Kernel, Program, Work};
use crate::scalar::DType;
use cranelift_codegen::ir::{
    AbiParam, FuncRef, Function, InstBuilder, Signature, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::HashMap;
use std::mem::offset_of;

/// How often a kernel must occur: a call costs a few nanoseconds, a second copy far more to compile.
const WORTH: usize = 2;

/// Which kernels share code.
pub(super) struct Routines {
    /// For each kernel of the program its routine, if it has one.
    of_kernel: Vec<Option<usize>>,
    /// For each routine the first kernel that it computes.
    pub examples: Vec<usize>,
}

impl Routines {
    /// No kernel shares code.
    pub fn none(program: &Program) -> Routines {
        Routines { of_kernel: vec![None; program.kernels.len()], examples: vec![] }
    }

    pub fn find(program: &Program) -> Routines {
        // By what their code depends on. Looked up only, never walked, so its order does not matter.
        let mut known: HashMap<Form, usize> = HashMap::new();
        let mut alike: Vec<Vec<usize>> = vec![];
        for (number, kernel) in program.kernels.iter().enumerate() {
            let group = *known.entry(form(program, kernel)).or_insert(alike.len());
            if group == alike.len() {
                alike.push(vec![]);
            }
            alike[group].push(number);
        }
        let mut out = Routines::none(program);
        for kernels in alike.iter().filter(|k| k.len() >= WORTH) {
            for k in kernels {
                out.of_kernel[*k] = Some(out.examples.len());
            }
            out.examples.push(kernels[0]);
        }
        out
    }

    pub fn of(&self, kernel: usize) -> Option<usize> {
        self.of_kernel[kernel]
    }
}

/// What the code of a kernel depends on: everything but its label and which buffers they are. For each of
/// these, which are numbered in the order in which the code names them, its dtype and whether it is memory.
type Form = (Vec<Extent>, Work, Vec<(DType, bool)>);

fn form(program: &Program, kernel: &Kernel) -> Form {
    let mut work = kernel.work.clone();
    let buffers = numbered(&mut work);
    let kind = |id: &BufferId| (program.buffer(*id).dtype, program.buffer(*id).is_memory());
    (kernel.space.clone(), work, buffers.iter().map(kind).collect())
}

/// The buffers of a kernel, each once, in the order in which its code names them.
fn buffers(kernel: &Kernel) -> Vec<BufferId> {
    numbered(&mut kernel.work.clone())
}

/// Puts a number in the place of each buffer; gives the buffers in the order of their numbers.
fn numbered(work: &mut Work) -> Vec<BufferId> {
    let mut all: Vec<BufferId> = Vec::new();
    let mut number = |id: &mut BufferId| {
        let at = all.iter().position(|known| known == id).unwrap_or_else(|| {
            all.push(*id);
            all.len() - 1
        });
        *id = BufferId(at as u32);
    };
    for access in work.accesses_mut() {
        number(&mut access.buffer);
    }
    if let Work::Reduce { partials: Some(id), .. } = work {
        number(id);
    }
    all
}

/// Whether a kernel may stop the run.
fn may_stop(kernel: &Kernel) -> bool {
    kernel.work.body().is_some_and(body::any_fault)
}

/// `fn(frame, one address or number for each buffer)`; of a kernel that may stop the run
/// `fn(frame, one address or number for each buffer, number of the kernel) -> 1 if it stopped`
fn signature(convention: CallConv, kernel: &Kernel, buffers: usize) -> Signature {
    let mut signature = Signature::new(convention);
    let stops = usize::from(may_stop(kernel));
    signature.params = vec![AbiParam::new(types::I64); 1 + buffers + stops];
    signature.returns = vec![AbiParam::new(types::I64); stops];
    signature
}

/// The function of a routine, written after its first kernel.
pub(super) fn function(
    program: &Program,
    example: usize,
    shape: Shape,
    isa: &dyn TargetIsa,
    shelf: Option<&Shelf>,
) -> Function {
    let kernel = &program.kernels[example];
    let buffers = buffers(kernel);
    let signature = signature(isa.default_call_conv(), kernel, buffers.len());
    let mut function = Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let fault = b.create_block();
    let mut e = Emit::new(b, program, isa.name() == "x64", fault);
    e.wide = shelf;
    let frame = params[0];
    let rows = match program.rows {
        Some(n) => e.iconst(n),
        None => steps::field(&mut e, frame, offset_of!(Frame, rows)),
    };
    e.define_sizes(rows, walk::extents(kernel));
    e.homes = vec![Home::Number(rows); program.buffers.len()];
    for (id, &base) in buffers.iter().zip(&params[1..]) {
        e.homes[id.0 as usize] = match program.buffer(*id).is_memory() {
            true => Home::Memory(Place { base, disp: 0 }),
            false => Home::Number(base),
        };
    }
    if may_stop(kernel) {
        e.begin_kernel(Size::Var(params[1 + buffers.len()]));
        steps::kernel(&mut e, kernel, shape);
        let fine = e.iconst(0);
        e.b.ins().return_(&[fine]);
        steps::write_fault(&mut e, frame);
        let stopped = e.iconst(1);
        e.b.ins().return_(&[stopped]);
    } else {
        e.begin_kernel(Size::Const(0));
        steps::kernel(&mut e, kernel, shape);
        e.b.ins().return_(&[]);
    }
    let Emit { mut b, .. } = e;
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    function
}

/// Calls the routine for one kernel, and returns from the main function after a fault in it.
pub(super) fn call(e: &mut Emit<'_>, routine: usize, number: usize, frame: Value) {
    let kernel = &e.program.kernels[number];
    let buffers = buffers(kernel);
    let callee = import(e, routine, kernel, buffers.len());
    let mut args = vec![frame];
    for id in buffers {
        args.push(match e.home(id) {
            Home::Number(v) => v,
            Home::Memory(place) => e.address(place),
        });
    }
    if !may_stop(kernel) {
        e.b.ins().call(callee, &args);
        return;
    }
    args.push(e.iconst(number as i64));
    let call = e.b.ins().call(callee, &args);
    let stopped = e.b.inst_results(call)[0];
    let (gone, on) = (e.b.create_block(), e.b.create_block());
    e.b.set_cold_block(gone);
    e.fork(stopped, (gone, &[]), (on, &[]));
    e.b.switch_to_block(gone);
    e.b.ins().return_(&[]);
    e.b.switch_to_block(on);
}

fn import(e: &mut Emit<'_>, routine: usize, kernel: &Kernel, buffers: usize) -> FuncRef {
    let signature = signature(e.b.func.signature.call_conv, kernel, buffers);
    // Routines are declared in the module after the symbols, in their order.
    e.function(symbols::count() + routine as u32, signature)
}
