//! What stands around every page: head, navigation, search, who is signed in, and where scripts say something.

use maud::{DOCTYPE, Markup, html};

use crate::dialog;
use crate::view::Shell;

/// What `queue.js` needs.
const MODULES: [&str; 8] = [
    "queue-alert.js",
    "queue-ask.js",
    "queue-draft.js",
    "queue-keys.js",
    "queue-list.js",
    "queue-live.js",
    "queue-say.js",
    "queue-undo.js",
];

/// Which page, for the navigation and the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    List,
    Alert,
    Entity,
    Search,
    Dashboard,
    Audit,
    Elsewhere,
}

impl Here {
    const fn word(self) -> &'static str {
        match self {
            Here::List => "list",
            Here::Alert => "alert",
            Here::Entity => "entity",
            Here::Search => "search",
            Here::Dashboard => "dashboard",
            Here::Audit => "audit",
            Here::Elsewhere => "elsewhere",
        }
    }
}

/// A page: what is different in it.
pub(crate) struct Page<'a> {
    pub(crate) here: Here,
    pub(crate) title: &'a str,
    /// The search box's text.
    pub(crate) searched: &'a str,
    /// The whole `<main>`.
    pub(crate) main: Markup,
}

/// The whole document for somebody who is signed in.
pub(crate) fn document(shell: &Shell, page: &Page<'_>) -> String {
    let person = &shell.person;
    let body = html! {
        body data-page=(page.here.word()) data-me=(person.name) data-now=(shell.now_ms) {
            a.skip href="#main" { "Skip to the content" }
            (header(shell, page))
            p.banner #database role="alert" hidden[shell.database.is_none()] { (database()) }
            div #boxes {}
            noscript { p.banner { "Without scripts these pages can be read; to decide, switch scripts on." } }
            (page.main)
            div #toasts role="status" {}
            p.quiet #spoken role="status" aria-live="polite" {}
            (dialog::help(person.may))
            @if person.may.work { (dialog::reasons()) (dialog::snooze()) (dialog::escalate()) (dialog::confirm()) }
            @if person.may.lead { (dialog::assign()) }
        }
    };
    whole(page.title, Some(&person.csrf), &body)
}

/// The whole document for a stranger.
pub(crate) fn bare(title: &str, main: &Markup) -> String {
    whole(title, None, &html! { body.bare data-page="elsewhere" { header.brand-alone { (brand()) } (main) } })
}

fn whole(title: &str, csrf: Option<&str>, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Under no-referrer, which answers ask for, a browser sends forms with `Origin: null`, and they are refused.
                meta name="referrer" content="same-origin";
                @if let Some(csrf) = csrf { meta name="csrf" content=(csrf); }
                title { (title) " · Tripline" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/queue.css";
                link rel="stylesheet" href="/assets/queue-parts.css";
                @if csrf.is_some() {
                    // All at once: a module is else asked for only when the one that names it is there.
                    @for name in MODULES { link rel="modulepreload" href={ "/assets/" (name) }; }
                    script type="module" src="/assets/queue.js" {}
                }
            }
            (body)
        }
    }
    .into_string()
}

fn header(shell: &Shell, page: &Page<'_>) -> Markup {
    let person = &shell.person;
    let link = |here: Here, address: &str, word: &str| {
        html! { a href=(address) aria-current=[(page.here == here).then_some("page")] { (word) } }
    };
    html! {
        header.top {
            (brand())
            nav aria-label="Pages" {
                (link(Here::List, "/queue", "Queue"))
                (link(Here::Dashboard, "/dashboard", "Numbers"))
                @if person.may.audit { (link(Here::Audit, "/audit", "Audit log")) }
            }
            form.search role="search" action="/search" method="get" {
                label.quiet for="search" { "Search" }
                input #search type="search" name="text" value=(page.searched) maxlength="256" autocomplete="off"
                    placeholder=(if person.may.reveal { "Id, or a key's beginning" } else { "Id or key" }) aria-keyshortcuts="/";
                kbd aria-hidden="true" { "/" }
            }
            button.plain #help-button type="button" aria-keyshortcuts="?" { "Keys " kbd { "?" } }
            form.person action="/sign-out" method="post" {
                input type="hidden" name="csrf" value=(person.csrf);
                span { bdi { (person.name) } " " small.soft { (person.roles.join(", ").replace('_', " ")) } }
                button.plain type="submit" { "Sign out" }
            }
        }
    }
}

fn brand() -> Markup {
    html! { a.brand href="/queue" { img src="/assets/icon.svg" alt="" width="26" height="26"; "Tripline" } }
}

/// What the banner says; why it is so is the log's business, and a script may add it.
fn database() -> &'static str {
    "The queue's database does not answer: what you see may be old, and nothing can be saved. \
     No alert is lost: they wait in their topic."
}

/// A part of a path, percent-encoded.
pub(crate) fn part(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The address of an alert's page.
pub(crate) fn alert_path(alert_id: &str) -> String {
    format!("/queue/{}", part(alert_id))
}
