#!/usr/bin/env python3
"""Every feature of every payment by event time, on Spark: a features file's SQL over Parquet folders.

    spark-submit deploy/spark/features.py FEATURES.sql PAYMENTS LABELS OUT

FEATURES.sql is what Tripline writes for Spark; its first lines name the columns of PAYMENTS and LABELS. OUT is a folder
of Parquet that must not exist yet. Master, memory and shuffle partitions are spark-submit's, not this job's.
"""

import sys

from pyspark.sql import SparkSession


def main(script, payments, labels, out):
    spark = SparkSession.builder.appName("tripline features").getOrCreate()
    try:
        spark.read.parquet(payments).createOrReplaceTempView("payments")
        spark.read.parquet(labels).createOrReplaceTempView("labels")
        with open(script, encoding="utf-8") as text:
            spark.sql(text.read()).write.parquet(out)
    finally:
        spark.stop()


if len(sys.argv) != 5:
    sys.exit("usage: features.py FEATURES.sql PAYMENTS LABELS OUT")
main(*sys.argv[1:])
