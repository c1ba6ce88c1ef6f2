-- What an alert is worth in queue.currency: lists are ordered and filtered by it. Of alerts that were resolved before, the
-- loss is not known so; the others are computed anew when the queue is opened next.
ALTER TABLE alerts ADD COLUMN amount_value_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN loss_value_minor BIGINT;
-- What of its amount was held or declined, in its own currency.
ALTER TABLE alerts ADD COLUMN stopped_minor BIGINT NOT NULL DEFAULT 0;
DROP INDEX alerts_by_amount;
DROP INDEX alerts_by_rule_and_amount;
CREATE INDEX alerts_by_amount ON alerts (amount_value_minor DESC, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_rule_and_amount ON alerts (rule, amount_value_minor DESC, alert_id) WHERE state = 'open';

-- One row: the rules by which ranks and values were computed. Others than those of now, and they are computed anew.
CREATE TABLE ranked (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    terms TEXT NOT NULL
);
INSERT INTO ranked (id, terms) VALUES (1, '');

-- Somebody's and the leads' at once was nobody's: claim-next gave it to neither.
UPDATE alerts SET assignee = NULL, version = version + 1
WHERE escalated = 1 AND assignee IS NOT NULL AND state <> 'resolved';
