//! What an editor is told, asked through the same door as over a stream.

use super::*;

const URI: &str = "file:///tmp/no%20such%20folder/m.nn";

fn opened(text: &str) -> (Server, Value) {
    let mut server = Server::default();
    let open = json!({ "textDocument": { "uri": URI, "languageId": "nn", "version": 1, "text": text } });
    let (method, published) = server
        .notification("textDocument/didOpen", open)
        .expect("well formed")
        .expect("diagnostics come with every change");
    assert_eq!(method, "textDocument/publishDiagnostics");
    (server, published)
}

fn ask(server: &Server, method: &str, line: u32, character: u32) -> Value {
    let at = json!({
        "textDocument": { "uri": URI }, "position": { "line": line, "character": character },
        "options": { "tabSize": 2, "insertSpaces": true },
        "range": { "start": { "line": 0, "character": 0 }, "end": { "line": 999, "character": 0 } },
    });
    server.request(method, at).expect("an answer")
}

const PROGRAM: &str = "# 权重 first\nplaceholder x: f32[batch, 2]\nvariable 权重: f32[2, 3] = normal()\nfn twice(v) {\n  t = v + v\n  return t\n}\ny = relu(x @ 权重) |> twice()\n";

#[test]
fn a_name_is_told_with_its_type_and_an_op_with_its_rule() {
    let (server, published) = opened(PROGRAM);
    assert_eq!(published["diagnostics"], json!([]));
    let text =
        |line, character| ask(&server, "textDocument/hover", line, character)["contents"]["value"].clone();
    assert_eq!(text(7, 0), "```nn\ny: f32[batch, 3]\ny = relu(x @ 权重) |> twice()\n```");
    // Columns count UTF-16 units: `权重` is two of them.
    assert_eq!(text(7, 14), "```nn\n权重: f32[2, 3]\nvariable 权重: f32[2, 3] = normal()\n```");
    assert_eq!(text(4, 6), "```nn\nfn twice(v) { …\n```", "a parameter, inside of its function");
    assert!(text(7, 5).as_str().is_some_and(|t| t.contains("fn relu(x)")), "{}", text(7, 5));
    assert_eq!(ask(&server, "textDocument/hover", 0, 0), Value::Null);
}

#[test]
fn names_lead_to_where_they_are_bound() {
    let (server, _) = opened(PROGRAM);
    let to = |line, character| {
        let range = &ask(&server, "textDocument/definition", line, character)["range"]["start"];
        (range["line"].as_u64(), range["character"].as_u64())
    };
    assert_eq!(to(7, 23), (Some(3), Some(3)), "twice");
    assert_eq!(to(4, 6), (Some(3), Some(9)), "v");
    assert_eq!(to(5, 9), (Some(4), Some(2)), "t");
    assert_eq!(ask(&server, "textDocument/definition", 7, 5), Value::Null, "relu is none of the file's");
}

#[test]
fn mistakes_are_published_and_types_stay_while_writing() {
    let (mut server, _) = opened(PROGRAM);
    let broken = PROGRAM.replace("x @ 权重)", "x @ w)");
    let change = json!({
        "textDocument": { "uri": URI, "version": 2 }, "contentChanges": [{ "text": broken }],
    });
    let published =
        server.notification("textDocument/didChange", change).expect("well formed").expect("marks").1;
    let first = &published["diagnostics"][0];
    assert_eq!(first["code"], "NN0101");
    assert_eq!(first["severity"], 1);
    assert_eq!(first["range"]["start"], json!({ "line": 7, "character": 13 }));
    assert_eq!(first["range"]["end"], json!({ "line": 7, "character": 14 }));
    let hover = ask(&server, "textDocument/hover", 7, 0);
    assert!(hover["contents"]["value"].as_str().is_some_and(|t| t.contains("y: f32[batch, 3]")), "{hover}");
    let closed = json!({ "textDocument": { "uri": URI } });
    let published =
        server.notification("textDocument/didClose", closed).expect("well formed").expect("marks").1;
    assert_eq!(published["diagnostics"], json!([]));
    assert_eq!(ask(&server, "textDocument/hover", 7, 0), Value::Null);
}

#[test]
fn shapes_names_and_layout_are_offered() {
    let (server, _) = opened(&PROGRAM.replace("y = relu", "y=relu"));
    let hints = ask(&server, "textDocument/inlayHint", 0, 0);
    assert_eq!(hints.as_array().map(Vec::len), Some(1), "{hints}");
    assert_eq!(
        (&hints[0]["label"], &hints[0]["position"]["character"]),
        (&json!(": f32[batch, 3]"), &json!(1))
    );
    let offered = |line| {
        let items = ask(&server, "textDocument/completion", line, 2);
        let labels = items.as_array().cloned().unwrap_or_default();
        labels.iter().filter_map(|i| Some(i["label"].as_str()?.to_string())).collect::<Vec<_>>()
    };
    let inside = offered(4);
    assert!(
        ["v", "t", "x", "权重", "relu", "conv2d", "adam"].iter().all(|n| inside.contains(&n.to_string()))
    );
    assert!(!offered(7).contains(&"v".to_string()), "a parameter means nothing outside");
    let edits = ask(&server, "textDocument/formatting", 0, 0);
    assert_eq!(edits[0]["newText"], PROGRAM);
    let outline = ask(&server, "textDocument/documentSymbol", 0, 0);
    let names: Vec<_> = outline.as_array().expect("a list").iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, ["x", "权重", "twice", "y"]);
}

#[test]
fn what_is_no_request_of_ours_is_refused() {
    let server = Server::default();
    assert!(matches!(server.request("textDocument/nothing", json!({})), Err(Unanswered::Unknown)));
    assert!(matches!(server.request("textDocument/hover", json!({ "a": 1 })), Err(Unanswered::Malformed(_))));
}
