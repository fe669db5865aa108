//! Arguments of a call, and how they find their parameters.

use crate::check::cx::Cx;
use crate::check::suggest::closest;
use crate::check::value::Value;
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::lang::{Text, say};
use crate::source::Span;
use crate::syntax::ast::{Arg, Ident};

/// An evaluated argument.
#[derive(Clone, Debug)]
pub struct Given {
    pub name: Option<Ident>,
    pub value: Value,
    pub span: Span,
}

impl Cx<'_> {
    pub fn given(&mut self, args: &[Arg]) -> Vec<Given> {
        args.iter()
            .map(|a| Given { name: a.name.clone(), value: self.eval(&a.value), span: a.value.span })
            .collect()
    }

    /// For each parameter the argument that it gets, if any. Unknown, doubled and surplus arguments are
    /// reported; whether a missing one matters is the caller's business.
    pub fn assign(
        &mut self,
        callee: &str,
        params: &[&str],
        args: &[Given],
        span: Span,
    ) -> Option<Vec<Option<usize>>> {
        let mut slots: Vec<Option<usize>> = vec![None; params.len()];
        let mut good = true;
        for (i, a) in args.iter().enumerate() {
            let slot = match &a.name {
                None => {
                    if i >= params.len() || args[..i].iter().any(|b| b.name.is_some()) {
                        let text = if i >= params.len() {
                            let n = params.len();
                            say!(
                                "`{callee}` takes {n} argument{s}, not {given}",
                                callee,
                                n,
                                s = Text::from(if n == 1 { "" } else { "s" }),
                                given = args.len()
                            )
                        } else {
                            "an argument without name follows one with a name".into()
                        };
                        self.report(
                            Diagnostic::error(&codes::ARGUMENTS, a.span, text)
                                .note(signature(callee, params)),
                        );
                        good = false;
                        continue;
                    }
                    i
                }
                Some(name) => match params.iter().position(|p| *p == name.name) {
                    Some(slot) => slot,
                    None => {
                        let text = say!("`{callee}` has no argument `{name}`", callee, name = name.name);
                        let mut d = Diagnostic::error(&codes::ARGUMENTS, name.span, text)
                            .note(signature(callee, params));
                        let meant = elsewhere(&name.name, params)
                            .or_else(|| closest(&name.name, params.iter().copied()));
                        if let Some(meant) = meant {
                            d = d.fix(say!("did you mean `{meant}`?", meant));
                        }
                        self.report(d);
                        good = false;
                        continue;
                    }
                },
            };
            if slots[slot].is_some() {
                let text = say!("`{params}` of `{callee}` is given twice", params = params[slot], callee);
                self.error(&codes::ARGUMENTS, a.span, text);
                good = false;
            }
            slots[slot] = Some(i);
        }
        let _ = span;
        good.then_some(slots)
    }

    pub fn missing(&mut self, callee: &str, param: &str, params: &[&str], span: Span) {
        let text = say!("`{callee}` needs the argument `{param}`", callee, param);
        self.report(Diagnostic::error(&codes::ARGUMENTS, span, text).note(signature(callee, params)));
    }
}

/// (argument elsewhere, argument here); looked at in order, for a callee that has the latter.
const FOREIGN: &[(&str, &str)] = &[
    ("learning_rate", "lr"),
    ("beta_1", "beta1"),
    ("beta_2", "beta2"),
    ("momentum", "beta"),
    ("rho", "decay"),
    ("eps", "epsilon"),
    ("axes", "axis"),
    ("dim", "axis"),
    ("reduction_indices", "axis"),
    ("keep_dims", "keepdims"),
    ("keepdim", "keepdims"),
    ("low", "lo"),
    ("min", "lo"),
    ("high", "hi"),
    ("max", "hi"),
    ("decay_rate", "rate"),
    ("decay_steps", "steps"),
    ("depth", "n"),
    ("std", "stddev"),
];

fn elsewhere<'p>(name: &str, params: &[&'p str]) -> Option<&'p str> {
    let meant = |ours: &str| params.iter().find(|p| **p == ours).copied();
    FOREIGN.iter().filter(|(theirs, _)| *theirs == name).find_map(|(_, ours)| meant(ours))
}

/// `the arguments of `sum` are x, axis, keepdims`
fn signature(callee: &str, params: &[&str]) -> Text {
    match params {
        [] => say!("`{callee}` takes no arguments", callee),
        [one] => say!("the only argument of `{callee}` is {one}", callee, one),
        _ => say!("the arguments of `{callee}` are {params}", callee, params = params.join(", ")),
    }
}
