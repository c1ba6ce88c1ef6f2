//! The text alone: names and texts that could break out of it, and what it leaves out. Its values are proved by
//! `tests/sql.rs`.

use feature_store::definition::{Definitions, Vocabulary};
use schemas::mapping::FieldKind;

use super::{Dialect, features_sql};

fn sql(features: &str, dialect: Dialect) -> String {
    let text = |name: &str| (name.to_owned(), FieldKind::Text);
    let vocabulary = Vocabulary {
        entities: vec!["card".to_owned(), "ord".to_owned()],
        fields: vec![text("Card"), text("card_field"), text("a\"b`c\nDROP TABLE payments")],
    };
    features_sql(&Definitions::parse("features.toml", features, &vocabulary).unwrap(), &vocabulary, dialect)
}

#[test]
fn names_that_sql_cannot_tell_apart_have_columns_of_their_own() {
    let text = sql(
        "[[feature]]\nname = 'ORD'\nrequest = 'hour'\n[[feature]]\nname = 'ord_feature'\nrequest = 'hour'",
        Dialect::DuckDb,
    );
    for column in
        ["\"card\"  text", "\"ord_entity\"  text", "\"Card_field\"  text", "\"card_field_field\"  text"]
    {
        assert!(text.contains(&format!("--   {column}")), "{column} in\n{text}");
    }
    assert!(text.contains("AS \"ORD_feature\",\n"), "{text}");
    assert!(text.contains("AS \"ord_feature_feature\"\n"), "{text}");
}

#[test]
fn no_name_and_no_text_breaks_out_of_its_quotes_or_its_comment() {
    let features = "[[feature]]\nname = \"it's \\\"`\"\nentity = 'card'\naggregate = 'count'\nwindow = '1h'\n\
        where = { card_field = ['plain', \"'; \\\\ ${x}\"] }\n\
        [[feature]]\nname = 'b'\nentity = 'card'\naggregate = 'distinct'\nwindow = '1h'\nof = \"a\\\"b`c\\nDROP TABLE payments\"";
    let spark = sql(features, Dialect::Spark);
    assert!(
        spark.contains("`card_field_field` IN (CAST(X'273B205C20247B787D' AS STRING), 'plain')"),
        "{spark}"
    );
    assert!(spark.contains("AS `it's \"```"), "{spark}");
    assert!(spark.contains("`a\"b``c\nDROP TABLE payments` IS NOT NULL"), "{spark}");
    let duckdb = sql(features, Dialect::DuckDb);
    assert!(duckdb.contains("IN (decode(unhex('273B205C20247B787D')), 'plain')"), "{duckdb}");
    assert!(duckdb.contains("AS \"it's \"\"`\""), "{duckdb}");
    for text in [spark, duckdb] {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        assert!(
            header.len() > 15 && text.lines().nth(header.len()).is_some_and(|line| line.starts_with("WITH "))
        );
    }
}

#[test]
fn it_reads_only_what_the_features_need() {
    let text = sql("[[feature]]\nname = 'hour'\nrequest = 'hour'", Dialect::Spark);
    let statement: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    assert_eq!(
        statement.join(" "),
        "SELECT p.transaction_id,   p.ord,   (p.event_time_ms % 86400000) DIV 3600000 AS `hour` FROM payments p"
    );
}
