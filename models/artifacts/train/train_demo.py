"""Trains the demo's model: a logistic regression on the logarithms of the features that `tripline replay` wrote.

    tripline replay --config deploy/examples/demo/tripline.toml --payments payments.parquet \
        --labels labels.parquet --out features.parquet
    python3 -m venv .venv && .venv/bin/pip install -r models/artifacts/train/requirements.txt
    .venv/bin/python models/artifacts/train/train_demo.py --features features.parquet --labels labels.parquet \
        --out models/artifacts/demo/1

The values are the service's own, as of each payment, so training sees what serving will see. Standardisation is
folded into the coefficients, and the graph is four operators that every runtime knows:

    X [N, features] -> Mul (shares to per cent) -> Add 1 -> Log -> Gemm -> Sigmoid -> probability [N, 1]

Begin the payments at a cold start: a model that has never seen an empty store takes every card of the first weeks
for a thief's. Not a general trainer: undefined and negative features are refused.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

# The columns of replay's output that are not features.
NOT_FEATURES = {"transaction_id", "event_time", "outcome", "reason", "score", "decision", "model", "policy"}
DAY_MS = 86_400_000
# Honest payments beyond this many are sampled and weighted: frauds are the scarce ones.
MOST_HONEST = 400_000
SEED = 20_180_725
# The graph computes in 32 bits; the golden scores are of 64.
GOLDEN_TOLERANCE = 1e-5
# Golden vectors are the rows whose scores are nearest to these.
GOLDEN_SCORES = [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.6, 0.9, 1.0]
THRESHOLDS = [0.3, 0.6, 0.9]


def main():
    args = arguments()
    names, values, times, ids = read_features(args.features)
    fraud, newest_label = read_labels(args.labels, ids)
    train, test = split(times, newest_label, args)
    if not (fraud[train].any() and fraud[test].any() and not fraud[train].all() and not fraud[test].all()):
        refuse("both periods need frauds and honest payments: give more days, or another --test-days")
    shares = share_scale(values[train])
    weights, bias = fit(np.log1p(values[train] * shares), fraud[train])
    model = (shares.astype(np.float32), weights.astype(np.float32), np.float32(bias))
    scores = score(model, values)
    report(fraud, scores, train, test)
    write(args, names, model, golden(values[test], scores[test]))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--features", type=Path, required=True, help="what `tripline replay --out` wrote")
    parser.add_argument(
        "--labels", type=Path, required=True, help="Parquet: transaction_id, label (0 or 1), perhaps label_time"
    )
    parser.add_argument("--out", type=Path, required=True, help="the model's directory, NAME/VERSION")
    parser.add_argument("--test-days", type=float, default=20, help="the last days are held out (default 20)")
    parser.add_argument(
        "--label-days", type=float, default=10, help="days until nearly all labels are known (default 10)"
    )
    return parser.parse_args()


def refuse(why):
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


def read_features(path):
    """Names, a matrix of doubles, event times in ms and ids of the decided payments, in the order of the file."""
    table = pq.read_table(path)
    if "outcome" in table.column_names:
        table = table.filter(pc.equal(table["outcome"], "decided"))
    names = [name for name in table.column_names if name not in NOT_FEATURES]
    values = np.column_stack([column(table, name) for name in names])
    for name, low in zip(names, values.min(axis=0)):
        if not low >= 0:
            refuse(f"{path}: {name} has undefined or negative values: say `empty = 0` in the features file")
    times = table["event_time"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_numpy()
    return names, values, times, table["transaction_id"].cast(pa.string())


def column(table, name):
    return table[name].cast(pa.float64()).to_numpy(zero_copy_only=False)


def read_labels(path, ids):
    """Which payments are fraud, by the last word on each (no word: honest), and when the last word came."""
    table = pq.read_table(path)
    newest = None
    if "label_time" in table.column_names:
        table = table.sort_by("label_time")
        newest = pc.max(table["label_time"].cast(pa.timestamp("ms", "UTC")).cast(pa.int64())).as_py()
    last = dict(zip(table["transaction_id"].cast(pa.string()).to_pylist(), table["label"].to_pylist()))
    return np.array([bool(last.get(identity, 0)) for identity in ids.to_pylist()]), newest


def split(times, newest_label, args):
    """The earlier and the later payments. Between them lie the days whose labels a training on the eve of the
    later period would not have had; behind them those whose labels are not all known yet."""
    wait = int(args.label_days * DAY_MS)
    end = int(times.max())
    if newest_label is not None:
        end = min(end, newest_label - wait)
    begin = end - int(args.test_days * DAY_MS)
    return times < begin - wait, (times >= begin) & (times <= end)


def share_scale(values):
    """100 for shares, whose logarithm would else be a straight line, and 1 for all others."""
    fractions = (values != np.rint(values)).any(axis=0) & (values.max(axis=0) <= 1)
    return np.where(fractions, 100.0, 1.0)


def fit(logs, fraud):
    """Coefficients and intercept for the logarithms as they are: the standardisation is folded in."""
    honest = np.flatnonzero(~fraud)
    picked = honest
    if len(honest) > MOST_HONEST:
        picked = np.random.default_rng(SEED).choice(honest, MOST_HONEST, replace=False)
    rows = np.sort(np.concatenate([np.flatnonzero(fraud), picked]))
    sample = logs[rows]
    centre, spread = sample.mean(axis=0), sample.std(axis=0)
    spread[spread == 0] = 1
    regression = LogisticRegression(C=1.0, max_iter=1_000)
    weight = np.where(fraud[rows], 1.0, len(honest) / len(picked))
    regression.fit((sample - centre) / spread, fraud[rows], sample_weight=weight)
    weights = regression.coef_[0] / spread
    return weights, regression.intercept_[0] - weights @ centre


def score(model, values):
    """What the graph computes, on inputs of 32 bits but in 64."""
    shares, weights, bias = (part.astype(np.float64) for part in model)
    inputs = values.astype(np.float32).astype(np.float64)
    return 1 / (1 + np.exp(-(np.log1p(inputs * shares) @ weights + bias)))


def report(fraud, scores, train, test):
    print(f"trained on {train.sum():,} payments ({fraud[train].sum():,} frauds)")
    print(f"held out   {test.sum():,} later payments ({fraud[test].sum():,} frauds)")
    truth, held_out = fraud[test], scores[test]
    print(f"AUC {roc_auc_score(truth, held_out):.4f}, average precision", end=" ")
    print(f"{average_precision_score(truth, held_out):.4f}")
    print("score at least   payments   of these fraud   of all frauds")
    for threshold in THRESHOLDS:
        hit = held_out >= threshold
        precision = truth[hit].mean() if hit.any() else 0.0
        recall = (hit & truth).sum() / truth.sum()
        print(f"{threshold:14.1f} {hit.mean():10.2%} {precision:16.1%} {recall:15.1%}")


def golden(values, scores):
    """Rows from all over the range of scores, and the vector of zeros."""
    rows = sorted({int(np.abs(scores - wanted).argmin()) for wanted in GOLDEN_SCORES}, key=lambda row: scores[row])
    return np.vstack([np.zeros((1, values.shape[1])), values[rows]]).astype(np.float32).astype(np.float64)


def graph(width, model):
    shares, weights, bias = model
    constants = {
        "scale": shares.reshape(1, width),
        "one": np.ones((1, 1), np.float32),
        "weights": weights.reshape(width, 1),
        "bias": bias.reshape(1),
    }
    nodes = [
        helper.make_node("Mul", ["X", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "one"], ["from_one"]),
        helper.make_node("Log", ["from_one"], ["logs"]),
        helper.make_node("Gemm", ["logs", "weights", "bias"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
    ]
    made = helper.make_graph(
        nodes,
        "demo",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(made, producer_name="train_demo", opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()


def write(args, names, model, inputs):
    """model.onnx, and the manifest that says what it reads and gives."""
    content = graph(len(names), model)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "model.onnx").write_bytes(content)
    lines = [
        "# What this model reads and gives. Written by models/artifacts/train/train_demo.py; checked on every load.",
        f'name = "{args.out.resolve().parent.name}"',
        f'version = "{args.out.resolve().name}"',
        'kind = "linear"',
        'missing = "refuse"',
        "output = { index = 0, column = 0 }",
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
        f"golden_tolerance = {GOLDEN_TOLERANCE!r}",
        "features = [",
        *(f'    "{name}",' for name in names),
        "]",
    ]
    for row, expected in zip(inputs, score(model, inputs)):
        numbers = ", ".join(repr(float(value)) for value in row)
        lines += ["", "[[golden]]", f"inputs = [{numbers}]", f"score = {float(expected)!r}"]
    (args.out / "manifest.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {args.out}/model.onnx and manifest.toml with {len(inputs)} golden vectors")


if __name__ == "__main__":
    main()
