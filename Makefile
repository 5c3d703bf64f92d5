# honed - one Makefile, no recursion.  `make help` lists the targets.
# Flavours build side by side in build/<flavour>: debug (default), release, asan, tsan.

FLAVOUR ?= $(if $(filter install install-lib,$(MAKECMDGOALS)),release,debug)
B       := build/$(FLAVOUR)
CC      ?= cc
AR      ?= ar
CROSS   ?= arm-none-eabi-
VERSION := 0.1.0
prefix  ?= /usr
DESTDIR ?=
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)
comma   := ,

# --- flags -------------------------------------------------------------------------------------
# Each warning earns its place: implicit narrowing and sign changes corrupt numbers silently,
# shadowing and missing prototypes hide mistakes between files, VLAs have no bound.
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wcast-qual -Wundef -Werror
# -ffp-contract=off: no fused multiply-add that the source does not write, so that results do not
# depend on the compiler; kernels that want FMA say so.  Never -ffast-math.
# 64-bit times and file sizes also on 32-bit ARM: its clock would end in 2038.
BASE := -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -DHONED_VERSION='"$(VERSION)"' -ffp-contract=off -DHD_RQ_MODES=3 -pthread $(WARN) -MMD -MP
OPT_debug   := -O1 -g
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LD_release  := -pie -Wl,-z,relro,-z,now
LD_asan     := -fsanitize=address,undefined
LD_tsan     := -fsanitize=thread
LD_fuzz     := -fsanitize=address,undefined

PKGS     := libuv sqlite3 yaml-0.1 libmosquitto libcurl libmicrohttpd jansson libsodium
PKG_INC  := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS_honed := $(shell pkg-config --libs libuv sqlite3 yaml-0.1 libmosquitto libmicrohttpd jansson libsodium 2>/dev/null) -lm
LIBS_train := $(shell pkg-config --libs sqlite3 jansson 2>/dev/null) -lm
LIBS_ctl   := $(shell pkg-config --libs libcurl jansson libsodium 2>/dev/null) -lm
LIBS_demo  := $(shell pkg-config --libs libuv jansson libcurl libsodium 2>/dev/null) -lm
LIBS_check := $(shell pkg-config --libs check 2>/dev/null)

LIB_DIRS    := $(patsubst %/,%,$(wildcard lib/*/))
DAEMON_DIRS := $(filter-out daemon/trainer daemon/ctl daemon/demo,$(patsubst %/,%,$(wildcard daemon/*/)))
INC    := $(addprefix -I,$(LIB_DIRS) $(DAEMON_DIRS) daemon daemon/trainer daemon/ctl daemon/demo firmware/common tests/unit)
CFLAGS := $(BASE) $(OPT_$(FLAVOUR)) $(INC) $(PKG_INC)
LDFLAGS:= -pthread $(LD_$(FLAVOUR))

