# The only entrance: the extension by PGXS, the bridge by its own Makefile,
# the private stack and every test by the scripts they live beside.
#
#   make demo    everything to see the four flows run
#   make test    everything to pass all tests
#
# "make", "make install" build against the server of PG_CONFIG; test, up and
# demo use a private copy of the server's programs under build/.

EXTENSION = bank
MODULE_big = bank

BANK_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" bank.control)
SQL_PARTS = schema guard site $(SQL_NOUNS) seal verify privileges
SQL_NOUNS = money account transfer hold limit inactivation balance statement notification

C_SOURCES = $(wildcard extension/*.c extension/common/*.c)
C_HEADERS = $(wildcard extension/*.h extension/common/*.h)
OBJS = $(C_SOURCES:.c=.o)

DATA_built = sql/bank--$(BANK_VERSION).sql
EXTRA_CLEAN = build sql/bank--*.sql

LIBRARIES = libcurl hiredis jansson libpq libcrypto
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers $(WARNINGS_ARE_ERRORS)
PG_CPPFLAGS = -Iextension -Iextension/common $(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null)
SHLIB_LINK = $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null)
ifdef CI
WARNINGS_ARE_ERRORS = -Werror
endif

# Bitcode needs clang, and nothing here gains from it.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck: packages
	$(MAKE) $@
endif

# Debian builds the server without dependency tracking.
$(OBJS): $(C_HEADERS)

sql/bank--$(BANK_VERSION).sql: $(SQL_PARTS:%=sql/%.sql)
	{ printf '%s\n' '\echo Use "CREATE EXTENSION bank" to load this file. \quit'; cat $^; } > $@

all: bridge
bridge:
	$(MAKE) -C bridge

clean: clean-bridge
clean-bridge:
	$(MAKE) -C bridge clean

# The private stack, and everything shown on it.
packages:
	deploy/packages
up down reset:
	deploy/$@
demo:
	deploy/packages
	/usr/bin/python3 deploy/demo/demo.py

# Tests: the last line of each target sums them up.
test:
	deploy/packages
	test/run
# What is too long for every day, beside what "make test" runs.
test-all:
	deploy/packages
	test/run valgrind asan-e2e tsan-e2e chaos soak
quick:
	deploy/packages
	test/run tidy format python unit regress isolation pgtap calls copies
regress isolation pgtap calls copies cost model soak valgrind unit asan tsan e2e asan-e2e tsan-e2e chaos:
	deploy/packages
	test/run $@

# Measures the ledger beside what it must be compared with.
bench:
	deploy/packages
	bench/run

# Takes the results of the regression and isolation tests as expected, once
# the difference was read.
ack:
	cp build/results/regress/results/*.out expected/
	cp build/results/isolation/results/*.out test/isolation/expected/

tidy:
	/usr/bin/python3 test/tidy.py
format:
	test/format
format-check:
	test/format --check

.PHONY: all bridge clean-bridge packages up down reset demo test quick \
	regress isolation pgtap calls copies cost model soak valgrind unit asan tsan e2e \
	asan-e2e tsan-e2e chaos test-all bench ack tidy \
	format format-check
