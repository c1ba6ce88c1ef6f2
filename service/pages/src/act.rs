//! The actions on an alert, with their keys and what each will do.

use maud::{Markup, html};
use queue::alert::{Alert, Disposition, LabelOnItsWay, State};

use crate::view::{AlertView, Follows};
use crate::{badge, time};

const LOOKS_ONLY: &str = "You can look at it. To decide takes the role of an analyst.";
const BARRED: &str = "You cannot decide it now: ";

/// The panel of actions, as far as this person and the alert's state have any.
pub(crate) fn act(view: &AlertView) -> Markup {
    let (alert, may) = (&view.detail.alert, view.shell.person.may);
    let is_barred = view.bars.is_some() || !may.work;
    html! {
        section.panel.act #act {
            h2.quiet { "Actions" }
            @match alert.state {
                State::Open | State::Snoozed if is_barred => (barred(view)),
                State::Open | State::Snoozed => { (verdict(view)) (others(view)) }
                State::Proposed => { (proposed(view)) (note_form(view)) }
                State::Resolved => { (resolved(alert, view.shell.now_ms)) (note_form(view)) }
            }
            (followed(&view.detail.labels, view.shell.now_ms))
        }
    }
}

/// Why there is no verdict to give here, in a sentence: for the keys that do nothing. None where there is one to give.
pub(crate) fn why_not(view: &AlertView) -> Option<String> {
    match view.detail.alert.state {
        State::Proposed => Some("A verdict on it waits for a second person.".to_owned()),
        State::Resolved => Some("It is resolved.".to_owned()),
        State::Open | State::Snoozed if !view.shell.person.may.work => Some(LOOKS_ONLY.to_owned()),
        State::Open | State::Snoozed => view.bars.as_ref().map(|why| format!("{BARRED}{why}.")),
    }
}

/// What is left where there is no verdict to give: a note, and what else can be done.
fn barred(view: &AlertView) -> Markup {
    html! {
        @if !view.shell.person.may.work { p.soft { (LOOKS_ONLY) } }
        @else {
            @if let Some(why) = &view.bars { p.bars { (BARRED) bdi { (why) } "." } }
            (note_form(view))
            (others(view))
        }
    }
}

fn verdict(view: &AlertView) -> Markup {
    let follows = &view.follows;
    let entity = &view.detail.alert.entity;
    html! {
        form #verdict novalidate data-payments=(follows.payments) data-entity=(entity) data-undo=(follows.undo_ms)
            data-second-person=[follows.second_person.as_ref()] autocomplete="off" {
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
                button.main type="submit" { "Decide " kbd.named { "Enter" } }
                (save_note("Save the note only"))
            }
        }
    }
}

/// What a verdict does, in a few words.
fn does(disposition: Disposition, follows: &Follows) -> String {
    let class = match disposition.label() {
        Some(true) => "fraud",
        Some(false) => "legitimate",
        None => return "no label".to_owned(),
    };
    match follows.payments {
        0 => "labels no payment".to_owned(),
        1 => format!("labels 1 payment {class}"),
        n => format!("labels {n} payments {class}"),
    }
}

/// What holds of every verdict; the script says it of the chosen one.
fn after(follows: &Follows) -> Markup {
    html! {
        @if let Some(why) = &follows.second_person {
            strong { "For a label or a block a second person has to agree: " (why) "." } " "
        }
        span.without-keys { "Undo" } kbd { "u" } " takes it back for " (time::span(follows.undo_ms)) "; nothing leaves before."
    }
}

/// A note alone, where no verdict goes with it.
fn note_form(view: &AlertView) -> Markup {
    html! {
        @if view.shell.person.may.work {
            form.note-form #note-form { (note(view)) p.buttons { (save_note("Save the note")) } }
        }
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

/// What else can be done while it is open, as far as the queue takes it from this person.
fn others(view: &AlertView) -> Markup {
    let (alert, person) = (&view.detail.alert, &view.shell.person);
    let (leads, holder) = (person.may.lead, badge::holder(alert, view.shell.now_ms).map(|(name, _)| name));
    let is_anothers = holder.is_some_and(|holder| holder != person.name);
    // What somebody else works at is taken from them by no one but a lead, who releases it.
    let take = match holder {
        Some(_) if !is_anothers => Some(("release", "Give back")),
        Some(_) => leads.then_some(("release", "Release it")),
        None => view.bars.is_none().then_some(("claim", "Take it")),
    };
    let may_snooze = view.bars.is_none();
    let may_escalate = !alert.escalated && (leads || !is_anothers);
    html! {
        @if take.is_some() || may_snooze || may_escalate || leads {
            div.others {
                @if let Some((does, word)) = take {
                    button #take type="button" aria-keyshortcuts="t" data-does=(does) { span { (word) } " " kbd { "t" } }
                }
                @if may_snooze {
                    button #snooze-button type="button" aria-keyshortcuts="s" { "Snooze " kbd { "s" } }
                }
                @if may_escalate {
                    button #escalate-button type="button" aria-keyshortcuts="e" { "Escalate " kbd { "e" } }
                }
                @if leads {
                    button #assign-button type="button" aria-keyshortcuts="a" { "Assign " kbd { "a" } }
                }
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
