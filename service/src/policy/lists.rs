//! Lists: who is always refused and who is let through, as of one moment.
//!
//! Keys are not in here. An entry holds a digest of its entity and key, made with a salt, so that a card number that
//! someone lists is in no memory dump, file or log of ours. A digest is made of a payment's key only where its entity
//! has entries: empty lists cost nothing. Whose entries these are and where they are kept is not known here.

use std::collections::HashMap;
use std::sync::Arc;

use schemas::name::Name;
use schemas::payment::Payment;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of the salt.
pub const SALT_BYTES: usize = 32;

/// One of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// A payment of a key in it is refused, or what else `[lists] block` says, and nothing makes it milder.
    Block,
    /// A payment of a key in it is let through, or what else `[lists] allow` says, unless another key is blocked.
    Allow,
}

impl ListKind {
    /// Both.
    pub const ALL: [ListKind; 2] = [ListKind::Block, ListKind::Allow];

    /// The word in contracts and files.
    pub fn as_str(self) -> &'static str {
        match self {
            ListKind::Block => "block",
            ListKind::Allow => "allow",
        }
    }

    /// The list of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.as_str() == word)
    }
}

/// What is known of an entity's key instead of the key: SHA-256 over a salt, the entity's name and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyDigest(pub [u8; 32]);

/// Makes digests with one salt.
///
/// The salt keeps ready-made tables of card numbers from working; whoever has the salt and a digest can still try all
/// card numbers, so the file with both is to be kept like one with card numbers' first six and last four.
#[derive(Debug, Clone)]
pub struct Digester {
    /// After one block: the salt, filled up. So that a short key costs one block more and no other.
    salted: Sha256,
}

impl Digester {
    /// Digests with this salt.
    pub fn new(salt: &[u8; SALT_BYTES]) -> Self {
        Self { salted: Sha256::new().chain_update(salt).chain_update([0; 64 - SALT_BYTES]) }
    }

    /// The digest of an entity's key. The length keeps ("ab", "c") and ("a", "bc") apart.
    pub fn digest(&self, entity: &str, key: &str) -> KeyDigest {
        let length = u32::try_from(entity.len()).unwrap_or(u32::MAX).to_le_bytes();
        let hash = self.salted.clone().chain_update(length).chain_update(entity).chain_update(key);
        KeyDigest(hash.finalize().into())
    }
}

/// What a decision says of an entry that a payment's key is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Which list.
    pub list: ListKind,
    /// Whose key.
    pub entity: Name,
    /// Who put it there.
    pub owner: Name,
    /// Why, in his words.
    pub reason: Name,
    /// From when on it is not there any more, milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

impl Listing {
    fn holds(&self, at_ms: i64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| at_ms < expires_ms)
    }
}

/// An entry that matched.
#[derive(Debug, Clone, Copy)]
pub struct ListMatch<'a> {
    /// The entry.
    pub listing: &'a Listing,
    /// `list/entity`, as decisions name it.
    pub name: &'a Name,
}

/// One entity's entries.
#[derive(Debug, Clone)]
struct EntityEntries {
    entity: Name,
    /// `block/entity`, `allow/entity`.
    names: [Name; 2],
    /// The entry of each list.
    by_key: HashMap<KeyDigest, [Option<Arc<Listing>>; 2]>,
}

/// Both lists as of one moment.
#[derive(Debug, Clone)]
pub struct Lists {
    digester: Digester,
    /// In the order of a payment's keys.
    entities: Vec<EntityEntries>,
    entries: usize,
}

impl Lists {
    /// Lists without entries.
    pub fn empty() -> Self {
        Self { digester: Digester::new(&[0; SALT_BYTES]), entities: Vec::new(), entries: 0 }
    }

    /// Lists of these entries. `entities` are the mapping's, in its order: an entry of another one never matches. Of
    /// two entries of one list with the same digest the later holds.
    pub fn of(
        digester: Digester,
        entities: &[Name],
        entries: impl IntoIterator<Item = (KeyDigest, Listing)>,
    ) -> Self {
        let mut lists = Self { digester, entities: Vec::with_capacity(entities.len()), entries: 0 };
        for entity in entities {
            let names = ListKind::ALL.map(|list| Name::from(format!("{}/{entity}", list.as_str())));
            lists.entities.push(EntityEntries { entity: entity.clone(), names, by_key: HashMap::new() });
        }
        for (digest, listing) in entries {
            let Some(own) = lists.entities.iter_mut().find(|own| own.entity == listing.entity) else {
                continue;
            };
            let slots = own.by_key.entry(digest).or_default();
            let slot = match listing.list {
                ListKind::Block => &mut slots[0],
                ListKind::Allow => &mut slots[1],
            };
            lists.entries += usize::from(slot.is_none());
            *slot = Some(Arc::new(listing));
        }
        lists
    }

    /// Entries that can match.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether none can.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The entries that one of the payment's keys is in at this time, in the order of the keys.
    pub fn matching(&self, payment: &Payment, at_ms: i64) -> Vec<ListMatch<'_>> {
        let mut found = Vec::new();
        for (own, key) in self.entities.iter().zip(&payment.entities) {
            let Some(key) = key.as_deref().filter(|_| !own.by_key.is_empty()) else { continue };
            let digest = self.digester.digest(&own.entity, key);
            let slots = own.by_key.get(&digest).into_iter().flatten().zip(&own.names);
            let listed = slots.filter_map(|(listing, name)| Some((listing.as_deref()?, name)));
            found.extend(
                listed
                    .filter(|(listing, _)| listing.holds(at_ms))
                    .map(|(listing, name)| ListMatch { listing, name }),
            );
        }
        found
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self::empty()
    }
}
