//! Whole pages: nothing from outside becomes markup, no key is shown whole, every action shows its key, and what the
//! policy on content forbids is in no page.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod sample;

use std::collections::{BTreeSet, HashSet};

use queue::alert::{Alert, Disposition};
use sample::{CARD, alert_view, all, hostile_view, list_view, shell};

use crate::{ASSETS, AlertView, ListView, May, SearchView};

/// The opening tags of a page, each with its attributes: `<a href="...">`. The texts are escaped, so `<` begins a tag.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .filter(|tag| !tag.starts_with('/'))
        .collect()
}

fn name(tag: &str) -> &str {
    tag.split([' ', '/']).next().unwrap_or_default()
}

fn attribute<'a>(tag: &'a str, wanted: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {wanted}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Texts that other people write: into merchants' names, notes, keys.
fn hostile() -> Vec<String> {
    vec![
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "' onmouseover='alert(1)".to_owned(),
        "</textarea></title></template><svg/onload=alert(1)>".to_owned(),
        "\u{202e}evil\u{202d} مرحبا".to_owned(),
        "&lt;script&gt;&#60;b&#62;".to_owned(),
        "x".repeat(256),
    ]
}

#[test]
fn a_text_from_outside_makes_no_tag_and_no_attribute() {
    let plain = crate::alert(&hostile_view("plain"));
    let shape = |html: &str| tags(html).iter().map(|tag| name(tag).to_owned()).collect::<Vec<_>>();
    for text in hostile() {
        let html = crate::alert(&hostile_view(&text));
        assert_eq!(shape(&html), shape(&plain), "{text}");
        for tag in tags(&html) {
            let bare: String = tag.split('"').step_by(2).collect();
            assert!(!bare.contains(" on"), "a handler in <{tag}>");
        }
        let barred =
            |text: &str| crate::alert(&AlertView { bars: Some(text.to_owned()), ..sample::barred_view() });
        assert_eq!(shape(&barred(&text)), shape(&barred("plain")), "{text}");
        let found = crate::search(&SearchView { shell: shell(), text: text.clone(), alerts: vec![] });
        let nothing = crate::search(&SearchView { shell: shell(), text: "plain".to_owned(), alerts: vec![] });
        assert_eq!(shape(&found), shape(&nothing), "{text}");
        assert_eq!(
            shape(&crate::sign_in(&text, Some(&text))),
            shape(&crate::sign_in("/", Some("x"))),
            "{text}"
        );
    }
}

