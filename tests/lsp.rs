//! `nn lsp` as an editor speaks to it: over stdin and stdout, one message after the other.

mod common;

use common::nn;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

struct Editor {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    asked: i64,
}

impl Editor {
    fn start() -> Editor {
        let mut child = nn()
            .args(["lsp", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nn starts");
        let to = child.stdin.take().expect("a pipe");
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut editor = Editor { child, to, from, asked: 0 };
        let can = editor.ask("initialize", json!({ "capabilities": {}, "processId": null, "rootUri": null }));
        assert_eq!(can["result"]["capabilities"]["hoverProvider"], true);
        editor.tell("initialized", json!({}));
        editor
    }

    fn send(&mut self, message: Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("the server reads");
        self.to.flush().expect("the server reads");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The next message with this id or method.
    fn hear(&mut self, key: &str, value: &Value) -> Value {
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                assert!(self.from.read_line(&mut line).expect("a header") > 0, "the server is gone");
                match line.trim_end() {
                    "" => break,
                    header => {
                        if let Some(n) = header.strip_prefix("Content-Length: ") {
                            length = n.parse().expect("a number");
                        }
                    }
                }
            }
            let mut body = vec![0; length];
            self.from.read_exact(&mut body).expect("a whole message");
            let message: Value = serde_json::from_slice(&body).expect("JSON");
            if message[key] == *value {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = json!(self.asked);
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.hear("id", &id)
    }

    fn stop(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.child.wait().expect("an end").success());
    }
}

fn open(editor: &mut Editor, text: &str) -> Value {
    let document = json!({ "uri": "file:///m.nn", "languageId": "nn", "version": 1, "text": text });
    editor.tell("textDocument/didOpen", json!({ "textDocument": document }));
    editor.hear("method", &json!("textDocument/publishDiagnostics"))
}

#[test]
fn an_editor_sees_mistakes_types_and_layout() {
    let mut editor = Editor::start();
    let marks = open(&mut editor, "x=1\ny = x + z\n");
    assert_eq!(marks["params"]["diagnostics"][0]["code"], "NN0101");
    let document = json!({ "uri": "file:///m.nn", "version": 2 });
    let change = json!({ "textDocument": document, "contentChanges": [{ "text": "x=1\ny = x + x\n" }] });
    editor.tell("textDocument/didChange", change);
    let marks = editor.hear("method", &json!("textDocument/publishDiagnostics"));
    assert_eq!(marks["params"]["diagnostics"], json!([]));
    let document = json!({ "uri": "file:///m.nn" });
    let at = json!({ "textDocument": document, "position": { "line": 1, "character": 0 } });
    let hover = editor.ask("textDocument/hover", at);
    assert!(
        hover["result"]["contents"]["value"].as_str().is_some_and(|t| t.contains("y = x + x")),
        "{hover}"
    );
    let options = json!({ "textDocument": document, "options": { "tabSize": 2, "insertSpaces": true } });
    let edits = editor.ask("textDocument/formatting", options);
    assert_eq!(edits["result"][0]["newText"], "x = 1\ny = x + x\n");
    let unknown = editor.ask("textDocument/nothing", json!({}));
    assert_eq!(unknown["error"]["code"], -32601);
    let malformed = editor.ask("textDocument/hover", json!({ "position": 3 }));
    assert_eq!(malformed["error"]["code"], -32602);
    editor.stop();
}

/// Nothing is asserted of the time, which is another on every machine; it is shown with `--nocapture`.
#[test]
fn a_thousand_lines_are_answered() {
    let mut text = String::from("placeholder x: f32[batch, 4]\nh0 = x\n");
    for i in 1..1000 {
        text.push_str(&format!("h{i} = tanh(h{}) * 0.5 + {i}\n", i - 1));
    }
    let mut editor = Editor::start();
    let from = Instant::now();
    assert_eq!(open(&mut editor, &text)["params"]["diagnostics"], json!([]));
    println!("open: {:?}", from.elapsed());
    let document = json!({ "uri": "file:///m.nn" });
    for method in ["hover", "definition", "completion"] {
        let from = Instant::now();
        let at = json!({ "textDocument": document, "position": { "line": 900, "character": 12 } });
        let answer = editor.ask(&format!("textDocument/{method}"), at);
        println!("{method}: {:?}", from.elapsed());
        assert!(!answer["result"].is_null(), "{method}");
    }
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 2000, "character": 0 } });
    let from = Instant::now();
    let hints = editor.ask("textDocument/inlayHint", json!({ "textDocument": document, "range": range }));
    println!("inlayHint: {:?}", from.elapsed());
    // `h0` is `x` itself, whose type is written.
    assert_eq!(hints["result"].as_array().map(Vec::len), Some(999));
    editor.stop();
}
