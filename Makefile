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
#   make fuzz         hostile input: SECONDS=20 for each fuzzer, FUZZER=name for one alone (tests/fuzz)
#   make fuzz-coverage  which lines of the parsers the fuzzers' inputs reach
#   make check-tsan   all that has threads under ThreadSanitizer: the library, the program, the daemon
#   make check-nosys  the tests again without openat2, fsopen, mount_setattr, statx and copy_file_range
#   make check-valgrind  the unit tests under valgrind
#   make check-many   32 processes at one store for a minute, some of them killed, on every driver: MANY_SECONDS=...
#   make check-vm     in QEMU, on Debian's kernel: power cuts, a reboot with containers, fs-verity, quotas, all of
#                     tests/cli; VM_CUTS=... of each kind, VM_CLI="20-import ..." of the tests
#   make check-faults every command killed, and every system call failed, at each call in turn: a long day;
#                     FAULT_SECONDS=2 for each command, FAULT_PART=3 a third of them, FAULT_COMMANDS="load rm", FAULT_HOW=EIO,kill-before
#   make check-faults-short  the part that continuous integration has time for
#   make install      PREFIX=/usr/local, DESTDIR; BINDIR, SBINDIR, LIBDIR, INCLUDEDIR, PKGCONFIGDIR, MANDIR,
#                     UNITDIR, BASHDIR, ZSHDIR, FISHDIR where they are not where PREFIX puts them
#   make uninstall    with the same settings
#   make deps         install what is missing from Debian's packages; quick when all is there
#   make clean

# The one list of Debian packages: what is built with, and what is tested with.
BUILD_PACKAGES := gcc libc6-dev make pkg-config libarchive-dev libbtrfsutil-dev libbz2-dev \
	libcurl4-openssl-dev libisal-dev libjansson-dev liblzma-dev libmount-dev libpcre2-dev libsqlite3-dev libssl-dev libxxhash-dev libzstd-dev zlib1g-dev \
	golang-github-containerd-containerd-dev libgrpc-dev libprotobuf-c-dev libprotobuf-dev protobuf-c-compiler
DEMO_PACKAGES := debootstrap runc
TEST_PACKAGES := $(DEMO_PACKAGES) apache2-utils attr bzip2 btrfs-progs buildah busybox-static ca-certificates clang \
	clang-format clang-tidy containerd cppcheck curl docker-registry e2fsprogs fish git groff-base libcap2-bin llvm man-db \
	mandoc podman procps python3 python3-grpcio python3-protobuf skopeo strace systemd umoci util-linux valgrind xfsprogs xz-utils zsh zstd
VM_PACKAGES := btrfs-progs busybox-static cpio e2fsprogs f2fs-tools python3 qemu-system-x86 util-linux xfsprogs
BENCH_PACKAGES := btrfs-progs containerd debootstrap e2fsprogs python3 skopeo umoci util-linux xfsprogs zstd

BUILD := build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
CC := gcc
PKGS := jansson libarchive libcrypto libisal liblzma libxxhash libzstd mount sqlite3 zlib
WARNINGS := -Wall -Wextra -Wshadow -Werror
CFLAGS ?= -O2 -g
SANITIZE ?=
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -Idriver -fPIC -fvisibility=hidden -pthread $(WARNINGS) \
	$(CFLAGS) $(SANITIZE)
LDLIBS = $(shell pkg-config --libs $(PKGS)) -lbtrfsutil -lm -pthread

# The program holds what it uses of these libraries: finding and relocating two dozen shared ones takes
# 3 ms at every start, more than `snapdrv create` has to do. The library leaves them shared.
PROGRAM_LIBS = -Wl,-Bstatic -larchive -lbtrfsutil -lcrypto -ljansson -lsqlite3 -lxxhash -lzstd -lbz2 -llzma -lz \
	-Wl,-Bdynamic -lisal -lmount -lm -pthread

# The number of the interface: of the soname, and of the names' version in driver/libsnapdrv.map.
SONAME := libsnapdrv.so.0
VERSION := $(shell sed -n 's/^.define SNAPDRV_VERSION "\(.*\)"$$/\1/p' driver/snapdrv.h)

