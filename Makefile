# SPDX-License-Identifier: Apache-2.0
# snapdrv: container images as overlayfs mounts and btrfs snapshots.
#
#   make              build everything under build/ (installs what is missing first: make deps)
#   make demo         a real image, a container of it, a process in it; IMAGE=path takes an archive
#   make check        build and run every test (root needed)
#   make check-long   random stacks of layers on every driver: SEED=... the first, N=... how many
#   make bench        how fast it is, next to skopeo, umoci and containerd; BENCH_ARGS="--only load-ext4 --runs 1"
#   make lint         format, includes between rooms, forbidden calls, cppcheck, clang-tidy
#   make check-asan   the tests again with address, undefined-behaviour and leak checks
#   make install      PREFIX=/usr/local, DESTDIR
#   make deps         install what is missing from Debian's packages; quick when all is there
#   make clean

# The one list of Debian packages: what is built with, and what is tested with.
BUILD_PACKAGES := gcc libc6-dev make pkg-config libarchive-dev libbtrfsutil-dev libbz2-dev \
	libcurl4-openssl-dev libisal-dev libjansson-dev liblzma-dev libmount-dev libsqlite3-dev libssl-dev libzstd-dev zlib1g-dev
DEMO_PACKAGES := debootstrap runc
TEST_PACKAGES := $(DEMO_PACKAGES) apache2-utils attr bzip2 btrfs-progs buildah ca-certificates clang \
	clang-format clang-tidy containerd cppcheck docker-registry e2fsprogs git libcap2-bin podman procps \
	python3 skopeo strace umoci util-linux xfsprogs xz-utils zstd
BENCH_PACKAGES := btrfs-progs containerd debootstrap e2fsprogs python3 skopeo umoci util-linux xfsprogs zstd

BUILD := build
PREFIX ?= /usr/local
CC := gcc
PKGS := jansson libarchive libcrypto libisal libzstd mount sqlite3 zlib
WARNINGS := -Wall -Wextra -Wshadow -Werror
CFLAGS ?= -O2 -g
SANITIZE ?=
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -Idriver -fPIC -fvisibility=hidden -pthread $(WARNINGS) \
	$(CFLAGS) $(SANITIZE)
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lbtrfsutil -lm -pthread

# The program holds what it uses of these libraries: finding and relocating two dozen shared ones takes
# 3 ms at every start, more than `snapdrv create` has to do. The library leaves them shared.
PROGRAM_LIBS = -Wl,-Bstatic -larchive -lbtrfsutil -lcrypto -ljansson -lsqlite3 -lzstd -lbz2 -llzma -lz \
	-Wl,-Bdynamic -lisal -lmount -lm -pthread

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

# V=1 shows the whole commands.
V ?= 0
say = $(if $(filter 1,$(V)),,@echo "  $(1) $@";)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libsnapdrv.a: $(LIB_OBJECTS)
	$(call say,AR)rm -f $@ && ar rcs $@ $^

$(BUILD)/libsnapdrv.so: $(LIB_OBJECTS)
	$(call say,LD)$(CC) -shared -Wl,-soname,libsnapdrv.so.0 -Wl,--no-undefined $(SANITIZE) $^ $(LDLIBS) -o $@

$(BUILD)/snapdrv: $(CLI_OBJECTS) $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) $(SANITIZE) $^ $(PROGRAM_LIBS) -o $@

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) $(SANITIZE) $^ $(LDLIBS) -o $@

-include $(LIB_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNITS:=.d)

# Does nothing, quickly, when all is there; the list of what a target needs is its argument.
define install_missing
	@missing=$$(dpkg-query -W -f '$${db:Status-Abbrev}$${Package}\n' $(1) 2>/dev/null | \
		sed -n 's/^ii *//p' | sort >build/.have && printf '%s\n' $(1) | sort | comm -23 - build/.have); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		apt-get update -q >/dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing >/dev/null; \
	fi
endef

deps: | $(BUILD)/.dir
	$(call install_missing,$(BUILD_PACKAGES))

test-deps: | $(BUILD)/.dir
	$(call install_missing,$(BUILD_PACKAGES) $(TEST_PACKAGES))

demo-deps: | $(BUILD)/.dir
	$(call install_missing,$(BUILD_PACKAGES) $(DEMO_PACKAGES))

bench-deps: | $(BUILD)/.dir
	$(call install_missing,$(BUILD_PACKAGES) $(BENCH_PACKAGES))

$(BUILD)/.dir:
	@mkdir -p $(BUILD) && touch $@

demo: demo-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@SNAPDRV=$(BUILD)/snapdrv tests/demo.sh

check: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build units
	@tests/run

check-long: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@SEED=$(or $(SEED),1000) N=$(or $(N),2000) TEST_LIMIT=86400 tests/run tests/cli/80-random-stacks.sh

bench: bench-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@tests/bench/bench.py --snapdrv $(BUILD)/snapdrv $(BENCH_ARGS)

lint: test-deps
	@tests/lint.sh

check-asan: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/asan \
		SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined" \
		CFLAGS="-O1 -g" build units
	@BUILD=build/asan SNAPDRV=build/asan/snapdrv tests/run

install: all
	install -D -m 755 $(BUILD)/snapdrv $(DESTDIR)$(PREFIX)/bin/snapdrv
	install -D -m 755 $(BUILD)/libsnapdrv.so $(DESTDIR)$(PREFIX)/lib/libsnapdrv.so.0
	ln -sf libsnapdrv.so.0 $(DESTDIR)$(PREFIX)/lib/libsnapdrv.so
	install -D -m 644 $(BUILD)/libsnapdrv.a $(DESTDIR)$(PREFIX)/lib/libsnapdrv.a
	install -D -m 644 driver/snapdrv.h $(DESTDIR)$(PREFIX)/include/snapdrv.h

clean:
	rm -rf $(BUILD)

.PHONY: all build units deps test-deps demo-deps bench-deps demo check check-long bench lint check-asan install clean
