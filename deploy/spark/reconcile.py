#!/usr/bin/env python3
"""Every feature of every archived decision against what event time has, on Spark: findings as `tripline reconcile` has them.

    spark-submit deploy/spark/reconcile.py FEATURES.sql PAYMENTS.sql ARCHIVE OUT [NAME=TOPIC ...]

FEATURES.sql is `tripline features sql --dialect spark`. PAYMENTS.sql is one SELECT that makes its table `payments` of
`applied`: the payments of the archive in the user's own columns, those that were applied, each once, with an `ord`
(payments.sql beside this file is that of the demo's schema). ARCHIVE is the archive's address. OUT is a folder of JSON
lines that must not exist yet: `cat OUT/part-*` is a findings.jsonl of the check `features_by_event_time`. NAME=TOPIC says
what a topic is called where it is not called so: transactions, labels, decisions, dead-letters.

What Spark can know of a difference, by the same words:
    late, in_flight, label_after, early_label    an event of the feature's own entity that the decision had not seen
    approximate, fallback, features_changed      what the decision says of itself
    unexplained                                  none of these; also a label whose payment had been forgotten
It compares by event time alone: a decision that differs as of the log, a score, a policy, an alert and what is missing are
found by `tripline reconcile` and not here. So `unexplained` may also be a value that somebody changed. Payments of
one entity with the very same millisecond are taken in the order of partition and offset, which is that of
their application only where they share a partition.
"""

import re
import sys

from pyspark.sql import SparkSession

TOPICS = {name: name for name in ("transactions", "labels", "decisions", "dead-letters")}

# Those that were applied: each record that was decided, and those of which nothing is known.
APPLIED = """
SELECT t.*, CAST(t._partition AS BIGINT) * 1099511627776 + t._offset AS ord
FROM archived_transactions t
LEFT JOIN decided AS here ON here.source_partition = t._partition AND here.source_offset = t._offset
LEFT JOIN decided AS other ON other.transaction_id = t.transaction_id
LEFT JOIN dead ON dead.partition = t._partition AND dead.offset = t._offset
WHERE NOT t._undecodable AND dead.offset IS NULL AND (here.transaction_id IS NOT NULL OR other.transaction_id IS NULL)
"""

# A decision that was written again after a crash counts once.
DECIDED = """
SELECT * FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY transaction_id ORDER BY source_partition, source_offset, _partition, _offset)
    AS time_written
  FROM archived_decisions WHERE NOT _undecodable
) WHERE time_written = 1
"""

# One row for each entity of a decision: where it stands among the entity's events, and which of them it saw. The keys are
# the payments' own: a decision has some of them masked.
SEEN = """
SELECT one.transaction_id, event_time_ms, labels_until, one.seen.entity, keys.key, one.seen.pending,
  IF(one.seen.applied = 0, one.seen.version, one.seen.applied) AS applied,
  CASE WHEN one.seen.version = 0 THEN one.seen.applied - 1
       ELSE one.seen.version - 1 - IF(one.seen.applied = 0, 0, SIZE(one.seen.pending)) END AS state
FROM (
  SELECT transaction_id, UNIX_MILLIS(event_time) AS event_time_ms, labels_until, EXPLODE(entities) AS seen FROM decided
) one
JOIN keys ON keys.transaction_id = one.transaction_id AND keys.entity = one.seen.entity
WHERE one.seen.version > 0 OR one.seen.applied > 0
"""

# Why a decision may differ, by entity; only those are looked at that do.
CAUSES = """
SELECT transaction_id, entity,
  BOOL_OR(q_ms < p_ms AND q_applied > p_applied AND NOT told) AS late,
  BOOL_OR((q_applied > p_state AND q_applied < p_applied AND NOT told)
    OR (q_ms = p_ms AND q_applied > p_applied AND told)) AS in_flight,
  BOOL_OR(offset >= labels_until AND q_applied <= p_state) AS label_after,
  BOOL_OR(offset IS NOT NULL AND (q_applied = p_applied OR (told AND q_applied > p_state))) AS early_label
FROM (
  SELECT p.transaction_id, p.entity, p.event_time_ms AS p_ms, q.event_time_ms AS q_ms, p.applied AS p_applied,
    q.applied AS q_applied, p.state AS p_state, COALESCE(ARRAY_CONTAINS(p.pending, q.transaction_id), false) AS told,
    l.offset, GET(p.labels_until, CAST(l.partition AS INT)) AS labels_until
  FROM seen p
  LEFT SEMI JOIN differing ON differing.transaction_id = p.transaction_id
  JOIN seen q ON q.entity = p.entity AND q.key = p.key AND q.event_time_ms <= p.event_time_ms
  LEFT JOIN said l ON l.transaction_id = q.transaction_id AND l.label_time_ms <= p.event_time_ms
)
GROUP BY transaction_id, entity
"""