# --- sources -----------------------------------------------------------------------------------
LIB_C    := $(foreach d,$(LIB_DIRS),$(wildcard $(d)/*.c))
DAEMON_C := $(foreach d,$(DAEMON_DIRS),$(wildcard $(d)/*.c))
obj       = $(patsubst %.c,$(B)/%.o,$(1))

PROGRAMS := $(B)/honed $(B)/hone-train $(B)/honectl $(B)/hone-sim $(B)/hone-demo
.PHONY: all
all: $(PROGRAMS)
	@:

$(B)/libhone.a:   $(call obj,$(LIB_C))
$(B)/libdaemon.a: $(call obj,$(DAEMON_C))
%.a:
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/honed:      $(call obj,$(wildcard daemon/*.c)) $(B)/libdaemon.a $(B)/libhone.a
$(B)/honed:      LIBS := $(LIBS_honed)
$(B)/hone-train: $(call obj,$(wildcard daemon/trainer/*.c)) $(B)/libdaemon.a $(B)/libhone.a
$(B)/hone-train: LIBS := $(LIBS_train)
$(B)/honectl:    $(call obj,$(wildcard daemon/ctl/*.c)) $(B)/libhone.a
$(B)/honectl:    LIBS := $(LIBS_ctl)
$(B)/hone-demo:  $(call obj,$(wildcard daemon/demo/*.c)) $(B)/libdaemon.a $(B)/libhone.a
$(B)/hone-demo:  LIBS := $(LIBS_demo)
$(B)/hone-sim:   $(call obj,$(wildcard firmware/sim/*.c firmware/common/*.c)) $(B)/libhone.a
$(B)/hone-sim:   LIBS := -lm $(shell pkg-config --libs libmosquitto libsodium 2>/dev/null)
$(PROGRAMS):
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# --- tests: every tests/{unit,golden,fault}/check_*.c is one Check program ----------------------------
CHECK_C   := $(wildcard tests/unit/check_*.c tests/golden/check_*.c tests/fault/check_*.c)
CHECKS    := $(patsubst tests/%.c,$(B)/tests/%,$(CHECK_C))
TEST_UTIL := $(call obj,$(wildcard tests/unit/t_*.c))
$(CHECKS): $(B)/tests/%: $(B)/tests/%.o $(TEST_UTIL) $(B)/libdaemon.a $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) $(WRAP) -o $@ $(filter %.o,$^) $(B)/libdaemon.a $(B)/libhone.a $(LIBS_honed) $(LIBS_check) $(LIBS)

$(B)/tests/unit/check_pump $(B)/tests/unit/check_app $(B)/tests/golden/check_golden_int8: $(call obj,$(wildcard firmware/common/*.c))
# The flash ports of frameworks, with these stood in for by declarations in tests/firmware.
PORTS := firmware/esp-idf/esp_slots.c firmware/zephyr/src/zephyr_slots.c
$(B)/tests/unit/check_ports: $(call obj,$(PORTS) firmware/common/nor.c firmware/common/ram_slots.c)
$(call obj,$(PORTS)) $(B)/tests/unit/check_ports.o: CFLAGS += -Itests/firmware/esp-idf -Itests/firmware/zephyr \
	-Ifirmware/esp-idf -Ifirmware/zephyr/src

# The long forms: minutes, not part of `check`.
$(B)/tests/bench/bench_link: $(call obj,$(addprefix tests/bench/bench_,delta.c sim.c pty.c wire.c))
$(B)/tests/fault/powercut_campaign $(B)/tests/bench/bench_link: $(B)/tests/%: $(B)/tests/%.o $(TEST_UTIL) $(B)/libdaemon.a $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS_honed) $(LIBS_check)
.PHONY: powercut
powercut:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/tests/fault/powercut_campaign
	$(Q)mkdir -p build/report
	$(Q)build/release/tests/fault/powercut_campaign build/report/powercut.json
.PHONY: train-kill
train-kill:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release all build/release/tests/fault/check_train_kill
	$(Q)HONED_KILLS=200 CK_VERBOSITY=verbose build/release/tests/fault/check_train_kill
# Does the campaign notice faults?  Each of tests/fault/mutants is planted into a copy of lib/device.
.PHONY: powercut-mutants
powercut-mutants:
	$(Q)scripts/powercut-mutants build
# What comes without the key: 11 kinds of attack, 10,000 cases of each, under the sanitizers (minutes).
HOSTILE_CASES ?= 10000
.PHONY: hostile
hostile:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=asan build/asan/tests/fault/check_hostile
	$(Q)HOSTILE_CASES=$(HOSTILE_CASES) build/asan/tests/fault/check_hostile
# Nothing branches on a key, a MAC or a tag: clang's memory sanitizer follows them.
.PHONY: constant-time
constant-time:
	$(Q)scripts/constant-time build
.PHONY: bench-link
bench-link:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/tests/bench/bench_link
	$(Q)mkdir -p build/report
	$(Q)build/release/tests/bench/bench_link build/report/link.json

# Bad lines between gateway and device, in simulated time; the rig is shared by the short test.
STORM_RIG := $(call obj,$(wildcard tests/fault/storm_*.c))
$(B)/tests/fault/linkstorm: $(B)/tests/%: $(B)/tests/%.o $(STORM_RIG) $(TEST_UTIL) $(B)/libdaemon.a $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS_honed) $(LIBS_check)
$(B)/tests/fault/check_linkstorm: $(STORM_RIG)
$(B)/tests/fault/linkproxy: $(B)/tests/fault/linkproxy.o $(B)/tests/fault/storm_wire.o $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm
# A full disk for one process.
$(B)/tests/fault/nospace.so: tests/fault/nospace.c
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(filter-out -MMD -MP,$(BASE)) -fPIC -shared -o $@ $< -ldl
# Simulated first; then real processes through a bad line, the daemon killed STORM_KILLS times in a transfer.
STORM_RUNS  ?= 5000
STORM_KILLS ?= 30
.PHONY: linkstorm
linkstorm:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release all build/release/tests/fault/linkstorm build/release/tests/fault/linkproxy
	$(Q)mkdir -p build/report
	$(Q)build/release/tests/fault/linkstorm build/report/linkstorm.json $(STORM_RUNS)
	$(Q)SYSTEM_LIMIT_S=900 STORM_KILLS=$(STORM_KILLS) scripts/run-system build/release tests/system/linkstorm.sh
	$(Q)grep '^round\|^kills' build/release/system/linkstorm/log
	$(Q)jq -c --argjson k "$$(cat build/release/system/linkstorm/kills.json)" '. + $$k' build/report/linkstorm.json \
		> build/report/linkstorm.tmp && mv build/report/linkstorm.tmp build/report/linkstorm.json && cat build/report/linkstorm.json

# Inference deadlines during swaps, in simulated time; the rig is shared by the short test.
$(B)/tests/bench/deadlines $(B)/tests/bench/swaps $(B)/tests/bench/parity_device: $(B)/tests/%: $(B)/tests/%.o $(TEST_UTIL) $(B)/libdaemon.a $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) $(WRAP) -o $@ $(filter %.o,$^) $(B)/libdaemon.a $(B)/libhone.a $(LIBS_honed) $(LIBS_check)
$(B)/tests/bench/swaps: $(call obj,tests/bench/swapper.c tests/bench/emulator.c)
$(B)/tests/bench/parity_device: $(call obj,tests/bench/emulator.c)
$(B)/tests/bench/parity_device.o: CFLAGS += -Ifirmware/qemu
DEADLINE_RIG := $(call obj,tests/bench/deadline_rig.c tests/bench/swapper.c $(wildcard firmware/common/*.c))
$(B)/tests/bench/deadlines $(B)/tests/unit/check_deadlines: $(DEADLINE_RIG)
$(B)/tests/bench/deadlines $(B)/tests/unit/check_deadlines: WRAP := \
	$(patsubst %,-Wl$(comma)--wrap=%,hd_net_run hd_sha256_add hd_hmac hd_crc32c)
$(B)/tests/unit/check_deadlines.o: CFLAGS += -Itests/bench
.PHONY: deadlines
deadlines:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/tests/bench/deadlines
	$(Q)mkdir -p build/report
	$(Q)build/release/tests/bench/deadlines build/report/deadlines.json
# The unit test of random nets on many more of them.
.PHONY: random-nets
random-nets: $(B)/tests/unit/check_random_net
	$(Q)HONED_NETS=6000 $<

.PHONY: parity-device
parity-device: firmware
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/tests/bench/parity_device
	$(Q)mkdir -p build/report
	$(Q)build/release/tests/bench/parity_device build/report/parity_device.json build/firmware
.PHONY: swaps
swaps: firmware
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/tests/bench/swaps
	$(Q)mkdir -p build/report
	$(Q)build/release/tests/bench/swaps build/report/swaps.json build/firmware

# Training for int8, and its number of epochs, on data apart from those that chose it.
.PHONY: bench-qat
bench-qat:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release build/release/tests/bench/qat
	$(Q)build/release/tests/bench/qat $(HONED_DATA)/gas_drift/gas_drift.csv
$(B)/tests/bench/qat: $(call obj,tests/bench/qat.c firmware/common/pump.c) $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm

# Everything that `scripts/check` runs.
.PHONY: check unit generated system
check: unit generated layers banned system
	@echo "check: all passed"
unit: $(CHECKS) $(PROGRAMS)
	$(Q)scripts/run-checks $(B) $(CHECKS)
system: $(PROGRAMS) $(B)/tests/fault/linkproxy $(B)/tests/fault/nospace.so $(B)/tests/unit/check_api firmware
	$(Q)scripts/run-system $(B)

# The service under a real systemd in a container: HONED_ROOT=a Debian to boot; tests/system/systemd_boot.sh says how.
.PHONY: system-boot
system-boot:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release all
	$(Q)HONED_ROOT='$(HONED_ROOT)' scripts/run-system build/release tests/system/systemd_boot.sh
	$(Q)cat build/release/system/systemd_boot/log

# Documentation that the configuration table generates; `make docs` writes it, `make generated` compares.
GENERATED := config/honed.yaml:--sample docs/config.md:--docs config/honed.schema.json:--schema
.PHONY: docs
docs: $(B)/honed
	$(Q)mkdir -p config
	$(Q)$(foreach g,$(GENERATED),$(B)/honed $(word 2,$(subst :, ,$(g))) > $(word 1,$(subst :, ,$(g)));)
generated: $(B)/honed
	$(Q)$(foreach g,$(GENERATED),$(B)/honed $(word 2,$(subst :, ,$(g))) | diff -u $(word 1,$(subst :, ,$(g))) - \
		|| { echo "run: make docs" >&2; exit 1; };)

.PHONY: asan tsan
asan tsan:
	$(Q)CK_TIMEOUT_MULTIPLIER=10 $(MAKE) --no-print-directory FLAVOUR=$@ unit

# --- random input: tests/fuzz/fuzz_NAME.c, corpus in tests/fuzz/corpus/NAME ----------------------
FUZZ_S  ?= 20
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(FUZZERS): $(B)/%: $(B)/tests/fuzz/%.o $(TEST_UTIL) $(B)/libdaemon.a $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(B)/libdaemon.a $(B)/libhone.a $(LIBS_honed) $(LIBS_check)
.PHONY: fuzz fuzzers
fuzz:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=fuzz CC=clang fuzzers
fuzzers: $(FUZZERS)
	$(Q)scripts/run-fuzz $(B) $(FUZZ_S) $(FUZZERS)

# --- measuring ----------------------------------------------------------------------------------
# Peers are measured in the same run where they are installed: FANN, PyTorch.
BENCH_FANN := $(shell pkg-config --exists fann 2>/dev/null && echo 1)
BENCH_C    := tests/bench/bench_train.c tests/bench/bench_peak.c
.PHONY: bench-train bench-train-run
bench-train:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release bench-train-run
bench-train-run: $(B)/bench_train
	$(Q)mkdir -p build/report
	$(Q)tests/bench/bench_torch.py > build/report/torch.txt 2>/dev/null \
		|| echo "bench-train: without PyTorch (python3-torch)"
	$(Q)$(B)/bench_train -t build/report/torch.txt -o build/report/train.json
$(B)/bench_train: $(BENCH_C) tests/bench/bench_peak.h $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS)) $(LDFLAGS) -Itests/bench $(if $(BENCH_FANN),-DWITH_FANN) -o $@ $(BENCH_C) \
		$(B)/libhone.a $(if $(BENCH_FANN),-lfloatfann) -lm

# Our nets in other runtimes.
$(B)/parity_make $(B)/parity_import: $(B)/parity_%: $(B)/tests/parity/parity_%.o $(B)/libhone.a
	@echo "  LINK    $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lm
.PHONY: parity parity-run
parity:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release parity-run
parity-run: $(B)/parity_make $(B)/parity_import
	$(Q)scripts/parity $(B) build/parity

# What lib/device costs on five cores: code, RAM, stack; and that it calls nothing but mem* and libgcc.
.PHONY: device-size
device-size:
	$(Q)scripts/device-size $(CROSS) build/device

# --- reading the code ---------------------------------------------------------------------------
.PHONY: layers banned lint
layers:
	$(Q)scripts/layers
banned:
	$(Q)scripts/banned
LINT_C  := $(LIB_C) $(DAEMON_C) $(wildcard daemon/*.c daemon/trainer/*.c daemon/ctl/*.c daemon/demo/*.c \
           firmware/common/*.c firmware/sim/*.c)
LINT_SH := $(wildcard scripts/* tests/system/*.sh)
# cppcheck reads no system header: posix says what its functions do, the macros of jansson need a shape.
CPPCHECK := cppcheck --quiet --std=c11 --enable=warning,portability --library=posix --error-exitcode=1 -j2 \
            --inline-suppr --suppressions-list=scripts/cppcheck.txt -D__GNUC__ \
            -D__BYTE_ORDER__=1234 -D__ORDER_LITTLE_ENDIAN__=1234 \
            '-Djson_object_foreach(o,k,v)=while(json_next(o,&k,&v))' \
            '-Djson_array_foreach(a,i,v)=while(json_at(a,&i,&v))'
lint: layers banned
	$(Q)for t in shellcheck cppcheck clang-tidy; do command -v $$t >/dev/null || \
		{ echo "lint: $$t is missing: scripts/setup lint" >&2; exit 1; }; done
	$(Q)shellcheck -s sh $(filter %.sh,$(LINT_SH))
	$(Q)shellcheck $(filter-out %.sh %.txt,$(LINT_SH))
	$(Q)$(CPPCHECK) $(INC) $(LINT_C) $(wildcard firmware/qemu/*.c tests/*/*.c)
	$(Q)$(MAKE) --no-print-directory -k -j"$$(nproc)" tidy
	@echo "lint: clean"
# A file is read again when it or a header of it has changed: its object says so.
.PHONY: tidy
tidy: $(patsubst %.c,$(B)/tidy/%.ok,$(LINT_C))
$(B)/tidy/%.ok: %.c $(B)/%.o .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY    $<"
	$(Q)scripts/tidy $< $(filter-out -Werror -MMD -MP,$(BASE)) $(INC) $(PKG_INC)
	@touch $@

# --- firmware for the emulated boards, where the toolchain is installed --------------------------
# Board: its files beside the common ones, its toolchain, its core.
RISCV    ?= riscv64-unknown-elf-
BOARDS   := microbit an385 an386 an500 virt
ARM_M    := startup_arm.c
BOARD_microbit := board_microbit.c single.c part_nvmc.c $(ARM_M)
BOARD_an385    := board_mps2.c part_ram.c $(ARM_M)
BOARD_an386    := $(BOARD_an385)
BOARD_an500    := $(BOARD_an385)
BOARD_virt     := board_virt.c single.c part_ram.c startup_riscv.c
CPU_microbit := -mcpu=cortex-m0 -mthumb -mfloat-abi=soft
CPU_an385    := -mcpu=cortex-m3 -mthumb -mfloat-abi=soft
CPU_an386    := -mcpu=cortex-m4 -mthumb -mfloat-abi=soft
CPU_an500    := -mcpu=cortex-m7 -mthumb -mfloat-abi=soft
CPU_virt     := -march=rv32imc_zicsr -mabi=ilp32 -msmall-data-limit=0
# The libraries are built without a word about zicsr.
LINK_virt    := -march=rv32imc -mabi=ilp32
TOOL_virt    := $(RISCV)
SPECS_virt   := --specs=picolibc.specs
tool   = $(or $(TOOL_$(1)),$(CROSS))
specs  = $(or $(SPECS_$(1)),-specs=nano.specs)
has    = $(shell command -v $(call tool,$(1))gcc 2>/dev/null)
QEMU_COMMON := $(addprefix firmware/qemu/,uart.c option.c)
MCU_FLAGS   := -std=c11 -Os -g -ffreestanding -ffunction-sections -fdata-sections -DHD_RQ_MODES=3 $(WARN) \
               -MMD -MP -Ilib/device -Ifirmware/common -Ifirmware/qemu
FIRMWARE    := $(foreach b,$(BOARDS),$(if $(call has,$(b)),build/firmware/$(b)/pump.elf))
SKIPPED     := $(strip $(foreach b,$(BOARDS),$(if $(call has,$(b)),,$(b))))

# $(1) = board, $(2) = program, $(3) = its own files
define firmware_program
build/firmware/$(1)/$(2).elf: $$(patsubst %.c,build/firmware/$(1)/%.o,$$(wildcard lib/device/*.c) $$(QEMU_COMMON) \
		$$(addprefix firmware/qemu/,$$(BOARD_$(1))) $(3)) firmware/qemu/$(1).ld firmware/qemu/sections.ld
	@echo "  LINK    $$@"
	$$(Q)$$(call tool,$(1))gcc $$(or $$(LINK_$(1)),$$(CPU_$(1))) $$(call specs,$(1)) -nostartfiles -Wl,--gc-sections -Wl,--fatal-warnings \
		-Wl,-Map=$$(@:.elf=.map) -T firmware/qemu/$(1).ld -o $$@ $$(filter %.o,$$^)
endef
define firmware_board
build/firmware/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	@echo "  CC-MCU  $(1) $$<"
	$$(Q)$$(call tool,$(1))gcc $$(CPU_$(1)) $$(MCU_FLAGS) $$(if $$(TOOL_$(1)),$$(call specs,$(1))) -c -o $$@ $$<
endef
$(foreach b,$(BOARDS),$(eval $(call firmware_board,$(b))))
$(foreach b,$(BOARDS),$(eval $(call firmware_program,$(b),pump,firmware/qemu/main.c $(wildcard firmware/common/*.c))))
# Needs a megabyte of RAM.
PARITY_BOARDS := $(filter-out microbit,$(BOARDS))
$(foreach b,$(PARITY_BOARDS),$(eval $(call firmware_program,$(b),parity,firmware/qemu/parity.c)))
FIRMWARE += $(foreach b,$(PARITY_BOARDS),$(if $(call has,$(b)),build/firmware/$(b)/parity.elf))
.PHONY: firmware
firmware: $(FIRMWARE)
	@$(if $(SKIPPED),echo "firmware: without $(SKIPPED): no compiler (scripts/setup firmware)",:)
-include $(shell find build/firmware -type f -name '*.d' 2>/dev/null)

# --- other processors: everything is built, the unit tests run under qemu-user --------------------
TRIPLET_arm64 := aarch64-linux-gnu
TRIPLET_armhf := arm-linux-gnueabihf
QEMU_arm64    := qemu-aarch64-static
QEMU_armhf    := qemu-arm-static
TRIPLET       := $(TRIPLET_$(ARCH))
CROSS_ROOT    := $(CURDIR)/build/cross/$(ARCH)/root
.PHONY: cross cross-run
cross:
	$(Q)test -n "$(TRIPLET)" || { echo "usage: make cross ARCH=arm64|armhf" >&2; exit 64; }
	$(Q)scripts/setup cross-$(ARCH)
	$(Q)scripts/cross-root $(ARCH) build/cross/$(ARCH)
	$(Q)PKG_CONFIG_SYSROOT_DIR=$(CROSS_ROOT) \
		PKG_CONFIG_LIBDIR=$(CROSS_ROOT)/usr/lib/$(TRIPLET)/pkgconfig:$(CROSS_ROOT)/usr/share/pkgconfig \
		CK_TIMEOUT_MULTIPLIER=10 RUN="$(QEMU_$(ARCH)) -L $(CROSS_ROOT)" \
		$(MAKE) --no-print-directory B=build/cross/$(ARCH)/out AR=$(TRIPLET)-ar \
		CC="$(CCACHE) $(TRIPLET)-gcc --sysroot=$(CROSS_ROOT)" cross-run
# These start programs of ours as children, limited by seccomp: not what qemu-user emulates.
CROSS_SKIP   := check_proc check_trainer check_trainer_int8 check_trainer_anomaly check_train_kill
CROSS_CHECKS = $(filter-out $(addprefix %/,$(CROSS_SKIP)),$(CHECKS))
cross-run: $(CROSS_CHECKS) $(PROGRAMS)
	$(Q)scripts/run-checks $(B) $(CROSS_CHECKS)
	@echo "skipped: $(CROSS_SKIP), which need the processor itself"

# The device library for users of frameworks: archives, and everything in them compiled.
.PHONY: firmware-packages
firmware-packages:
	$(Q)scripts/package-device build/package
	$(Q)scripts/check-packages build/package $(CROSS)

# --- the loop, to be looked at ------------------------------------------------------------------
CYCLES ?= 1
.PHONY: demo demo-gas
demo:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release all
	$(Q)$(MAKE) --no-print-directory firmware
	$(Q)build/release/hone-demo --cycles $(CYCLES) --report build/report/demo.json
demo-gas:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=release all
	$(Q)scripts/demo-gas build/release

# --- installation -------------------------------------------------------------------------------
unitdir ?= $(prefix)/lib/systemd/system
.PHONY: install
install: all install-lib
	install -d -m 755 $(DESTDIR)/etc/honed
	install -D -m 755 $(B)/honed $(DESTDIR)$(prefix)/sbin/honed
	install -D -m 755 $(B)/honectl $(DESTDIR)$(prefix)/bin/honectl
	install -D -m 755 $(B)/hone-train $(DESTDIR)$(prefix)/libexec/honed/hone-train
	install -D -m 644 systemd/honed.service $(DESTDIR)$(unitdir)/honed.service
	sed -i 's|/usr/sbin/honed|$(prefix)/sbin/honed|' $(DESTDIR)$(unitdir)/honed.service
	install -D -m 644 systemd/honed.sysusers $(DESTDIR)$(prefix)/lib/sysusers.d/honed.conf
	install -D -m 644 systemd/honed.tmpfiles $(DESTDIR)$(prefix)/lib/tmpfiles.d/honed.conf
	install -D -m 644 config/honed.yaml $(DESTDIR)$(prefix)/share/honed/honed.yaml
	install -D -m 644 config/honed.schema.json $(DESTDIR)$(prefix)/share/honed/honed.schema.json
	install -D -m 644 docs/config.md $(DESTDIR)$(prefix)/share/doc/honed/config.md
	install -m 644 docs/events.md docs/formats.md docs/networks.md docs/openapi.yaml LICENSE $(DESTDIR)$(prefix)/share/doc/honed
	install -D -m 644 docs/honed.8 $(DESTDIR)$(prefix)/share/man/man8/honed.8
	install -D -m 644 docs/honectl.1 $(DESTDIR)$(prefix)/share/man/man1/honectl.1
	install -D -m 644 docs/honed.yaml.5 $(DESTDIR)$(prefix)/share/man/man5/honed.yaml.5
	install -D -m 644 scripts/honectl.bash $(DESTDIR)$(prefix)/share/bash-completion/completions/honectl

# The training core for other programs: libhone.a, its headers, and hone.pc for pkg-config.
LIB_H := lib/hone.h $(filter-out %.inc.h,$(foreach d,$(LIB_DIRS),$(wildcard $(d)/*.h)))
.PHONY: install-lib
install-lib: $(B)/libhone.a
	install -D -m 644 $(B)/libhone.a $(DESTDIR)$(prefix)/lib/libhone.a
	install -d -m 755 $(DESTDIR)$(prefix)/include/hone $(DESTDIR)$(prefix)/lib/pkgconfig
	install -m 644 $(LIB_H) $(DESTDIR)$(prefix)/include/hone
	printf '%s\n' 'prefix=$(prefix)' 'Name: hone' 'Description: training core for small nets' \
		'Version: $(VERSION)' 'Cflags: -I$${prefix}/include/hone' 'Libs: -L$${prefix}/lib -lhone -lm' \
		> $(DESTDIR)$(prefix)/lib/pkgconfig/hone.pc

.PHONY: clean help
clean:
	rm -rf build
help:
	@echo "all         honed, hone-train, honectl, hone-sim   (FLAVOUR=debug|release|asan|tsan)"
	@echo "check       all tests; asan, tsan: unit tests under the sanitizers"
	@echo "powercut    power is cut at every flash operation, and again in the recovery (minutes)"
	@echo "train-kill  the trainer is killed 200 times at random and goes on to the same bits"
	@echo "deadlines   a million inferences while packages come and go, with flash that blocks"
	@echo "swaps       fifty swaps on each emulated board (QEMU), missed inferences counted"
	@echo "random-nets 6000 random nets: outputs, gradients, plans and folded nets against double"
	@echo "parity-device  emulated cores and the gateway: the same int8 outputs, layer kind by layer kind"
	@echo "linkstorm   bad lines, resets and kills between gateway and device, seeded (minutes)"
	@echo "powercut-mutants  faults planted into slots and journal: does powercut notice each?"
	@echo "hostile     mutated, replayed, older and foreign packages and frames (HOSTILE_CASES=10000 of each kind)"
	@echo "constant-time  keys, MACs and tags under clang's memory sanitizer: nothing may branch on them"
	@echo "firmware    every emulated board whose compiler is installed; firmware-packages: Arduino, ESP-IDF, Zephyr"
	@echo "bench-link  a transfer beside the limit of the wire: simulated, and over a paced pty (a minute)"
	@echo "system-boot the service under a real systemd, in a container (HONED_ROOT=a Debian to boot)"
	@echo "layers lint include rules, banned calls; clang-tidy, cppcheck, shellcheck"
	@echo "fuzz        every parser against random input, FUZZ_S=20 seconds each (clang)"
	@echo "demo        the whole loop in a minute (CYCLES=3: three drift episodes in a row)"
	@echo "demo-gas    three years of real gas-sensor drift (HONED_DATA=folder of the data)"
	@echo "bench-qat   training for int8 beside rounding afterwards (HONED_DATA=folder of the data; minutes)"
	@echo "bench-train speed of the training core beside its peers"
	@echo "parity      exported nets in Armnn, TensorFlow Lite and onnxruntime (scripts/setup parity)"
	@echo "device-size flash, RAM and stack of lib/device on Cortex-M0+, M3, M4, M7 and RV32IMC"
	@echo "cross       build for ARCH=arm64|armhf and run its unit tests under qemu-user"
	@echo "docs        write what the configuration table generates"
	@echo "install     DESTDIR=, prefix=, unitdir=; the release flavour"
	@echo "install-lib only libhone.a, its headers and hone.pc"

-include $(shell find $(B) -type f -name '*.d' 2>/dev/null)
