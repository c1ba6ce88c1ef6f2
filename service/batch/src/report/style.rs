//! The document's style sheet and the policy that lets it in and nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::paint::PAINTS;

/// The sheet: the written part, and for each colour of a plot the rule that gives it its value in either scheme.
pub(super) fn sheet() -> String {
    let mut sheet = String::from(include_str!("style.css"));
    for paint in PAINTS {
        let (hex, variable) = (paint.hex(), paint.variable);
        sheet.push_str(&format!(
            "[fill=\"{hex}\"] {{ fill: var(--{variable}); }} [stroke=\"{hex}\"] {{ stroke: var(--{variable}); }}\n"
        ));
    }
    sheet
}

/// Nothing is loaded, run or sent; the one sheet is known by its hash.
pub(super) fn policy(sheet: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(sheet.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}
