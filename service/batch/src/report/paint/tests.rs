//! Every colour can be told from the others by its value and is in both schemes.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_colour_is_itself_and_in_both_schemes() {
    let values: BTreeSet<String> = PAINTS.iter().map(|paint| paint.hex()).collect();
    assert_eq!(values.len(), PAINTS.len());
    let sheet = include_str!("../style.css");
    for paint in PAINTS {
        assert_eq!(sheet.matches(&format!("--{}: #", paint.variable)).count(), 2, "{}", paint.variable);
    }
}
