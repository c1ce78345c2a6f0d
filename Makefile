# SPDX-License-Identifier: Apache-2.0
# snapdrv: container images as overlayfs mounts and btrfs snapshots.
#
#   make              build everything under build/ (installs what is missing first: make deps)
#   make demo         a real image, a container of it, a process in it; IMAGE=path takes an archive
#   make check        build and run every test (root needed)
#   make lint         format, includes between rooms, forbidden calls, cppcheck, clang-tidy
#   make check-asan   the tests again with address, undefined-behaviour and leak checks
#   make install      PREFIX=/usr/local, DESTDIR
#   make deps         install what is missing from Debian's packages; quick when all is there
#   make clean

# The one list of Debian packages: what is built with, and what is tested with.
BUILD_PACKAGES := gcc libc6-dev make pkg-config libarchive-dev libbtrfsutil-dev libisal-dev \
	libjansson-dev libmount-dev libsqlite3-dev libssl-dev libzstd-dev zlib1g-dev
DEMO_PACKAGES := debootstrap runc
TEST_PACKAGES := $(DEMO_PACKAGES) attr bzip2 buildah ca-certificates clang clang-format clang-tidy cppcheck \
	e2fsprogs git libcap2-bin procps python3 skopeo strace umoci util-linux xfsprogs btrfs-progs \
	xz-utils zstd

BUILD := build
PREFIX ?= /usr/local
CC := gcc
PKGS := jansson libarchive libcrypto libisal libzstd mount sqlite3 zlib
WARNINGS := -Wall -Wextra -Wshadow -Werror
CFLAGS ?= -O2 -g
SANITIZE ?=
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -Idriver -fPIC -fvisibility=hidden -pthread $(WARNINGS) \
	$(CFLAGS) $(SANITIZE)
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lbtrfsutil -pthread

LIB_SOURCES := $(wildcard driver/*.c driver/*/*.c)
CLI_SOURCES := $(wildcard cli/*.c)
UNIT_SOURCES := $(wildcard tests/unit/*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
CLI_OBJECTS := $(CLI_SOURCES:%.c=$(BUILD)/%.o)
UNITS := $(UNIT_SOURCES:%.c=$(BUILD)/%)

all: deps
	@$(MAKE) --no-print-directory -j$$(nproc) build

build: $(BUILD)/snapdrv $(BUILD)/libsnapdrv.so $(BUILD)/libsnapdrv.a

units: $(UNITS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libsnapdrv.a: $(LIB_OBJECTS)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/libsnapdrv.so: $(LIB_OBJECTS)
	$(CC) -shared -Wl,-soname,libsnapdrv.so.0 -Wl,--no-undefined $(SANITIZE) $^ $(LDLIBS) -o $@

$(BUILD)/snapdrv: $(CLI_OBJECTS) $(BUILD)/libsnapdrv.a
	$(CC) $(SANITIZE) $^ $(LDLIBS) -o $@

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsnapdrv.a
	$(CC) $(SANITIZE) $^ $(LDLIBS) -o $@

-include $(LIB_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNITS:=.d)

clean:
	rm -rf $(BUILD)

.PHONY: all build units clean
