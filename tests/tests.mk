# Tests of the whole program beside real clients and Apache Kafka; included by the Makefile.
# They install what they need into $BARNABAS_CACHE (default ~/.cache/barnabas-tests).

.PHONY: robustness interop interop-short interop-apache bench bench-short crash crash-short kafkadisk

CONFORMANCE_FLAGS ?=
INTEROP_FLAGS ?=
BENCH_FLAGS ?=
CRASH_FLAGS ?=

conformance: ## every answer beside Apache Kafka's, field by field; writes docs/conformance.md
	go run ./tests/conformance -generate 250 -docs docs/conformance.md $(CONFORMANCE_FLAGS)

conformance-secured: ## every API as principals with and without ACLs, beside Apache Kafka's
	go run ./tests/conformance -secured $(CONFORMANCE_FLAGS)
conformance-short: ## the scripts by hand beside Apache Kafka 3.9.2 alone
	go run ./tests/conformance -peers apache-3.9.2 $(CONFORMANCE_FLAGS)

interop: ## every peer, every codec, against Barnabas
	go run ./tests/interop $(INTEROP_FLAGS)

interop-short: ## the peers of the CI sample
	go run ./tests/interop -short -records 60 $(INTEROP_FLAGS)

interop-apache: ## the same suite against Apache Kafka, to prove the suite
	go run ./tests/interop -broker apache-3.9.2 $(INTEROP_FLAGS)

bench: ## Barnabas beside Apache Kafka and the floor, in one run
	go run ./tests/bench -rounds 3 -fill 10 -apache-partitions 5000 $(BENCH_FLAGS)

bench-short: ## the same, a few minutes long
	go run ./tests/bench -warm 10s -measure 3s -partitions 1000 -fill 0.5 $(BENCH_FLAGS)

crash: ## 50 kill -9 under load
	go run ./tests/crash -n 50 $(CRASH_FLAGS)

crash-short: ## a sample of it
	go run ./tests/crash -n 5 $(CRASH_FLAGS)

kafkadisk: ## Apache Kafka's tools and broker over our data directories, and ours over Apache's
	go run ./tests/kafkadisk $(KAFKADISK_FLAGS)

.PHONY: diskdiff torture torture-short torture-apache

diskdiff: ## the same requests to Apache Kafka and to us, and what they leave on disk compared
	go run ./tests/diskdiff $(DISKDIFF_FLAGS)

torture-apache: ## damaged directories of Apache Kafka opened by it and by us
	go run ./tests/torture -apache 60 $(TORTURE_FLAGS)

torture: ## 1,000 damaged data directories, and what becomes of them
	go run ./tests/torture $(TORTURE_FLAGS)

torture-short: ## a sample of it
	go run ./tests/torture -n 150 $(TORTURE_FLAGS)

.PHONY: suites

suites: ## the test suites of other clients against Barnabas; see tests/suites
	go run ./tests/suites $(SUITES_FLAGS)

ROBUSTNESS_FLAGS ?=

robustness: ## clients that stall, flood and vanish by the thousand: memory, and a bystander's latencies
	go run ./tests/robustness $(ROBUSTNESS_FLAGS)

.PHONY: security security-short security-rotation security-cost

SECURITY_FLAGS ?=

security: ## every mechanism, plaintext and TLS, by real clients, and what must not get in
	go run ./tests/security $(SECURITY_FLAGS)

security-short: ## a sample of it, for CI
	go run ./tests/security -short $(SECURITY_FLAGS)

security-rotation: ## certificates, passwords and ACLs changed under load
	go run ./tests/security -rotate $(SECURITY_FLAGS)

security-cost: ## what ten thousand ACLs and TLS cost the broker's processor; the authorizer's own benchmarks
	go test -run '^$$' -bench Decision ./acl
	go run ./tests/security -cost $(SECURITY_FLAGS)

.PHONY: security-walk

security-walk: ## the walk of docs/security.md with Apache's own tools, as written
	go run ./tests/security/walk
