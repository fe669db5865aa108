//! The words that start statements: where each may stand, and which of them carry a block.
//!
//! Only `fn` and `return` of these are reserved; every other one is a keyword only as the first word of
//! a statement that is not a binding, so that `seed = 3` and `loss loss = …` are legal.

/// The surroundings of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Top,
    Dataset,
    Train,
    /// The braces or the single action of `every` and `at`.
    Event,
    Fn,
    Layer,
    Optimizer,
    Repeat,
}

impl Place {
    /// Where, in words that follow "inside".
    pub fn words(self) -> &'static str {
        match self {
            Place::Top => "the file",
            Place::Dataset => "`dataset`",
            Place::Train => "`train`",
            Place::Event => "`every` and `at`",
            Place::Fn => "`fn`",
            Place::Layer => "`layer`",
            Place::Optimizer => "`optimizer`",
            Place::Repeat => "`repeat`",
        }
    }
}

/// Which statement a first word begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Head {
    At,
    Check,
    Checkpoint,
    Const,
    Dataset,
    Eval,
    Every,
    Feed,
    Fn,
    Frozen,
    Initializer,
    Keep,
    Layer,
    Load,
    Loss,
    Metric,
    Optimizer,
    Placeholder,
    Plot,
    Print,
    Repeat,
    Return,
    Rng,
    Save,
    Schedule,
    Seed,
    Split,
    State,
    Stop,
    Train,
    Use,
    Variable,
}

/// Which `{` of a statement opens a block of statements; the others hold an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockStart {
    Never,
    FirstBrace,
    /// `fn f(x) { … }` but not `fn f(x) = if c { … } …`.
    BraceWithoutEquals,
    /// `every 5 steps { … }` but not `every 5 steps print if c { … } …`.
    BraceAfter(&'static [&'static str]),
    /// Not a word we know: a guess.
    Unknown,
}

/// One row a word, in alphabetical order.
struct Row {
    word: &'static str,
    head: Head,
    places: &'static [Place],
    block: BlockStart,
}

const ACTION: &[Place] = &[Place::Top, Place::Event];
const TOP: &[Place] = &[Place::Top];
const TRAIN: &[Place] = &[Place::Train];

const ROWS: &[Row] = &[
    row("at", Head::At, TRAIN, BlockStart::BraceAfter(&["start", "end"])),
    row("check", Head::Check, ACTION, BlockStart::Never),
    row("checkpoint", Head::Checkpoint, TRAIN, BlockStart::Never),
    row("const", Head::Const, TOP, BlockStart::Never),
    row("dataset", Head::Dataset, TOP, BlockStart::FirstBrace),
    row("eval", Head::Eval, ACTION, BlockStart::Never),
    row("every", Head::Every, TRAIN, BlockStart::BraceAfter(&["steps", "step", "epochs", "epoch"])),
    row("feed", Head::Feed, &[Place::Top, Place::Train], BlockStart::Never),
    row("fn", Head::Fn, TOP, BlockStart::BraceWithoutEquals),
    row("frozen", Head::Frozen, &[Place::Top, Place::Layer, Place::Repeat], BlockStart::Never),
    row("initializer", Head::Initializer, TOP, BlockStart::Never),
    row("keep", Head::Keep, TRAIN, BlockStart::Never),
    row("layer", Head::Layer, TOP, BlockStart::FirstBrace),
    row("load", Head::Load, ACTION, BlockStart::Never),
    row("loss", Head::Loss, TOP, BlockStart::Never),
    row("metric", Head::Metric, TOP, BlockStart::Never),
    row("optimizer", Head::Optimizer, TOP, BlockStart::FirstBrace),
    row("placeholder", Head::Placeholder, TOP, BlockStart::Never),
    row("plot", Head::Plot, ACTION, BlockStart::Never),
    row("print", Head::Print, ACTION, BlockStart::Never),
    row(
        "repeat",
        Head::Repeat,
        &[Place::Top, Place::Fn, Place::Layer, Place::Repeat],
        BlockStart::FirstBrace,
    ),
    row("return", Head::Return, &[Place::Fn, Place::Layer], BlockStart::Never),
    row("rng", Head::Rng, TOP, BlockStart::Never),
    row("save", Head::Save, ACTION, BlockStart::Never),
    row("schedule", Head::Schedule, TOP, BlockStart::BraceWithoutEquals),
    row("seed", Head::Seed, TOP, BlockStart::Never),
    row("split", Head::Split, &[Place::Dataset], BlockStart::Never),
    row("state", Head::State, &[Place::Layer, Place::Optimizer], BlockStart::Never),
    row("stop", Head::Stop, TRAIN, BlockStart::Never),
    row("train", Head::Train, TOP, BlockStart::FirstBrace),
    row("use", Head::Use, TOP, BlockStart::Never),
    row("variable", Head::Variable, &[Place::Top, Place::Layer, Place::Repeat], BlockStart::Never),
];

const fn row(word: &'static str, head: Head, places: &'static [Place], block: BlockStart) -> Row {
    Row { word, head, places, block }
}

fn find(word: &str) -> Option<&'static Row> {
    ROWS.binary_search_by(|row| row.word.cmp(word)).ok().map(|at| &ROWS[at])
}

/// The statement that a first word begins, and where such a statement may stand.
pub fn head(word: &str) -> Option<(Head, &'static [Place])> {
    find(word).map(|row| (row.head, row.places))
}

pub fn is_head(word: &str) -> bool {
    find(word).is_some()
}

/// A word that starts a statement of the file and of nothing else.
pub fn is_top_only(word: &str) -> bool {
    find(word).is_some_and(|row| row.places == TOP)
}

pub fn block_start(word: &str) -> BlockStart {
    find(word).map_or(BlockStart::Unknown, |row| row.block)
}

/// The words that may start a statement in a place.
pub fn words_in(place: Place) -> impl Iterator<Item = &'static str> {
    ROWS.iter().filter(move |row| row.places.contains(&place)).map(|row| row.word)
}

/// Every word that starts a statement somewhere.
pub fn all_words() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.word)
}
