# cano in the official image of PostgreSQL.
#
#	docker build -t cano .								PostgreSQL 18, or
#	docker build -t cano --build-arg PG_MAJOR=17 .		another
#	docker run -e POSTGRES_PASSWORD=... cano
#
# A cluster that is made by this image preloads cano, and its first database
# has the extension.
ARG PG_MAJOR=18

FROM postgres:$PG_MAJOR AS build
ARG PG_MAJOR
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make postgresql-server-dev-$PG_MAJOR
COPY Makefile cano.control /cano/
COPY sql /cano/sql
COPY src /cano/src
RUN make -C /cano install with_llvm=no DESTDIR=/installed \
	PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config

FROM postgres:$PG_MAJOR
COPY --from=build /installed /
RUN echo "shared_preload_libraries = 'cano'" >>/usr/share/postgresql/postgresql.conf.sample && \
	echo 'CREATE EXTENSION cano;' >/docker-entrypoint-initdb.d/cano.sql
