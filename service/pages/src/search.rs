//! What a search found.

use maud::html;

use crate::list;
use crate::shell::{Here, Page, document};
use crate::view::{May, SearchView};

/// The page.
pub fn search(view: &SearchView) -> String {
    let may = May { work: false, ..view.shell.person.may };
    let main = html! {
        main #main.list {
            h1 { "Search" }
            @if view.text.is_empty() {
                p.soft { "Search for an alert's, decision's or payment's id, or for a key of any entity: whole, or its beginning." }
            } @else {
                p { (found(view.alerts.len())) " for " strong.searched { bdi { (view.text) } } }
                @if view.alerts.is_empty() {
                    p.soft { "An id has to be whole. Of a key three characters are enough, from its beginning." }
                } @else {
                    (list::table(&html! { tbody { @for alert in &view.alerts { (list::row(alert, may, view.shell.now_ms)) } } }, may))
                }
            }
        }
    };
    document(&view.shell, &Page { here: Here::Search, title: "Search", searched: &view.text, main })
}

fn found(n: usize) -> String {
    match n {
        0 => "Nothing".to_owned(),
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    }
}
