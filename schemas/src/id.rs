//! Ids that are a function of the payment, so that a decision written again after a restart has the same id
//! without anyone having to remember it.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

/// The hash's key: fixed for ever, since ids in the topics depend on it. Not a secret.
const KEY: (u64, u64) = (0x7472_6970_6c69_6e65, 0x6964_656e_7469_7479);

/// `prefix` and 32 hexadecimal digits of SipHash-2-4-128 over `of` and the transaction id.
pub(crate) fn derived(prefix: &str, of: &str, transaction_id: &str) -> String {
    let mut hash = SipHasher24::new_with_keys(KEY.0, KEY.1);
    hash.write(of.as_bytes());
    hash.write(transaction_id.as_bytes());
    format!("{prefix}{:032x}", hash.finish128().as_u128())
}
