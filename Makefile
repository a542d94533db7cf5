# Short names for what the scripts do; README.md tells how to start.

BIN ?= bin

VERSION ?= $(shell scripts/version)
MODULE = github.com/netmapd/netmapd

build: clib ## binaries in bin/
	go build -ldflags '-X $(MODULE)/daemon.Version=$(VERSION)' -o $(BIN)/ ./cmd/netmapd
	CGO_ENABLED=0 go build -ldflags '-X main.version=$(VERSION)' -o $(BIN)/ ./cmd/nmctl

# C11; what the libraries export they say themselves.
CLIB_FLAGS = -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fPIC -fvisibility=hidden
CLIB_INCLUDE = -Iclib/include
CLIB_VERSION = 1

interposer: # alone
	@mkdir -p $(BIN)
	$(CC) $(CLIB_FLAGS) $(CLIB_INCLUDE) -shared -o $(BIN)/libnetmapd-preload.so clib/src/*.c -pthread -ldl

clib: interposer ## the C libraries: the interposer, and libnetmap shared and static
	$(CC) $(CLIB_FLAGS) $(CLIB_INCLUDE) -shared -Wl,-soname,libnetmap.so.$(CLIB_VERSION) -o $(BIN)/libnetmap.so.$(CLIB_VERSION) \
		clib/src/*.c $(filter-out %/static.c,$(wildcard clib/libnetmap/*.c)) -pthread -ldl
	ln -sf libnetmap.so.$(CLIB_VERSION) $(BIN)/libnetmap.so
	scripts/archive $(BIN)/libnetmap.a $(CC) $(CLIB_FLAGS) $(CLIB_INCLUDE)

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SYSCONFDIR ?= /etc
# What nmctl run looks for lies relative to nmctl.
PRELOADDIR = $(PREFIX)/lib/netmapd

install-clib: clib ## the C libraries, headers and pkg-config file, under DESTDIR and PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/include/net $(DESTDIR)$(PRELOADDIR) $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 clib/include/*.h $(DESTDIR)$(PREFIX)/include
	install -m 644 clib/include/net/*.h $(DESTDIR)$(PREFIX)/include/net
	install -m 644 $(BIN)/libnetmapd-preload.so $(DESTDIR)$(PRELOADDIR)
	install -m 644 $(BIN)/libnetmap.so.$(CLIB_VERSION) $(DESTDIR)$(LIBDIR)
	ln -sf libnetmap.so.$(CLIB_VERSION) $(DESTDIR)$(LIBDIR)/libnetmap.so
	install -m 644 $(BIN)/libnetmap.a $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(CLIB_VERSION).0|' clib/libnetmap.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/libnetmap.pc

manuals: build ## man pages and shell completions, in bin/share
	rm -rf $(BIN)/share
	@mkdir -p $(BIN)/share/man
	go run ./cmd/netmapd/gen $(BIN)/share
	$(BIN)/nmctl man $(BIN)/share/man
	for shell in bash zsh fish; do $(BIN)/nmctl completion $$shell >$(BIN)/share/nmctl.$$shell; done

install: build manuals install-clib ## everything, under DESTDIR, PREFIX (/usr/local), LIBDIR and SYSCONFDIR (/etc)
	BIN=$(BIN) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SYSCONFDIR=$(SYSCONFDIR) scripts/install

deb: ## Debian packages, in bin/deb
	scripts/deb $(BIN)/deb

demo: ## traffic through a switch, then between two network namespaces when root
	scripts/demo

test: ## everything that CI runs
	scripts/test

nic-lab: ## the tests with NICs alone, in a machine that QEMU plays; part of make test
	scripts/nic-lab

test-hardware: ## the tests with NICs on those of this machine: NICS='ADDRESS ADDRESS', pairs that a cable joins
	scripts/test-hardware $(NICS)

bench: ## speed beside that of others, into bench/results; QUICK=1 takes under 3 minutes, ROWS=regexp selects
	scripts/bench

# The library but for what takes the C library's place, which is the fuzzer's too, and for what fuzz/world.c plays.
FUZZ_SRC = $(filter-out %/preload.c %/waits.c %/usermem.c,$(wildcard clib/src/*.c))
FUZZ_FLAGS = -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined

fuzz: ## every fuzz target for FUZZTIME seconds (60): those of Go, and the library's with libFuzzer
	scripts/fuzz

fuzz-targets: # needs clang with libFuzzer
	@mkdir -p $(BIN)
	set -e; for target in answers options; do \
		clang $(FUZZ_FLAGS) -Wl,--wrap=nmd_connect -o $(BIN)/fuzz-$$target clib/fuzz/$$target.c clib/fuzz/world.c $(FUZZ_SRC) -pthread -ldl; \
	done

soak: ## the conformance tests with every count that the contract names, processes killed at random, and 10,000 cycles of each port kind
	NETMAPD_SOAK=1 go test -count=1 -timeout 60m ./test/conformance
	NETMAPD_SOAK=1 go test -count=1 -timeout 60m -run 'TestSoak|TestOpenClose' ./test/e2e

lint: ## golangci-lint
	scripts/lint

fmt: ## gofumpt
	scripts/fmt

generate: ## the Go code of api/proto, and what C has of netmap/abi
	scripts/generate
	scripts/api

generate-check: ## fails when that code is stale, or the API breaks what it promised
	scripts/generate --check
	scripts/api --check

clean: ## removes bin/
	rm -rf $(BIN)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

.DEFAULT_GOAL := build
.PHONY: build interposer clib install-clib manuals install deb demo test nic-lab test-hardware bench fuzz fuzz-targets soak lint fmt generate generate-check clean help
