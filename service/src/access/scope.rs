//! What may be done, and who may do it: the one table from roles to scopes.
//!
//! A scope is what a route asks for, a role is what a person or a service is. Not here: which route asks for what, that
//! is [`super::route`].

use std::fmt;

/// One thing that may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Have payments decided.
    Score,
    /// See decisions, entities, lists, policies and models.
    Read,
    /// Recompute a recorded decision: reads only, but costs as much as deciding.
    Replay,
    /// Say what turned out to be fraud: features and training data learn from it.
    Label,
    /// Change the allow and block lists.
    Lists,
    /// Publish a policy. No route asks for it yet: a policy is a file today.
    Policy,
    /// See the board and its page: the last alerts, with amounts and masked keys.
    Board,
    /// See the numbers, `/metrics`.
    Metrics,
    /// See alerts, the queue's list and its numbers.
    Queue,
    /// Work alerts: claim, decide, snooze, escalate, note.
    Work,
    /// Lead the work: assign, take over, approve as the second person.
    Lead,
    /// See what is masked; each look is written down.
    Reveal,
    /// Read the audit log.
    Audit,
    /// Hand in files of chargebacks.
    Chargebacks,
    /// See how this service is spoken to, `/openapi.json`: it names the fields of the user's record.
    Docs,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 15] = [
        Scope::Score,
        Scope::Read,
        Scope::Replay,
        Scope::Label,
        Scope::Lists,
        Scope::Policy,
        Scope::Board,
        Scope::Metrics,
        Scope::Queue,
        Scope::Work,
        Scope::Lead,
        Scope::Reveal,
        Scope::Audit,
        Scope::Chargebacks,
        Scope::Docs,
    ];

    /// Its word in files, headers and errors.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Score => "score",
            Scope::Read => "read",
            Scope::Replay => "replay",
            Scope::Label => "label",
            Scope::Lists => "lists",
            Scope::Policy => "policy",
            Scope::Board => "board",
            Scope::Metrics => "metrics",
            Scope::Queue => "queue",
            Scope::Work => "work",
            Scope::Lead => "lead",
            Scope::Reveal => "reveal",
            Scope::Audit => "audit",
            Scope::Chargebacks => "chargebacks",
            Scope::Docs => "docs",
        }
    }

    /// The scope of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    /// Whether it may be given to everybody: it shows nothing of a payment that the board does not, and changes nothing.
    pub const fn may_be_anonymous(self) -> bool {
        matches!(self, Scope::Board | Scope::Metrics | Scope::Docs)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// No scope.
    pub const NONE: Scopes = Scopes(0);

    /// These scopes.
    pub const fn of(scopes: &[Scope]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < scopes.len() {
            bits |= 1 << scopes[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// Whether the scope is one of them.
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16) != 0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Scopes) -> Scopes {
        Scopes(self.0 | others.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its scopes, in their order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl fmt::Display for Scopes {
    /// The words with spaces between them, as RFC 6750 writes a scope.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a person or a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The authorisation service: it has payments decided, and sees nobody else's.
    Scorer,
    /// Looks, changes nothing.
    Viewer,
    /// Works cases.
    Analyst,
    /// Leads analysts.
    Lead,
    /// Changes what is decided.
    PolicyEditor,
    /// Everything.
    Admin,
}

/// What each role may: the one table.
///
/// A list blocks a card at once and for all its payments, so it takes a lead or an editor; a label takes an analyst.
/// Nobody but the authorisation service and an admin can make a decision come into being.
pub const ROLES: [(&str, Role, Scopes); 6] = {
    use Scope::{
        Audit, Board, Chargebacks, Docs, Label, Lead, Lists, Policy, Queue, Read, Replay, Reveal, Score, Work,
    };
    [
        ("scorer", Role::Scorer, Scopes::of(&[Score, Docs])),
        ("viewer", Role::Viewer, Scopes::of(&[Read, Board, Queue, Docs])),
        ("analyst", Role::Analyst, Scopes::of(&[Read, Replay, Label, Board, Queue, Work, Reveal, Docs])),
        (
            "lead",
            Role::Lead,
            Scopes::of(&[
                Read,
                Replay,
                Label,
                Lists,
                Board,
                Queue,
                Work,
                Lead,
                Reveal,
                Audit,
                Chargebacks,
                Docs,
            ]),
        ),
        ("policy_editor", Role::PolicyEditor, Scopes::of(&[Read, Replay, Lists, Policy, Board, Queue, Docs])),
        ("admin", Role::Admin, Scopes::of(&Scope::ALL)),
    ]
};

impl Role {
    /// The role of a word.
    pub fn parse(word: &str) -> Option<Self> {
        ROLES.into_iter().find(|(name, ..)| *name == word).map(|(_, role, _)| role)
    }

    /// Its word in the keys file.
    pub fn as_str(self) -> &'static str {
        ROLES.into_iter().find(|(_, role, _)| *role == self).map_or("", |(name, ..)| name)
    }

    /// What it may.
    pub fn scopes(self) -> Scopes {
        ROLES.into_iter().find(|(_, role, _)| *role == self).map_or(Scopes::NONE, |(.., scopes)| scopes)
    }

    /// The words, for an error.
    pub fn words() -> String {
        ROLES.map(|(name, ..)| name).join(", ")
    }
}