#[test]
fn a_text_from_outside_is_shown_as_it_is() {
    let html = crate::alert(&hostile_view("<script>alert(1)</script>"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!html.contains("<script>alert"));
}

#[test]
fn no_page_has_a_style_or_a_script_of_its_own() {
    for (page, html) in all() {
        for tag in tags(&html) {
            assert!(attribute(tag, "style").is_none(), "{page}: <{tag}>");
            assert!(name(tag) != "style", "{page}: <{tag}>");
            assert!(!tag.contains("javascript:"), "{page}: <{tag}>");
        }
        for script in html.split("<script").skip(1) {
            let (tag, body) = script.split_once('>').unwrap();
            assert!(
                attribute(tag, "src").is_some_and(|src| src.starts_with("/assets/")),
                "{page}: <script{tag}>"
            );
            assert!(body.starts_with("</script>"), "{page}: a script with a body");
        }
    }
}

#[test]
fn every_address_is_ours_and_every_asset_is_there() {
    let names: HashSet<_> = ASSETS.iter().map(|asset| asset.name).chain(["icon.svg"]).collect();
    for (page, html) in all() {
        for tag in tags(&html) {
            for address in ["href", "src", "action"].into_iter().filter_map(|one| attribute(tag, one)) {
                let is_ours =
                    address.starts_with('/') && !address.starts_with("//") || address.starts_with('#');
                assert!(is_ours, "{page}: <{tag}>");
                if let Some(asset) = address.strip_prefix("/assets/") {
                    assert!(names.contains(asset), "{page}: {asset} is no asset");
                }
            }
        }
    }
    for asset in ASSETS.iter().filter(|asset| asset.media_type.starts_with("text/javascript")) {
        for imported in asset.text.split("from \"./").skip(1) {
            let file = imported.split('"').next().unwrap();
            assert!(names.contains(file), "{} imports {file}", asset.name);
        }
        for call in
            ["eval(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "http://", "https://"]
        {
            assert!(!asset.text.contains(call), "{}: {call}", asset.name);
        }
    }
    for asset in ASSETS.iter().filter(|asset| asset.media_type.starts_with("text/css")) {
        assert!(!asset.text.contains("url(") && !asset.text.contains("@import"), "{}", asset.name);
    }
}

#[test]
fn a_card_is_nowhere_whole() {
    for (page, html) in all() {
        assert!(!html.contains(CARD), "{page}");
        assert!(!html.contains("9f86d0"), "{page}: the beginning of a key");
    }
}

#[test]
fn each_action_shows_its_key() {
    let html = crate::alert(&alert_view());
    for key in ["1", "2", "3", "4", "r", "b", "n", "t", "s", "e", "a"] {
        let tag = format!("aria-keyshortcuts=\"{key}\"");
        assert!(html.contains(&tag), "{key}");
        assert!(html.contains(&format!("<kbd>{key}</kbd>")), "{key}");
    }
    // What is no single key stays where those are switched off.
    assert!(html.contains("<kbd class=\"named\">Enter</kbd>"));
    for key in ["y", "x"] {
        assert!(
            crate::alert(&sample::proposed_view()).contains(&format!("aria-keyshortcuts=\"{key}\"")),
            "{key}"
        );
    }
    assert!(crate::alert(&sample::resolved_view()).contains("aria-keyshortcuts=\"u\""));
    assert!(crate::list(&list_view(vec![])).contains("aria-keyshortcuts=\"c\""));
}

#[test]
fn each_verdict_says_what_it_does_and_has_its_reasons() {
    let html = crate::alert(&alert_view());
    for does in ["labels 3 payments fraud", "labels 3 payments legitimate", "no label", "Block this card too"]
    {
        assert!(html.contains(does), "{does}");
    }
    for disposition in Disposition::ALL {
        let (_, rest) =
            html.split_once(&format!("<template data-reasons=\"{}\">", disposition.as_str())).unwrap();
        let (reasons, _) = rest.split_once("</template>").unwrap();
        for (word, text) in disposition.reasons() {
            assert!(reasons.contains(&format!("value=\"{word}\"")) && reasons.contains(text), "{word}");
        }
    }
    assert!(html.contains("id=\"reason\" name=\"reason\" required"));
}

#[test]
fn who_may_not_act_has_nothing_to_act_with() {
    let mut view = alert_view();
    view.shell.person.may = May::default();
    let html = crate::alert(&view);
    for id in ["verdict", "take", "reveal", "assign-button", "note", "snooze-button"] {
        assert!(!html.contains(&format!("id=\"{id}\"")), "{id}");
    }
    let mut list = list_view((0..3).map(sample::alert).collect());
    list.shell.person.may = May::default();
    assert!(!crate::list(&list).contains("type=\"checkbox\" aria-label=\"Select"));
    assert!(!crate::list(&list).contains("href=\"/audit\""));
}

/// The beginning of the tag that has this id.
fn tag_of<'a>(html: &'a str, id: &str) -> Option<&'a str> {
    tags(html).into_iter().find(|tag| attribute(tag, "id") == Some(id))
}

#[test]
fn who_cannot_decide_now_sees_why_and_can_note() {
    let html = crate::alert(&sample::barred_view());
    for id in ["verdict", "snooze-button", "escalate-button", "assign-button", "take"] {
        assert!(tag_of(&html, id).is_none(), "{id}");
    }
    assert!(tag_of(&html, "note-form").is_some() && tag_of(&html, "save-note").is_some());
    assert!(html.contains("You cannot decide it now: <bdi>anna holds it</bdi>."));
    let bars = |view: &AlertView| {
        let html = crate::alert_main(view);
        attribute(tags(&html)[0], "data-bars").map(str::to_owned)
    };
    assert_eq!(bars(&sample::barred_view()).as_deref(), Some("You cannot decide it now: anna holds it."));
    assert_eq!(bars(&alert_view()), None);
    assert_eq!(bars(&sample::resolved_view()).as_deref(), Some("It is resolved."));
    assert!(bars(&sample::proposed_view()).is_some_and(|why| why.contains("second person")));
    let mut viewer = alert_view();
    viewer.shell.person.may = May::default();
    assert!(bars(&viewer).is_some_and(|why| why.contains("role of an analyst")));
}

