-- What an alert is worth in queue.currency: lists are ordered and filtered by it. Of alerts that were resolved before, the
-- loss is not known so; the others are computed anew by the service at its next start.
ALTER TABLE alerts ADD COLUMN amount_value_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN loss_value_minor BIGINT;
-- What of its amount was held or declined, in its own currency.
ALTER TABLE alerts ADD COLUMN stopped_minor BIGINT NOT NULL DEFAULT 0;
DROP INDEX alerts_by_amount;
DROP INDEX alerts_by_rule_and_amount;
CREATE INDEX alerts_by_amount ON alerts (amount_value_minor DESC, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_rule_and_amount ON alerts (rule, amount_value_minor DESC, alert_id) WHERE state = 'open';

-- By which rules rank and values were computed, as a hash of them. Others than those of now, and they are computed anew.
ALTER TABLE alerts ADD COLUMN ranked_by TEXT NOT NULL DEFAULT '';

-- Of resolved ones once, as far as no rate is needed.
UPDATE alerts SET stopped_minor = COALESCE((SELECT CAST(SUM(h.amount_minor) AS BIGINT) FROM hits h
    WHERE h.alert_id = alerts.alert_id AND h.currency = alerts.currency AND (h.hold = 1 OR h.verdict = 'decline')), 0)
WHERE state = 'resolved';

-- Somebody's and the leads' at once was nobody's: claim-next gave it to neither. So was what somebody had been given who
-- does not work alerts, or does not come any more.
UPDATE alerts SET assignee = NULL, version = version + 1, action_id = NULL, undo_until = NULL
WHERE assignee IS NOT NULL AND state <> 'resolved' AND (escalated = 1 OR assignee IN (SELECT name FROM accounts
    WHERE disabled = 1 OR (' ' || roles || ' ' NOT LIKE '% analyst %' AND ' ' || roles || ' ' NOT LIKE '% lead %'
        AND ' ' || roles || ' ' NOT LIKE '% admin %')));
