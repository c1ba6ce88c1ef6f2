# The two commands a newcomer needs, `make demo` and `make test`, and four more.
# One profile, --release, everywhere: nothing is built twice. Not a build system: that is cargo.
.PHONY: help demo test test-fast test-spark fmt

help:
	@echo 'make demo        all of Tripline in one process; ARGS="--for 60s" passes options on'
	@echo 'make test        every check, with a real Kafka, schema registry, Postgres and Chromium, which it starts and stops itself'
	@echo 'make test-fast   the checks that need no server'
	@echo 'make test-spark  the features file as Spark SQL, in a real Spark: 450 MB to fetch, once'
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

fmt:
	cargo fmt --all
