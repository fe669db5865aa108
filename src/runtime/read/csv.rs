//! Tables of numbers from csv files.
//!
//! A file is parsed once into a [`Table`] of f64; columns are then selected from it. A cell that is no
//! number is an error only if it is selected, so a file may have columns of text. Blank lines are skipped.

use crate::check::program::CsvColumns;
use crate::diag::codes::data as codes;
use crate::lang::{Text, say};
use crate::runtime::error::RunError;
use crate::runtime::limits::Budget;
use crate::runtime::read::{Place, unreadable};
use ndarray::{ArrayD, IxDyn};
use std::io::Read;

/// Longest line, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// Whether the first row holds the names of the columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    Absent,
    Present,
}

/// A file, parsed.
#[derive(Debug)]
pub struct Table {
    /// Names of the columns; `None` without a header.
    names: Option<Vec<String>>,
    width: usize,
    /// Row-major; NaN where the cell is no number.
    values: Vec<f64>,
    /// The line each row starts at, from 1.
    lines: Vec<u64>,
    /// The first cell of each column that is no number: row and what it holds.
    bad: Vec<Option<(usize, String)>>,
    /// What it takes of the budget.
    memory: Budget,
}

impl Table {
    /// Parses a whole file. Every row must have as many cells as the first.
    pub fn read(
        input: impl Read,
        header: Header,
        memory: Budget,
        place: Place<'_>,
    ) -> Result<Table, RunError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            // Widths are compared here, where the message can say which line fixed them.
            .flexible(true)
            .from_reader(LineLimit { input, length: 0, at: Cell::Start });
        let mut record = csv::ByteRecord::new();
        let mut table =
            Table { names: None, width: 0, values: Vec::new(), lines: Vec::new(), bad: Vec::new(), memory };
        let mut first_line = None;
        while reader.read_byte_record(&mut record).map_err(|e| read_error(&e, place))? {
            let line = record.position().map_or(0, csv::Position::line);
            let first_line = *first_line.get_or_insert_with(|| {
                table.width = record.len();
                table.bad = vec![None; record.len()];
                line
            });
            if record.len() != table.width {
                return Err(RunError::file(
                    place
                        .error(
                            &codes::RAGGED,
                            say!(
                                "line {line} has {cells}, line {first_line} has {first}",
                                line,
                                cells = cells(record.len()),
                                first_line,
                                first = table.width
                            ),
                        )
                        .note("every row of a table has the same number of cells"),
                ));
            }
            if header == Header::Present && table.names.is_none() {
                let name = |cell: &[u8]| String::from_utf8_lossy(cell).trim().to_string();
                table.names = Some(record.iter().map(name).collect());
                continue;
            }
            let row = table.lines.len();
            table.memory.take(8 * (record.len() as u64 + 1), Text::code(place.path))?;
            table.lines.push(line);
            for (column, cell) in record.iter().enumerate() {
                table.values.push(number(cell).unwrap_or_else(|| {
                    let slot = &mut table.bad[column];
                    if slot.is_none() {
                        *slot = Some((row, shown(cell)));
                    }
                    f64::NAN
                }));
            }
        }
        if table.lines.is_empty() {
            let message = match table.names {
                Some(_) => "there is no row below the header",
                None => "the file is empty",
            };
            return Err(RunError::file(place.error(&codes::EMPTY, message)));
        }
        Ok(table)
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether the header has a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().flatten().any(|n| n == name)
    }

    /// Whether the first row holds something that is no number, as a header does.
    pub fn starts_with_text(&self) -> bool {
        self.bad.iter().flatten().any(|(row, _)| *row == 0)
    }

    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// The line of the file that a row starts at, from 1.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// The selected columns: `[rows]` for a single index, `[rows, columns]` otherwise.
    pub fn select(
        &self,
        columns: &CsvColumns,
        memory: &mut Budget,
        place: Place<'_>,
    ) -> Result<ArrayD<f64>, RunError> {
        let picked = self.indices(columns, place)?;
        memory.take(
            8 * (self.rows() * picked.len()) as u64,
            say!("columns of `{place}`", place = place.path),
        )?;
        for column in &picked {
            if let Some((row, text)) = &self.bad[*column] {
                return Err(self.not_a_number(*row, *column, text, place));
            }
        }
        let mut values = Vec::with_capacity(self.rows() * picked.len());
        for row in self.values.chunks_exact(self.width) {
            values.extend(picked.iter().map(|c| row[*c]));
        }
        let shape = match columns {
            CsvColumns::Index(_) => vec![self.rows()],
            _ => vec![self.rows(), picked.len()],
        };
        Ok(ArrayD::from_shape_vec(IxDyn(&shape), values).expect("rows times picked columns"))
    }

    fn indices(&self, columns: &CsvColumns, place: Place<'_>) -> Result<Vec<usize>, RunError> {
        let missing = |what: Text| {
            RunError::program(place.error(
                &codes::NO_COLUMN,
                say!("there is no {what}; each row has {cells}", what, cells = cells(self.width)),
            ))
        };
        let index = |i: usize| {
            if i < self.width { Ok(i) } else { Err(missing(say!("column {i} (they count from 0)", i))) }
        };
        match columns {
            CsvColumns::All => Ok((0..self.width).collect()),
            CsvColumns::Index(i) => Ok(vec![index(*i)?]),
            CsvColumns::Range(from, to) => {
                let to = to.unwrap_or(self.width);
                if to > self.width || *from >= to {
                    return Err(missing(say!("range of columns {from}:{to}", from, to)));
                }
                Ok((*from..to).collect())
            }
            CsvColumns::Names(wanted) => {
                let Some(names) = &self.names else {
                    return Err(RunError::program(
                        place
                            .error(&codes::NO_COLUMN, "columns have no names without a header")
                            .fix("add `header=true`"),
                    ));
                };
                wanted.iter().map(|w| self.by_name(w, names, place)).collect()
            }
        }
    }

    fn by_name(&self, wanted: &str, names: &[String], place: Place<'_>) -> Result<usize, RunError> {
        let mut found = names.iter().enumerate().filter(|(_, n)| *n == wanted).map(|(i, _)| i);
        let problem = match (found.next(), found.next()) {
            (Some(i), None) => return Ok(i),
            (Some(a), Some(b)) => say!("columns {a} and {b} are both named `{wanted}`", a, b, wanted),
            (None, _) => say!("no column is named `{wanted}`", wanted),
        };
        let d = place.error(&codes::NO_COLUMN, problem);
        let near = names.iter().max_by(|a, b| {
            let score = |n: &str| strsim::jaro_winkler(n, wanted);
            score(a).total_cmp(&score(b))
        });
        Err(RunError::program(match near {
            Some(n) if n != wanted && strsim::jaro_winkler(n, wanted) > 0.8 => {
                d.fix(say!("write `\"{shown}\"`", shown = shown(n.as_bytes())))
            }
            _ => {
                let listed: Vec<String> =
                    names.iter().take(12).map(|n| format!("`{}`", shown(n.as_bytes()))).collect();
                let more = if names.len() > 12 { ", …" } else { "" };
                d.note(say!("its columns are {listed}{more}", listed = listed.join(", "), more))
            }
        }))
    }

    fn not_a_number(&self, row: usize, column: usize, text: &str, place: Place<'_>) -> RunError {
        let line = self.lines[row];
        let name = match &self.names {
            Some(names) => {
                say!("column {column} (`{shown}`)", column, shown = shown(names[column].as_bytes()))
            }
            None => say!("column {column}", column),
        };
        let holds = if text.is_empty() { "is empty".into() } else { say!("holds `{text}`", text) };
        if row == 0 && self.names.is_none() && !text.is_empty() {
            return RunError::program(
                place
                    .error(
                        &codes::HEADER,
                        say!("the first row is not numeric: line {line}, {name} {holds}", line, name, holds),
                    )
                    .label("read as numbers here")
                    .fix("if the first row holds the names of the columns, add `header=true`"),
            );
        }
        RunError::file(
            place
                .error(
                    &codes::NOT_A_NUMBER,
                    say!("line {line}, {name} {holds} where a number was expected", line, name, holds),
                )
                .label("read as numbers here"),
        )
    }
}

