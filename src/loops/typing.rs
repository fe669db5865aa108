//! The dtypes of a body: what each instruction takes and gives.

use crate::loops::types::{Body, Extent, Inst, Program};
use crate::scalar::{Bin, DType, Un, V};

/// Every rule that the body breaks, one sentence each. `axes` is how many axes an `Index` may name: those
/// of the space and the folded ones.
pub fn check_body(program: &Program, body: &Body, axes: usize) -> Vec<String> {
    let mut errors = Vec::new();
    if body.insts.len() != body.dtypes.len() {
        errors.push(format!("{} instructions have {} dtypes", body.insts.len(), body.dtypes.len()));
        return errors;
    }
    for (i, inst) in body.insts.iter().enumerate() {
        if let Some(v) = Body::operands(inst).iter().find(|v| v.0 as usize >= i) {
            errors.push(format!("v{i} reads v{}, which is not there yet", v.0));
        } else if let Some(why) = refuses(program, body, inst, body.dtypes[i], axes) {
            errors.push(format!("v{i}: {why}"));
        }
    }
    errors
}

/// Why an instruction cannot give a value of this dtype; `None` if it can.
fn refuses(program: &Program, body: &Body, inst: &Inst, dtype: DType, axes: usize) -> Option<String> {
    let of = |v: &V| body.dtype(*v);
    let say = |ok: bool, what: &str| if ok { None } else { Some(format!("{what} cannot give {dtype}")) };
    let same = |v: &V| of(v) == dtype;
    match inst {
        Inst::Literal(x) => say(x.dtype() == dtype, "a literal"),
        Inst::Load(a) | Inst::Gather { access: a, .. } => {
            let Some(buffer) = program.buffers.get(a.buffer.0 as usize) else {
                return Some(format!("buffer {} does not exist", a.buffer.0));
            };
            if let Inst::Gather { index, .. } = inst
                && checked_limit(body, *index).is_none()
            {
                return Some("gathers at an index that was not checked".to_string());
            }
            say(buffer.dtype == dtype, &format!("a load of {}", buffer.dtype))
        }
        Inst::LoadIf { access, guards, otherwise } => {
            let Some(buffer) = program.buffers.get(access.buffer.0 as usize) else {
                return Some(format!("buffer {} does not exist", access.buffer.0));
            };
            if let Some(g) = guards.iter().find(|g| g.step < 1 || g.strides.len() != axes) {
                return Some(format!("a guard by {} along {} axes of {axes}", g.step, g.strides.len()));
            }
            let same = buffer.dtype == dtype && otherwise.dtype() == dtype;
            say(same, &format!("a load of {} or else {}", buffer.dtype, otherwise.dtype()))
        }
        Inst::Index(d) if *d as usize >= axes => Some(format!("axis {d} of {axes}")),
        Inst::Index(_) => say(dtype == DType::I64, "an index"),
        Inst::Size(_, given) => say(*given == dtype && dtype != DType::Bool, "a size"),
        Inst::Un(op, x) => say(un_gives(*op, of(x), dtype), &format!("{op:?} of {}", of(x))),
        Inst::Bin(op, x, y) => {
            let takes = match op {
                Bin::And | Bin::Or => dtype == DType::Bool,
                Bin::Div => dtype.is_float(),
                _ => dtype != DType::Bool,
            };
            say(same(x) && same(y) && takes, &format!("{op:?} of {} and {}", of(x), of(y)))
        }
        Inst::Cmp(op, x, y) => {
            say(of(x) == of(y) && dtype == DType::Bool, &format!("{op:?} of {} and {}", of(x), of(y)))
        }
        Inst::Select { condition, then, otherwise } => {
            let ok = of(condition) == DType::Bool && same(then) && same(otherwise);
            say(ok, &format!("a select by {} of {} and {}", of(condition), of(then), of(otherwise)))
        }
        Inst::Cast(_) => None,
        Inst::Random { draw, position, .. } => {
            say(same(draw) && same(position) && dtype == DType::I64, "random bits")
        }
        Inst::CheckIndex { value, .. } => {
            say(same(value) && dtype.is_int(), &format!("a check of {}", of(value)))
        }
    }
}

fn un_gives(op: Un, from: DType, to: DType) -> bool {
    match op {
        Un::Not => from == DType::Bool && to == DType::Bool,
        Un::IsFinite | Un::IsNan => from.is_float() && to == DType::Bool,
        Un::Neg | Un::Abs | Un::Sign | Un::Floor | Un::Ceil | Un::Round => from == to && to != DType::Bool,
        _ => from == to && to.is_float(),
    }
}

