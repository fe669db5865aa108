//! What of a body is known before one round of a loop over it, and what the round has yet to compute.
//!
//! It never knows how a value is computed.

use crate::codegen::quad::Val;
use crate::loops::types::Body;
use crate::scalar::V;
use cranelift_codegen::ir::Value;

/// Values of a body that do not change along an axis, computed before the loop over it: as one lane, and
/// in four where the loop needs that.
pub(super) struct Hoisted {
    pub one: Vec<Option<Val>>,
    pub four: Vec<Option<Val>>,
    /// Of the others, which the loop needs.
    pub needed: Vec<bool>,
}

impl Hoisted {
    /// One lane of a value that does not change along the axis.
    pub fn one(&self, v: V) -> Val {
        self.one[v.0 as usize].expect("it does not vary")
    }

    /// The same for a loop in which more values are known and only `wanted` ones are needed.
    pub fn with(&self, body: &Body, known: &[(usize, Val)], wanted: &[V]) -> Hoisted {
        let mut four = self.four.clone();
        for (i, v) in known {
            four[*i] = Some(*v);
        }
        let mut needed = vec![false; four.len()];
        for v in wanted {
            needed[v.0 as usize] = true;
        }
        for i in (0..four.len()).rev() {
            if needed[i] && four[i].or(self.one[i]).is_none() {
                for v in Body::operands(&body.insts[i]) {
                    needed[v.0 as usize] = true;
                }
            }
        }
        Hoisted { one: self.one.clone(), four, needed }
    }
}

/// Stands in for a value that is never read.
pub(super) fn unread(values: &[Val]) -> Val {
    values.first().copied().unwrap_or(Val::single(Value::from_u32(0)))
}
