//! The lessons say what is true: every program in them is a file that checks as they say, and every output is what
//! `nn` prints. Both languages show the same programs and commands. `BLESS=1` writes what has changed.
//!
//! A fence of a lesson is one of
//! - `nn file=NAME.nn`, the program `docs/lessons/programs/NAME.nn`, which checks without a word, or with
//!   `fails=NN0107` or `warns=NN0504` as its first one;
//! - `console`, commands after `$ ` and all that they print; `exit=3` is their exit code if it is not 0, and
//!   `cpu=avx2` says that the output is that of a processor with AVX2 and nothing wider (elsewhere only the exit code is
//!   compared);
//! - `text`, which nothing prints.
//!
//! With `lines=3-5,9-` the first two show these lines alone, and `…` for others. A picture of a lesson is a file that a
//! command of the same lesson writes.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

const LANGUAGES: [&str; 2] = ["en", "zh"];

fn lessons() -> PathBuf {
    common::root().join("docs/lessons")
}

fn source(language: &str) -> PathBuf {
    lessons().join(language).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bless() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// The pages of a book, the summary among them.
fn pages(language: &str) -> BTreeSet<String> {
    let files = fs::read_dir(source(language)).expect("a book");
    let names = files.map(|f| f.expect("a page").file_name().to_string_lossy().into_owned());
    names.filter(|n| n.ends_with(".md")).collect()
}

/// What stands after `key=` in the words after a fence.
fn option<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// The fences of a page: the words after the ticks, and the lines within.
fn fences(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut all = Vec::new();
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info, Vec::new())),
            (Some(_), Some(_)) => all.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is never closed");
    all
}

fn commands<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().filter_map(|l| l.strip_prefix("$ ")).collect()
}

/// The lines that `lines=` asks for.
fn selected(text: &str, info: &str) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    let Some(ranges) = option(info, "lines") else {
        return all.into_iter().map(str::to_string).collect();
    };
    let (mut shown, mut next) = (Vec::new(), 0);
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |s: &str| s.parse::<usize>().expect("a line number");
        let (first, last) = (number(first), if last.is_empty() { all.len() } else { number(last) });
        assert!(next < first && first <= last && last <= all.len(), "lines={range} of {}", all.len());
        if first > next + 1 {
            shown.push("…".to_string());
        }
        shown.extend(all[first - 1..last].iter().map(|l| l.to_string()));
        next = last;
    }
    if next < all.len() {
        shown.push("…".to_string());
    }
    shown
}

/// A folder with the programs, and what the commands that were typed in it said.
struct Terminal {
    dir: PathBuf,
    said: BTreeMap<String, (i32, String)>,
}

impl Terminal {
    fn new(page: &str) -> Self {
        let dir = common::scratch(&format!("lesson-book-{page}"));
        for file in fs::read_dir(lessons().join("programs")).expect("the programs") {
            let file = file.expect("a program");
            fs::copy(file.path(), dir.join(file.file_name())).expect("a copy");
        }
        fs::create_dir(dir.join("data")).expect("a folder");
        fs::copy(common::root().join("examples/data/digits.csv"), dir.join("data/digits.csv"))
            .expect("a copy");
        Self { dir, said: BTreeMap::new() }
    }

    /// Exit code and output, both streams in the order in which they were written.
    fn said(&mut self, command: &str) -> (i32, String) {
        if let Some(said) = self.said.get(command) {
            return said.clone();
        }
        let mut words = command.split_whitespace();
        assert_eq!(words.next(), Some("nn"), "only nn is run: {command}");
        let output = self.dir.join("output.txt");
        let file = File::create(&output).expect("a file");
        let status = common::nn()
            .args(words)
            .current_dir(&self.dir)
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C")
            .stdout(file.try_clone().expect("the same file"))
            .stderr(file)
            .status()
            .expect("nn starts");
        let said = (status.code().expect("an exit code"), read(&output));
        self.said.insert(command.to_string(), said.clone());
        said
    }
}