FINDINGS = """
SELECT TO_JSON(NAMED_STRUCT(
  'check', IF(class IN ('approximate', 'fallback', 'features_changed'), 'features_as_of_log', 'features_by_event_time'),
  'class', class, 'transaction_id', transaction_id,
  'source', ARRAY(CAST(source_partition AS BIGINT), source_offset), 'event_time_ms', UNIX_MILLIS(event_time),
  'field', field, 'recorded', recorded, 'computed', computed, 'amount_minor', amount_minor, 'currency', currency,
  'key', IF(SIZE(entities) > 0, ARRAY(GET(entities, 0).entity, GET(entities, 0).key), NULL)
), MAP('ignoreNullFields', 'false')) AS value
FROM (
  SELECT d.*, f.field, IF(f.is_real, COALESCE(REAL_TEXT(f.recorded_real), 'undefined'), f.recorded) AS recorded,
    IF(f.is_real, COALESCE(REAL_TEXT(f.computed_real), 'undefined'), f.computed) AS computed,
    CASE WHEN f.class IS NOT NULL THEN f.class
         WHEN d.approximate THEN 'approximate'
         WHEN c.late THEN 'late'
         WHEN c.in_flight THEN 'in_flight'
         WHEN f.by_labels AND c.label_after THEN 'label_after'
         WHEN f.by_labels AND c.early_label THEN 'early_label'
         ELSE 'unexplained' END AS class
  FROM found f
  JOIN decided d ON d.transaction_id = f.transaction_id
  LEFT JOIN causes c ON c.transaction_id = f.transaction_id AND c.entity = f.entity
)
"""


# The column of an entity's keys in the table of payments.
ENTITY = re.compile(r"(?m)^--   (`.*`)  text  key of the entity (\S+), null where")


class Feature:
    """A column of the answer: its name in SQL, its type, its entity, and whether it looks at labels."""

    LINE = re.compile(r"^--   (`.*`)  (bigint|double|boolean)  of the (?:payment itself|entity (\S+)( and its labels)?)$")

    def __init__(self, line):
        self.column, self.kind, self.entity, labels = line.groups()
        self.by_labels = labels is not None

    def recorded(self, place):
        """What a decision says, as a column of the answer's type."""
        return f"GET(d.features, {place}).value.`{'long' if self.kind == 'bigint' else self.kind}`"

    def said(self, name, value):
        """Fields of a finding: the text that it has, or a real of which the text is made once it is known to differ."""
        text = f"CAST({value} AS STRING)" if self.kind != "double" else "CAST(NULL AS STRING)"
        real = value if self.kind == "double" else "CAST(NULL AS DOUBLE)"
        return f"'{name}', COALESCE({text}, 'undefined'), '{name}_real', {real}"


def real_text(value):
    """As the service writes a real. Spark's own formatting rounds what Java prints of it, and not the number."""
    return None if value is None else f"{value:.4f}"


