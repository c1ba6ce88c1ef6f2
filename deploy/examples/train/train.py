#!/usr/bin/env python3
"""Trains LightGBM on what `tripline export-training` wrote, and makes a model directory of it that the service takes.

    tripline export-training --config tripline.toml --from 2026-08-01 --to 2026-11-01 --out training.parquet
    deploy/local/train deploy/examples/train/train.py --training training.parquet \\
        --models models --name cards --version 7

It reads the columns `seen.NAME`: a model is asked with what a decision sees, so that is what it is trained on.

    |------ trained on ------|- stopped by -|-- left out --|--- tested on ---|-- left out --|
                                            \\ label-days /\\   test-days    /\\ label-days /
                                                           ^ begin                         ^ labels end here

The split is by time. A payment without a label counts as honest once it is `--label-days` old, and what is younger is
left out; for training only those labels count that were known when the tested days begin. No class is weighted: scores
stay probabilities, which thresholds and expected losses are about. That frauds are few is met by stopping and judging
by average precision, and by `export-training --sample N --keep-frauds`, whose honest rows are weighted back.

Not a search for the best model: an example that is right in what is easily wrong. Any trainer that ends in ONNX will do.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import lightgbm
import numpy as np
import onnxmltools
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.metrics import average_precision_score, roc_auc_score

SEEN = "seen."
DAY_MS = 86_400_000
# The last part of the training days says when to stop.
STOPPED_BY = 0.2
MOST_TREES = 400
PARAMETERS = {
    "objective": "binary",
    "metric": "average_precision",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
# Golden vectors are the rows whose scores are nearest to these, and as many with undefined values.
GOLDEN_SCORES = [0.0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]


def main():
    args = arguments()
    data = Data.read(args.training, args.label_days)
    train, stop, test = split(data, args)
    for name, rows in [("trained on", train), ("stopped by", stop), ("tested on", test)]:
        print(f"{name:11} {rows.time.size:9,} payments, {int(rows.fraud.sum()):6,} of them frauds")
        if rows.fraud.all() or not rows.fraud.any():
            refuse(f"{args.training}: the days \"{name}\" need frauds and others: export more days, or fewer --test-days")
    booster = fit(data.names, train, stop)
    print(f"{booster.num_trees()} trees")
    graph = to_onnx(booster, len(data.names))
    session = run_by(graph)
    scores = by_onnx(session, test.values)
    apart = float(np.abs(scores - booster.predict(test.values)).max())
    print(f"ONNX Runtime's scores are LightGBM's within {apart:.1e}")
    judge(test, scores, args.a_day)
    takes_missing = bool(np.isnan(train.values).any())
    inputs = golden(test.values, scores, takes_missing)
    made = pack(args, graph, data.names, inputs, by_onnx(session, inputs), takes_missing)
    print(f"made {made}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--training", type=Path, required=True, help="what `tripline export-training` wrote")
    parser.add_argument("--models", type=Path, required=True, help="the folder of models")
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--version", required=True, help="this version of it; the highest is live")
    parser.add_argument("--tripline", default="tripline", help="the program, for `model pack` (default: the PATH's)")
    parser.add_argument("--test-days", type=float, default=14, help="later days to test on (default 14)")
    parser.add_argument("--label-days", type=float, default=10, help="until nearly all labels are known (default 10)")
    parser.add_argument("--a-day", type=int, default=100, help="payments that people look at a day (default 100)")
    return parser.parse_args()


def refuse(why):
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


class Rows:
    """Payments: event times in ms, vectors in 32 bits as the service scores them, verdicts and weights."""

    def __init__(self, time, values, fraud, weight):
        self.time, self.values, self.fraud, self.weight = time, values, fraud, weight


class Data:
    """The whole file."""

    def __init__(self, names, time, values, label, label_time, others_weight, labels_end):
        self.names, self.time, self.values, self.label, self.label_time = names, time, values, label, label_time
        self.others_weight, self.labels_end = others_weight, labels_end

    @staticmethod
    def read(path, label_days):
        table = pq.read_table(path)
        facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if "tripline.features_version" not in facts:
            refuse(f"{path}: not a file of `tripline export-training`")
        names = [name.removeprefix(SEEN) for name in table.column_names if name.startswith(SEEN)]
        columns = [table[SEEN + name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in names]
        # An undefined value is NaN, as it is for the service.
        values = np.column_stack(columns).astype(np.float32)
        time = table["event_time"].cast(pa.int64()).to_numpy()
        label = table["label"].fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
        label_time = table["label_time"].cast(pa.int64()).fill_null(np.iinfo(np.int64).max).to_numpy()
        known = label_time[label_time < np.iinfo(np.int64).max]
        until = int(facts["tripline.labels_until_ms"])
        labels_end = min(until, int(known.max())) if known.size else refuse(f"{path}: it has no label")
        return Data(names, time, values, label, label_time, float(facts["tripline.others_weight"]), labels_end)

    def rows(self, chosen, known_at):
        """Those of the payments, by what was known of them at a time."""
        fraud = self.label[chosen] & (self.label_time[chosen] <= known_at)
        weight = np.where(self.label[chosen], 1.0, self.others_weight)
        return Rows(self.time[chosen], self.values[chosen], fraud, weight)


def split(data, args):
    wait = int(args.label_days * DAY_MS)
    end = data.labels_end - wait
    begin = end - int(args.test_days * DAY_MS)
    earlier = np.sort(data.time[data.time < begin - wait])
    if not earlier.size:
        refuse(f"{args.training}: no payment is older than the tested days and the days before whose labels are awaited")
    turn = earlier[int(earlier.size * (1 - STOPPED_BY))]
    train = data.rows(data.time < turn, begin)
    stop = data.rows((data.time >= turn) & (data.time < begin - wait), begin)
    return train, stop, data.rows((data.time >= begin) & (data.time < end), data.labels_end)


def fit(names, train, stop):
    # LightGBM's own names may hold neither brackets nor quotes, so the features go by their places.
    data = lightgbm.Dataset(train.values, train.fraud, weight=train.weight, params=PARAMETERS)
    until = lightgbm.Dataset(stop.values, stop.fraud, weight=stop.weight, reference=data)
    stopping = lightgbm.early_stopping(30, verbose=False)
    booster = lightgbm.train(PARAMETERS, data, MOST_TREES, valid_sets=[until], callbacks=[stopping])
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    # ONNX has thresholds of 32 bits. Rounded to the nearest, one could pass the value that it stands before; rounded
    # down, inputs of 32 bits fall to the same side of it. The sizes of the trees' texts are no longer true without it.
    text = re.sub(r"(?m)^threshold=(.*)$", lambda line: "threshold=" + " ".join(map(rounded_down, line[1].split())), text)
    return lightgbm.Booster(model_str=re.sub(r"(?m)^tree_sizes=.*\n", "", text))


def rounded_down(threshold):
    exact = float(threshold)
    near = np.float32(exact)
    return repr(float(near if float(near) <= exact else np.nextafter(near, np.float32(-np.inf))))


def to_onnx(booster, width):
    inputs = [("X", FloatTensorType([None, width]))]
    # Without ZipMap the probabilities are a tensor: column 1 of output 1 is that of fraud.
    return onnxmltools.convert_lightgbm(booster, initial_types=inputs, zipmap=False, target_opset=15).SerializeToString()


def run_by(graph):
    options = onnxruntime.SessionOptions()
    # The exporter writes the output `label` as one label, however many rows there are: a warning for each batch.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def by_onnx(session, values):
    return session.run(None, {"X": values.astype(np.float32)})[1][:, 1].astype(np.float64)


def judge(test, scores, a_day):
    """How well the tested days are ranked, and whether the scores are probabilities."""
    precision = average_precision_score(test.fraud, scores, sample_weight=test.weight)
    area = roc_auc_score(test.fraud, scores, sample_weight=test.weight)
    chance = np.average(test.fraud, weights=test.weight)
    print(f"AUC-PR {precision:.4f} (by chance {chance:.4f}), AUC-ROC {area:.4f}")
    looked_at = []
    days = (test.time - test.time.min()) // DAY_MS
    for day in np.unique(days):
        own = np.flatnonzero(days == day)
        looked_at.append(own[np.argsort(-scores[own], kind="stable")[:a_day]])
    looked_at = np.concatenate(looked_at)
    hit = test.fraud[looked_at].mean()
    found = test.fraud[looked_at].sum() / test.fraud.sum()
    print(f"the {a_day} highest of each day: precision {hit:.1%}, with {found:.1%} of all frauds")
    mean = np.average(scores, weights=test.weight)
    print(f"mean score {mean:.4f}, frauds {chance:.4f}")


def golden(values, scores, takes_missing):
    """Rows from all over the range of scores, and where undefined values are taken as many that have some."""
    groups = [np.arange(scores.size)]
    if takes_missing:
        groups.append(np.flatnonzero(np.isnan(values).any(axis=1)))
    else:
        groups = [np.flatnonzero(~np.isnan(values).any(axis=1))]
    nearest = lambda rows: {int(rows[np.abs(scores[rows] - wanted).argmin()]) for wanted in GOLDEN_SCORES}
    return values[sorted(set().union(*(nearest(rows) for rows in groups if rows.size)))]


def pack(args, graph, names, inputs, expected, takes_missing):
    """The model directory by `tripline model pack`, beside its place; it is moved there when the service's scores of
    the golden vectors are ONNX Runtime's: who watches the folder sees it whole or not at all."""
    made = args.models / args.name / args.version
    if made.exists():
        refuse(f"{made} exists already")
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=args.models) as folder:
        folder = Path(folder)
        (folder / "model.onnx").write_bytes(graph)
        (folder / "features.json").write_text(json.dumps(names), encoding="utf-8")
        rows = [[None if np.isnan(value) else float(value) for value in row] for row in inputs]
        (folder / "golden.json").write_text(json.dumps(rows), encoding="utf-8")
        words = [args.tripline, "model", "pack", folder / "model.onnx", "--name", args.name, "--version", args.version]
        words += ["--kind", "trees", "--features", folder / "features.json", "--output", "1", "--column", "1"]
        words += ["--golden", folder / "golden.json", "--out", folder / "out"]
        words += ["--accept-missing"] if takes_missing else []
        if subprocess.run(words, stdout=subprocess.DEVNULL).returncode != 0:
            refuse("`tripline model pack` refused the model, see above")
        packed = folder / "out" / args.name / args.version
        manifest = tomllib.loads((packed / "manifest.toml").read_text(encoding="utf-8"))
        apart = max(abs(one["score"] - score) for one, score in zip(manifest["golden"], expected, strict=True))
        print(f"{len(expected)} golden vectors: the service's scores are ONNX Runtime's within {apart:.1e}")
        if apart > manifest["golden_tolerance"]:
            refuse(f"that is more than {manifest['golden_tolerance']:.0e}")
        packed.rename(made)
    return made


if __name__ == "__main__":
    main()
