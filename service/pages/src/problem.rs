//! What is shown instead of a page: not found, not allowed, not now.

use maud::html;

use crate::shell::{Here, Page, bare, document};
use crate::view::Shell;

/// The page. With a shell it stands where other pages do; a stranger sees no navigation.
pub fn problem(title: &str, detail: &str, status: u16, shell: Option<&Shell>) -> String {
    let main = html! {
        main #main.problem {
            div.panel {
                p.soft { (status) }
                h1 { (title) }
                @if !detail.is_empty() { p { (detail) } }
                p { a href="/queue" { "To the queue" } }
            }
        }
    };
    match shell {
        Some(shell) => document(shell, &Page { here: Here::Elsewhere, title, searched: "", main }),
        None => bare(title, &main),
    }
}