#[test]
fn an_alert_is_taken_given_back_or_released() {
    let does = |view: &AlertView| {
        let html = crate::alert(view);
        tag_of(&html, "take").and_then(|tag| attribute(tag, "data-does")).map(str::to_owned)
    };
    let mut view = alert_view();
    assert_eq!(does(&view).as_deref(), Some("release"), "one's own");
    view.shell.person.name = "chiara".to_owned();
    assert!(crate::alert(&view).contains("Release it"), "a lead, another's");
    view.detail.alert.holder = None;
    assert_eq!(does(&view).as_deref(), Some("claim"), "nobody's");
    // What is with the leads can be left to them, what is given to another can go to them.
    view.bars = Some("it is given to ben".to_owned());
    view.shell.person.may.lead = false;
    assert_eq!(does(&view), None);
    assert!(tag_of(&crate::alert(&view), "escalate-button").is_some());
    view.detail.alert.escalated = true;
    assert!(!crate::alert(&view).contains("class=\"others\""));
}

#[test]
fn a_second_person_is_for_verdicts_that_label() {
    let mut view = alert_view();
    view.follows.second_person = Some("its amount is large".to_owned());
    let html = crate::alert(&view);
    assert!(html.contains("For a label or a block a second person has to agree: its amount is large."));
    let form = tag_of(&html, "verdict").unwrap();
    assert_eq!(attribute(form, "data-second-person"), Some("its amount is large"));
    assert!(!crate::alert(&alert_view()).contains("data-second-person"));
    let bulk = |view: &ListView| {
        let html = crate::list(view);
        tag_of(&html, "bulk").and_then(|tag| attribute(tag, "data-second-person")).map(str::to_owned)
    };
    let list = list_view(vec![]);
    assert_eq!(bulk(&list).as_deref(), Some("50"));
    assert_eq!(bulk(&ListView { second_person_bulk: None, ..list }), None);
}