/// The lines of a fence as they should be.
fn renewed(info: &str, lines: &[&str], terminal: &mut Terminal) -> Vec<String> {
    if let Some(file) = option(info, "file") {
        let (code, said) = terminal.said(&format!("nn check {file}"));
        let expected = match (option(info, "fails"), option(info, "warns")) {
            (Some(code), None) => (1, format!("error[{code}]")),
            (None, Some(code)) => (0, format!("warning[{code}]")),
            _ => (0, String::new()),
        };
        let first = said.split_inclusive(']').next().unwrap_or_default();
        assert_eq!((code, first), (expected.0, &*expected.1), "{file}: {said}");
        return selected(&read(&terminal.dir.join(file)), info);
    }
    if info == "text" {
        return lines.iter().map(|l| l.to_string()).collect();
    }
    assert!(info.starts_with("console"), "a program needs a file, and this is no fence of a lesson: {info}");
    let expected = option(info, "exit").map_or(0, |code| code.parse().expect("an exit code"));
    let comparable = option(info, "cpu").is_none_or(|_| is_avx2_the_widest());
    let mut out = Vec::new();
    for command in commands(lines) {
        let (code, said) = terminal.said(command);
        assert_eq!(code, expected, "{command}: {said}");
        out.push(format!("$ {command}"));
        out.extend(selected(&said, info));
    }
    if comparable { out } else { lines.iter().map(|l| l.to_string()).collect() }
}

#[cfg(target_arch = "x86_64")]
fn is_avx2_the_widest() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && !std::arch::is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_avx2_the_widest() -> bool {
    false
}

/// A page with each fence as it should be.
fn renewed_page(page: &str, terminal: &mut Terminal) -> String {
    let mut fences = fences(page).into_iter();
    let (mut out, mut within) = (String::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            within = !within;
            if within {
                let (info, lines) = fences.next().expect("as many fences");
                out.push_str(&format!("```{info}\n"));
                renewed(info, &lines, terminal).iter().for_each(|l| out.push_str(&format!("{l}\n")));
                continue;
            }
        }
        if !within {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

/// Where the links of a page lead, those into the net left out.
fn links(page: &str) -> Vec<&str> {
    let ends = page.match_indices("](").map(|(at, _)| &page[at + 2..]);
    let targets = ends.filter_map(|rest| rest.split(')').next());
    targets.filter(|t| !t.contains("://") && !t.starts_with('#')).collect()
}

#[test]
fn programs_and_outputs_are_true() {
    let mut shown = BTreeSet::new();
    for page in pages("en") {
        let mut terminal = Terminal::new(&page);
        for language in LANGUAGES {
            let path = source(language).join(&page);
            let text = read(&path);
            let renewed = renewed_page(&text, &mut terminal);
            shown.extend(fences(&text).iter().filter_map(|f| option(f.0, "file").map(str::to_string)));
            for picture in links(&text).into_iter().filter(|l| l.ends_with(".svg")) {
                let (drawn, kept) = (terminal.dir.join(picture), source(language).join(picture));
                if bless() {
                    fs::copy(&drawn, &kept).expect("a command draws the picture");
                }
                assert!(read(&drawn) == read(&kept), "{language}/{picture} has changed; BLESS=1 renews it");
            }
            if bless() {
                fs::write(&path, renewed).expect("the page");
            } else {
                compare(&format!("{language}/{page}"), &text, &renewed);
            }
        }
    }
    let programs = fs::read_dir(lessons().join("programs")).expect("the programs");
    let kept: BTreeSet<String> =
        programs.map(|f| f.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(shown, kept, "each program is shown somewhere");
}

fn compare(page: &str, old: &str, new: &str) {
    if let Some((n, (was, is))) = old.lines().zip(new.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("{page}:{}: BLESS=1 cargo test --test lessons_book renews it\n- {was}\n+ {is}", n + 1);
    }
    assert_eq!(old, new, "{page} ends otherwise");
}

#[test]
fn both_languages_show_the_same() {
    assert_eq!(pages("en"), pages("zh"));
    for page in pages("en") {
        let [en, zh] = LANGUAGES.map(|language| read(&source(language).join(&page)));
        let shown = |text: &str| -> Vec<String> {
            let all = fences(text).into_iter().filter(|(info, _)| *info != "text");
            all.map(|(info, lines)| format!("{info}: {}", commands(&lines).join("; "))).collect()
        };
        assert_eq!(shown(&en), shown(&zh), "{page}");
        for (language, text, other) in [("en", &en, "zh"), ("zh", &zh, "en")] {
            let link = format!("../../{other}/src/{page}");
            assert!(
                page == "SUMMARY.md" || text.contains(&link),
                "{language}/{page} does not lead to {link}"
            );
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for language in LANGUAGES {
        let mut in_summary = BTreeSet::from(["SUMMARY.md".to_string()]);
        for page in pages(language) {
            for link in links(&read(&source(language).join(&page))) {
                let file = link.split('#').next().expect("a part");
                assert!(source(language).join(file).exists(), "{language}/{page}: {link} leads nowhere");
                if page == "SUMMARY.md" {
                    in_summary.insert(link.to_string());
                }
            }
        }
        assert_eq!(in_summary, pages(language), "every page of {language} is in its summary");
    }
}
