-- The queue's tables: one text for SQLite and Postgres. Times are milliseconds since 1970 UTC, flags 0 or 1, money minor
-- units. KEYTEXT stands for a text that is compared byte by byte (in Postgres: COLLATE "C"), so that a range is a prefix.

CREATE TABLE alerts (
    alert_id            KEYTEXT PRIMARY KEY,
    version             BIGINT NOT NULL,
    entity              TEXT NOT NULL,
    entity_key          KEYTEXT NOT NULL,
    rule                TEXT NOT NULL,
    state               TEXT NOT NULL CHECK (state IN ('open', 'snoozed', 'proposed', 'resolved')),
    escalated           BIGINT NOT NULL DEFAULT 0,
    assignee            TEXT,
    holder              TEXT,
    lease_until         BIGINT NOT NULL DEFAULT 0,
    snoozed_until       BIGINT,
    opened_at           BIGINT NOT NULL,
    due_at              BIGINT NOT NULL,
    changed_at          BIGINT NOT NULL,
    hits                BIGINT NOT NULL,
    amount_minor        BIGINT NOT NULL,
    currency            TEXT NOT NULL,
    expected_loss_minor BIGINT NOT NULL,
    rank_key            DOUBLE PRECISION NOT NULL,
    score               DOUBLE PRECISION,
    verdict             TEXT NOT NULL,
    hold                BIGINT NOT NULL,
    why                 TEXT NOT NULL,
    disposition         TEXT,
    reason              TEXT,
    block               BIGINT NOT NULL DEFAULT 0,
    resolved_by         TEXT,
    resolved_at         BIGINT,
    action_id           TEXT,
    undo_until          BIGINT
);
CREATE UNIQUE INDEX alerts_one_open ON alerts (entity, entity_key, rule) WHERE state <> 'resolved';
CREATE INDEX alerts_by_rank ON alerts (rank_key DESC, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_rule ON alerts (rule, rank_key DESC, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_age ON alerts (opened_at, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_amount ON alerts (amount_minor DESC, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_due ON alerts (due_at, alert_id) WHERE state = 'open';
CREATE INDEX alerts_escalated ON alerts (rank_key DESC, alert_id) WHERE state = 'open' AND escalated = 1;
CREATE INDEX alerts_held ON alerts (holder, rank_key DESC, alert_id) WHERE state = 'open' AND holder IS NOT NULL;
CREATE INDEX alerts_assigned ON alerts (assignee, rank_key DESC, alert_id) WHERE state = 'open' AND assignee IS NOT NULL;
CREATE INDEX alerts_snoozed ON alerts (snoozed_until, alert_id) WHERE state = 'snoozed';
CREATE INDEX alerts_proposed ON alerts (rank_key DESC, alert_id) WHERE state = 'proposed';
CREATE INDEX alerts_resolved ON alerts (resolved_at DESC, alert_id) WHERE state = 'resolved';
CREATE INDEX alerts_changed ON alerts (changed_at, alert_id);

-- One for each record of the alerts topic.
CREATE TABLE hits (
    hit_id              KEYTEXT PRIMARY KEY,
    alert_id            TEXT NOT NULL REFERENCES alerts (alert_id),
    decision_id         KEYTEXT NOT NULL,
    transaction_id      KEYTEXT NOT NULL,
    event_at            BIGINT NOT NULL,
    raised_at           BIGINT NOT NULL,
    verdict             TEXT NOT NULL,
    hold                BIGINT NOT NULL,
    score               DOUBLE PRECISION,
    amount_minor        BIGINT NOT NULL,
    currency            TEXT NOT NULL,
    expected_loss_minor BIGINT NOT NULL,
    why                 TEXT NOT NULL,
    reasons             TEXT NOT NULL,
    model               TEXT,
    policy              TEXT NOT NULL
);
CREATE INDEX hits_of_alert ON hits (alert_id, raised_at DESC, hit_id);
CREATE INDEX hits_by_decision ON hits (decision_id);
CREATE INDEX hits_by_transaction ON hits (transaction_id);
CREATE INDEX hits_by_event ON hits (event_at);

CREATE TABLE hit_entities (
    hit_id     TEXT NOT NULL REFERENCES hits (hit_id),
    entity     TEXT NOT NULL,
    entity_key KEYTEXT NOT NULL,
    raised_at  BIGINT NOT NULL,
    PRIMARY KEY (hit_id, entity)
);
CREATE INDEX hit_entities_by_key ON hit_entities (entity_key, entity, raised_at DESC);

CREATE TABLE labels (
    transaction_id KEYTEXT PRIMARY KEY,
    fraud          BIGINT NOT NULL,
    label_at       BIGINT NOT NULL,
    source         TEXT NOT NULL
);

CREATE TABLE notes (
    alert_id TEXT NOT NULL REFERENCES alerts (alert_id),
    seq      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    author   TEXT NOT NULL,
    text     TEXT NOT NULL,
    PRIMARY KEY (alert_id, seq)
);

CREATE TABLE drafts (
    alert_id TEXT NOT NULL,
    author   TEXT NOT NULL,
    text     TEXT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (alert_id, author)
);

CREATE TABLE filters (
    owner TEXT NOT NULL,
    name  TEXT NOT NULL,
    query TEXT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- What can be taken back. `before` is what the analysts' part of the row was, JSON.
CREATE TABLE actions (
    action_id  TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    undo_until BIGINT NOT NULL,
    undone_at  BIGINT
);
CREATE TABLE action_alerts (
    action_id TEXT NOT NULL REFERENCES actions (action_id),
    alert_id  TEXT NOT NULL,
    before    TEXT NOT NULL,
    PRIMARY KEY (action_id, alert_id)
);

-- What follows an action, to be carried out when it cannot be taken back any more.
CREATE TABLE outbox (
    seq            BIGINT PRIMARY KEY,
    action_id      TEXT NOT NULL,
    alert_id       TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('label', 'block')),
    transaction_id TEXT,
    body           TEXT NOT NULL,
    leaves_at      BIGINT NOT NULL,
    -- 1 from when a sender has taken it: it may be out, so it cannot be taken back.
    leaving        BIGINT NOT NULL DEFAULT 0,
    sent_at        BIGINT,
    applied_at     BIGINT
);
CREATE INDEX outbox_waiting ON outbox (leaves_at, seq) WHERE sent_at IS NULL;
CREATE INDEX outbox_of_action ON outbox (action_id);
CREATE INDEX outbox_of_alert ON outbox (alert_id);
CREATE INDEX outbox_of_transaction ON outbox (transaction_id) WHERE kind = 'label';

CREATE TABLE offsets (
    topic TEXT NOT NULL,
    part  BIGINT NOT NULL,
    next  BIGINT NOT NULL,
    PRIMARY KEY (topic, part)
);

CREATE TABLE audit (
    seq         BIGINT PRIMARY KEY,
    at          BIGINT NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    before_hash TEXT NOT NULL,
    hash        TEXT NOT NULL
);
CREATE INDEX audit_by_object ON audit (object, seq DESC);
CREATE INDEX audit_by_actor ON audit (actor, seq DESC);

-- One row: the end of the log, and the next number of the outbox. Whoever writes an action locks it, last of all locks.
CREATE TABLE audit_head (
    id          BIGINT PRIMARY KEY CHECK (id = 1),
    seq         BIGINT NOT NULL,
    hash        TEXT NOT NULL,
    outbox_next BIGINT NOT NULL
);
INSERT INTO audit_head (id, seq, hash, outbox_next)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000', 1);

CREATE TABLE accounts (
    name         TEXT PRIMARY KEY,
    password     TEXT NOT NULL,
    roles        TEXT NOT NULL,
    disabled     BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    failures     BIGINT NOT NULL DEFAULT 0,
    locked_until BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    subject    TEXT NOT NULL,
    -- Roles that somebody else vouched for; NULL for an account, whose roles are those of now.
    roles      TEXT,
    seen_at    BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (ends_at);
CREATE INDEX sessions_of_subject ON sessions (subject);
