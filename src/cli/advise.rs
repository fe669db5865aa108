//! Advice for `nn check --numbers` and `nn run --advice`: puts together what it looks at.

use crate::advice::{self, Evidence, Moment};
use crate::check::program::Train;
use crate::cli::load::Loaded;
use crate::diag::Diagnostics;
use crate::runtime::error::RunError;
use crate::runtime::session::Session;

/// Rows beyond these are not looked at.
const ROWS: usize = 100_000;

/// What there is to say of each training at this moment; what was said of one is not said of the next.
pub fn all(
    session: &mut Session<'_>,
    loaded: &Loaded,
    moment: Moment,
    found: &mut Diagnostics,
) -> Result<(), RunError> {
    for train in loaded.program.trains() {
        one(session, loaded, train, moment, found)?;
    }
    Ok(())
}

fn one(
    session: &mut Session<'_>,
    loaded: &Loaded,
    train: &Train,
    moment: Moment,
    found: &mut Diagnostics,
) -> Result<(), RunError> {
    if moment == Moment::Before {
        // Gives the optimizer's states their start values.
        session.begin(train)?;
    }
    let fed = session.batch(&train.data, ROWS)?;
    let (bindings, data) = (session.bindings(train, fed), session.data_name(train.data.data));
    let (program, sources) = (&loaded.program, &loaded.sources);
    let mut new = Diagnostics::default();
    advice::add(&Evidence { program, sources, train, bindings: &bindings, data: &data }, moment, &mut new);
    let known = |d: &crate::diag::Diagnostic| {
        found.0.iter().any(|o| o.code.code == d.code.code && o.message == d.message && o.primary == d.primary)
    };
    let new: Vec<_> = new.0.into_iter().filter(|d| !known(d)).collect();
    found.0.extend(new);
    Ok(())
}
