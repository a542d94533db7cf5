# Short names for what the scripts do; README.md tells how to start.

BIN ?= bin

build: clib ## binaries in bin/
	go build -o $(BIN)/ ./cmd/netmapd
	CGO_ENABLED=0 go build -o $(BIN)/ ./cmd/nmctl

# C11; what the library exports it says itself.
CLIB_FLAGS = -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden

clib: ## the library that netmap programs run with
	@mkdir -p $(BIN)
	$(CC) $(CLIB_FLAGS) -shared -o $(BIN)/libnetmapd-preload.so clib/src/*.c -pthread -ldl

demo: ## traffic through a switch, then between two network namespaces when root
	scripts/demo

test: ## everything that CI runs
	scripts/test

bench: ## speed beside that of others, into bench/results; QUICK=1 takes under 3 minutes, ROWS=regexp selects
	scripts/bench

soak: ## the conformance tests with every count of packets and cycles that the contract names
	NETMAPD_SOAK=1 go test -count=1 -timeout 60m ./test/conformance

lint: ## golangci-lint
	scripts/lint

fmt: ## gofumpt
	scripts/fmt

generate: ## the Go code of api/proto
	scripts/generate

generate-check: ## fails when that code is stale
	scripts/generate --check

clean: ## removes bin/
	rm -rf $(BIN)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

.DEFAULT_GOAL := build
.PHONY: build clib demo test bench soak lint fmt generate generate-check clean help
