//! The only user of pest: one statement's text in, a tree of [`Node`]s or a [`Failure`] in words out.
//!
//! The rest of `syntax` walks nodes by asking for the rule it needs next ([`Kids::need`]); a grammar and
//! a walker that disagree give a [`Misfit`], in one place, instead of an unreachable arm in each match.
//! Knows nothing of statements' meaning, of files and of spans: offsets are those of the text given.

use std::num::NonZeroUsize;
use std::sync::Once;

use pest::Parser as _;
use pest::error::{Error, ErrorVariant, InputLocation};
use pest::iterators::{Pair, Pairs};

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/nn.pest"]
struct Grammar;

/// Rule calls of one statement; a hostile text stops here instead of running for minutes.
const CALL_LIMIT: NonZeroUsize = NonZeroUsize::new(20_000_000).expect("not zero");

static LIMIT_ONCE: Once = Once::new();

/// A matched rule.
#[derive(Clone)]
pub struct Node<'t>(Pair<'t, Rule>);

impl<'t> Node<'t> {
    pub fn rule(&self) -> Rule {
        self.0.as_rule()
    }

    pub fn text(&self) -> &'t str {
        self.0.as_str()
    }

    /// The byte range in the text that was read. pest counts the blanks in front of an optional part that
    /// is not there; they are left out.
    pub fn range(&self) -> (usize, usize) {
        let start = self.0.as_span().start();
        (start, start + self.text().trim_end().len())
    }

    pub fn kids(self) -> Kids<'t> {
        Kids(self.0.into_inner())
    }
}

/// The matched rules inside a rule, in order, taken one by one.
#[derive(Clone)]
pub struct Kids<'t>(Pairs<'t, Rule>);

impl<'t> Kids<'t> {
    /// The next one, if it is of this rule.
    pub fn maybe(&mut self, rule: Rule) -> Option<Node<'t>> {
        if self.0.peek()?.as_rule() == rule { self.0.next().map(Node) } else { None }
    }

    /// The next one, which the grammar says is of this rule.
    pub fn need(&mut self, rule: Rule) -> Result<Node<'t>, Misfit> {
        self.maybe(rule).ok_or(Misfit(rule))
    }

    /// Steps over the next one if it is of this rule, and says whether it was.
    pub fn skip(&mut self, rule: Rule) -> bool {
        self.maybe(rule).is_some()
    }

    /// The next one, whatever it is.
    pub fn any(&mut self) -> Option<Node<'t>> {
        self.0.next().map(Node)
    }

    /// Those that are left and of this rule; the others (delimiters) are passed over.
    pub fn all(self, rule: Rule) -> impl Iterator<Item = Node<'t>> {
        self.0.filter(move |pair| pair.as_rule() == rule).map(Node)
    }
}

/// The grammar gave something else than the walker was written for: a bug of ours.
#[derive(Debug)]
pub struct Misfit(pub Rule);

/// Why a text is no match.
#[derive(Debug)]
pub enum Failure {
    /// Where the reading stopped, and what could have stood there.
    Expected { at: usize, expected: Vec<&'static str>, name_wanted: bool },
    /// The text needs more rule calls than [`CALL_LIMIT`].
    TooLong,
}

/// Reads `text` as `rule`.
pub fn read(rule: Rule, text: &str) -> Result<Node<'_>, Failure> {
    LIMIT_ONCE.call_once(|| pest::set_call_limit(Some(CALL_LIMIT)));
    match Grammar::parse(rule, text) {
        Ok(mut pairs) => match pairs.next() {
            Some(pair) => Ok(Node(pair)),
            None => Err(Failure::Expected { at: 0, expected: Vec::new(), name_wanted: false }),
        },
        Err(error) => Err(failure(&error)),
    }
}

fn failure(error: &Error<Rule>) -> Failure {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => {
            let mut expected: Vec<&'static str> = Vec::new();
            for word in positives.iter().filter_map(|rule| words(*rule)) {
                if !expected.contains(&word) {
                    expected.push(word);
                }
            }
            // In an argument `:` makes a range; rare enough to leave it out.
            if expected.contains(&"`,`") && expected.contains(&"an operator") {
                expected.retain(|w| *w != "`:`");
            }
            // The end of the line goes last, as one would say it.
            if let Some(i) = expected.iter().position(|w| *w == END) {
                let end = expected.remove(i);
                expected.push(end);
            }
            let name_wanted = positives.contains(&Rule::ident);
            Failure::Expected { at, expected, name_wanted }
        }
        ErrorVariant::CustomError { .. } => Failure::TooLong,
    }
}

const END: &str = "the end of the line";

/// A rule in the words of a person; `None` for what would only lengthen the list.
fn words(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::EOI => END,
        Rule::ident | Rule::word => "a name",
        Rule::number => "a number",
        Rule::string => "a string",
        Rule::expr
        | Rule::prefix
        | Rule::postfix
        | Rule::values
        | Rule::value
        | Rule::argument
        | Rule::item => "an expression",
        Rule::boolean | Rule::conditional | Rule::group | Rule::list => "an expression",
        Rule::infix => "an operator",
        Rule::comma => "`,`",
        Rule::colon => "`:`",
        Rule::dotdot => "`..`",
        Rule::assign => "`=`",
        Rule::gets => "`<-`",
        Rule::result => "`->`",
        Rule::params => "`(`",
        Rule::close_paren => "`)`",
        Rule::close_bracket => "`]`",
        Rule::braced => "`{`",
        Rule::close_brace => "`}`",
        Rule::type_expr => "a type such as `f32[batch, 2]`",
        Rule::param => "a parameter",
        Rule::feeds | Rule::feed => "`placeholder = column`",
        Rule::data_ref => "the name of a dataset",
        Rule::on_data | Rule::kw_on => "`on`",
        Rule::kw_to => "`to`",
        Rule::kw_by => "`by`",
        Rule::kw_with => "`with`",
        Rule::kw_for => "`for`",
        Rule::kw_in => "`in`",
        Rule::kw_else => "`else`",
        Rule::kw_when => "`when`",
        Rule::kw_after => "`after`",
        Rule::kw_every => "`every`",
        Rule::kw_without => "`without`",
        Rule::kw_variable => "`variable`",
        Rule::kw_derivative | Rule::derivatives => "`derivative`",
        Rule::unit => "`steps` or `epochs`",
        Rule::moment => "`start` or `end`",
        Rule::comparative => "`better`, `lower` or `higher`",
        Rule::superlative => "`best`, `lowest` or `highest`",
        // `(`, `[` and `.` may follow any operand: saying so helps nobody.
        _ => return None,
    })
}
