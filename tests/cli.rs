//! What the commands that compile nothing new print, and `nn snapshot`, `nn bench`, `nn check`.

mod common;

use common::{root, run_in, scratch, stderr, stdout, succeed};

fn shown(args: &[&str]) -> String {
    format!("$ nn {}\n{}", args.join(" "), succeed(&root(), args))
}

#[test]
fn help() {
    insta::assert_snapshot!(shown(&["--help"]));
}

#[test]
fn doc() {
    insta::assert_snapshot!(
        [&["doc", "adam"][..], &["doc", "matmul"], &["doc", "cross_entropy"]].map(shown).concat()
    );
}

/// `nn doc` lists every name, and each has its page.
#[test]
fn everything_listed_has_a_page() {
    let list = succeed(&root(), &["doc"]);
    for name in ["relu", "adam", "mse", "glorot_uniform", "exponential_decay", "accuracy"] {
        assert!(list.contains(name), "{name} is not listed:\n{list}");
        assert!(!succeed(&root(), &["doc", name]).is_empty());
    }
}

#[test]
fn explain() {
    insta::assert_snapshot!(shown(&["explain", "NN0107"]));
}

#[test]
fn passes() {
    insta::assert_snapshot!(
        [&["passes", "examples/lesson.nn"][..], &["passes", "examples/lesson.nn", "--diff"]]
            .map(shown)
            .concat()
    );
    // Times only when asked for: the rest can be committed.
    let text = succeed(&root(), &["passes", "examples/lesson.nn", "--time"]);
    let ms = |l: &str| l.split_whitespace().any(|w| w == "ms");
    assert!(text.lines().skip(1).all(ms) && text.lines().count() >= 7, "{text}");
    let one = succeed(&root(), &["passes", "examples/lesson.nn", "--diff", "--only", "simplify"]);
    assert!(one.starts_with("simplify: ") && one.matches(" nodes\n").count() == 1, "{one}");
}

/// What each pass made of a step computes what the step did before.
#[test]
fn passes_are_checked_on_a_batch() {
    for file in ["lesson", "cross_entropy", "digits", "gradient_penalty", "embedding"] {
        let text = succeed(&root(), &["passes", "--check-passes", &format!("examples/{file}.nn")]);
        let verdicts: Vec<&str> = text
            .lines()
            .skip(1)
            .map(|l| l.split("  ").filter(|c| !c.is_empty()).nth(2).unwrap_or(""))
            .collect();
        assert!(verdicts.len() >= 6 && verdicts.iter().all(|v| v.trim().starts_with("equal")), "{text}");
    }
}

#[test]
fn diff() {
    let dir = scratch("diff");
    let lesson = std::fs::read_to_string(root().join("examples/lesson.nn")).expect("the lesson");
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("written");
    write("a.nn", &lesson);
    write("renamed.nn", &format!("# the same\n{}", lesson.replace("w1", "first").replace("parts", "pieces")));
    write("bent.nn", &lesson.replace("a = x @ w1", "a = tanh(x @ w1)"));
    write("adam.nn", &lesson.replace("sgd(lr=0.001) ", "adam(lr=0.001)"));
    write("longer.nn", &lesson.replace("STEPS = 3000", "STEPS = 4000").replace("lr=0.001)", "lr=0.002)"));
    assert_eq!(succeed(&dir, &["diff", "a.nn", "renamed.nn"]), "");
    let text = ["bent.nn", "longer.nn"].map(|other| {
        let output = run_in(&dir, &["diff", "a.nn", other]);
        assert_eq!(output.status.code(), Some(1), "{other}");
        format!("$ nn diff a.nn {other}\n{}", stdout(&output))
    });
    insta::assert_snapshot!(text.concat());
    let adam = run_in(&dir, &["diff", "a.nn", "adam.nn"]);
    assert!(stdout(&adam).starts_with("the step of training differs:\n"), "{}", stdout(&adam));
}

#[test]
fn grad() {
    insta::assert_snapshot!(
        [&["grad", "examples/lesson.nn"][..], &["grad", "examples/lesson.nn", "--format", "nn"]]
            .map(shown)
            .concat()
    );
}

