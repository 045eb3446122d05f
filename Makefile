# Everything that can be done with this repository. `make help` lists it.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
BIN     ?= bin/barnabas

.PHONY: build run test check fmt vet lint unit race allocations fuzz clean help

build: ## the one static binary, bin/barnabas
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/barnabas

run: build ## a broker on port 9092 with data in the default directory
	./$(BIN)

test: check interop-short security-short conformance-short diskdiff suites-short crash-short torture-short robustness-short ## all that CI runs; installs the clients it needs (see README)

check: fmt vet lint race allocations ## format, vet, lint, tests with the race detector

fmt: ## fails if a file is not gofmt-clean
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-clean:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...

lint: ## staticcheck, at the version that go.mod's tool line names
	$(GO) tool staticcheck ./...

unit: ## tests without the race detector, and the invariants on
	$(GO) test -tags invariants ./...

race:
	$(GO) test -race -timeout 20m ./...

allocations: ## what must allocate nothing, without the race detector, under which pools forget at random
	$(GO) test -run Alloc ./...

fuzz: ## each family of decoders for FUZZTIME minutes (default 10); FUZZFLAGS names families
	./tests/fuzz.sh $(or $(FUZZTIME),10) $(FUZZFLAGS)

clean:
	rm -rf bin

help:
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | sort

include tests/tests.mk