# gRPC is the daemon's alone.
RPC_SOURCES := $(wildcard driver/wire/rpc_*.c)
LIB_SOURCES := $(filter-out $(RPC_SOURCES),$(wildcard driver/*.c driver/*/*.c))
DOC_SOURCES := $(wildcard cli/doc*.c)
DAEMON_SOURCES := $(wildcard cli/snapdrvd*.c)
CLI_SOURCES := $(filter-out $(DOC_SOURCES) $(DAEMON_SOURCES),$(wildcard cli/*.c))
UNIT_SOURCES := $(wildcard tests/unit/*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
CLI_OBJECTS := $(CLI_SOURCES:%.c=$(BUILD)/%.o)
DOC_OBJECTS := $(DOC_SOURCES:%.c=$(BUILD)/%.o)
RPC_OBJECTS := $(RPC_SOURCES:%.c=$(BUILD)/%.o)
DAEMON_OBJECTS := $(DAEMON_SOURCES:%.c=$(BUILD)/%.o)
UNITS := $(UNIT_SOURCES:%.c=$(BUILD)/%)
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))

all: deps
	@$(MAKE) --no-print-directory -j$$(nproc) build

build: $(BUILD)/snapdrv $(BUILD)/snapdrvd $(BUILD)/libsnapdrv.so $(BUILD)/libsnapdrv.a $(BUILD)/public/libsnapdrv.a docs

units: $(UNITS)

fuzzers: $(FUZZERS)

# V=1 shows the whole commands.
V ?= 0
say = $(if $(filter 1,$(V)),,@echo "  $(1) $@";)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libsnapdrv.a: $(LIB_OBJECTS)
	$(call say,AR)rm -f $@ && ar rcs $@ $^

# What is installed: one object in which only the functions of the header have names, so that no program
# has a function of the same name as one of the library's own. Tests look into the other one.
$(BUILD)/public/libsnapdrv.a: $(LIB_OBJECTS)
	@mkdir -p $(@D)
	$(call say,AR)$(CC) -r -nostdlib -o $(@D)/libsnapdrv.o $^ && \
		objcopy --localize-hidden $(@D)/libsnapdrv.o && rm -f $@ && ar rcs $@ $(@D)/libsnapdrv.o

$(BUILD)/libsnapdrv.so: $(LIB_OBJECTS) driver/libsnapdrv.map
	$(call say,LD)$(CC) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=driver/libsnapdrv.map \
		-Wl,--no-undefined $(SANITIZE) $(LIB_OBJECTS) $(LDLIBS) -o $@

$(BUILD)/snapdrv: $(CLI_OBJECTS) $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) $(SANITIZE) $^ $(PROGRAM_LIBS) -o $@

# containerd's services: its .proto files from Debian's package, as C of protobuf-c in wire/pb/.
PROTO_DIR ?= /usr/share/gocode/src/github.com/containerd/containerd/api
PROTO_SOURCES := services/snapshots/v1/snapshots services/diff/v1/diff services/content/v1/content \
	services/namespaces/v1/namespace types/mount types/descriptor
PROTO_WELL_KNOWN := any empty field_mask timestamp
PB := $(BUILD)/gen/wire/pb
PB_SOURCES := $(notdir $(PROTO_SOURCES:=.pb-c.c)) $(PROTO_WELL_KNOWN:%=google/protobuf/%.pb-c.c)
PB_OBJECTS := $(PB_SOURCES:%.c=$(PB)/%.o)
DAEMON_LIBS = $(shell pkg-config --libs libpcre2-8 libprotobuf-c)

$(PB)/.made: driver/wire/proto.awk
	@mkdir -p $(PB)/proto
	$(call say,GEN)for file in $(PROTO_SOURCES); do \
		awk -f $< $(PROTO_DIR)/$$file.proto >$(PB)/proto/$${file##*/}.proto || exit; \
	done && cd $(PB)/proto && \
	protoc-c -I. -I/usr/include --c_out=.. *.proto $(PROTO_WELL_KNOWN:%=google/protobuf/%.proto) && touch ../.made

$(PB_SOURCES:%=$(PB)/%): $(PB)/.made

$(PB_OBJECTS): %.o: %.c
	$(call say,CC)$(CC) $(ALL_CFLAGS) -I$(PB) -MMD -MP -c $< -o $@

$(DAEMON_OBJECTS): ALL_CFLAGS += -I$(BUILD)/gen
$(DAEMON_OBJECTS): $(PB)/.made

$(BUILD)/snapdrvd: $(DAEMON_OBJECTS) $(RPC_OBJECTS) $(PB_OBJECTS) $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) $(SANITIZE) $^ $(DAEMON_LIBS) -lgrpc -lgpr $(LDLIBS) -o $@

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) $(SANITIZE) $^ $(LDLIBS) -o $@

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) -fsanitize=fuzzer $(SANITIZE) $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS) $(FUZZER_LIBS) -o $@

