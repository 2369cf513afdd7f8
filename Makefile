# SPDX-License-Identifier: GPL-2.0
# What can be made here: see `make help`. The work is done within the build root, a Debian tree
# that scripts/make-root makes on first use and that scripts/in-root enters.

CARGO := scripts/in-root cargo
BIN   := $(or $(CARGO_TARGET_DIR),target/root)/release
XTASK := $(CARGO) run --locked --quiet --package xtask --

.DEFAULT_GOAL := all
.PHONY: all module tools

## all: build/drbd.ko and build/sbin/{drbdadm,drbdsetup,drbdmeta}
all: module tools

## root: the build root (what the other targets need comes by itself)
.PHONY: root
root:
	@scripts/make-root

## module: build/drbd.ko, without debug information; build/module/drbd.ko has it
module:
	@scripts/kbuild build/module
	@scripts/in-root sh -ec 'test build/drbd.ko -nt build/module/drbd.ko || \
		objcopy --strip-debug build/module/drbd.ko build/drbd.ko'

## tools: build/sbin/drbdadm and its other two names
tools:
	@$(CARGO) build --locked --release --package drbdadm
	@mkdir -p build/sbin
	@test build/sbin/drbdadm -nt $(BIN)/drbdadm || \
		$(CARGO:cargo=objcopy) --strip-debug $(BIN)/drbdadm build/sbin/drbdadm
	@ln -sf drbdadm build/sbin/drbdsetup
	@ln -sf drbdadm build/sbin/drbdmeta

# A target whose program isn't there yet says so and fails: $(call need,FOLDER,WHAT).
define need
@test -e $(1) || { echo "make $@: not built yet ($(2))" >&2; exit 1; }
endef

## test: everything that `check` does, then the scenarios in the lab
test: check
	$(call need,tests/Cargo.toml,no lab)
	@$(CARGO) run --locked --quiet --release --package drbd-lab -- test

## check: format, lints, unit tests, repository rules, panics; no machine is booted
check: all
	@$(XTASK) check

## tidy: the repository rules alone
tidy:
	@$(XTASK) tidy
.PHONY: test check tidy

## clean: removes what was built here; the cache stays
clean:
	rm -rf build target

## distclean: clean, and removes the cache with the build root
distclean: clean
	scripts/make-root --remove

## help: this list
help:
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F'\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'
.PHONY: clean distclean help
