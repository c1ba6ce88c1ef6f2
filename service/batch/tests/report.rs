//! The report as its readers get it: the verdict, the figures, and nothing that is loaded, run or forged.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "report/made_up.rs"]
mod made_up;

use std::collections::BTreeSet;

use batch::numbers::{Cell, Conservation, Drift, Example, Numbers, Quantiles};
use batch::report::{content_security_policy, html};

/// What a reader sees between tags, with the thin spaces of numbers as commas.
fn text(html: &str) -> String {
    let body = html.split_once("</style>").unwrap().1;
    let mut out = String::new();
    let mut inside = true;
    for one in body.chars() {
        match one {
            '<' => inside = false,
            '>' => inside = true,
            '\u{202f}' if inside => out.push(','),
            one if inside => out.push(one),
            _ => {}
        }
    }
    out
}

/// No matter what was in the numbers, a report is one document that asks nobody for anything.
fn stands_alone(html: &str) {
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">") && html.ends_with("</html>"));
    let lower = html.to_lowercase();
    for word in [
        "http:",
        "https:",
        "src=",
        "@import",
        "url(",
        "<script",
        "<link",
        "<iframe",
        "<img",
        "style=\"",
        "javascript:",
    ] {
        assert!(!lower.contains(word), "{word} in the report");
    }
    assert!(html.contains(&content_security_policy()), "the policy is in the document");
    assert!(!html.contains("NaN") && !html.contains("inf\""), "a number that is none");
    let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an identity twice");
    for reference in ["href=\"#", "aria-labelledby=\"", "aria-describedby=\""] {
        for target in html.split(reference).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(ids.contains(&target), "{reference}{target} leads nowhere");
        }
    }
    // Every picture that is not an ornament says what it is; every head of a table says of what.
    for svg in html.split("<svg").skip(1).map(|rest| rest.split("</svg>").next().unwrap()) {
        let titled = svg.contains("<title") && svg.contains("<desc") && svg.contains("role=\"img\"");
        assert!(
            titled || svg.split('>').next().unwrap().contains("aria-hidden"),
            "a picture without words: {svg:.200}"
        );
    }
    for head in html.split("<th").skip(1).filter(|rest| !rest.starts_with("ead")) {
        assert!(head.split('>').next().unwrap().contains("scope="), "a head without scope: {head:.80}");
    }
}

#[test]
fn a_clean_run_says_so_and_shows_its_figures() {
    let html = html(&made_up::clean());
    stands_alone(&html);
    let text = text(&html);
    assert!(text.contains("0 unexplained differences in 1,754,155 payments"), "{text:.600}");
    assert!(html.contains("verdict\" data-tone=\"approve\""));
    for figure in [
        "2018-04-01 to 2018-05-31",
        "6,312 differences, each in one of 5 named classes.",
        "26,312,325",     // features compared
        "182,340.50,EUR", // money of a class
        "41,000,JPY",     // a currency without minor units
        "terminal_fraud_7d",
        "4111******1111",
        "2018-04-12 08:15:30.250", // an example's time
        "12.4,ms",                 // a quantile
        "0.312",                   // an index
        "Not approved: 71.4,% of known fraud (1,000 of 1,400)",
    ] {
        assert!(text.contains(figure), "{figure} is missing");
    }
    assert!(html.matches("<rect").count() > 200, "bars are drawn");
}

#[test]
fn an_unexplained_difference_is_the_first_thing_read() {
    let html = html(&made_up::broken());
    stands_alone(&html);
    let text = text(&html);
    let verdict =
        text.find("3 unexplained differences in 1,754,155 payments, 2 records unaccounted for").unwrap();
    let first = text.find("tx-unexplained-1").unwrap();
    assert!(verdict < first && first < text.find("Classes of differences").unwrap());
    assert!(html.contains("verdict\" data-tone=\"decline\""));
    assert!(
        html.contains("<details class=\"class\" id=\"class-0\" open data-tone=\"decline\">"),
        "it stands open"
    );
    assert!(!text.contains("0 unexplained"));
}

