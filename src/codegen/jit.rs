//! From a finished function to executable memory, or to a listing.

use crate::codegen::executable::Executable;
use crate::codegen::steps::{self, Functions};
use crate::codegen::symbols::Symbol;
use crate::codegen::{Allocation, CodegenError, Options, Stage, wide};
use crate::kernels::Level;
use crate::loops::types::Program;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::{self, OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CodegenError as Refusal, Context};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};

/// Settings of every function: no rewriting, because common subexpressions and invariants were dealt
/// with before and `speed` moves multiply-adds to where they hurt.
fn flags(allocation: Allocation) -> Result<settings::Flags, CodegenError> {
    let mut builder = settings::builder();
    let algorithm = match allocation {
        Allocation::Searched => "backtracking",
        Allocation::Quick => "single_pass",
    };
    for (name, value) in [
        ("opt_level", "none"),
        ("regalloc_algorithm", algorithm),
        // After each of Cranelift's own changes too; otherwise once, see `compile`.
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        // A frame may exceed a page; touch its pages without a call.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("unwind_info", "false"),
    ] {
        builder.set(name, value).map_err(machine)?;
    }
    Ok(settings::Flags::new(builder))
}

fn machine(reason: impl std::fmt::Display) -> CodegenError {
    CodegenError::Machine(reason.to_string())
}

fn host(allocation: Allocation) -> Result<OwnedTargetIsa, CodegenError> {
    cranelift_native::builder().map_err(machine)?.finish(flags(allocation)?).map_err(machine)
}

fn haswell(allocation: Allocation) -> Result<OwnedTargetIsa, CodegenError> {
    let mut builder = isa::lookup_by_name("x86_64-unknown-linux-gnu").map_err(machine)?;
    builder.enable("haswell").map_err(machine)?;
    builder.finish(flags(allocation)?).map_err(machine)
}

/// Fused multiply-add must be an instruction: Cranelift would else call a function per lane.
fn check_fma(isa: &dyn TargetIsa) -> Result<(), CodegenError> {
    let has = |name: &str| isa.isa_flags().iter().any(|f| f.name == name && f.as_bool() == Some(true));
    if isa.name() != "x64" || (has("has_avx") && has("has_fma")) {
        return Ok(());
    }
    Err(CodegenError::Machine("it lacks AVX or FMA".to_string()))
}

fn refused(program: &Program, refusal: &Refusal) -> CodegenError {
    CodegenError::Refused { program: program.name.clone(), reason: refusal.to_string() }
}

fn functions(program: &Program, options: &Options, isa: &dyn TargetIsa) -> Result<Functions, CodegenError> {
    check_fma(isa)?;
    Ok(steps::functions(program, options, isa))
}

/// An empty module whose code can call the functions of the list and nothing else. Cranelift would look up other
/// names in the whole process, among them those of the functions it calls itself where it lacks an instruction.
fn module(isa: OwnedTargetIsa, level: Level) -> JITModule {
    let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
    for symbol in Symbol::all() {
        builder.symbol(symbol.name(), symbol.address(level));
    }
    builder
        .symbol_lookup_fn(Box::new(|name| panic!("machine code calls `{name}`, which is not in the list")));
    JITModule::new(builder)
}

pub(super) fn compile(program: &Program, options: &Options) -> Result<Executable, CodegenError> {
    let isa = host(options.allocation)?;
    let functions = functions(program, options, &*isa)?;
    let mut module = module(isa, options.level);
    let broken = |e: cranelift_module::ModuleError| CodegenError::Refused {
        program: program.name.clone(),
        reason: match e {
            cranelift_module::ModuleError::Compilation(c) => format!("{c:?}"),
            other => other.to_string(),
        },
    };
    // Declared in the order of the list, so that a symbol's number is its number in the module.
    for symbol in Symbol::all() {
        let signature = symbol.signature(module.target_config().default_call_conv);
        module.declare_function(&symbol.name(), Linkage::Import, &signature).map_err(broken)?;
    }
    // Routines and then wide functions follow the symbols, in their order: callers count on it.
    let mut declared = vec![];
    for routine in &functions.routines {
        declared.push(module.declare_anonymous_function(&routine.signature).map_err(broken)?);
    }
    let mut size = 0;
    for function in &functions.wide {
        let signature = wide::signature(module.target_config().default_call_conv);
        let id = module.declare_anonymous_function(&signature).map_err(broken)?;
        module.define_function_bytes(id, wide::ALIGNMENT, &function.bytes, &[]).map_err(broken)?;
        size += function.bytes.len();
    }
    let main = module.declare_anonymous_function(&functions.main.signature).map_err(broken)?;
    let mut context = Context::new();
    let mut define = |id, function: Function| {
        context.clear();
        context.func = function;
        context.verify(module.isa()).map_err(|e| refused(program, &Refusal::Verifier(e)))?;
        module.define_function(id, &mut context).map_err(broken)?;
        size += context.compiled_code().map_or(0, |code| code.code_info().total_size as usize);
        Ok(())
    };
    for (id, routine) in declared.into_iter().zip(functions.routines) {
        define(id, routine)?;
    }
    define(main, functions.main)?;
    module.finalize_definitions().map_err(|e| CodegenError::Memory(e.to_string()))?;
    Ok(Executable::new(module, main, size))
}

pub(super) fn text(program: &Program, options: &Options, stage: Stage) -> Result<String, CodegenError> {
    let isa = haswell(options.allocation)?;
    // The kernels of that machine, whichever this one has.
    let options = Options { level: Level::Avx2, ..*options };
    let Functions { routines, wide, main } = functions(program, &options, &*isa)?;
    let mut texts = vec![];
    for function in std::iter::once(main).chain(routines) {
        if stage == Stage::Clif {
            texts.push(function.display().to_string());
            continue;
        }
        let mut context = Context::for_function(function);
        context.set_disasm(true);
        let compiled =
            context.compile(&*isa, &mut ControlPlane::default()).map_err(|e| refused(program, &e.inner))?;
        texts.push(compiled.vcode.clone().unwrap_or_default());
    }
    texts.extend(wide.iter().enumerate().map(|(n, f)| format!("wide function {n}, {f}")));
    Ok(texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cranelift_codegen::ir::LibCall;
    use cranelift_module::ModuleRelocTarget;

    fn empty() -> JITModule {
        module(host(Allocation::Searched).unwrap(), Level::Portable)
    }

    fn address(module: &mut JITModule, name: &str) -> *const u8 {
        let signature = Symbol::Exp.signature(module.target_config().default_call_conv);
        let id = module.declare_function(name, Linkage::Import, &signature).unwrap();
        module.get_address(&ModuleRelocTarget::user(0, id.as_u32()))
    }

    #[test]
    fn functions_of_the_list_are_found() {
        assert_eq!(address(&mut empty(), "nn_exp"), Symbol::Exp.address(Level::Portable));
    }

    /// The C library is in this process, and `dlsym` would find it.
    #[test]
    #[should_panic(expected = "`getpid`, which is not in the list")]
    fn functions_of_the_process_are_not_found() {
        address(&mut empty(), "getpid");
    }

    #[test]
    #[should_panic(expected = "`ceilf`, which is not in the list")]
    fn functions_that_cranelift_would_call_are_not_found() {
        empty().get_address(&ModuleRelocTarget::LibCall(LibCall::CeilF32));
    }
}
