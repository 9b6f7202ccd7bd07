# SPDX-License-Identifier: Apache-2.0
# One Makefile, no recursion. `make help` lists the targets; overrides go into config.mk.
-include config.mk
MAKEFLAGS += -r --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
config ?= release
B      := build/$(config)
STAGES := fetch filter render embed splits train generate evaluate bench
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC := gcc
endif

# --- configurations -----------------------------------------------------------
SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT.release  := -O3
OPT.debug    := -O0
OPT.sanitize := -O1 $(SANITIZE)
OPT.fuzz     := -O1 $(SANITIZE) -fsanitize=fuzzer-no-link
ifeq ($(OPT.$(config)),)
$(error unknown config '$(config)': use release, debug, sanitize or fuzz)
endif

WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wold-style-definition \
        -Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 -Wundef -Werror
# clang joins products and sums unless told not to, gcc in standard C does not: equal things then differ in the last bit.
# clang before 16 wants to be told twice about variables.
HARDEN := -fstack-protector-strong -ftrivial-auto-var-init=zero -fPIE
ifneq ($(findstring clang,$(CC)),)
HARDEN += -ffp-contract=off $(shell echo | $(CC) -ftrivial-auto-var-init=zero -Werror -x c -fsyntax-only - 2>/dev/null || \
    echo -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif
# gcc's bounds warnings are wrong about code that the sanitizers have rewritten; the release build has them.
ifeq ($(findstring clang,$(CC))$(filter release debug,$(config)),)
WARN += -Wno-stringop-overflow -Wno-maybe-uninitialized
endif
ifneq ($(findstring release,$(config)),)
HARDEN += -D_FORTIFY_SOURCE=2
endif

PKGS := libpng libjpeg libwebp libdeflate sqlite3 libcjson libcrypto libseccomp libcurl zlib libzstd
# What runs on a GPU machine needs a C compiler, make and CUDA, no package besides.
GPU_GOALS  := check-gpu bench-gpu
ifneq ($(filter-out $(GPU_GOALS),$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS))
endif
OPENMP     := -fopenmp
# oneDNN has no .pc file in Debian; without it the matrix products are our own loops. DNNL=no leaves it out.
DNNL ?= $(shell echo '\#include <dnnl.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
ifeq ($(DNNL),yes)
PKG_CFLAGS += -DT3D_HAVE_DNNL
PKG_LIBS   += -ldnnl
endif

# CUDA is used where its compiler is found (on the PATH or in /usr/local/cuda) and g++, which that calls; CUDA=DIR is another place, CUDA=no
# leaves it out. Machine code for these targets, and PTX of the last one for cards to come. cuBLASLt is loaded at run
# time, so the programs start where there is no CUDA.
CUDA ?= $(shell command -v g++ >/dev/null && for n in "$$(command -v nvcc)" /usr/local/cuda/bin/nvcc; do [ -x "$$n" ] && dirname "$$(dirname \
    "$$(readlink -f "$$n")")" && break; done)
CUDA_TARGETS := 80 90
ifneq ($(filter-out no,$(CUDA)),)
DEVICE    := cuda
NVCC      := $(filter ccache,$(CC)) $(CUDA)/bin/nvcc
NVCCFLAGS_ALL = -std=c++17 -O3 -I. -Ilib -Xcompiler=-fPIE,-fno-exceptions,-fno-threadsafe-statics,-Wall,-Wextra --Werror=all-warnings \
    $(foreach t,$(CUDA_TARGETS),-gencode=arch=compute_$(t),code=sm_$(t)) \
    -gencode=arch=compute_$(lastword $(CUDA_TARGETS)),code=compute_$(lastword $(CUDA_TARGETS)) $(NVCCFLAGS)
CUDA_CPPFLAGS := -isystem $(CUDA)/include \
    -DT3D_CUDA_TARGETS='"$(CUDA_TARGETS:%=sm_%) compute_$(lastword $(CUDA_TARGETS))"'
CUDA_LIBS := $(CUDA)/lib64/libcudart_static.a -ldl -lrt
else
DEVICE    := nocuda
endif

CPPFLAGS_ALL = -Ilib -D_GNU_SOURCE -include base/banned.h $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL   = -std=c17 -g $(WARN) $(HARDEN) $(OPENMP) $(OPT.$(config)) $(CFLAGS)
LDFLAGS_ALL  = -pie -Wl,-z,relro,-z,now,--as-needed $(filter-out -fsanitize=fuzzer-no-link,$(filter -fsanitize%,$(OPT.$(config)))) $(OPENMP) $(LDFLAGS)
LDLIBS_ALL   = $(PKG_LIBS) $(CUDA_LIBS) -lm -lpthread $(LDLIBS)

# --- sources: found, never listed -----------------------------------------------
LIB_SRC  := $(sort $(wildcard lib/*/*.c lib/*/cpu/*.c lib/*/$(DEVICE)/*.c))
CU_SRC   := $(sort $(wildcard lib/*/$(DEVICE)/*.cu))
HEADERS  := $(sort $(wildcard lib/*/*.h lib/*/*/*.h))
STAGE_SRC := $(sort $(wildcard $(STAGES:%=%/*.c)))
# Each is a program, but PROGRAM_PART.c is linked into t3d-PROGRAM.
TOOL_SRC := $(foreach f,$(STAGE_SRC),$(if $(findstring _,$(notdir $f)),,$f))
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))
UNIT64_SRC := $(sort $(wildcard tests/unit64/*.c))
NUM_SRC  := $(sort $(wildcard lib/num/*.c lib/num/cpu/*.c lib/num/nocuda/*.c \
              lib/draw/splat*.c lib/draw/cpu/splat*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
AID_SRC  := $(sort $(wildcard tests/serve/*.c))
TESTS    := $(sort $(wildcard tests/tool/*.t tests/pipe/*.t))
MODELS   := $(sort $(wildcard models/*/*))
LONG     := $(sort $(wildcard tests/long/*.t))

LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o) $(CU_SRC:%.cu=build/cuda/%.o)
LIB     := $(B)/libt3d.a
TOOLS   := $(B)/t3d $(foreach t,$(TOOL_SRC:.c=),$(B)/t3d-$(notdir $(t)))
UNITS64 := $(UNIT64_SRC:tests/unit64/%.c=$(B)/unit/%64)
UNITS   := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%) $(UNITS64)
# The numerics core and the splat op once more in double: the truth their gradients are tested against.
LIB64     := $(B)/libt3d64.a
LIB64_OBJ := $(NUM_SRC:%.c=$(B)/obj64/%.o)
# The numerics core and the splat op with that part of base which needs libc alone, for programs on a GPU machine.
LIBNUM     := $(B)/libnum.a
LIBNUM_SRC := $(filter lib/num/% lib/draw/$(DEVICE)/%,$(LIB_SRC)) \
    $(filter-out lib/draw/splat_views.c,$(filter lib/draw/%,$(NUM_SRC))) \
    $(shell grep -L -E '<(cjson|openssl|seccomp)|"base/json' lib/base/*.c)
LIBNUM_OBJ := $(LIBNUM_SRC:%.c=$(B)/obj/%.o) $(filter build/cuda/%,$(LIB_OBJ))
GPU        := $(B)/gpu/check $(B)/gpu/bench
# The kernels once more as plain C++ on an emulated device: `make check-long` runs the GPU's tests where there is none.
ifeq ($(DEVICE)$(filter release debug,$(config)),cuda$(config))
EMULATED   := $(B)/unit/num_cuda $(B)/unit/model_cuda
endif
EMU_OBJ    := $(CU_SRC:%.cu=build/emulated/%.o) build/emulated/tests/cuda/emulate.o
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
BENCHES := $(BENCH_SRC:tests/bench/%.c=$(B)/bench/%)
# Programs that only the tests run.
AIDS    := $(AID_SRC:tests/serve/%.c=$(B)/aid/%)

# The vector code is compiled once per instruction set and chosen at run time.
ARCH := $(shell uname -m)
ISA.portable := -Wno-psabi # wide vectors never cross a call there
ifeq ($(ARCH),x86_64)
ISA.avx2   := -mavx2 -mfma -mf16c -mbmi2
ISA.avx512 := $(ISA.avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=512
endif
isa = $(ISA.$(lastword $(subst _, ,$(basename $(notdir $(1))))))

all: $(TOOLS) $(B)/man

$(B)/t3d: $(B)/obj/t3d.o $(LIB)
$(foreach t,$(TOOL_SRC:.c=),$(eval $(B)/t3d-$(notdir $(t)): $(B)/obj/$(t).o \
    $(patsubst %.c,$(B)/obj/%.o,$(filter $(t)_%.c,$(STAGE_SRC))) $(LIB)))

say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(patsubst build/%,%,$@)';)
$(TOOLS) $(UNITS) $(BENCHES) $(AIDS):
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^) $(if $(filter $(UNITS),$@),-lcmocka) $(LDLIBS_ALL)
$(filter-out $(UNITS64),$(UNITS)): $(B)/unit/%: $(B)/obj/tests/unit/%.o $(LIB)
$(UNITS64): $(B)/unit/%64: $(B)/obj64/tests/unit64/%.o $(LIB64) $(LIB)
$(BENCHES): $(B)/bench/%: $(B)/obj/tests/bench/%.o $(LIB)
$(AIDS): $(B)/aid/%: $(B)/obj/tests/serve/%.o
$(FUZZERS): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LDLIBS_ALL)
$(GPU): $(B)/gpu/%: $(B)/obj/tests/gpu/%.o $(LIBNUM)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(filter -ldnnl,$(PKG_LIBS)) $(CUDA_LIBS) -lm -lpthread
$(B)/unit/num_cuda: $(B)/obj/tests/gpu/check.o $(EMU_OBJ) $(B)/obj/tests/cuda/emulate_lt.o $(LIBNUM)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $^ $(filter -ldnnl,$(PKG_LIBS)) -ldl -lm -lpthread
$(B)/unit/model_cuda: $(B)/obj/tests/cuda/model.o $(EMU_OBJ) $(B)/obj/tests/cuda/emulate_lt.o $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS_ALL) -rdynamic -o $@ $^ $(PKG_LIBS) -ldl -lm -lpthread
$(LIBNUM): $(LIBNUM_OBJ) $(B)/list
	$(call say,AR)rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(LIB): $(LIB_OBJ) $(B)/list
	$(call say,AR)rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(LIB64): $(LIB64_OBJ) $(B)/list
	$(call say,AR)rm -f $@ && ar rcs $@ $(filter %.o,$^)
$(B)/obj64/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS_ALL) -DT3D_REAL_DOUBLE $(CFLAGS_ALL) $(call isa,$<) -MMD -MP -c -o $@ $<
$(STAGE_SRC:%.c=$(B)/obj/%.o): private CPPFLAGS_ALL += -I.
$(B)/obj/lib/num/cuda/%.o $(B)/obj/lib/draw/cuda/%.o $(B)/obj/tests/cuda/%.o $(B)/obj/tests/gpu/%.o: private CPPFLAGS_ALL += $(CUDA_CPPFLAGS)
EMU_FLAGS := -std=c++17 -O1 -g -fPIE -fno-exceptions -fno-threadsafe-statics -Wall -Wextra -Werror -I. -Ilib \
    -isystem $(CUDA)/include
EMU_CXX   := $(filter ccache,$(CC)) g++
build/emulated/%.o: %.cu
	@mkdir -p $(@D)
	$(call say,C++)$(EMU_CXX) $(EMU_FLAGS) -MMD -MP -x c++ -c -o $@ $<
build/emulated/%.o: %.cc
	@mkdir -p $(@D)
	$(call say,C++)$(EMU_CXX) $(EMU_FLAGS) -MMD -MP -c -o $@ $<
# Code for the device is the same in every configuration.
build/cuda/%.o: %.cu build/cuda/flags
	@mkdir -p $(@D)
	$(call say,NVCC)$(NVCC) $(NVCCFLAGS_ALL) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(call isa,$<) -MMD -MP -c -o $@ $<

# The style and the scripts of pages, as strings of C: comment lines and indents go, the rest is as in the file.
PAGE := $(sort $(wildcard lib/metric/page/*))
$(B)/obj/lib/metric/page_assets.o: private CPPFLAGS_ALL += -Ibuild/page
$(B)/obj/lib/metric/page_assets.o: $(PAGE:lib/%=build/page/%.h)
build/page/%.h: lib/%
	@mkdir -p $(@D)
	@sed -e '/^ *\/\/ /d' -e 's/^ *//' -e 's/[\\"?]/\\&/g' -e 's/.*/"&\\n"/' $< >$@

# Stamps: changed flags rebuild everything, a changed file list re-archives, no change does nothing.
$(B)/flags: TEXT = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)
$(B)/list:  TEXT = $(LIB_OBJ)
build/cuda/flags: TEXT = $(NVCC) $(NVCCFLAGS_ALL)
$(B)/flags $(B)/list build/cuda/flags: FORCE
	@mkdir -p $(@D); echo '$(TEXT)' | cmp -s - $@ || echo '$(TEXT)' >$@

# Man pages from the option tables.
$(B)/man: $(TOOLS) scripts/make-man
	$(call say,MAN)scripts/make-man $(B)

# --- checks -------------------------------------------------------------------------
units: $(UNITS) $(EMULATED) $(AIDS)
# Three at once on two cores: tests of HTTP and of time limits wait for much of theirs.
check: all $(UNITS) $(AIDS)
	@T3D_BUILD="$(CURDIR)/$(B)" PATH="$(CURDIR)/$(B):$$PATH" CMOCKA_MESSAGE_OUTPUT=TAP \
	    prove -j3 --timer --merge --exec scripts/run-test $(UNITS) $(TESTS)
check-long: all $(AIDS) $(EMULATED)
	@T3D_BUILD="$(CURDIR)/$(B)" PATH="$(CURDIR)/$(B):$$PATH" CC="$(CC)" \
	    prove --timer --merge --exec scripts/run-test $(EMULATED) $(LONG)
lint: all check-headers
	@scripts/lint $(B)
check-headers:
	@for h in $(HEADERS); do echo "#include \"$${h#lib/}\"" | \
	    $(CC) $(CPPFLAGS_ALL) -std=c17 $(WARN) -fsyntax-only -x c - || \
	    { echo "not self-contained: $$h"; exit 1; }; done
# On a machine with a card: every op against the host, and the rates of the kernels; 77 = no device.
check-gpu: $(B)/gpu/check
	@$<
bench-gpu: $(B)/gpu/bench
	@$<
fuzzers: $(FUZZERS)
benches: $(BENCHES) $(AIDS)
demo: all
	@T3D_BUILD="$(CURDIR)/$(B)" PATH="$(CURDIR)/$(B):$$PATH" examples/demo.sh
bench: all
	@PATH="$(CURDIR)/$(B):$$PATH" scripts/bench $(PEERS)

# The small models that come with the program, trained from nothing.
models: all
	@PATH="$(CURDIR)/$(B):$$PATH" scripts/make-models

# The same models on real objects that are not ours to ship: DATA is a folder of KayKit's packs.
models-kaykit: all
	@PATH="$(CURDIR)/$(B):$$PATH" scripts/make-kaykit "$(DATA)" $(STEPS)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 $(TOOLS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(B)/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(B)/man/t3d.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/t3d
	install -m 644 $(B)/man/_t3d $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 $(B)/man/t3d.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	for f in $(MODELS); do install -D -m 644 "$$f" "$(DESTDIR)$(PREFIX)/share/t3d/$$f" || exit 1; done
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(notdir $(TOOLS))) \
	    $(DESTDIR)$(PREFIX)/share/man/man1/t3d*.1 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/t3d \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_t3d \
	    $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/t3d.fish \
	    $(addprefix $(DESTDIR)$(PREFIX)/share/t3d/,$(MODELS))
clean:
	rm -rf build
help:
	@echo 'all check check-long lint demo bench models models-kaykit install uninstall clean units fuzzers benches check-gpu bench-gpu'
	@echo 'config=release|debug|sanitize|fuzz  CC=gcc|clang-14  V=1  PEERS=DIR (bench)  DATA=DIR STEPS=N (models-kaykit)  CUDA=DIR|no'
.PHONY: all units check check-gpu bench-gpu check-long lint check-headers fuzzers benches demo bench models install uninstall clean help FORCE
-include $(shell find $(B) build/cuda build/emulated -name '*.d' 2>/dev/null)
