//! What a person may have meant: names a letter away, and the names other libraries use.

use crate::check::cx::Cx;
use crate::check::entity::Home;
use crate::check::program::Distribution;
use crate::check::value::{Builtin, Value};
use crate::diag::Diagnostic;
use crate::diag::codes::check as codes;
use crate::diag::render::SHOWN_LIMIT;
use crate::ir::op::Class;
use crate::lang::{Text, say};
use crate::source::Span;
use crate::syntax::ast::{Expr, ExprKind};
use crate::{ops, prelude};

/// (name elsewhere, name here), without module prefixes; sorted by the first.
const FOREIGN: &[(&str, &str)] = &[
    ("Adadelta", "adadelta"),
    ("AdadeltaOptimizer", "adadelta"),
    ("Adagrad", "adagrad"),
    ("AdagradOptimizer", "adagrad"),
    ("Adam", "adam"),
    ("AdamOptimizer", "adam"),
    ("AdamW", "adamw"),
    ("BatchNorm1d", "batch_norm"),
    ("BatchNormalization", "batch_norm"),
    ("Conv2D", "conv2d"),
    ("Conv2d", "conv2d"),
    ("CrossEntropyLoss", "cross_entropy"),
    ("Dense", "dense"),
    ("Dropout", "dropout"),
    ("ELU", "elu"),
    ("Embedding", "embedding"),
    ("GELU", "gelu"),
    ("GRU", "gru"),
    ("GradientDescentOptimizer", "sgd"),
    ("LSTM", "lstm"),
    ("LayerNorm", "layer_norm"),
    ("LayerNormalization", "layer_norm"),
    ("LeakyReLU", "leaky_relu"),
    ("Linear", "dense"),
    ("MSELoss", "mse"),
    ("MaxPool2d", "max_pool2d"),
    ("MomentumOptimizer", "momentum"),
    ("RMSPropOptimizer", "rmsprop"),
    ("RMSprop", "rmsprop"),
    ("ReLU", "relu"),
    ("SGD", "sgd"),
    ("SiLU", "silu"),
    ("Sigmoid", "sigmoid"),
    ("Softmax", "softmax"),
    ("Softplus", "softplus"),
    ("Tanh", "tanh"),
    ("absolute", "abs"),
    ("amax", "max"),
    ("amin", "min"),
    ("arange", "iota"),
    ("astype", "cast"),
    ("average", "mean"),
    ("binary_crossentropy", "binary_cross_entropy"),
    ("broadcast_to", "broadcast"),
    ("categorical_crossentropy", "cross_entropy"),
    ("clamp", "clip"),
    ("clip_by_value", "clip"),
    ("concatenate", "concat"),
    ("cross_entropy_with_logits", "cross_entropy"),
    ("divide", "/"),
    ("dot", "@"),
    ("equal", "=="),
    ("gather", "take"),
    ("greater", ">"),
    ("greater_equal", ">="),
    ("index_add", "scatter_add"),
    ("is_nan", "isnan"),
    ("kaiming_normal", "he_normal"),
    ("kaiming_normal_", "he_normal"),
    ("kaiming_uniform", "he_uniform"),
    ("kaiming_uniform_", "he_uniform"),
    ("less", "<"),
    ("less_equal", "<="),
    ("ln", "log"),
    ("log_softmax_v2", "log_softmax"),
    ("logical_and", "and"),
    ("logical_not", "not"),
    ("logical_or", "or"),
    ("matmul", "@"),
    ("maximise", "maximum"),
    ("mean_squared_error", "mse"),
    ("mm", "@"),
    ("mse_loss", "mse"),
    ("mul", "*"),
    ("multiply", "*"),
    ("negative", "-x"),
    ("onehot", "one_hot"),
    ("permute", "transpose"),
    ("power", "**"),
    ("randn", "normal"),
    ("random_normal", "normal"),
    ("random_uniform", "uniform"),
    ("reduce_all", "all"),
    ("reduce_any", "any"),
    ("reduce_logsumexp", "logsumexp"),
    ("reduce_max", "max"),
    ("reduce_mean", "mean"),
    ("reduce_min", "min"),
    ("reduce_prod", "prod"),
    ("reduce_sum", "sum"),
    ("segment_sum", "scatter_add"),
    ("select", "where"),
    ("sigmoid_cross_entropy_with_logits", "binary_cross_entropy"),
    ("softmax_cross_entropy_with_logits", "cross_entropy"),
    ("sparse_categorical_crossentropy", "cross_entropy"),
    ("sparse_softmax_cross_entropy_with_logits", "cross_entropy"),
    ("subtract", "-"),
    ("swish", "silu"),
    ("to_float", "cast"),
    ("unsorted_segment_sum", "scatter_add"),
    ("view", "reshape"),
    ("xavier", "glorot_uniform"),
    ("xavier_normal", "glorot_normal"),
    ("xavier_normal_", "glorot_normal"),
    ("xavier_uniform", "glorot_uniform"),
    ("xavier_uniform_", "glorot_uniform"),
];

