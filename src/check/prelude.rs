//! Definitions of the prelude: parsed when a name is first reached, and only then.

use crate::check::cx::Cx;
use crate::check::entity::{Def, Home};
use crate::prelude;
use crate::source::FileId;
use crate::syntax;
use std::rc::Rc;

impl Cx<'_> {
    /// The prelude's definition of a name, if it has one.
    pub fn prelude_def(&mut self, name: &str) -> Option<Rc<Def>> {
        if let Some(known) = self.loaded.get(name) {
            return known.clone();
        }
        let def = self.load(name);
        self.loaded.insert(name.to_string(), def.clone());
        def
    }

    fn load(&mut self, name: &str) -> Option<Rc<Def>> {
        let entry = prelude::find(name)?;
        let file = self.prelude_file(entry.file);
        let (ast, diags) = syntax::parse_range(self.sources.file(file), entry.start, entry.end);
        // The prelude's own tests parse all of it, so this cannot show a user anything they can mend.
        debug_assert!(!diags.has_errors(), "prelude `{name}`: {:?}", diags.0.first().map(|d| &d.message));
        ast.statements.iter().find_map(|s| Def::of(&s.kind, Home::Prelude)).filter(|d| d.name() == name)
    }

    /// The id of a prelude file, added to the sources when first used.
    fn prelude_file(&mut self, index: usize) -> FileId {
        if let Some(id) = self.prelude_files.get(&index) {
            return *id;
        }
        let (name, text) = prelude::files()[index];
        let id = self.sources.add(name, text);
        self.prelude_files.insert(index, id);
        id
    }
}
