EXTENSION = cano
EXTVERSION = 0.1.0
MODULE_big = cano

OBJS = $(addprefix src/, \
	api.o attempt.o batch.o blame.o breaker.o call.o cano.o child.o circuit.o client.o \
	compile.o context.o debug.o definition.o dispatch.o document.o drain.o drive.o \
	error.o external.o fan.o fault.o fsm.o function.o gate.o graph.o guc.o hold.o \
	join.o json.o lane.o launcher.o limiter.o lookup.o meter.o named.o pace.o part.o recorder.o resume.o retry.o \
	returned.o rules.o scan.o scrub.o session.o shmem.o signal.o statement.o \
	step.o stop.o store.o store_child.o store_definition.o \
	store_drain.o store_external.o store_fan.o store_gate.o store_named.o store_resume.o store_signal.o store_stop.o store_submit.o \
	txn.o utility.o value.o wait.o window.o worker.o)

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -Wno-clobbered -DCANO_VERSION='"$(EXTVERSION)"' \
	$(if $(WERROR),-Werror) $(if $(ASSERTS),-DUSE_ASSERT_CHECKING -DCANO_DEBUG_POINTS)

SQL_PARTS = $(addprefix sql/, 00_header.sql 10_tables.sql 20_types.sql \
	30_parts.sql 40_outcomes.sql 45_breakers.sql 46_limiters.sql 50_verbs.sql 55_external.sql 60_context.sql \
	70_views.sql 80_administration.sql 90_grants.sql)
DATA_built = sql/cano--$(EXTVERSION).sql

# Tests.  ./check has a server for them; see test/README.md.
TEST_INSTANCE = --temp-instance=tmp_instance --temp-config=$(srcdir)/test/test.conf
REGRESS = $(sort $(notdir $(basename $(wildcard $(srcdir)/test/sql/*.sql))))
REGRESS_OPTS = --inputdir=$(srcdir)/test --load-extension=cano $(TEST_INSTANCE)
ISOLATION = $(sort $(notdir $(basename $(wildcard $(srcdir)/test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=$(srcdir)/test --load-extension=cano $(TEST_INSTANCE) \
	$(if $(TEST_INSTANCE),--temp-config=$(srcdir)/test/no_workers.conf)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
EXTRA_CLEAN = tmp_instance log

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

ifdef VPATH
$(shell mkdir -p src sql)
endif

# PGXS tracks no headers.
$(OBJS): $(wildcard $(srcdir)/src/*.h)

sql/cano--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $^ > $@

# Format the C sources as PostgreSQL formats its own (package pg-bsd-indent).
# The names of types come from our objects.
.PHONY: indent
indent: $(OBJS)
	objdump -Wi $(OBJS) | awk '/DW_TAG_typedef/ {t = 1} t && /DW_AT_name/ {print $$NF; t = 0}' | sort -u > typedefs.tmp
	for file in $(srcdir)/src/*.[ch]; do \
		SIMPLE_BACKUP_SUFFIX=.bak pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 \
			-di12 -nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 -Utypedefs.tmp $$file || exit 1; \
		rm -f $$file.bak $$file.BAK; \
	done
	rm -f typedefs.tmp