/// Modules whose members people write in front of a dot.
const MODULES: &[&str] = &[
    "tf",
    "np",
    "numpy",
    "torch",
    "nn",
    "F",
    "jnp",
    "jax",
    "keras",
    "layers",
    "optim",
    "tensorflow",
    "K",
    "math",
];

/// Names in other modules, `nn.ReLU`, that are spelt here as they are there.
fn foreign(name: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
}

/// A longer name is no slip of the finger.
const LONGEST: usize = 64;

/// The closest of some names, if one is close: one change in four letters, at most three.
pub fn closest<'n>(name: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let length = name.chars().count();
    if length > LONGEST {
        return None;
    }
    let limit = (length / 4 + 1).min(3);
    candidates
        .into_iter()
        .filter(|c| c.chars().count().abs_diff(length) <= limit)
        .map(|c| (strsim::damerau_levenshtein(name, c), c))
        .filter(|(distance, c)| *distance <= limit && *distance < c.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// The first name of `torch.nn.functional`.
pub fn root_name(path: &Expr) -> Option<&str> {
    match &path.kind {
        ExprKind::Name(name) => Some(name),
        ExprKind::Field { base, .. } => root_name(base),
        _ => None,
    }
}

impl Cx<'_> {
    /// Ops and builtins by name.
    pub fn function_name(&self, name: &str) -> Option<Value> {
        if let Some(op) = ops::find(name)
            && !matches!(op.class, Class::Leaf | Class::Internal)
            && (op.symbol.is_none() || matches!(name, "where" | "maximum" | "minimum"))
        {
            return Some(Value::Op(op));
        }
        Some(Value::Builtin(match name {
            "grad" => Builtin::Grad,
            "scan" => Builtin::Scan,
            "random" => Builtin::Draw,
            "random_uniform" => Builtin::Random(Distribution::Uniform),
            "random_normal" => Builtin::Random(Distribution::Normal),
            "random_truncated_normal" => Builtin::Random(Distribution::TruncatedNormal),
            "random_orthogonal" => Builtin::Random(Distribution::Orthogonal),
            "csv" => Builtin::Read("csv"),
            "npy" => Builtin::Read("npy"),
            "npz" => Builtin::Read("npz"),
            "idx" => Builtin::Read("idx"),
            "safetensors" => Builtin::Read("safetensors"),
            _ => return None,
        }))
    }

    /// Reports a name that stands for nothing, with what may have been meant.
    pub fn unknown_name(&mut self, name: &str, span: Span) -> Value {
        if self.lost.contains(name) {
            return Value::Poison;
        }
        if self.frames.last().is_none_or(|f| f.home == Home::User)
            && let Some(at) = self.declared.get(name)
        {
            let at = *at;
            return self.report(
                Diagnostic::error(
                    &codes::NOT_YET_DECLARED,
                    span,
                    say!("`{name}` is used before it is declared", name),
                )
                .other(at, "declared here")
                .fix("move the declaration above"),
            );
        }
        if let Some(ours) = foreign(name) {
            return self.report(
                Diagnostic::error(&codes::FOREIGN_NAME, span, say!("there is no `{name}`", name))
                    .fix(say!("in .nn this is `{ours}`", ours)),
            );
        }
        let mut d = Diagnostic::error(&codes::UNKNOWN_NAME, span, say!("there is no `{name}`", name));
        // Only the first are shown, and to compare each with all names takes long.
        if self.diags.0.len() >= SHOWN_LIMIT {
            return self.report(d);
        }
        let mut names: Vec<&str> = Vec::new();
        if let Some(frame) = self.frames.last() {
            names.extend(frame.locals.iter().map(|l| l.name.as_str()));
        }
        names.extend(self.globals.keys().map(String::as_str));
        names.extend(prelude::all().iter().map(|e| e.name));
        names.extend(ops::all().filter(|o| self.function_name(o.name).is_some()).map(|o| o.name));
        names.extend(["grad", "random", "csv", "step", "epoch", "training"]);
        if let Some(near) = closest(name, names) {
            d = d.fix(say!("did you mean `{near}`?", near));
        }
        self.report(d)
    }

    /// The fix for `tf.reduce_mean`, if the part before the dot is another library's name and no name of
    /// the file.
    pub fn foreign_field(&self, base: &str, field: &str) -> Option<Text> {
        if !MODULES.contains(&base) || self.globals.contains_key(base) || self.declared.contains_key(base) {
            return None;
        }
        if self.frames.last().is_some_and(|f| f.locals.iter().any(|l| l.name == base)) {
            return None;
        }
        let known = foreign(field).map(str::to_string).or_else(|| {
            let here = prelude::find(field).is_some() || self.function_name(field).is_some();
            here.then(|| field.to_string())
        });
        Some(match known {
            Some(ours) => say!("in .nn this is `{ours}`", ours),
            None => "names in .nn have no module in front of them".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_only() {
        assert_eq!(closest("squre", ["sqrt", "square", "sum"]), Some("square"));
        assert_eq!(closest("logits", ["x", "relu"]), None);
        assert_eq!(closest("ab", ["abc", "xy"]), Some("abc"));
    }

    #[test]
    fn the_table_is_sorted_and_names_what_exists() {
        assert!(FOREIGN.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
