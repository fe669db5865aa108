//! Limits, tested before anything is allocated.

use crate::diag::Diagnostic;
use crate::diag::codes::data as codes;
use crate::ir::dim::Sizes;
use crate::ir::graph::{Function, Type};
use crate::lang::{Text, say};
use crate::loops::memory::Region;
use crate::runtime::error::RunError;
use crate::source::{FileId, Span};
use std::cell::Cell;
use std::rc::Rc;

/// Elements of one tensor.
pub const MAX_ELEMENTS: u64 = 1 << 31;
/// Bytes that a run may hold at once, unless told otherwise.
pub const DEFAULT_MEMORY: u64 = 4 << 30;

/// How much memory a run may still take.
///
/// A [`Budget::scope`] takes from the same memory; what was taken through it is given back when it is dropped.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    /// By all that share the memory.
    used: Rc<Cell<u64>>,
    /// Through this one.
    own: u64,
    /// Where the program asks for what is being allocated.
    pub span: Span,
}

impl Budget {
    pub fn new(limit: u64) -> Budget {
        Budget { limit, used: Rc::default(), own: 0, span: Span::new(FileId(0), 0, 0) }
    }

    /// For what is held only for a while.
    pub fn scope(&self) -> Budget {
        Budget { limit: self.limit, used: self.used.clone(), own: 0, span: self.span }
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.used.get()
    }

    /// Counts `bytes` that are about to be allocated for `what`.
    pub fn take(&mut self, bytes: u64, what: impl Into<Text>) -> Result<(), RunError> {
        let total = self.used().saturating_add(bytes);
        if total > self.limit {
            let what = what.into();
            return Err(too_large(
                self.span,
                say!(
                    "{what} would need {needed}; limit {limit}",
                    what,
                    needed = size_text(total),
                    limit = size_text(self.limit)
                ),
            ));
        }
        self.used.set(total);
        self.own += bytes;
        Ok(())
    }

    /// A zeroed region of `bytes`, of which `more` are new to the budget.
    pub fn region(&mut self, more: usize, bytes: usize, what: impl Into<Text>) -> Result<Region, RunError> {
        let what = what.into();
        self.take(more as u64, what.clone())?;
        Region::zeroed(bytes).ok_or_else(|| {
            too_large(
                self.span,
                say!("{what}: the machine does not have {needed}", what, needed = size_text(bytes as u64)),
            )
        })
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.used.set(self.used.get() - self.own);
    }
}

fn too_large(span: Span, message: Text) -> RunError {
    RunError::limit(Diagnostic::error(&codes::TOO_LARGE, span, message))
}

/// The concrete shape of a type, every size at least 0 and the tensor not too large.
pub fn shape(ty: &Type, sizes: &Sizes, name: &str, span: Span) -> Result<Vec<usize>, RunError> {
    concrete(ty, sizes).map_err(|e| match e {
        Size::Unknown(dim) => RunError::bug("session", format!("dimension {dim} of {name} has no size")),
        Size::Negative(dim, n) => RunError::program(Diagnostic::error(
            &codes::DATA_SHAPE,
            span,
            say!("dimension {dim} of `{name}` would be {n}", dim, name, n),
        )),
        Size::TooLarge => {
            too_large(span, say!("tensor `{name}`: {ty} has more than 2^31 elements", name, ty))
        }
    })
}

enum Size {
    Unknown(String),
    Negative(String, i64),
    TooLarge,
}

fn concrete(ty: &Type, sizes: &Sizes) -> Result<Vec<usize>, Size> {
    let mut elements = 1u64;
    let mut shape = Vec::with_capacity(ty.shape.len());
    for dim in &ty.shape {
        let unknown = dim.symbols().into_iter().find(|s| !sizes.contains_key(s));
        if let Some(name) = unknown {
            return Err(Size::Unknown(name.to_string()));
        }
        let n = dim.size(sizes).ok_or(Size::TooLarge)?;
        if n < 0 {
            return Err(Size::Negative(dim.to_string(), n));
        }
        elements = elements.saturating_mul(n as u64);
        shape.push(usize::try_from(n).map_err(|_| Size::TooLarge)?);
    }
    // An axis of size 0 does not excuse the others: their product is still computed somewhere.
    if elements > MAX_ELEMENTS || shape.iter().any(|n| *n as u64 > MAX_ELEMENTS) {
        return Err(Size::TooLarge);
    }
    Ok(shape)
}

/// Tests every node that a function computes; `span` is the place of those that have none.
pub fn check(function: &Function, sizes: &Sizes, span: Span) -> Result<(), RunError> {
    let live = function.graph.reachable(function.roots());
    for id in function.graph.ids().filter(|id| live[id.index()]) {
        let node = function.graph.node(id);
        let name = node.name.as_deref().unwrap_or(node.op.name);
        shape(&node.ty, sizes, name, node.span.unwrap_or(span))?;
    }
    Ok(())
}

/// `4.0 GiB`, in powers of 1024.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::dim::Dim;
    use crate::scalar::DType;

    fn ty(dims: &[i64]) -> Type {
        Type::new(DType::F32, dims.iter().map(|d| Dim::constant(*d)).collect())
    }

    #[test]
    fn sizes_at_the_limit() {
        let shape = |ty: &Type| shape(ty, &Sizes::new(), "w", Span::new(FileId(0), 0, 0));
        assert!(shape(&ty(&[1 << 31])).is_ok());
        for dims in [&[(1 << 31) + 1][..], &[1 << 16, 1 << 16], &[0, 1 << 40], &[1 << 62, 1 << 62]] {
            assert_eq!(shape(&ty(dims)).unwrap_err().exit_code(), 5, "{dims:?}");
        }
        assert_eq!(shape(&ty(&[-1])).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn budgets_refuse_before_they_allocate() {
        let mut budget = Budget::new(1000);
        assert!(budget.region(600, 600, "a").is_ok());
        assert_eq!(budget.region(401, 401, "b").unwrap_err().exit_code(), 5);
        assert!(budget.region(400, 400, "c").is_ok());
    }

    #[test]
    fn scopes_give_back_what_they_took() {
        let mut budget = Budget::new(1000);
        budget.take(300, "a").unwrap();
        let mut scope = budget.scope();
        scope.take(600, "b").unwrap();
        assert_eq!((budget.used(), scope.used()), (900, 900));
        assert!(budget.take(200, "c").is_err());
        drop(scope);
        assert_eq!(budget.used(), 300);
        assert!(budget.take(700, "c").is_ok());
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size_text(1023), "1023 B");
        assert_eq!(size_text(4 << 30), "4.0 GiB");
        assert_eq!(size_text(u64::MAX), "16.0 EiB");
    }
}