def found(features, version):
    """Every value that differs, and each decision that cannot be compared."""
    rows = []
    for place, feature in enumerate(features):
        recorded, computed = feature.recorded(place), f"f.{feature.column}"
        rows.append(
            f"IF({recorded} <=> {computed}, NULL, NAMED_STRUCT('field', GET(d.features, {place}).name, "
            f"{feature.said('recorded', recorded)}, {feature.said('computed', computed)}, "
            f"'is_real', {str(feature.kind == 'double').lower()}, 'entity', {quoted(feature.entity)}, "
            f"'by_labels', {str(feature.by_labels).lower()}))"
        )
    some = " OR ".join(f"{feature.recorded(place)} IS NOT NULL" for place, feature in enumerate(features))
    whole = " OR ".join(f"f.{feature.column} IS NOT NULL" for feature in features)
    # The last two are said once for a decision, whatever its values.
    no_reals = "CAST(NULL AS DOUBLE)"
    return f"""
    SELECT transaction_id, one.*, CAST(NULL AS STRING) AS class
    FROM (
      SELECT d.transaction_id, EXPLODE(FILTER(ARRAY({", ".join(rows)}), one -> one IS NOT NULL)) AS one
      FROM decided d JOIN features f ON f.transaction_id = d.transaction_id
      WHERE d.features_version = '{version}' AND NOT (d.fallback IS NOT NULL AND NOT ({some}) AND ({whole}))
    )
    UNION ALL
    SELECT d.transaction_id, 'features_version', d.features_version, {no_reals}, '{version}', {no_reals},
      false, NULL, false, 'features_changed'
    FROM decided d WHERE d.features_version <> '{version}'
    UNION ALL
    SELECT d.transaction_id, 'features', d.fallback, {no_reals}, '', {no_reals}, false, NULL, false, 'fallback'
    FROM decided d JOIN features f ON f.transaction_id = d.transaction_id
    WHERE d.features_version = '{version}' AND d.fallback IS NOT NULL AND NOT ({some}) AND ({whole})
    """


def quoted(word):
    return "CAST(NULL AS STRING)" if word is None else f"'{word}'"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main(script, payments, archive, out, *topics):
    named = TOPICS | dict(word.split("=", 1) for word in topics)
    script = read(script)
    answer = script.split("-- Gives ", 1)[1].splitlines()
    features = [Feature(line) for line in map(Feature.LINE.match, answer) if line]
    version = re.search(r"(?m)^-- Written by Tripline from the features file of version (\w+)\.$", script)[1]
    spark = SparkSession.builder.appName("tripline reconcile").getOrCreate()
    try:
        def view(name, query):
            spark.sql(query).createOrReplaceTempView(name)

        for name, topic in named.items():
            try:
                files = spark.read.option("mergeSchema", "true").parquet(f"{archive}/{topic}")
            except Exception as error:
                # A topic that never had a record has no folder.
                if name != "dead-letters" or "PATH_NOT_FOUND" not in str(error):
                    raise
                files = spark.sql("SELECT '' AS topic, 0 AS partition, 0L AS offset, true AS _undecodable WHERE false")
            files.createOrReplaceTempView(f"archived_{name.replace('-', '_')}")
        view("decided", DECIDED)
        transactions = named["transactions"].replace("'", "")
        view("dead", "SELECT DISTINCT partition, offset FROM archived_dead_letters "
                     f"WHERE NOT _undecodable AND topic = '{transactions}'")
        view("labels", "SELECT transaction_id, fraud, UNIX_MILLIS(label_time) AS label_time_ms, source "
                       "FROM archived_labels WHERE NOT _undecodable")
        view("said", "SELECT transaction_id, UNIX_MILLIS(label_time) AS label_time_ms, _partition AS partition, "
                     "_offset AS offset FROM archived_labels WHERE NOT _undecodable")
        view("applied", APPLIED)
        view("payments", read(payments))
        view("features", script)
        own = [
            f"SELECT transaction_id, {quoted(entity)} AS entity, {column} AS key FROM payments WHERE {column} IS NOT NULL"
            for column, entity in ENTITY.findall(script)
        ]
        view("keys", " UNION ALL ".join(own))
        view("seen", SEEN)
        spark.udf.register("REAL_TEXT", real_text)
        # Used twice, and dear.
        spark.sql(found(features, version)).cache().createOrReplaceTempView("found")
        view("differing", "SELECT DISTINCT transaction_id FROM found WHERE entity IS NOT NULL")
        view("causes", CAUSES)
        spark.sql(FINDINGS).write.text(out)
    finally:
        spark.stop()


if __name__ == "__main__":
    if len(sys.argv) < 5 or not all("=" in word for word in sys.argv[5:]):
        sys.exit("usage: reconcile.py FEATURES.sql PAYMENTS.sql ARCHIVE OUT [NAME=TOPIC ...]")
    main(*sys.argv[1:])