#[test]
fn one_is_one_and_lost_records_are_no_clean_run() {
    let mut numbers = made_up::clean();
    numbers.records.insert("payments".to_owned(), 1);
    numbers.checks[0].unexplained = 1;
    assert!(text(&html(&numbers)).contains("1 unexplained difference in 1 payment"));
    let mut numbers = made_up::clean();
    numbers.conservation.push(Conservation {
        partition: 9,
        records: 5,
        decided: 4,
        unaccounted: 1,
        ..Default::default()
    });
    let html = html(&numbers);
    assert!(html.contains("verdict\" data-tone=\"decline\""));
    assert!(
        text(&html).contains("0 unexplained differences in 1,754,155 payments, 1 record unaccounted for")
    );
}

#[test]
fn nothing_compared_is_not_green() {
    let html = html(&Numbers::default());
    stands_alone(&html);
    assert!(html.contains("verdict\" data-tone=\"review\""));
    let text = text(&html);
    for words in
        ["Nothing was compared", "No check was run.", "No difference was found.", "No latency was recorded."]
    {
        assert!(text.contains(words), "{words}");
    }
    assert!(!text.contains("unexplained difference"));
}

#[test]
fn a_record_that_is_gone_has_dashes_and_not_the_year_1970() {
    let mut numbers = made_up::broken();
    numbers.classes[0].examples = vec![Example { check: "conservation".to_owned(), ..Default::default() }];
    let html = html(&numbers);
    stands_alone(&html);
    assert!(text(&html).contains("––conservation–––") && !html.contains("1970"));
}

#[test]
fn what_data_says_stays_text() {
    const EVIL: &str = "<script>alert('x')</script>\"' onload=\"x\" &amp; ]]>--></style></svg>";
    let html = html(&made_up::hostile(EVIL));
    stands_alone(&html);
    assert!(!html.contains("alert('x')</") && !html.contains("\" onload=\"x\""));
    assert!(html.matches("&lt;script&gt;").count() > 20, "it is shown, everywhere");
    assert_eq!(html.matches("</style>").count(), 1);
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
}

#[test]
fn numbers_that_are_none_and_too_large_do_no_harm() {
    let mut numbers = made_up::broken();
    for psi in [f64::NAN, f64::INFINITY, -1.0] {
        let bins = vec![("a".to_owned(), f64::NAN, f64::INFINITY), ("b".to_owned(), -1.0, 7.0)];
        numbers.drift.push(Drift {
            name: format!("odd {psi}").replace("NaN", "none").replace("inf", "all"),
            psi,
            bins,
            ..Drift::default()
        });
    }
    for bin in &mut numbers.calibration {
        (bin.mean_score, bin.fraud_share) = (f64::NAN, f64::INFINITY);
    }
    let most = Quantiles { p50: 0, p99: u64::MAX, p999: u64::MAX, max: u64::MAX };
    numbers.latency_us.insert("huge".to_owned(), most);
    let cell = |row: &str| Cell { row: row.to_owned(), column: "late".to_owned(), count: u64::MAX };
    numbers.by_day.extend(["9999-12-31", "not a day", "2018-04-03"].map(cell));
    numbers.decisions.extend(["2018-04-03", "2018-04-03"].map(cell));
    numbers.days = Some(("0001-01-01".to_owned(), "9999-12-31".to_owned()));
    stands_alone(&html(&numbers));
}

/// `TRIPLINE_REPORTS=folder cargo test -p tripline-batch --test report -- --ignored` writes them for the eye.
#[test]
#[ignore = "for the eye"]
fn written_to_be_looked_at() {
    let folder = std::path::PathBuf::from(std::env::var_os("TRIPLINE_REPORTS").unwrap());
    let all = [
        ("clean", made_up::clean()),
        ("broken", made_up::broken()),
        ("empty", Numbers::default()),
        (
            "hostile",
            made_up::hostile(
                "<script>alert('x')</script> and a long text without an end to see how it wraps",
            ),
        ),
    ];
    for (name, numbers) in all {
        std::fs::write(folder.join(name).with_extension("html"), html(&numbers)).unwrap();
    }
}
