//! Kernels that a program has several times, over other buffers, are compiled once, as a routine that the
//! main function calls. The layers of a deep net and the steps of a recurrence are such kernels: compile
//! time then grows with what differs, not with depth.
//!
//! It never knows what a kernel computes.

use crate::codegen::clif::{Emit, Home, Place, Size};
use crate::codegen::{Shape, steps, symbols, walk};
use crate::loops::types::{BufferId, Frame, Kernel, Program, Work};
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, InstBuilder, Signature, UserExternalName,
    UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::BTreeMap;
use std::mem::offset_of;

/// How often a kernel must occur: a call costs a few nanoseconds, and two copies compile fast enough.
const WORTH: usize = 3;

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
        let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, kernel) in program.kernels.iter().enumerate() {
            alike.entry(form(program, kernel)).or_default().push(number);
        }
        let mut shared: Vec<Vec<usize>> = alike.into_values().filter(|k| k.len() >= WORTH).collect();
        shared.sort();
        let mut out = Routines::none(program);
        for (routine, kernels) in shared.iter().enumerate() {
            out.examples.push(kernels[0]);
            for k in kernels {
                out.of_kernel[*k] = Some(routine);
            }
        }
        out
    }

    pub fn of(&self, kernel: usize) -> Option<usize> {
        self.of_kernel[kernel]
    }
}

/// The buffers of a kernel, each once, in the order in which its code names them.
fn buffers(kernel: &Kernel) -> Vec<BufferId> {
    let mut out: Vec<BufferId> = Vec::new();
    let mut work = kernel.work.clone();
    let partials = match &work {
        Work::Reduce { partials, .. } => *partials,
        _ => None,
    };
    for id in work.accesses_mut().into_iter().map(|a| a.buffer).chain(partials) {
        if !out.contains(&id) {
            out.push(id);
        }
    }
    out
}

/// What the code of a kernel depends on: everything but its label and which buffers they are.
fn form(program: &Program, kernel: &Kernel) -> String {
    let buffers = buffers(kernel);
    let number = |id: BufferId| BufferId(buffers.iter().position(|b| *b == id).unwrap_or(0) as u32);
    let mut same = Kernel { label: String::new(), ..kernel.clone() };
    for access in same.work.accesses_mut() {
        access.buffer = number(access.buffer);
    }
    if let Work::Reduce { partials: Some(id), .. } = &mut same.work {
        *id = number(*id);
    }
    let kinds: Vec<_> =
        buffers.iter().map(|id| (program.buffer(*id).dtype, program.buffer(*id).is_memory())).collect();
    format!("{same:?} {kinds:?}")
}

/// `fn(frame, number of the kernel, one address or number for each buffer) -> 1 if it stopped for a fault`
fn signature(convention: CallConv, buffers: usize) -> Signature {
    let mut signature = Signature::new(convention);
    signature.params = vec![AbiParam::new(types::I64); 2 + buffers];
    signature.returns = vec![AbiParam::new(types::I64)];
    signature
}

/// The function of a routine, written after its first kernel.
pub(super) fn function(program: &Program, example: usize, shape: Shape, isa: &dyn TargetIsa) -> Function {
    let kernel = &program.kernels[example];
    let buffers = buffers(kernel);
    let signature = signature(isa.default_call_conv(), buffers.len());
    let mut function = Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut function, &mut context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let fault = b.create_block();
    let mut e = Emit::new(b, program, isa.name() == "x64", fault);
    let frame = params[0];
    let rows = match program.rows {
        Some(n) => e.iconst(n),
        None => steps::field(&mut e, frame, offset_of!(Frame, rows)),
    };
    e.define_sizes(rows, walk::extents(kernel).iter());
    e.homes = vec![Home::Number(rows); program.buffers.len()];
    for (id, &base) in buffers.iter().zip(&params[2..]) {
        e.homes[id.0 as usize] = match program.buffer(*id).is_memory() {
            true => Home::Memory(Place { base, disp: 0 }),
            false => Home::Number(base),
        };
    }
    e.begin_kernel(Size::Var(params[1]));
    steps::kernel(&mut e, kernel, shape);
    let fine = e.iconst(0);
    e.b.ins().return_(&[fine]);
    steps::write_fault(&mut e, frame);
    let stopped = e.iconst(1);
    e.b.ins().return_(&[stopped]);
    let Emit { mut b, .. } = e;
    b.seal_all_blocks();
    b.finalize(isa.frontend_config());
    function
}

/// Calls the routine for one kernel, and returns from the main function after a fault in it.
pub(super) fn call(e: &mut Emit<'_>, routine: usize, kernel: usize, frame: Value) {
    let buffers = buffers(&e.program.kernels[kernel]);
    let callee = import(e, routine, buffers.len());
    let number = e.iconst(kernel as i64);
    let mut args = vec![frame, number];
    for id in buffers {
        args.push(match e.home(id) {
            Home::Number(v) => v,
            Home::Memory(place) if place.disp == 0 => place.base,
            Home::Memory(place) => {
                let by = e.iconst(place.disp);
                e.b.ins().iadd(place.base, by)
            }
        });
    }
    let call = e.b.ins().call(callee, &args);
    let stopped = e.b.inst_results(call)[0];
    let (gone, on) = (e.b.create_block(), e.b.create_block());
    e.b.set_cold_block(gone);
    e.fork(stopped, (gone, &[]), (on, &[]));
    e.b.switch_to_block(gone);
    e.b.ins().return_(&[]);
    e.b.switch_to_block(on);
}

fn import(e: &mut Emit<'_>, routine: usize, buffers: usize) -> FuncRef {
    if let Some(&r) = e.routines.get(&routine) {
        return r;
    }
    let signature = signature(e.b.func.signature.call_conv, buffers);
    let signature = e.b.import_signature(signature);
    // Routines are declared in the module after the symbols, in their order.
    let name = UserExternalName::new(0, symbols::count() + routine as u32);
    let name = e.b.func.declare_imported_user_function(name);
    let data = ExtFuncData { name: ExternalName::user(name), signature, colocated: false, patchable: false };
    let r = e.b.import_function(data);
    e.routines.insert(routine, r);
    r
}
