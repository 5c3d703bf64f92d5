# honed - one Makefile, no recursion.  `make help` lists the targets.
# Flavours build side by side in build/<flavour>: debug (default), release, asan, tsan.

FLAVOUR ?= debug
B       := build/$(FLAVOUR)
CC      ?= cc
AR      ?= ar
CROSS   ?= arm-none-eabi-
VERSION := 0.1.0
prefix  ?= /usr
DESTDIR ?=
V       ?= 0
Q       := $(if $(filter 1,$(V)),,@)

# --- flags -------------------------------------------------------------------------------------
# Each warning earns its place: implicit narrowing and sign changes corrupt numbers silently,
# shadowing and missing prototypes hide mistakes between files, VLAs have no bound.
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wdouble-promotion -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Wcast-qual -Wundef -Werror
# -ffp-contract=off: no fused multiply-add that the source does not write, so that results do not
# depend on the compiler; kernels that want FMA say so.  Never -ffast-math.
BASE := -std=c11 -D_GNU_SOURCE -DHONED_VERSION='"$(VERSION)"' -ffp-contract=off -pthread $(WARN) -MMD -MP
OPT_debug   := -O1 -g
OPT_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread
LD_release  := -pie -Wl,-z,relro,-z,now
LD_asan     := -fsanitize=address,undefined
LD_tsan     := -fsanitize=thread

PKGS     := libuv sqlite3 yaml-0.1 libcurl libmicrohttpd jansson libsodium
PKG_INC  := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS_honed := $(shell pkg-config --libs libuv sqlite3 yaml-0.1 libmicrohttpd jansson libsodium 2>/dev/null) -lm
LIBS_train := $(shell pkg-config --libs sqlite3 jansson 2>/dev/null) -lm
LIBS_ctl   := $(shell pkg-config --libs libcurl jansson 2>/dev/null)
LIBS_check := $(shell pkg-config --libs check 2>/dev/null)

LIB_DIRS    := $(patsubst %/,%,$(wildcard lib/*/))
DAEMON_DIRS := $(filter-out daemon/trainer daemon/ctl,$(patsubst %/,%,$(wildcard daemon/*/)))
INC    := $(addprefix -I,$(LIB_DIRS) $(DAEMON_DIRS) daemon/trainer daemon/ctl firmware/common tests/unit)
CFLAGS := $(BASE) $(OPT_$(FLAVOUR)) $(INC) $(PKG_INC)
LDFLAGS:= -pthread $(LD_$(FLAVOUR))

# --- sources -----------------------------------------------------------------------------------
LIB_C    := $(foreach d,$(LIB_DIRS),$(wildcard $(d)/*.c))
DAEMON_C := $(foreach d,$(DAEMON_DIRS),$(wildcard $(d)/*.c))
obj       = $(patsubst %.c,$(B)/%.o,$(1))

PROGRAMS := $(B)/honed $(B)/hone-train $(B)/honectl $(B)/hone-sim
.PHONY: all
all: $(PROGRAMS)

$(B)/libhone.a:   $(call obj,$(LIB_C))
$(B)/libdaemon.a: $(call obj,$(DAEMON_C))
%.a:
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/honed:      $(call obj,daemon/main.c) $(B)/libdaemon.a $(B)/libhone.a
$(B)/honed:      LIBS := $(LIBS_honed)
$(B)/hone-train: $(call obj,$(wildcard daemon/trainer/*.c)) $(B)/libdaemon.a $(B)/libhone.a
$(B)/hone-train: LIBS := $(LIBS_train)
$(B)/honectl:    $(call obj,$(wildcard daemon/ctl/*.c))
$(B)/honectl:    LIBS := $(LIBS_ctl)
$(B)/hone-sim:   $(call obj,$(wildcard firmware/sim/*.c firmware/common/*.c)) $(B)/libhone.a
$(B)/hone-sim:   LIBS := -lm
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
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libdaemon.a $(B)/libhone.a $(LIBS_honed) $(LIBS_check) $(LIBS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