/// Fails when a line gets longer than [`MAX_LINE`], before it is held in memory. Breaks between quotes are part of
/// the line, so it follows them as the parser does.
struct LineLimit<R> {
    input: R,
    length: usize,
    at: Cell,
}

/// Where in a cell a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted one: its end, or the first half of `""`.
    Closing,
}

impl Cell {
    fn after(self, byte: u8) -> Cell {
        match (self, byte) {
            (Cell::Quoted, b'"') => Cell::Closing,
            (Cell::Quoted, _) | (Cell::Start | Cell::Closing, b'"') => Cell::Quoted,
            (_, b',' | b'\n' | b'\r') => Cell::Start,
            // The parser passes over a byte order mark.
            (Cell::Start, 0xef | 0xbb | 0xbf) => Cell::Start,
            _ => Cell::Plain,
        }
    }
}

impl<R: Read> Read for LineLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.input.read(buffer)?;
        for byte in &buffer[..n] {
            self.at = self.at.after(*byte);
            let ends = matches!(byte, b'\n' | b'\r') && self.at == Cell::Start;
            self.length = if ends { 0 } else { self.length + 1 };
            if self.length > MAX_LINE {
                return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
            }
        }
        Ok(n)
    }
}

fn read_error(e: &csv::Error, place: Place<'_>) -> RunError {
    if let csv::ErrorKind::Io(io) = e.kind()
        && io.kind() == std::io::ErrorKind::FileTooLarge
    {
        return RunError::limit(place.error(&codes::LONG_LINE, "a line is longer than 1 MiB"));
    }
    match e.kind() {
        csv::ErrorKind::Io(io) => unreadable(io, place),
        _ => RunError::file(place.error(&codes::UNREADABLE, say!("cannot be read: {e}", e))),
    }
}

