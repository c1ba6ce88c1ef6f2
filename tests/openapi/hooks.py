"""What schemathesis cannot know of the REST door: what time it is, and which refusals of good-looking bodies are right.

Why: a document cannot say everything. Each exception stands here with its code and its place, so that another refusal
of the same status is still a failure. Not a place to make failures go away.
"""

import random
import time

import schemathesis
from schemathesis.core.parameters import ParameterLocation

STARTED_MS = int(time.time() * 1000)
DRAW = random.Random(1)
ANYWHERE = "anywhere"

# (operation, code, where): what the document cannot say, and its words do.
REFUSALS_OF_GOOD_DATA = {
    ("score", "late", ""),  # further back than limits.lateness
    ("score", "future", ""),  # further ahead than limits.skew
    ("score", "in_flight", None),
    ("score", "conflict", None),  # the same id with another body: what schemathesis calls a variation
    ("score", "idempotency_mismatch", None),  # the same key with another id, likewise
    ("score", "invalid_format", "/event_time"),  # days that no month has
    ("score", "event_time_out_of_range", "/event_time"),  # 1969, but for its last hours west of Greenwich
    ("score", "too_long", ANYWHERE),  # 256 characters may be more bytes
    ("list", "invalid", "/expires"),  # later than now
    ("label", "invalid", "/label_time"),  # from 1970 on
    ("decisions", "wrong_value", "query:entity"),  # only together with key
    ("decisions", "wrong_value", "query:cursor"),  # only one that we gave
    ("decisions", "wrong_value", "query:from"),  # from 1970 on
    ("decisions", "wrong_value", "query:to"),
    ("alerts", "wrong_value", "query:cursor"),  # only one that we gave
    ("snooze", "invalid", "/until"),  # within 30 days, and days that months have
    ("assign", "invalid", "/to"),  # 64 characters may be more bytes
    ("saveFilter", "invalid", "/query"),  # one that the list takes
    ("saveFilter", "invalid", "/name"),  # 1 to 64 characters, not only blanks
    ("bulk", "invalid", ""),  # JSON Schema takes a version of 3.0 for an integer
    ("chargebacks", "invalid", ""),  # a header line with transaction_id
}


@schemathesis.serializer("text/csv")
def as_csv(context, value):
    return value.encode() if isinstance(value, str) else b""


@schemathesis.hook
def filter_case(context, case):
    """Header fields that nobody asked for are everybody's to add: proxies do, and HTTP says to ignore them."""
    return "x-schemathesis-unknown-property" not in (case.headers or {})


@schemathesis.hook
def before_call(context, case, kwargs):
    """A payment of any year is late or in the future, and of one id only the first is new. So most good ones happen
    now, and most of those have an id of their own: they are decided and recorded."""
    if is_good(case):
        for body in case.body if isinstance(case.body, list) else [case.body]:
            if isinstance(body, dict) and "event_time" in body and DRAW.random() < 0.75:
                body["event_time"] = STARTED_MS
                if DRAW.random() < 0.67:
                    body["transaction_id"] = f"made-{STARTED_MS}-{DRAW.getrandbits(64)}"
                    (case.headers or {}).pop("Idempotency-Key", None)


@schemathesis.check
def refusals_are_the_stated_ones(context, response, case):
    """What stands in for positive_data_acceptance where 400 and 422 are not always wrong."""
    if is_good(case) and response.status_code in (400, 422):
        check_refusal(case, response.json(), case.body)


@schemathesis.check
def each_of_a_batch_has_its_own_outcome(context, response, case):
    """What stands in for both checks of data there: 200 says nothing of the items."""
    if operation_of(case) != "scoreBatch" or response.status_code != 200:
        return
    items = response.json()["items"]
    assert len(items) == len(case.body), "an outcome for each"
    if is_good(case):
        for item, body in zip(items, case.body):
            if item["status"] != 200:
                check_refusal(case, item["problem"], body)
    elif (negated := case.meta.components.get(ParameterLocation.BODY)) and negated.mode.is_negative:
        assert any(item["status"] != 200 for item in items), "a bad item was decided"


def is_good(case):
    return bool(case.meta) and case.meta.generation.mode.is_positive


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


def check_refusal(case, said, body):
    operation = operation_of(case).removesuffix("Batch")
    faults = [(one["code"], one["pointer"]) for one in said.get("errors", [])] or [(said["code"], None)]
    for code, where in faults:
        # JSON Schema takes 5.0 for an integer. The door does not: what was written so has been a float somewhere.
        a_float = code == "wrong_type" and isinstance(body, dict) and isinstance(body.get(where.strip("/")), float)
        stated = {(operation, code, where), (operation, code, ANYWHERE)} & REFUSALS_OF_GOOD_DATA
        assert a_float or stated, f"good data refused: {operation} {code} {where}"


@schemathesis.check
def problems_are_ours(context, response, case):
    """Every refusal has its code, its status and no more than the document says."""
    if response.status_code >= 400:
        said = response.json()
        assert said["status"] == response.status_code and said["type"] == f"/problems/{said['code']}", said