/// The limit that a gather's index was checked against, seen through casts.
pub fn checked_limit(body: &Body, mut index: V) -> Option<&Extent> {
    loop {
        match body.insts.get(index.0 as usize)? {
            Inst::CheckIndex { limit, .. } => return Some(limit),
            // Values stand before their users: `x` is smaller, so this ends.
            Inst::Cast(x) if x.0 < index.0 => index = *x,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::types::{Access, Buffer, BufferId, Place};
    use crate::scalar::{Cmp, Literal};

    fn program() -> Program {
        let buffer = Buffer {
            name: "x".to_string(),
            dtype: DType::F32,
            shape: vec![Extent::constant(4)],
            place: Place::Persistent(0),
        };
        Program {
            name: "p".to_string(),
            rows: Some(1),
            columns: vec![],
            buffers: vec![buffer],
            constants: vec![],
            kernels: vec![],
            guard: None,
            results: vec![],
            scratch: Extent::constant(0),
        }
    }

    fn x() -> Inst {
        let strides = vec![Extent::constant(1)];
        Inst::Load(Access { buffer: BufferId(0), offset: Extent::constant(0), strides })
    }

    fn errors(insts: &[(Inst, DType)]) -> usize {
        let mut body = Body::default();
        for (inst, dtype) in insts {
            body.push(inst.clone(), *dtype);
        }
        check_body(&program(), &body, 1).len()
    }

    #[test]
    fn instructions_give_the_dtypes_they_should() {
        use DType::{Bool, F32, F64, I32, I64};
        let v = V;
        assert_eq!(errors(&[(x(), F32)]), 0);
        assert_eq!(errors(&[(x(), F64)]), 1);
        assert_eq!(errors(&[(Inst::Literal(Literal::I32(1)), I32)]), 0);
        assert_eq!(errors(&[(Inst::Literal(Literal::I32(1)), I64)]), 1);
        assert_eq!(errors(&[(Inst::Index(0), I64)]), 0);
        assert_eq!(errors(&[(Inst::Index(1), I64)]), 1);
        assert_eq!(errors(&[(Inst::Index(0), I32)]), 1);
        assert_eq!(errors(&[(x(), F32), (Inst::Un(Un::Exp, v(0)), F32)]), 0);
        assert_eq!(errors(&[(x(), F32), (Inst::Un(Un::IsNan, v(0)), F32)]), 1);
        assert_eq!(errors(&[(x(), F32), (Inst::Un(Un::Exp, v(1)), F32)]), 1);
        assert_eq!(errors(&[(Inst::Index(0), I64), (Inst::Un(Un::Exp, v(0)), I64)]), 1);
        assert_eq!(errors(&[(Inst::Index(0), I64), (Inst::Bin(Bin::Div, v(0), v(0)), I64)]), 1);
        assert_eq!(errors(&[(x(), F32), (Inst::Index(0), I64), (Inst::Bin(Bin::Add, v(0), v(1)), F32)]), 1);
        let less = (Inst::Cmp(Cmp::Lt, v(0), v(0)), Bool);
        let select = |c: u32| (Inst::Select { condition: v(c), then: v(0), otherwise: v(0) }, F32);
        assert_eq!(errors(&[(x(), F32), less.clone(), select(1)]), 0);
        assert_eq!(errors(&[(x(), F32), less, select(0)]), 1);
    }

    #[test]
    fn a_gather_needs_a_checked_index() {
        use DType::{F32, I32, I64};
        let strides = vec![Extent::constant(0)];
        let access = Access { buffer: BufferId(0), offset: Extent::constant(0), strides };
        let gather =
            |v: u32| Inst::Gather { access: access.clone(), index: V(v), stride: Extent::constant(1) };
        let check = Inst::CheckIndex { value: V(0), limit: Extent::constant(4) };
        assert_eq!(errors(&[(Inst::Index(0), I64), (gather(0), F32)]), 1);
        assert_eq!(errors(&[(Inst::Index(0), I64), (check.clone(), I64), (gather(1), F32)]), 0);
        let cast = (Inst::Cast(V(1)), I32);
        assert_eq!(errors(&[(Inst::Index(0), I64), (check, I64), cast, (gather(2), F32)]), 0);
    }
}
