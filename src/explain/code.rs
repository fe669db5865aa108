//! The derivation as `.nn` code: one binding a line, to be put below the program it came from.

use crate::explain::Derivation;
use crate::explain::tree::Naming;
use crate::ir::graph::NodeId;

/// `d_mse_d_w1 = …` for each line.
pub fn print(derivation: &Derivation) -> String {
    let lines = derivation.lines.iter().zip(expressions(derivation));
    let lines = lines.map(|(line, code)| format!("{} = {code}\n", line.identifier));
    let told = derivation.definitions.iter().zip(definitions(derivation));
    told.map(|(d, code)| format!("{} = {code}\n", d.identifier)).chain(lines).collect()
}

/// What stands to the right of `=`, for each value that the lines need.
pub fn definitions(derivation: &Derivation) -> Vec<String> {
    let names = Identifiers(derivation);
    derivation.definitions.iter().map(|d| d.code.text(&names)).collect()
}

/// What stands to the right of `=`, for each line.
pub fn expressions(derivation: &Derivation) -> Vec<String> {
    let names = Identifiers(derivation);
    derivation.lines.iter().map(|l| l.code.text(&names)).collect()
}

struct Identifiers<'a>(&'a Derivation);

impl Naming for Identifiers<'_> {
    fn size(&self, name: &str) -> String {
        self.0.sizes.get(name).cloned().unwrap_or_else(|| name.to_string())
    }

    fn value(&self, id: NodeId) -> String {
        if let Some(definition) = self.0.definitions.iter().find(|d| d.node == id) {
            return definition.identifier.clone();
        }
        self.0.code_names.get(&id).or(self.0.values.get(&id)).cloned().unwrap_or_else(|| id.to_string())
    }

    fn adjoint(&self, primal: NodeId) -> String {
        let line = self.0.lines.iter().find(|l| l.primal == primal);
        line.map_or_else(|| primal.to_string(), |l| l.identifier.clone())
    }
}
