# bank-bridge: its configuration, init, and the three roles under their
# supervisor.  Sourced by up.

# BANK_PROGRAM names another build of it.
BRIDGE=${BANK_PROGRAM:-$ROOT/bridge/build/bank-bridge}
BRIDGE_CONF=$RUN/bridge/bank-bridge.conf

bridge_settings() {
    server="host=$SOCKET_FOLDER port=$PORT_POSTGRESQL"
    cat <<CONF
[site]
name = local

[init]
ledger_dsn = $server dbname=bank user=postgres
search_dsn = $server dbname=bank_search user=postgres

[publish]
dsn = $server dbname=bank user=bank_publish

[project]
dsn = $server dbname=bank_search user=bank_project

[report]
dsn = $server dbname=bank user=bank_report

[kafka]
bootstrap.servers = 127.0.0.1:$PORT_KAFKA

[redis]
url = redis://default:$REDIS_PASSWORD@127.0.0.1:$PORT_REDIS

[bacen]
url = http://127.0.0.1:$PORT_BACEN/notificacoes

[http]
address = 127.0.0.1
port = $PORT_BRIDGE
CONF
}

bridge_healthy() {
    curl -s -f -o /dev/null -m 5 "http://127.0.0.1:$PORT_BRIDGE/health"
}

bridge_up() {
    if ! part_runs bridge; then
        own_folder "$RUN/bridge"
        bridge_settings | own_file "$BRIDGE_CONF"
        as_server "$BRIDGE" --config "$BRIDGE_CONF" init >>"$RUN/log/bridge.log" 2>&1 ||
            part_failed bridge 'could not be initialized'
        start_part bridge "$BRIDGE" --config "$BRIDGE_CONF" run publish,project,report
    fi
    wait_for bridge 120 bridge_healthy
}

# The supervisor, then its roles as it names them itself.
bridge_pids() {
    supervisor=$(part_pid bridge) || return 1
    # shellcheck disable=SC2046
    echo "$supervisor" $(curl -s -m 5 "http://127.0.0.1:$PORT_BRIDGE/health" |
        grep -o '"pid": *[0-9]*' | tr -dc '0-9\n')
}
