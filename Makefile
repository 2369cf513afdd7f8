# SPDX-License-Identifier: GPL-2.0
# What can be made here: see `make help`. The work is done within the build root, a Debian tree
# that scripts/make-root makes on first use and that scripts/in-root enters.

CARGO := scripts/in-root cargo
BIN   := $(or $(CARGO_TARGET_DIR),target/root)/release
XTASK := $(CARGO) run --quiet --package xtask --
# Both programs of the lab: the one that is called, and the agent that it puts into the guests.
LAB   := $(CARGO) build --quiet --release --package drbd-lab && scripts/in-root $(BIN)/drbd-lab

.DEFAULT_GOAL := all

## all: build/drbd.ko and build/sbin/{drbdadm,drbdsetup,drbdmeta}
.PHONY: all
all: module tools

## module: build/drbd.ko, without debug information; build/module/drbd.ko has it
.PHONY: module
module:
	@scripts/kbuild build/module
	@scripts/in-root sh -ec 'test build/drbd.ko -nt build/module/drbd.ko || \
		objcopy --strip-debug build/module/drbd.ko build/drbd.ko'

## selftest: build/selftest.ko, which tries kernel/sys when it is loaded (lab `kernel-facilities`)
# Only its own Rust object is compiled: the core's and those of the C files are the module's.
.PHONY: selftest
selftest: module
	@mkdir -p build/selftest/kernel
	@cp -au build/module/drbd-core build/selftest/
	@cp -au build/module/kernel/sys build/selftest/kernel/
	@DRBD_SELFTEST=1 scripts/kbuild build/selftest
	@scripts/in-root sh -ec 'test build/selftest.ko -nt build/selftest/drbd.ko || \
		objcopy --strip-debug build/selftest/drbd.ko build/selftest.ko'

## tools: build/sbin/drbdadm and its other two names
.PHONY: tools
tools:
	@$(CARGO) build --quiet --release --package drbdadm
	@mkdir -p build/sbin
	@test build/sbin/drbdadm -nt $(BIN)/drbdadm || \
		scripts/in-root objcopy --strip-debug $(BIN)/drbdadm build/sbin/drbdadm
	@ln -sf drbdadm build/sbin/drbdsetup
	@ln -sf drbdadm build/sbin/drbdmeta

## test: `check`, the packages, then the scenarios on machines in the lab
.PHONY: test
test: check deb-check
	@$(LAB) test

## check: format, lints, unit tests, repository rules, panics; no machine is booted
# That the self-test compiles is a part of it.
.PHONY: check
check: all selftest
	@$(XTASK) check

## tidy: the repository's rules alone
.PHONY: tidy
tidy:
	@$(XTASK) tidy

## lab: the guests' image, made once and kept in the cache
.PHONY: lab
lab:
	@$(LAB) image

## sanitize: scenarios on a kernel that checks locks, sleeps, lists and leaks
# That kernel is made once (20 to 60 minutes) and kept in the cache.
.PHONY: sanitize
sanitize: tools
	@kernel=$$(scripts/sanitize-kernel) && mkdir -p build/sanitize && \
	DRBD_RS_HEADERS=$$kernel/tree scripts/kbuild build/sanitize/module && \
	cp build/sanitize/module/drbd.ko build/sanitize/drbd.ko && \
	ln -sfn ../sbin build/sanitize/sbin && \
	scripts/in-root sh -c 'echo "$$0/lib/modules/$$(cat "$$0/version")"' "$$kernel" \
		>build/sanitize/kernel
	@$(LAB) test --jobs 1 --kernel sanitize --pair ours:ours \
		tutorial-C cable-cut cycles crash-primary-al disk-fails resync-interrupted

## oracle: runs the scenarios with the C driver on both nodes and stores what they gave
.PHONY: oracle
oracle:
	@$(LAB) oracle

## root: the build root, made once and kept in the cache
.PHONY: root
root:
	@scripts/make-root

## bench: instructions per operation, ours beside C (gated); then wall-clock ratios
.PHONY: bench
bench: all
	@$(LAB) bench

## demo: builds all, boots two machines and walks through the tutorial
.PHONY: demo
demo: all
	@$(LAB) demo

## shell: two machines with r0 configured, open to type in
.PHONY: shell
shell: all
	@$(LAB) shell --pair ours:ours

## install: module, tools, man pages, completion, units, udev rules; DESTDIR is honoured
.PHONY: install
install: all
	dist/install.sh install

## uninstall: takes away what install put there, and puts back what it diverted
.PHONY: uninstall
uninstall:
	dist/install.sh uninstall

## deb: Debian packages of tools and module, in build/deb
.PHONY: deb
deb: all
	@dist/deb/build.sh build/deb

## deb-check: tries the packages in a copy of the build root; the module is built there anew
.PHONY: deb-check
deb-check: all
	@dist/deb/try.sh

## sim: the simulator, STEPS=1000000 of it; SEED=n for one run, its trace if something is wrong
STEPS ?= 1000000
.PHONY: sim
sim:
	@$(CARGO) build --quiet --release --package drbd-sim
	@scripts/in-root $(BIN)/drbd-sim $(if $(SEED),--seed $(SEED),--steps $(STEPS) --from "$(FROM)")

## soak: the scenarios' long forms on all pairings, again and again for HOURS=4 hours
HOURS ?= 4
.PHONY: soak
soak: all selftest
	@$(LAB) soak --hours $(HOURS)

## fuzz: damaged input for all that reads foreign bytes, RUNS=2000000 for each target; keeps finds
RUNS ?= 2000000
.PHONY: fuzz
fuzz:
	@$(CARGO) run --quiet --profile fuzz --package drbd-fuzz -- --grow --runs $(RUNS)

## clean: removes what was built here; the cache stays
.PHONY: clean
clean:
	rm -rf build target

## distclean: clean, and removes the cache with the build root
.PHONY: distclean
distclean: clean
	scripts/make-root --remove

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' Makefile | \
		awk -F'\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'