/// A decimal number as Rust and Python read it, blanks around it ignored; `nan` and `inf` as written. A
/// number too large for f64 is none.
fn number(cell: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    let x: f64 = text.parse().ok()?;
    if x.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(x)
}

/// A cell for a message: at most 40 characters.
fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let text = text.trim();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

fn cells(n: usize) -> Text {
    if n == 1 { "1 cell".into() } else { say!("{n} cells", n) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Span};

    fn place() -> Place<'static> {
        Place { path: "d.csv", span: Span::new(FileId(0), 0, 1) }
    }

    fn table(text: &str, header: Header) -> Result<Table, RunError> {
        Table::read(text.as_bytes(), header, Budget::new(1 << 30), place())
    }

    fn column(text: &str, columns: CsvColumns) -> Result<ArrayD<f64>, RunError> {
        table(text, Header::Absent)?.select(&columns, &mut Budget::new(1 << 30), place())
    }

    fn fails<T: std::fmt::Debug>(r: Result<T, RunError>) -> (u8, &'static str, String) {
        let e = r.expect_err("an error");
        let d = e.diagnostic().expect("a diagnostic");
        (e.exit_code(), d.code.code, d.message.english())
    }

    #[test]
    fn selects_columns() {
        let text = "1, 2 ,3\n4,5,6\r\n\n7,8,\"9\"\n";
        let a = column(text, CsvColumns::Range(0, Some(2))).unwrap();
        assert_eq!(a.shape(), [3, 2]);
        assert_eq!(a.iter().copied().collect::<Vec<_>>(), [1.0, 2.0, 4.0, 5.0, 7.0, 8.0]);
        let label = column(text, CsvColumns::Index(2)).unwrap();
        assert_eq!(label.shape(), [3]);
        assert_eq!(label.iter().copied().collect::<Vec<_>>(), [3.0, 6.0, 9.0]);
        assert_eq!(column(text, CsvColumns::All).unwrap().shape(), [3, 3]);
        assert_eq!(column(text, CsvColumns::Range(1, None)).unwrap().shape(), [3, 2]);
        assert_eq!(column("\u{feff}1\n", CsvColumns::Index(0)).unwrap()[0], 1.0);
    }

    #[test]
    fn selects_by_name() {
        let memory = &mut Budget::new(1 << 20);
        let t = table("a,b,name\n1,2,x\n3,4,y\n", Header::Present).unwrap();
        let names = |n: &[&str]| CsvColumns::Names(n.iter().map(|s| s.to_string()).collect());
        let a = t.select(&names(&["b", "a"]), memory, place()).unwrap();
        assert_eq!(a.iter().copied().collect::<Vec<_>>(), [2.0, 1.0, 4.0, 3.0]);
        assert_eq!(fails(t.select(&names(&["c"]), memory, place())).1, "NN0206");
        let text = fails(t.select(&names(&["name"]), memory, place()));
        assert_eq!(text.0, 4);
        assert!(text.2.contains("line 2, column 2 (`name`) holds `x`"), "{}", text.2);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(
            fails(column("1,2\n3\n", CsvColumns::All)),
            (4, "NN0203", "d.csv: line 2 has 1 cell, line 1 has 2".into())
        );
        let text = fails(column("1,2\n3,four\n", CsvColumns::All));
        assert_eq!((text.0, text.1), (4, "NN0204"));
        assert!(text.2.contains("line 2, column 1 holds `four`"), "{}", text.2);
        assert_eq!(fails(column("1,\n", CsvColumns::All)).1, "NN0204");
        let header = fails(column("a,b\n1,2\n", CsvColumns::All));
        assert_eq!((header.0, header.1), (1, "NN0205"));
        assert_eq!(fails(column("1,2\n", CsvColumns::Index(2))).1, "NN0206");
        assert_eq!(fails(column("1,2\n", CsvColumns::Range(1, Some(3)))).1, "NN0206");
        assert_eq!(fails(column("", CsvColumns::All)), (4, "NN0207", "d.csv: the file is empty".into()));
        assert_eq!(fails(table("a,b\n", Header::Present)).1, "NN0207");
        assert_eq!(fails(column("1e400\n2\n", CsvColumns::All)).1, "NN0205");
        assert_eq!(fails(column("2\n1e400\n", CsvColumns::All)).1, "NN0204");
    }

    /// Text in a column that nobody asks for is nobody's mistake.
    #[test]
    fn unselected_text_is_fine() {
        assert_eq!(column("x,1\ny,2\n", CsvColumns::Index(1)).unwrap()[1], 2.0);
    }

    #[test]
    fn long_lines_are_refused() {
        let long = "1".repeat(MAX_LINE + 1);
        assert_eq!(fails(column(&long, CsvColumns::All)).0, 5);
        let short = format!("{}\n{}\n", "1".repeat(300), "2".repeat(300)).repeat(4000);
        assert_eq!(column(&short, CsvColumns::All).unwrap().len(), 8000);
        // Between quotes, in whatever cell, a break ends no line.
        for open in ["\"", "a\"b,\"", "\u{feff}\"", "\"\"\"", "\"\",\""] {
            let bomb = format!("{open}{}", "\"\"\n".repeat(MAX_LINE));
            assert_eq!(fails(column(&bomb, CsvColumns::All)).0, 5, "{open}");
        }
        let quotes = "5\",\"6\n\"\n".repeat(MAX_LINE / 4);
        assert_eq!(fails(column(&quotes, CsvColumns::Index(0))).1, "NN0205");
        assert_eq!(column(&"1\n".repeat(MAX_LINE), CsvColumns::All).unwrap().len(), MAX_LINE);
    }

    #[test]
    fn odd_bytes_never_panic() {
        for bytes in [&b"\xff\xfe1,2\n"[..], b"\"unclosed\n1,2", b"\0\0\n", b",,,\n", b"\r\r\r"] {
            let table = Table::read(bytes, Header::Absent, Budget::new(1 << 20), place());
            let _ = table.and_then(|t| t.select(&CsvColumns::All, &mut Budget::new(1 << 20), place()));
        }
    }
}
