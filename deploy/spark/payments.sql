-- The table `payments` of FEATURES.sql, made of `applied`: archived payments in the columns of the demo's schema
-- (schemas/avro/transaction.avsc) under the names of deploy/examples/demo/tripline.toml. For reconcile.py; another
-- schema or mapping needs another text, by what the first lines of FEATURES.sql ask for.
SELECT transaction_id, UNIX_MILLIS(event_time) AS event_time_ms, amount_minor, ord,
  card_id AS card, device_id AS device, merchant_id AS merchant,
  card_id AS card_field, channel, device_id AS device_field, merchant_id AS merchant_field
FROM applied
