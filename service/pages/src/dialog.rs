//! Dialogs, and the lists that scripts fill choices from. They stand outside `<main>`, which scripts exchange.

use maud::{Markup, html};
use queue::alert::Disposition;

use crate::badge;
use crate::view::May;

const KEYS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Anywhere",
        &[
            ("g q", "the queue"),
            ("g d", "the numbers"),
            ("/", "search"),
            ("c", "claim the next alert"),
            ("u", "undo the last action, for a minute"),
            ("?", "this help"),
            ("Esc", "leave a field, close"),
        ],
    ),
    ("In the list", &[("j  k", "next, previous row"), ("Enter", "open"), ("x", "select for a bulk action")]),
    (
        "On an alert",
        &[
            ("1", "fraud"),
            ("2", "suspected"),
            ("3", "legitimate"),
            ("4", "not enough information"),
            ("r", "reason"),
            ("b", "block it too, with fraud"),
            ("n", "note"),
            ("Enter", "decide, from the reason; 1 to 9 choose it there"),
            ("Ctrl+Enter", "decide, from the note"),
            ("t", "take it, or give it back"),
            ("s", "snooze"),
            ("e", "escalate"),
            ("a", "assign"),
            ("y", "approve, as the second person"),
            ("x", "reject, as the second person"),
        ],
    ),
];

/// The keys.
pub(crate) fn help(may: May) -> Markup {
    let is_shown = |key: &str| match key {
        "y" | "x" | "a" => may.lead,
        "1" | "2" | "3" | "4" | "r" | "b" | "n" | "t" | "s" | "e" | "c" | "u" => may.work,
        _ => true,
    };
    html! {
        dialog.wide #help aria-labelledby="help-title" {
            h2 #help-title { "Keys" }
            div.keys {
                @for (place, keys) in KEYS {
                    section {
                        h3 { (place) }
                        dl {
                            @for (key, what) in keys.iter().filter(|(key, _)| place == "In the list" || is_shown(key)) {
                                div { dt { @for one in key.split_whitespace() { kbd { (one) } " " } } dd { (what) } }
                            }
                        }
                    }
                }
            }
            div.foot {
                form method="dialog" { button { "Close " kbd { "Esc" } } }
                div {
                    label.line { input #single-keys type="checkbox" checked aria-describedby="single-keys-off"; " Single-key shortcuts" }
                    small.soft #single-keys-off { "Off, a letter, digit or sign does nothing; Enter, Esc and Tab stay. Kept in this browser." }
                }
            }
        }
    }
}

/// The reasons of each verdict, for the scripts.
pub(crate) fn reasons() -> Markup {
    html! {
        @for disposition in Disposition::ALL {
            template data-reasons=(disposition.as_str()) {
                option value="" { "Choose a reason" }
                @for (place, (word, text)) in (1..).zip(disposition.reasons()) { option value=(word) { (place) "  " (text) } }
            }
        }
    }
}

/// Until when an alert sleeps.
pub(crate) fn snooze() -> Markup {
    html! {
        dialog #snooze aria-labelledby="snooze-title" {
            h2 #snooze-title { "Snooze" }
            p.soft { "It comes back then, or at once with the next payment that raises it." }
            // A form of its own: Enter in the field below must not press the first of these.
            form method="dialog" {
                div.presets {
                    button value="60" { "1 hour" }
                    button value="240" { "4 hours" }
                    button value="1440" { "1 day" }
                    button value="4320" { "3 days" }
                }
            }
            form method="dialog" {
                p.field {
                    label for="snooze-until" { "Or until (your time)" }
                    input #snooze-until type="datetime-local" name="until";
                }
                p.buttons {
                    button.main value="until" { "Snooze until then" }
                    button value="" formnovalidate { "Cancel" }
                }
            }
        }
    }
}

/// Why it goes to the leads.
pub(crate) fn escalate() -> Markup {
    html! {
        dialog #escalate aria-labelledby="escalate-title" {
            form method="dialog" {
                h2 #escalate-title { "Escalate to the leads" }
                p.soft { "It is released, and only leads are given it by claim-next." }
                p.field {
                    label for="escalate-why" { "Why" }
                    textarea #escalate-why name="reason" rows="3" maxlength="4000" {}
                }
                p.buttons { button.main value="yes" { "Escalate" } button value="" { "Cancel" } }
            }
        }
    }
}

/// To whom it is given.
pub(crate) fn assign() -> Markup {
    html! {
        dialog #assign aria-labelledby="assign-title" {
            form method="dialog" {
                h2 #assign-title { "Assign" }
                p.field {
                    label for="assign-to" { "To whom (empty: to nobody)" }
                    input #assign-to name="to" maxlength="64" autocomplete="off" autocapitalize="none" spellcheck="false";
                }
                p.buttons { button.main value="yes" { "Assign" } button value="" { "Cancel" } }
            }
        }
    }
}

/// A question before something that is done to many.
pub(crate) fn confirm() -> Markup {
    html! {
        dialog #confirm aria-labelledby="confirm-title" {
            form method="dialog" {
                h2 #confirm-title {}
                p #confirm-what {}
                p.buttons { button.main value="yes" { "Yes" } button value="" { "Cancel" } }
            }
        }
    }
}

/// The four verdicts as options.
pub(crate) fn disposition_options() -> Markup {
    html! {
        option value="" { "Choose a verdict" }
        @for one in Disposition::ALL { option value=(one.as_str()) { (badge::disposition(*one)) } }
    }
}
