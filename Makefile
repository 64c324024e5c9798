EXTENSION = cano
EXTVERSION = 0.2.0
MODULE_big = cano

OBJS = $(patsubst $(srcdir)/%.c,%.o,$(sort $(wildcard $(srcdir)/src/*.c)))

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare -Wno-clobbered $(if $(WERROR),-Werror)
PG_CPPFLAGS = -DCANO_VERSION='"$(EXTVERSION)"' \
	$(if $(ASSERTS),-DUSE_ASSERT_CHECKING -DCANO_DEBUG_POINTS)

# In the order of their numbers.
SQL_PARTS = $(sort $(wildcard $(srcdir)/sql/[0-9]*.sql))
SQL_FIXED = $(sort $(wildcard $(srcdir)/sql/[0-2]*.sql))
SQL_REPLACEABLE = $(filter-out $(SQL_FIXED),$(SQL_PARTS))

# From each release there is a way to this version.
SQL_UPGRADES = $(shell printf '%s\n' $(wildcard $(srcdir)/sql/upgrades/*--*.sql) | sort -V)
RELEASES = $(foreach file,$(notdir $(SQL_UPGRADES)),$(firstword $(subst --, ,$(file))))
UPDATES = $(RELEASES:%=sql/cano--%--$(EXTVERSION).sql)
DATA_built = sql/cano--$(EXTVERSION).sql $(UPDATES)

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

# What was done by hand from that release on, then every function and view, and
# the comments on the rest.  An extension's script replaces nothing but the
# extension's own.
$(UPDATES): sql/cano--%--$(EXTVERSION).sql: $(SQL_UPGRADES) $(SQL_PARTS) $(wildcard $(srcdir)/sql/upgrades/*.sql)
	{ cat $(srcdir)/sql/upgrades/before.sql && \
	cat $$(printf '%s\n' $(SQL_UPGRADES) | sed -n '/\/$*--/,$$p') && \
	awk '/^COMMENT ON / { on = 1 } on; /;$$/ { on = 0 }' $(SQL_FIXED) && \
	sed 's/^CREATE \(FUNCTION\|PROCEDURE\|VIEW\) /CREATE OR REPLACE \1 /' $(SQL_REPLACEABLE) && \
	cat $(srcdir)/sql/upgrades/after.sql; } > $@

# What the catalog says, on a page; see docs/reference.sql.
.PHONY: reference
reference:
	cd $(srcdir) && $(bindir)/psql -XAtq -f docs/reference.sql -o docs/reference.new && mv docs/reference.new docs/reference.md

# The archive for PGXN: what is committed.
.PHONY: dist
dist:
	git archive --format=zip --prefix=cano-$(EXTVERSION)/ -o cano-$(EXTVERSION).zip HEAD

# Format the C sources as PostgreSQL formats its own, by the pg_bsd_indent that
# comes with the server's development files since 17 (older ones indent less).
# It learns the names of types from our objects; what it has no idea of are
# functions that return pointers, initializers by name, and types of no variable.
INDENT = $(bindir)/pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 \
	-i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 -Utypedefs.tmp
.PHONY: indent
indent: $(OBJS)
	objdump -Wi $(OBJS) | awk '/DW_TAG_typedef/ {t = 1} t && /DW_AT_name/ {print $$NF; t = 0}' | sort -u > typedefs.tmp
	set -e; for file in $(srcdir)/src/*.[ch]; do \
		$(INDENT) <$$file >indent.tmp; \
		sed -i -E 's/^([A-Za-z_][A-Za-z_0-9 ]*[A-Za-z_0-9])[ \t]+\*$$/\1 */; s/,\.([a-z.])/, .\1/; s/^\}[ \t]+(\w+;)$$/} \1/' indent.tmp; \
		cmp -s indent.tmp $$file || cp indent.tmp $$file; \
	done
	rm -f typedefs.tmp indent.tmp