# Two of them are about the daemon: its parts without main() and without gRPC.
DAEMON_FUZZERS := $(BUILD)/tests/fuzz/filter $(BUILD)/tests/fuzz/rpc
$(DAEMON_FUZZERS:=.o): ALL_CFLAGS += -Icli -I$(BUILD)/gen
$(DAEMON_FUZZERS:=.o): $(PB)/.made
$(DAEMON_FUZZERS): FUZZER_LIBS = $(DAEMON_LIBS)
$(DAEMON_FUZZERS): $(BUILD)/cli/snapdrvd_filter.o $(BUILD)/cli/snapdrvd_log.o $(BUILD)/cli/snapdrvd_regex.o
$(BUILD)/tests/fuzz/rpc: $(BUILD)/cli/snapdrvd_service.o $(BUILD)/cli/snapdrvd_snapshots.o $(BUILD)/cli/snapdrvd_stores.o $(PB_OBJECTS)

-include $(LIB_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(DOC_OBJECTS:.o=.d) $(UNITS:=.d) \
	$(RPC_OBJECTS:.o=.d) $(DAEMON_OBJECTS:.o=.d) $(PB_OBJECTS:.o=.d) $(FUZZERS:=.d)

# Manual pages and completions: what the tables of commands and options and the public header say is put
# into the text of cli/doc/.
$(BUILD)/doc: $(DOC_OBJECTS) $(filter-out $(BUILD)/cli/main.o,$(CLI_OBJECTS)) $(BUILD)/libsnapdrv.a
	$(call say,LD)$(CC) $(SANITIZE) $^ $(PROGRAM_LIBS) -o $@

PAGES := $(patsubst cli/doc/%.1.in,$(BUILD)/man/man1/%.1,$(wildcard cli/doc/*.1.in)) \
	$(patsubst cli/doc/%.8.in,$(BUILD)/man/man8/%.8,$(wildcard cli/doc/*.8.in))
COMPLETIONS := $(addprefix $(BUILD)/completions/snapdrv.,bash zsh fish)

docs: $(PAGES) $(COMPLETIONS) $(BUILD)/man/man3/.made

# The public header and what it is made of, in the order of the manual.
PUBLIC_PARTS := $(addsuffix .h,$(addprefix driver/snapdrv/,error store load image container snapshot layer build space check scratch))

$(BUILD)/man/exit-status: cli/doc/header.awk driver/snapdrv/error.h
	@mkdir -p $(@D)
	@awk -v codes=1 -f $^ >$@.new && mv $@.new $@

$(BUILD)/man/man1/%.1: cli/doc/%.1.in $(BUILD)/doc $(BUILD)/man/exit-status
	@mkdir -p $(@D)
	$(call say,DOC)$(BUILD)/doc $< $(BUILD)/man/exit-status >$@.new && mv $@.new $@

$(BUILD)/man/man8/%.8: cli/doc/%.8.in $(BUILD)/doc $(BUILD)/man/exit-status
	@mkdir -p $(@D)
	$(call say,DOC)$(BUILD)/doc $< $(BUILD)/man/exit-status >$@.new && mv $@.new $@

# One page for each function, and one for the library.
$(BUILD)/man/man3/.made: cli/doc/header.awk driver/snapdrv.h $(PUBLIC_PARTS) cli/doc/libsnapdrv.3.in
	@mkdir -p $(@D) && rm -f $(@D)/*.3
	$(call say,DOC)cat driver/snapdrv.h $(PUBLIC_PARTS) | \
		awk -v directory=$(@D) -v version=$(VERSION) -v date="$(DOC_DATE)" -f $< - cli/doc/libsnapdrv.3.in && touch $@

$(BUILD)/completions/%: cli/doc/%.in $(BUILD)/doc
	@mkdir -p $(@D)
	$(call say,DOC)$(BUILD)/doc $< >$@.new && mv $@.new $@

DOC_DATE = $(shell date -u $(if $(SOURCE_DATE_EPOCH),-d @$(SOURCE_DATE_EPOCH)) +%Y-%m-%d)

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

# The kernel is unpacked into the tests' cache and not installed.
vm-deps: | $(BUILD)/.dir
	$(call install_missing,$(BUILD_PACKAGES) $(VM_PACKAGES))
	@PYTHONDONTWRITEBYTECODE=1 vm-tests/boot --fetch

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
	@$(MAKE) --no-print-directory $(PB)/.made
	@tests/lint.sh

check-asan: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/asan \
		SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined" \
		CFLAGS="-O1 -g" build units
	@BUILD=build/asan SNAPDRV=build/asan/snapdrv tests/run

# What has threads: many of them at one store, on every driver; then the program's own, and the daemon's.
TSAN_TOPICS := 10-load 15-pull 17-push 20-import 55-diff 61-concurrent 67-removal
check-tsan: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/tsan SANITIZE=-fsanitize=thread CFLAGS="-O1 -g" \
		build/tsan/libsnapdrv.a build/tsan/snapdrv build/tsan/snapdrvd
	@TSAN_BUILD=$(CURDIR)/build/tsan THREAD_ROUNDS=25 tests/run tests/cli/96-threads.sh \
		btrfs:tests/cli/96-threads.sh vfs:tests/cli/96-threads.sh
	@SNAPDRV=build/tsan/snapdrv TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tools/tsan-suppressions exitcode=66" \
		setarch -R tests/run $(TSAN_TOPICS:%=tests/cli/%.sh) $(TSAN_TOPICS:%=btrfs:tests/cli/%.sh) \
		tests/cli/19-snapdrvd.sh btrfs:tests/cli/19-snapdrvd.sh tests/cli/23-snapdrvd-abuse.sh

# The program and the daemon under a filter that answers ENOSYS to what kernels, and runtimes' filters, once
# lacked. NOSYS names it for tests that are about these calls. CI_PART=1 runs what continuous integration has time for.
NOSYS_CALLS := openat2 fsopen mount_setattr statx copy_file_range
NOSYS_PART := tests/cli/30-create.sh vfs:tests/cli/30-create.sh tests/cli/65-old-kernels.sh btrfs:tests/cli/56-commit.sh
check-nosys: test-deps $(BUILD)/nosys/snapdrv $(BUILD)/nosys/snapdrvd
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@for made in libsnapdrv.a libsnapdrv.so man completions public driver gen; do \
		ln -sfn ../$$made $(BUILD)/nosys/$$made; \
	done
	@SNAPDRV=$(BUILD)/nosys/snapdrv NOSYS="$(NOSYS_CALLS)" BUILD=$(BUILD)/nosys tests/run $(if $(CI_PART),$(NOSYS_PART))

$(BUILD)/nosys/snapdrv: tests/tools/nosys.c
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARNINGS) -O2 $< -o $@

$(BUILD)/nosys/snapdrvd: $(BUILD)/nosys/snapdrv
	@ln -f $< $@

check-valgrind: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) units
	@BUILD=$(BUILD) tests/run tests/valgrind.sh

check-many: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@MANY_SECONDS=$(or $(MANY_SECONDS),60) JOBS=1 tests/run tests/cli/97-many.sh btrfs:tests/cli/97-many.sh \
		vfs:tests/cli/97-many.sh

# build/snapdrv makes the store that one of them damages. tests/fuzz/run.sh says where everything is.
fuzz: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build/snapdrv
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/fuzz CC=clang CFLAGS="-O1 -g" \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" fuzzers
	@SECONDS_EACH=$(or $(SECONDS),20) FUZZERS="$(FUZZER)" TEST_LIMIT=86400 tests/run tests/fuzz/run.sh

fuzz-coverage: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build/snapdrv
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=build/fuzz-coverage CC=clang CFLAGS="-O1 -g" \
		SANITIZE="-fprofile-instr-generate -fcoverage-mapping" fuzzers
	@tests/fuzz/run.sh --coverage
check-vm: vm-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@TEST_LIMIT=130000 tests/run vm-tests/*.sh

# The part that continuous integration has time for.
check-vm-short: vm-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@VM_CUTS=40 VM_STEPS=30 TEST_LIMIT=900 tests/run vm-tests/10-reboot.sh vm-tests/20-power-cuts.sh \
		vm-tests/40-verity.sh vm-tests/50-quota.sh vm-tests/60-complaints.sh

# What is told where it is installed. $(1): the file, $(2): where it goes.
define install_filled
	sed -e 's|@BINDIR@|$(BINDIR)|g; s|@SBINDIR@|$(SBINDIR)|g; s|@LIBDIR@|$(LIBDIR)|g' \
		-e 's|@PREFIX@|$(PREFIX)|g; s|@INCLUDEDIR@|$(INCLUDEDIR)|g; s|@VERSION@|$(VERSION)|g' \
		-e 's|@LIBS@|$(LDLIBS)|g' $(1) | install -D -m 644 /dev/stdin $(DESTDIR)$(2)
endef

$(BUILD)/tests/faults/inject: tests/faults/inject.c tests/faults/calls.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) $< -o $@

FAULT_TESTS = $(foreach file,$(wildcard tests/faults/[0-9]*.sh),$(file) btrfs:$(file) vfs:$(file))

check-faults: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build $(BUILD)/tests/faults/inject
	@TEST_LIMIT=864000 tests/run $(FAULT_TESTS)

check-faults-short: test-deps
	@$(MAKE) --no-print-directory -j$$(nproc) build $(BUILD)/tests/faults/inject
	@FAULT_SECONDS=$(or $(FAULT_SECONDS),0.5) FAULT_PART=$(or $(FAULT_PART),6) tests/run $(FAULT_TESTS)

install: all
	install -D -m 755 $(BUILD)/snapdrv $(DESTDIR)$(BINDIR)/snapdrv
	install -D -m 755 $(BUILD)/snapdrvd $(DESTDIR)$(SBINDIR)/snapdrvd
	install -D -m 644 $(BUILD)/libsnapdrv.so $(DESTDIR)$(LIBDIR)/libsnapdrv.so.$(VERSION)
	ln -sf libsnapdrv.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libsnapdrv.so
	install -D -m 644 $(BUILD)/public/libsnapdrv.a $(DESTDIR)$(LIBDIR)/libsnapdrv.a
	install -D -m 644 driver/snapdrv.h $(DESTDIR)$(INCLUDEDIR)/snapdrv.h
	install -d $(DESTDIR)$(INCLUDEDIR)/snapdrv && install -m 644 $(PUBLIC_PARTS) $(DESTDIR)$(INCLUDEDIR)/snapdrv
	$(call install_filled,driver/libsnapdrv.pc.in,$(PKGCONFIGDIR)/libsnapdrv.pc)
	$(call install_filled,cli/snapdrvd.service.in,$(UNITDIR)/snapdrvd.service)
	$(call install_filled,cli/snapdrvd.socket.in,$(UNITDIR)/snapdrvd.socket)
	for section in 1 3 8; do \
		install -d $(DESTDIR)$(MANDIR)/man$$section && \
		install -m 644 $(BUILD)/man/man$$section/*.$$section $(DESTDIR)$(MANDIR)/man$$section || exit; \
	done
	install -D -m 644 $(BUILD)/completions/snapdrv.bash $(DESTDIR)$(BASHDIR)/snapdrv
	install -D -m 644 $(BUILD)/completions/snapdrv.zsh $(DESTDIR)$(ZSHDIR)/_snapdrv
	install -D -m 644 $(BUILD)/completions/snapdrv.fish $(DESTDIR)$(FISHDIR)/snapdrv.fish

uninstall: docs
	rm -f $(DESTDIR)$(BINDIR)/snapdrv $(DESTDIR)$(SBINDIR)/snapdrvd $(DESTDIR)$(INCLUDEDIR)/snapdrv.h
	rm -f $(addprefix $(DESTDIR)$(INCLUDEDIR)/snapdrv/,$(notdir $(PUBLIC_PARTS)))
	[ ! -d $(DESTDIR)$(INCLUDEDIR)/snapdrv ] || rmdir $(DESTDIR)$(INCLUDEDIR)/snapdrv
	rm -f $(DESTDIR)$(LIBDIR)/libsnapdrv.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME) \
		$(DESTDIR)$(LIBDIR)/libsnapdrv.so $(DESTDIR)$(LIBDIR)/libsnapdrv.a
	rm -f $(DESTDIR)$(PKGCONFIGDIR)/libsnapdrv.pc
	rm -f $(DESTDIR)$(UNITDIR)/snapdrvd.service $(DESTDIR)$(UNITDIR)/snapdrvd.socket
	cd $(BUILD)/man && for page in man1/*.1 man3/*.3 man8/*.8; do rm -f "$(DESTDIR)$(MANDIR)/$$page"; done
	rm -f $(DESTDIR)$(BASHDIR)/snapdrv $(DESTDIR)$(ZSHDIR)/_snapdrv $(DESTDIR)$(FISHDIR)/snapdrv.fish

clean:
	rm -rf $(BUILD)

.PHONY: all build units fuzzers fuzz fuzz-coverage docs deps test-deps demo-deps bench-deps demo check check-long \
	bench lint check-asan check-faults check-faults-short check-many check-nosys check-tsan check-valgrind check-vm check-vm-short vm-deps install uninstall clean
