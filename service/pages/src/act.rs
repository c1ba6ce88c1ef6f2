//! The actions on an alert, with their keys and what each will do.

use maud::{Markup, html};
use queue::alert::{Alert, Disposition, LabelOnItsWay, State};

use crate::view::{AlertView, Follows};
use crate::{badge, time};

/// The panel of actions, as far as this person and the alert's state have any.
pub(crate) fn act(view: &AlertView) -> Markup {
    let (alert, may) = (&view.detail.alert, view.shell.person.may);
    html! {
        section.panel.act #act {
            h2.quiet { "Actions" }
            @match alert.state {
                State::Open | State::Snoozed if may.work => (verdict(view)),
                State::Open | State::Snoozed => p.soft { "You can look at it. To decide takes the role of an analyst." },
                State::Proposed => (proposed(view)),
                State::Resolved => (resolved(alert, view.shell.now_ms)),
            }
            @if may.work && matches!(alert.state, State::Proposed | State::Resolved) {
                form.note-form #note-form { (note(view)) p.buttons { (save_note("Save the note")) } }
            }
            (followed(&view.detail.labels, view.shell.now_ms))
        }
    }
}

fn verdict(view: &AlertView) -> Markup {
    let follows = &view.follows;
    let entity = &view.detail.alert.entity;
    html! {
        form #verdict novalidate data-payments=(follows.payments) data-entity=(entity) data-undo=(follows.undo_ms) autocomplete="off" {
            fieldset.choices {
                legend { "Verdict" }
                @for (key, disposition) in (1..).zip(Disposition::ALL) {
                    label.choice data-disposition=(disposition.as_str()) {
                        input type="radio" name="disposition" value=(disposition.as_str()) aria-keyshortcuts=(key);
                        kbd { (key) }
                        span { (badge::disposition(*disposition)) small { (does(*disposition, follows)) } }
                    }
                }
            }
            p.field {
                label for="reason" { "Reason " kbd { "r" } }
                select #reason name="reason" required aria-keyshortcuts="r" aria-describedby="will" {
                    option value="" { "Choose a verdict first" }
                }
            }
            @if follows.can_block {
                p.check #block-line hidden {
                    label { input #block type="checkbox" name="block" aria-keyshortcuts="b"; " Block this " (entity) " too " kbd { "b" } }
                }
            }
            (note(view))
            p.will #will aria-live="polite" { (after(follows)) }
            p.buttons {
                button.main type="submit" { "Decide " kbd { "Enter" } }
                (save_note("Save the note only"))
            }
        }
        (others(view))
    }
}

/// What a verdict does, in a few words.
fn does(disposition: Disposition, follows: &Follows) -> String {
    let payments = match follows.payments {
        1 => "labels 1 payment".to_owned(),
        n => format!("labels {n} payments"),
    };
    match disposition.label() {
        Some(true) => format!("{payments} fraud"),
        Some(false) => format!("{payments} legitimate"),
        None => "no label".to_owned(),
    }
}

fn after(follows: &Follows) -> Markup {
    html! {
            @if let Some(why) = &follows.second_person { strong { "A second person has to agree: " (why) ". " } }
    kbd { "u" } " takes it back for " (time::span(follows.undo_ms)) "; nothing leaves before."
        }
}

fn note(view: &AlertView) -> Markup {
    html! {
        p.field {
            label for="note" { "Note " kbd { "n" } }
            textarea #note name="note" rows="2" maxlength="4000" aria-keyshortcuts="n" aria-describedby="draft-state" {
                (view.detail.draft.as_deref().unwrap_or_default())
            }
            small.soft #draft-state { @if view.detail.draft.is_some() { "Your draft from before." } }
        }
    }
}