#[test]
fn a_row_says_that_its_alert_is_large() {
    let alerts = vec![sample::alert(0), sample::alert(1)];
    let large = BTreeSet::from([alerts[1].alert_id.clone()]);
    let html = crate::list(&ListView { large, ..list_view(alerts) });
    let rows = tags(&html).into_iter().filter(|tag| attribute(tag, "data-loss").is_some());
    assert_eq!(rows.map(|row| row.contains(" data-large")).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn the_lower_bound_is_in_the_queues_currency() {
    for (currency, first) in [
        ("EUR", "<option value=\"5000\">50.00\u{202f}EUR</option>"),
        ("JPY", "<option value=\"50\">50\u{202f}JPY</option>"),
        ("KWD", "<option value=\"50000\">50.000\u{202f}KWD</option>"),
    ] {
        let html = crate::list(&ListView { currency: currency.to_owned(), ..list_view(vec![]) });
        assert!(html.contains(first), "{first}");
    }
}

#[test]
fn the_search_says_what_it_finds_for_whom() {
    let search = |reveal: bool| {
        let mut shell = shell();
        shell.person.may.reveal = reveal;
        crate::search(&SearchView { shell, text: "tok".to_owned(), alerts: vec![] })
    };
    let whole = "Ids and keys have to be whole.";
    let beginning = "that it was searched for is in the audit log.";
    assert!(search(true).contains(beginning) && !search(true).contains(whole));
    assert!(search(false).contains(whole) && !search(false).contains(beginning));
    assert!(search(false).contains("placeholder=\"Id or key\""));
}

#[test]
fn where_nothing_is_left_to_label_that_is_said() {
    let mut view = alert_view();
    view.follows.payments = 0;
    let html = crate::alert(&view);
    assert!(html.contains("labels no payment") && !html.contains("labels 0"));
    view.follows.payments = 1;
    assert!(crate::alert(&view).contains("labels 1 payment fraud"));
}

#[test]
fn a_row_says_who_holds_it_and_until_when() {
    let html = crate::list(&list_view(vec![sample::alert(2), sample::alert(3)]));
    let rows: Vec<_> = tags(&html).into_iter().filter(|tag| attribute(tag, "data-loss").is_some()).collect();
    assert_eq!(rows.iter().map(|row| attribute(row, "data-holder")).collect::<Vec<_>>(), [Some("ben"), None]);
    let until = format!("data-left=\"{}\"", sample::NOW + 3 * sample::MINUTE);
    assert_eq!(html.matches(&until).count(), 1);
}

#[test]
fn single_keys_can_be_switched_off() {
    for (page, html) in all().into_iter().filter(|(_, html)| html.contains("id=\"help\"")) {
        let tag = tag_of(&html, "single-keys").unwrap();
        assert_eq!(attribute(tag, "type"), Some("checkbox"), "{page}");
        assert!(attribute(tag, "aria-describedby").is_some(), "{page}");
    }
}

#[test]
fn the_main_carries_what_a_change_needs() {
    let html = crate::alert_main(&alert_view());
    assert!(html.starts_with("<main") && html.ends_with("</main>"));
    let tag = tags(&html)[0];
    assert_eq!(attribute(tag, "data-version"), Some("7"));
    assert_eq!(attribute(tag, "data-holder"), Some("anna"));
    assert!(attribute(tag, "data-alert").is_some() && attribute(tag, "data-lease").is_some());
    assert!(crate::alert(&alert_view()).contains("<meta name=\"csrf\" content=\"c5rf-t0ken\">"));
    assert!(crate::list(&list_view(vec![])).contains("name=\"csrf\" value=\"c5rf-t0ken\""));
}

#[test]
fn ids_are_unique_labels_have_their_fields_and_headings_are_in_order() {
    for (page, html) in all() {
        let tags = tags(&html);
        let ids: Vec<_> = tags.iter().filter_map(|tag| attribute(tag, "id")).collect();
        let set: HashSet<_> = ids.iter().copied().collect();
        assert_eq!(ids.len(), set.len(), "{page}: an id twice in {ids:?}");
        for wanted in ["for", "aria-labelledby", "aria-describedby", "list"] {
            for id in tags.iter().filter_map(|tag| attribute(tag, wanted)) {
                assert!(set.contains(id), "{page}: {wanted}={id} points nowhere");
            }
        }
        let main = html.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
        let mut level = 0;
        for heading in
            self::tags(main).into_iter().map(name).filter(|name| matches!(*name, "h1" | "h2" | "h3"))
        {
            let next: u32 = heading[1..].parse().unwrap();
            assert!(next <= level + 1, "{page}: {heading} after h{level}");
            level = next;
        }
        assert_eq!(main.matches("<h1").count(), 1, "{page}");
    }
}

/// `<rect>` without its end holds what follows and is not drawn.
#[test]
fn every_shape_of_a_drawing_is_closed() {
    for (page, html) in all() {
        for shape in ["rect", "path", "circle", "line", "text", "g", "svg"] {
            let opened = tags(&html).into_iter().filter(|tag| name(tag) == shape);
            let open = opened.filter(|tag| !tag.ends_with('/')).count();
            assert_eq!(open, html.matches(&format!("</{shape}>")).count(), "{page}: {shape}");
        }
    }
}

#[test]
fn a_database_that_does_not_answer_is_said() {
    let banner = |view: &AlertView| {
        let html = crate::alert(view);
        let tag =
            tags(&html).into_iter().find(|tag| attribute(tag, "id") == Some("database")).unwrap().to_owned();
        (tag.contains(" hidden"), html.contains("nothing can be saved"))
    };
    let mut view = alert_view();
    assert_eq!(banner(&view), (true, true));
    view.shell.database = Some("it is locked".to_owned());
    assert_eq!(banner(&view), (false, true));
}

#[test]
fn odd_numbers_make_a_page() {
    let mut view = alert_view();
    let edge = |one: &mut Alert| {
        (one.amount_minor, one.expected_loss_minor, one.hits) = (i64::MIN, i64::MAX, -1);
        (one.opened_ms, one.due_ms, one.score) = (i64::MIN, i64::MAX, Some(f64::NAN));
    };
    edge(&mut view.detail.alert);
    for (place, past) in view.past.iter_mut().enumerate() {
        past.event_ms = if place % 2 == 0 { i64::MIN } else { i64::MAX };
        (past.amount_minor, past.score) = (i64::MAX, Some(f64::INFINITY));
    }
    let html = crate::alert(&view);
    assert!(html.ends_with("</html>"));
    view.past.truncate(1);
    view.detail.hits.clear();
    assert!(!crate::alert(&view).contains("NaN\""));
    view.past.clear();
    assert!(crate::alert(&view).ends_with("</html>"));
}
