//! What of a key can be seen.

use super::masked_key;

#[test]
fn at_most_the_last_four_characters_are_seen() {
    assert_eq!(masked_key("tok_9f86d081884c7d65"), "••••7d65");
    assert_eq!(masked_key("4111111111111111"), "••••1111");
    assert_eq!(masked_key(&"k".repeat(256)), "••••kkkk");
}

#[test]
fn a_short_key_is_not_shown_whole() {
    for (key, masked) in [("", "••••"), ("1", "••••"), ("12345", "••••5"), ("1234567890", "••••890")]
    {
        assert_eq!(masked_key(key), masked);
    }
}

#[test]
fn characters_are_counted_not_bytes() {
    assert_eq!(masked_key("ключ-карты-номер-семь"), "••••семь");
    assert_eq!(masked_key("carte-bancaire-\u{0}\u{7}ab"), "••••ab");
}
