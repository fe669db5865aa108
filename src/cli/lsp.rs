//! `nn lsp`: the language server on stdio.

use crate::cli::Exit;
use crate::cli::shell::Shell;
use crate::lang::Text;
use crate::lsp::{Server, Unanswered, capabilities};
use lsp_server::{Connection, ErrorCode, Message, Notification, Response};
use serde_json::json;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// As editors say it; there is no other way.
    #[arg(long, hide = true)]
    stdio: bool,
}

pub fn run(_args: &Args, shell: &Shell) -> Exit {
    let (connection, threads) = Connection::stdio();
    let served = serve(&connection);
    // The writing thread ends when nobody can send any more.
    drop(connection);
    match served.and_then(|()| threads.join().map_err(|e| e.to_string())) {
        Ok(()) => Exit::OK,
        Err(e) => {
            shell.error(Text::verbatim(e));
            Exit::FILE
        }
    }
}

fn serve(connection: &Connection) -> Result<(), String> {
    connection.initialize(json!(capabilities())).map_err(|e| e.to_string())?;
    let mut server = Server::default();
    for message in &connection.receiver {
        let answer = match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request).map_err(|e| e.to_string())? {
                    return Ok(());
                }
                let id = request.id;
                Message::Response(match server.request(&request.method, request.params) {
                    Ok(result) => Response::new_ok(id, result),
                    Err(Unanswered::Unknown) => {
                        Response::new_err(id, ErrorCode::MethodNotFound as i32, request.method)
                    }
                    Err(Unanswered::Malformed(why)) => {
                        Response::new_err(id, ErrorCode::InvalidParams as i32, why)
                    }
                })
            }
            // What cannot be read changes nothing, and nobody waits for an answer.
            Message::Notification(n) => match server.notification(&n.method, n.params) {
                Ok(Some((method, params))) => Message::Notification(Notification { method, params }),
                Ok(None) | Err(_) => continue,
            },
            Message::Response(_) => continue,
        };
        connection.sender.send(answer).map_err(|e| e.to_string())?;
    }
    Ok(())
}
