# The two commands a newcomer needs, `make demo` and `make test`, and five more.
# One profile, --release, everywhere: nothing is built twice. Not a build system: that is cargo.
.PHONY: help demo test test-fast test-spark bench-pages fmt

help:
	@echo 'make demo        all of Tripline in one process; ARGS="--for 60s" passes options on'
	@echo 'make test        every check, with a real Kafka, schema registry, Postgres and Chromium, which it starts and stops itself'
	@echo 'make test-fast   the checks that need no server'
	@echo 'make test-spark  the features file as Spark SQL, in a real Spark: 450 MB to fetch, once'
	@echo 'make bench-pages how long pages take in Chromium over 1.1 million alerts, on SQLite and on Postgres'
	@echo 'make fmt         formats the code'

demo:
	@deploy/install demo
	cargo build --release --locked -p tripline
	@exec "$${CARGO_TARGET_DIR:-target}/release/tripline" demo $(ARGS)

test:
	@exec deploy/test

test-fast:
	@exec deploy/test fast

test-spark:
	@exec deploy/test-spark

bench-pages:
	@deploy/install test
	cargo build --release --locked --workspace --all-targets
	cargo test --release --locked --workspace --test suite -- --ignored --nocapture --test-threads 1 bench_pages

fmt:
	cargo fmt --all
