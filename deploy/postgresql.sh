# The private cluster: databases bank (ledger, reporting, pg_cron) and
# bank_search.  Sourced by up.

DATA=$RUN/postgresql

# Copies the server's programs, and builds and installs the extension and the
# bridge; installs only what differs, since a running server uses it.  Stacks
# of one clone build one after the other.
build() {
    mkdir -p "$ROOT/build"
    exec 8>"$ROOT/build/lock"
    flock -w 600 8 || fail 'another command builds here'
    PG_CONFIG=$(deploy/postgres-tree) || fail 'no PostgreSQL to copy'
    MAKEFLAGS='' make -j2 -s PG_CONFIG="$PG_CONFIG" all >"$RUN/log/build.log" 2>&1 ||
        { tail -n 40 "$RUN/log/build.log" >&2; fail 'the build failed'; }
    chmod a+rx "$ROOT/bridge/build/bank-bridge"
    version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" bank.control)
    extensions=$("$PG_CONFIG" --sharedir)/extension
    if ! cmp -s bank.so "$("$PG_CONFIG" --pkglibdir)/bank.so" ||
        ! cmp -s bank.control "$extensions/bank.control" ||
        ! cmp -s "sql/bank--$version.sql" "$extensions/bank--$version.sql"; then
        MAKEFLAGS='' make -s PG_CONFIG="$PG_CONFIG" install >>"$RUN/log/build.log" 2>&1 ||
            { tail -n 40 "$RUN/log/build.log" >&2; fail 'the installation failed'; }
    fi
    exec 8>&-
}

# The databases are made by the single-user server, so that pg_cron finds its
# own at the first start.
init_cluster() {
    rm -rf "$DATA.new"
    own_folder "$DATA.new"
    as_server "$BIN/initdb" -D "$DATA.new" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
        --no-instructions >>"$RUN/log/postgresql.log" 2>&1 ||
        part_failed postgresql 'could not be initialized'
    printf 'CREATE DATABASE bank\nCREATE DATABASE bank_search\n' |
        as_server "$BIN/postgres" --single -D "$DATA.new" postgres \
            >>"$RUN/log/postgresql.log" 2>&1 ||
        part_failed postgresql 'made no databases'
    echo "include_if_exists 'stack.conf'" >>"$DATA.new/postgresql.conf"
    mv "$DATA.new" "$DATA"
}

cluster_settings() {
    cat <<CONF
# Written at each start of the stack; changes belong in postgresql.auto.conf.
listen_addresses = ''
port = $PORT_POSTGRESQL
unix_socket_directories = '$SOCKET_FOLDER'
max_connections = 200
wal_level = logical
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
shared_preload_libraries = 'pg_cron'
session_preload_libraries = 'bank'
cron.database_name = 'bank'
cron.host = '$SOCKET_FOLDER'
cron.use_background_workers = off
bank.customer_api_url = 'http://127.0.0.1:$PORT_CUSTOMER_API/clientes/{customer_id}'
bank.bacen_url = 'http://127.0.0.1:$PORT_BACEN/notificacoes'
bank.redis_url = 'redis://127.0.0.1:$PORT_REDIS'
bank.redis_password_file = '$DATA/redis-password'
bank.search_dsn = 'host=$SOCKET_FOLDER port=$PORT_POSTGRESQL dbname=bank_search user=bank_project'
CONF
    [ -z "${EXTRA_SETTINGS:-}" ] || cat "$EXTRA_SETTINGS"
}

# Each login of the bridge reaches one database.  A connection for logical
# decoding names its database; with no line for "replication", nobody can
# copy the cluster.
cluster_access() {
    cat <<CONF
local  bank         bank_publish,bank_report               trust
local  bank_search  bank_project                           trust
local  all          bank_publish,bank_report,bank_project  reject
local  all          all                                    trust
CONF
}

run_sql() {
    run_database=$1
    shift
    as_server "$BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$SOCKET_FOLDER" \
        -p "$PORT_POSTGRESQL" -U postgres -d "$run_database" "$@"
}

server_answers() {
    as_server "$BIN/pg_isready" -q -h "$SOCKET_FOLDER" -p "$PORT_POSTGRESQL" -U postgres -d postgres
}

# The processes of a killed server end a moment after it, and hold its memory
# until then.
wait_for_leftovers() {
    leftover_deadline=$(($(now) + 30))
    while readlink /proc/[0-9]*/cwd 2>/dev/null | grep -qxF "$(readlink -f "$DATA")" ||
        part_lingers postgresql; do
        [ "$(now)" -lt "$leftover_deadline" ] || fail "a process still works in $DATA"
        sleep 0.1
    done
}

start_server() {
    start_part postgresql "$BIN/postgres" -D "$DATA"
}

# The databases are made by the script that is installed now; a stack of a
# development version is not upgraded.
make_objects() {
    script=$(cksum <"$ROOT/sql/bank--$version.sql")
    if made=$(as_server cat "$DATA/stack-objects" 2>/dev/null); then
        [ "$made" = "$script" ] ||
            say 'the SQL has changed since the databases were made; make reset begins anew'
        return 0
    fi
    run_sql bank -c 'CREATE EXTENSION IF NOT EXISTS bank' \
        -c 'CREATE EXTENSION IF NOT EXISTS pg_cron' \
        -c 'ALTER ROLE bank_publish LOGIN' -c 'ALTER ROLE bank_project LOGIN' \
        -c 'ALTER ROLE bank_report LOGIN' &&
        run_sql bank_search -c 'CREATE EXTENSION IF NOT EXISTS bank' &&
        echo "$script" | own_file "$DATA/stack-objects"
}

postgresql_up() {
    ! part_runs postgresql || return 0
    [ -d "$DATA" ] || init_cluster
    wait_for_leftovers
    echo "$REDIS_PASSWORD" | own_file "$DATA/redis-password"
    cluster_settings | own_file "$DATA/stack.conf"
    cluster_access | own_file "$DATA/pg_hba.conf"
    start_server
    wait_for postgresql 120 server_answers
}