fn save_note(word: &str) -> Markup {
    html! { button #save-note type="button" { (word) } }
}

/// What else can be done while it is open.
fn others(view: &AlertView) -> Markup {
    let (alert, me) = (&view.detail.alert, view.shell.person.name.as_str());
    let is_mine = badge::holder(alert, view.shell.now_ms).is_some_and(|(holder, _)| holder == me);
    html! {
        div.others {
            button #take type="button" aria-keyshortcuts="t" data-does=(if is_mine { "release" } else { "claim" }) {
                span { @if is_mine { "Give back" } @else { "Take it" } } " " kbd { "t" }
            }
            button #snooze-button type="button" aria-keyshortcuts="s" { "Snooze " kbd { "s" } }
            @if !alert.escalated {
                button #escalate-button type="button" aria-keyshortcuts="e" { "Escalate " kbd { "e" } }
            }
            @if view.shell.person.may.lead {
                button #assign-button type="button" aria-keyshortcuts="a" { "Assign " kbd { "a" } }
            }
        }
    }
}

fn said(alert: &Alert) -> Markup {
    html! {
        strong { (alert.disposition.map_or("No verdict", badge::disposition)) }
        @if let Some(word) = &alert.reason { ": " (badge::reason(alert.disposition, word)) }
        @if let Some(by) = &alert.resolved_by { ", says " bdi { (by) } }
    }
}

fn proposed(view: &AlertView) -> Markup {
    let (alert, person) = (&view.detail.alert, &view.shell.person);
    let is_own = alert.resolved_by.as_ref() == Some(&person.name);
    html! {
        p.verdict-said data-disposition=[alert.disposition.map(Disposition::as_str)] data-by=[alert.resolved_by.as_ref()] { (said(alert)) "." }
        p.soft { "This verdict waits for a second person." }
        @if person.may.lead && !is_own {
            p.buttons {
                button.main #approve type="button" aria-keyshortcuts="y" { "Approve " kbd { "y" } }
                button #reject type="button" aria-keyshortcuts="x" { "Reject " kbd { "x" } }
            }
        } @else if is_own {
            p.soft { "It is your own: somebody else has to agree." }
        } @else {
            p.soft { "A lead has to agree." }
        }
        @if is_own { (undo(alert, view.shell.now_ms)) }
    }
}

fn resolved(alert: &Alert, now_ms: i64) -> Markup {
    html! {
        p.verdict-said data-disposition=[alert.disposition.map(Disposition::as_str)] data-by=[alert.resolved_by.as_ref()] {
            (said(alert)) @if let Some(at_ms) = alert.resolved_ms { ", " (time::relative(at_ms, now_ms)) } "."
        }
        (undo(alert, now_ms))
    }
}

fn undo(alert: &Alert, now_ms: i64) -> Markup {
    html! {
        @if let Some((action, until_ms)) = alert.undo.as_ref().filter(|(_, until_ms)| *until_ms > now_ms) {
            p.buttons {
                button #undo type="button" aria-keyshortcuts="u" data-action=(action) data-until=(until_ms) {
                    "Undo " kbd { "u" } " " span.soft data-left=(until_ms) { (time::span(until_ms - now_ms)) }
                }
            }
        }
    }
}

/// Labels that follow from a verdict, and how far they are.
fn followed(labels: &[LabelOnItsWay], now_ms: i64) -> Markup {
    html! {
        @if !labels.is_empty() {
            h3 { "What followed" }
            ul.followed {
                @for label in labels {
                    li {
                        span.label data-fraud=(label.fraud) { @if label.fraud { "✕ fraud" } @else { "✓ legitimate" } }
                        " " bdi.key { (label.transaction_id) } " "
                        span.soft { (standing(label, now_ms)) }
                    }
                }
            }
        }
    }
}

fn standing(label: &LabelOnItsWay, now_ms: i64) -> Markup {
    html! {
        @if let Some(at_ms) = label.applied_ms { "applied " (time::relative(at_ms, now_ms)) }
        @else if let Some(at_ms) = label.sent_ms { "sent " (time::relative(at_ms, now_ms)) ", not applied yet" }
        @else if label.leaves_ms > now_ms { "leaves " (time::relative(label.leaves_ms, now_ms)) }
        @else { "leaves now" }
    }
}
