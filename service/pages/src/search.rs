//! What a search found.

use maud::html;

use crate::list;
use crate::shell::{Here, Page, document};
use crate::view::{May, SearchView};

/// The page.
pub fn search(view: &SearchView) -> String {
    let may = view.shell.person.may;
    let main = html! {
        main #main.list {
            h1 { "Search" }
            @if view.text.is_empty() {
                p.soft {
                    "Search for an alert's, decision's or payment's id, or for a key of any entity: "
                    @if may.reveal { "whole, or its beginning." } @else { "whole." }
                }
            } @else {
                p { (found(view.alerts.len())) " for " strong.searched { bdi { (view.text) } } }
                @if view.alerts.is_empty() {
                    p.soft { (how(may)) }
                } @else {
                    (list::looked_at(&view.alerts, &view.shell))
                }
            }
        }
    };
    document(&view.shell, &Page { here: Here::Search, title: "Search", searched: &view.text, main })
}

/// What can be found; by their beginning keys are found for those only who may see them.
const fn how(may: May) -> &'static str {
    if may.reveal {
        "An id has to be whole. Of a key three characters are enough, from its beginning; that it was searched for is in \
         the audit log."
    } else {
        "Ids and keys have to be whole."
    }
}

fn found(n: usize) -> String {
    match n {
        0 => "Nothing".to_owned(),
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    }
}
