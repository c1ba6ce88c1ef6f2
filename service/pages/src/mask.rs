//! Keys with all but their last characters hidden: a page, a picture of it and a copied line say which card, not its token.

use maud::{Markup, html};

/// Most characters that are left to see.
const SEEN: usize = 4;

/// What stands for the hidden ones: always four, since the length is nobody's business either.
const HIDDEN: &str = "••••";

/// A key with all but its last four characters hidden; of a short one no more than a third is left.
pub fn masked_key(key: &str) -> String {
    let count = key.chars().count();
    let seen = SEEN.min(count / 3);
    let end: String = key.chars().skip(count - seen).filter(|c| !c.is_control()).collect();
    format!("{HIDDEN}{end}")
}

/// A key as it may be shown, kept from turning the text around it (a key may be written from right to left).
pub(crate) fn key(shown: &str) -> Markup {
    html! {
        @if let Some(end) = shown.strip_prefix(HIDDEN) {
            bdi.key { span aria-hidden="true" { (HIDDEN) } span.quiet { "ending in " } (end) }
        } @else {
            bdi.key { (shown) }
        }
    }
}

#[cfg(test)]
mod tests;
