-- A list of one rule's alerts comes out of an index in each of its orders.
CREATE INDEX alerts_by_rule_and_age ON alerts (rule, opened_at, alert_id) WHERE state = 'open';
CREATE INDEX alerts_by_rule_and_amount ON alerts (rule, amount_minor DESC, alert_id) WHERE state = 'open';
CREATE INDEX alerts_resolved_by_rule ON alerts (rule, resolved_at DESC, alert_id) WHERE state = 'resolved';
