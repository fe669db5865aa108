use nn::runtime::engine::{Backend, Stage};
use nn::runtime::output::{Output, Progress};
use nn::runtime::session::{self, Options};
use nn::source::Sources;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
struct Out(bool);
impl Output for Out {
    fn line(&mut self, t: &str) {
        println!("{t}");
    }
    fn note(&mut self, t: &str) {
        eprintln!("{t}");
    }
    fn progress(&mut self, _: Progress) {}
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let path = args.last().unwrap().clone();
    let t0 = Instant::now();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut sources = Sources::default();
    let id = sources.add(path.clone(), text);
    let file = sources.file(id).clone();
    let (ast, diags) = nn::syntax::parse(&file);
    let t1 = Instant::now();
    let show = |s: &Sources, d: &nn::diag::Diagnostic| {
        eprintln!(
            "error[{}]: {} at {}  {:?} {:?} {:?}",
            d.code.code,
            d.message,
            s.place(d.primary.span),
            d.primary.text,
            d.notes,
            d.fix
        );
    };
    for d in &diags.0 {
        show(&sources, d);
    }
    if !diags.is_empty() {
        std::process::exit(1)
    }
    let program = match nn::check::elaborate(&ast, &file, &mut sources, &Default::default()) {
        Ok(p) => p,
        Err(e) => {
            for d in &e.0 {
                show(&sources, d);
            }
            std::process::exit(1)
        }
    };
    let t2 = Instant::now();
    let mut options = Options::default();
    for (i, a) in args.iter().enumerate() {
        if a == "--backend" {
            options.settings.backend = match args[i + 1].as_str() {
                "loops" => Backend::Loops,
                "graph" => Backend::Graph,
                _ => Backend::Jit,
            };
        }
        if a == "--opt" {
            options.settings.opt = args[i + 1].parse().unwrap();
        }
    }
    let dir = std::path::Path::new(&path).parent().unwrap().to_path_buf();
    let files = nn::runtime::files::Disk::new(dir, vec![]);
    let mut times: BTreeMap<Stage, (Duration, usize)> = BTreeMap::new();
    let r = session::run(&program, options, &files, &mut Out(true), &mut |s, d| {
        let e = times.entry(s).or_default();
        e.0 += d;
        e.1 += 1;
    });
    if args.iter().any(|a| a == "--time") {
        eprintln!("parse {:?} check {:?} run {:?}", t1 - t0, t2 - t1, t2.elapsed());
        for (s, d) in &times {
            eprintln!("{s:?} {:?} x{}", d.0, d.1);
        }
    }
    if let Err(e) = r {
        match e.diagnostic() {
            Ok(d) => show(&sources, d),
            Err(b) => eprintln!("{b}"),
        }
        std::process::exit(e.exit_code().into());
    }
}
