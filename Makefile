EXTENSION = cano
EXTVERSION = 0.1.0
MODULE_big = cano

OBJS = $(addprefix src/, \
	api.o batch.o call.o cano.o context.o debug.o definition.o document.o \
	error.o fsm.o function.o guc.o json.o launcher.o recorder.o retry.o scan.o \
	session.o shmem.o statement.o step.o store.o store_definition.o txn.o \
	utility.o wait.o window.o worker.o)

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -Wno-clobbered \
	$(if $(WERROR),-Werror) $(if $(ASSERTS),-DUSE_ASSERT_CHECKING -DCANO_DEBUG_POINTS)

SQL_PARTS = $(addprefix sql/, 00_header.sql 10_tables.sql 20_types.sql \
	30_parts.sql 40_outcomes.sql 50_verbs.sql 60_context.sql 70_views.sql 90_grants.sql)
DATA_built = sql/cano--$(EXTVERSION).sql

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
