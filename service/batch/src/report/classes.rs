//! The classes of differences: what each means, how many, how much money, which payments and whose.

use maud::{Markup, html};

use super::grid::swatch;
use super::number;
use super::palette::{Palette, UNEXPLAINED};
use crate::numbers::{Class, Example};

/// The table of classes, and for each its examples and keys.
pub(super) fn panel(classes: &[Class], palette: &Palette) -> Markup {
    html! {
        section.panel #classes aria-labelledby="classes-head" {
            div.panel-head { h2 #classes-head { "Classes of differences" } p { "Why answers differ: each difference is in one." } }
            @if classes.is_empty() {
                p.nothing { "No difference was found." }
            } @else {
                (table(classes, palette))
                @for (place, class) in classes.iter().enumerate() { (one(place, class)) }
            }
        }
    }
}

fn tone(class: &Class) -> Option<&'static str> {
    (class.class == UNEXPLAINED && class.count > 0).then_some("decline")
}

fn table(classes: &[Class], palette: &Palette) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of classes" {
            table {
                thead {
                    tr {
                        th scope="col" { "Class" }
                        th.number scope="col" { "Findings" }
                        th.number scope="col" { "Payments" }
                        th.number scope="col" { "They amount to" }
                    }
                }
                tbody {
                    @for (place, class) in classes.iter().enumerate() {
                        tr data-tone=[tone(class)] {
                            th.said-too scope="row" {
                                (swatch(palette.paint(&class.class))) " "
                                a href={ "#class-" (place) } { (number::spoken(&class.class)) }
                                p { (class.meaning) }
                            }
                            td.number.hot { (number::count(class.count)) }
                            td.number { (number::count(class.payments.count)) }
                            td.number { (number::money(&class.payments)) }
                        }
                    }
                }
            }
        }
    }
}

/// A class with its examples; what is unexplained stands open.
fn one(place: usize, class: &Class) -> Markup {
    let words = number::spoken(&class.class);
    html! {
        details.class id={ "class-" (place) } open[tone(class).is_some()] data-tone=[tone(class)] {
            summary { (words) " " small { (number::counted(class.count, "finding")) } }
            p { (class.meaning) }
            @if class.examples.is_empty() && class.keys.is_empty() { p.soft { "Neither examples nor keys were kept." } }
            @if !class.examples.is_empty() { (examples(&class.examples, &format!("The first of class {words}"))) }
            @if !class.keys.is_empty() { (keys(&class.keys, &format!("Keys with most findings of class {words}"))) }
        }
    }
}

/// Findings, one a row: recorded beside computed.
pub(super) fn examples(examples: &[Example], caption: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.quiet { (caption) }
                thead {
                    tr {
                        th scope="col" { "Payment" }
                        th scope="col" { "Event time, UTC" }
                        th scope="col" { "Check" }
                        th scope="col" { "Field" }
                        th scope="col" { "Recorded" }
                        th scope="col" { "Should be" }
                    }
                }
                tbody {
                    @for example in examples {
                        tr {
                            th.value scope="row" { (known(&example.transaction_id)) }
                            td.nowrap { @if example.event_time_ms == 0 { (known("")) } @else { (number::utc(example.event_time_ms)) } }
                            td { (number::spoken(&example.check)) }
                            td.value { (known(&example.field)) }
                            td.value { (known(&example.recorded)) }
                            td.value { (known(&example.computed)) }
                        }
                    }
                }
            }
        }
    }
}

/// A value, or a dash where nothing is known: a record may be gone with all that it said.
fn known(text: &str) -> Markup {
    html! { @if text.is_empty() { span.soft { "–" } } @else { code { (text) } } }
}

fn keys(keys: &[(String, String, u64)], caption: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead {
                    tr {
                        th scope="col" { "Entity" }
                        th scope="col" { "Key, masked" }
                        th.number scope="col" { "Findings" }
                    }
                }
                tbody {
                    @for (entity, key, count) in keys {
                        tr {
                            td { (entity) }
                            th scope="row" { code { (key) } }
                            td.number { (number::count(*count)) }
                        }
                    }
                }
            }
        }
    }
}