#[test]
fn bench_as_json_is_one_object_with_the_keys_that_scripts_read() {
    let text = succeed(&root(), &["bench", "benches/w1.nn", "--format", "json"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let object = value.as_object().expect("an object");
    for key in ["ns_per_step", "compile_ms", "steps", "gflops", "arena_bytes"] {
        assert!(object[key].as_f64().is_some_and(|x| x > 0.0), "{key} in {text}");
    }
    // The forward, backward and update passes of the lesson: 8 rows, 2 -> 3 -> 1.
    assert!(object["steps"].as_u64().is_some_and(|n| n >= 1), "{text}");
    let ns = |key: &str| object[key].as_f64().expect("a number");
    let order = [ns("ns_least"), ns("ns_low"), ns("ns_per_step"), ns("ns_high")];
    assert!(order.is_sorted(), "{text}");
    let compile = ["parse", "use", "check", "autodiff", "opt", "lower", "codegen"];
    let stages: f64 = compile.iter().map(|s| object["stages_ms"][s].as_f64().expect("a stage")).sum();
    assert!((stages - ns("compile_ms")).abs() < 0.02, "{text}");
}

#[test]
fn bench_of_a_value_measures_it_alone() {
    let w4 =
        ["bench", "benches/w4.nn", "--repeat", "3", "--format", "json", "--set", "M=32", "--set", "K=48"];
    for (name, flops) in [("ab", 2 * 32 * 48 * 256), ("atb", 2 * 32 * 48 * 256), ("abt", 2 * 32 * 48 * 256)] {
        let text = succeed(&root(), &[&w4[..], &["--of", name]].concat());
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (value["repeats"].as_u64(), value["flops_per_step"].as_u64()),
            (Some(3), Some(flops)),
            "{text}"
        );
        assert!(value["ns_per_step"].as_f64().is_some_and(|ns| ns > 0.0), "{text}");
    }
    // On the first batch of the training's data: 32 rows of 64 -> 64, a bias and relu.
    let text =
        succeed(&root(), &["bench", "benches/w2.nn", "--of", "h", "--repeat", "1", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["flops_per_step"].as_u64(), Some(32 * (2 * 64 * 64 + 64 + 64)), "{text}");
}

#[test]
fn bench_says_what_it_cannot_measure() {
    let told = |args: &[&str]| {
        let output = run_in(&root(), args);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{args:?}");
        stderr(&output)
    };
    assert!(told(&["bench", "benches/w4.nn"]).contains("no train directive to measure; `--of NAME`"));
    assert!(told(&["bench", "benches/w4.nn", "--of", "c"]).contains("no value `c`"));
    let dir = scratch("bench_without_data");
    std::fs::write(dir.join("f.nn"), "placeholder x: f32[batch]\ny = x + 1\n").expect("written");
    let path = dir.join("f.nn");
    let text = told(&["bench", path.to_str().expect("UTF-8"), "--of", "y"]);
    assert!(text.contains("`y` needs data, and no train directive says which"), "{text}");
}

#[test]
fn cost() {
    insta::assert_snapshot!(
        [&["cost", "examples/lesson.nn"][..], &["cost", "examples/lesson.nn", "--kernels", "--buffers"]]
            .map(shown)
            .concat()
    );
    let text = succeed(&root(), &["cost", "benches/w2.nn", "--format", "json"]);
    let cost: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let bench = succeed(&root(), &["bench", "benches/w2.nn", "--repeat", "1", "--format", "json"]);
    let bench: serde_json::Value = serde_json::from_str(&bench).expect("JSON");
    assert_eq!(cost["arena_bytes"], bench["arena_bytes"], "known before the run");
    assert_eq!(cost["flops"], bench["flops_per_step"]);
    // 64*64 + 64 + 64*10 + 10 numbers, each variable rounded up to 64 bytes.
    assert_eq!(cost["parameter_bytes"].as_u64(), Some(4 * (64 * 64 + 64 + 64 * 10) + 64), "{text}");
    let sum = |key: &str| cost[key].as_array().expect("a list").iter().map(|k| k["flops"].as_u64()).sum();
    assert_eq!((sum("lines"), sum("kernels")), (cost["flops"].as_u64(), cost["flops"].as_u64()));
}

/// All rows are a batch where a training says nothing: then the data has to be read.
#[test]
fn cost_of_a_training_on_all_rows() {
    let text = succeed(&root(), &["cost", "examples/linear_regression.nn"]);
    assert!(text.lines().next().is_some_and(|l| l.ends_with(" rows")), "{text}");
    let output = run_in(&root(), &["cost", "benches/w4.nn"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("this file has no train directive"));
}

#[test]
fn run_times_each_stage() {
    let output = run_in(&root(), &["run", "examples/lesson.nn", "--time", "-q"]);
    let text = stderr(&output);
    let line = |l: &str| match l.split_whitespace().collect::<Vec<_>>()[..] {
        [name, ms, "ms"] => (name.to_string(), ms.parse::<f64>().expect("a number")),
        _ => panic!("{text}"),
    };
    let (names, ms): (Vec<String>, Vec<f64>) = text.lines().map(line).unzip();
    let all = "parse use check autodiff data opt lower codegen train evaluate other total";
    assert_eq!(names.join(" "), all);
    // Nothing is counted twice.
    let (total, stages) = ms.split_last().expect("lines");
    assert!((stages.iter().sum::<f64>() - total).abs() < 0.02, "{text}");
}

#[test]
fn check_reads_several_files_and_keeps_the_worst_exit_code() {
    let dir = root().join("tests/errors");
    let output = run_in(&dir, &["check", "only_comments.nn", "five_mistakes.nn"]);
    assert_eq!(output.status.code(), Some(1));
    let output = run_in(&dir, &["check", "--deny", "warnings", "variable_not_reached.nn"]);
    assert_eq!(output.status.code(), Some(1));
    let output = run_in(&dir, &["check", "variable_not_reached.nn"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("warning[NN0501]"), "{}", stderr(&output));
}

/// `--set` reaches the program, on the right side of the file's own value.
#[test]
fn set_replaces_a_const() {
    let text =
        succeed(&root().join("examples"), &["run", "lesson.nn", "--set", "STEPS=501", "--set", "BATCH=4"]);
    assert!(text.contains("After 500 training steps") && !text.contains("After 1000"), "{text}");
}

/// Colour only where it was asked for.
#[test]
fn colour_is_a_choice() {
    let dir = root().join("tests/errors");
    let never = run_in(&dir, &["check", "five_mistakes.nn"]);
    assert!(!stderr(&never).contains('\u{1b}'));
    let always = common::nn()
        .args(["check", "five_mistakes.nn", "--color", "always"])
        .current_dir(&dir)
        .output()
        .expect("nn starts");
    assert!(stderr(&always).contains("\u{1b}["));
    // Without its colours it is the same text.
    let mut plain = String::new();
    let mut rest = stderr(&always);
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').expect("a colour ends with m");
        rest = rest[at + end + 1..].to_string();
    }
    plain.push_str(&rest);
    assert_eq!(plain, stderr(&never));
}

#[test]
fn a_new_program_runs_and_takes_nobodys_place() {
    let folder = scratch("new");
    for like in ["lesson", "classifier", "loss", "optimizer"] {
        let name = format!("{like}.nn");
        assert!(run_in(&folder, &["new", &name, "--like", like]).status.success());
        assert!(run_in(&folder, &["check", &name, "--deny", "warnings"]).status.success(), "{like}");
    }
    succeed(&folder, &["run", "loss.nn"]);
    let again = run_in(&folder, &["new", "loss.nn"]);
    assert_eq!(again.status.code(), Some(4));
    assert!(stderr(&again).contains("cannot write `loss.nn`"), "{}", stderr(&again));
}

/// Every command has its page and its completions: both come from one definition.
#[test]
fn shells_and_manuals_know_every_command() {
    let folder = scratch("man");
    let help = succeed(&folder, &["--help"]);
    let list = help.split("Commands:\n").nth(1).expect("a list").split("\n\n").next().expect("its end");
    let commands: Vec<&str> = list.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert!(commands.len() >= 20, "{commands:?}");
    succeed(&folder, &["man", "--dir", "pages"]);
    let script = succeed(&folder, &["completions", "bash"]);
    for command in commands {
        let page = folder.join(format!("pages/nn-{command}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
        assert!(script.contains(&format!("nn,{command})")), "{command}");
    }
    assert!(succeed(&folder, &["man"]).contains("small language for neural networks"));
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        assert!(succeed(&folder, &["completions", shell]).contains("gradcheck"), "{shell}");
    }
}
