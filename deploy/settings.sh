# Ports, passwords and the socket's folder: chosen once and kept in
# $RUN/settings.  A port another program took while nothing ran here is
# chosen anew.  Sourced by up.

PORT_NAMES='PORT_POSTGRESQL PORT_KAFKA PORT_CONTROLLER PORT_REDIS
    PORT_CUSTOMER_API PORT_BACEN PORT_BRIDGE'
PARTS='postgresql kafka redis customer-api bacen bridge'

any_part_runs() {
    for any_part in $PARTS; do
        ! part_runs "$any_part" || return 0
    done
    return 1
}

# Prints NAME=PORT lines of free ports below the range the kernel gives to
# outgoing connections.  Arguments NAME=PORT are kept where they are free.
free_ports() {
    /usr/bin/python3 - "$@" <<'PYTHON'
import random
import socket
import sys

held = []

def is_free(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(('127.0.0.1', port))
    except OSError:
        return False
    held.append(listener)
    return True

for argument in sys.argv[1:]:
    name, _, port = argument.partition('=')
    port = int(port or random.randrange(15000, 32000))
    while not is_free(port):
        port = random.randrange(15000, 32000)
    print(f'{name}={port}')
PYTHON
}

choose_ports() {
    for port_name in $PORT_NAMES; do
        eval "port_value=\${$port_name:-}"
        set -- "$@" "$port_name=$port_value"
    done
    free_ports "$@"
}

random_hex() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# The path of a unix socket has at most 107 bytes and every user must be able
# to reach it, so its folder is not in the clone.
make_socket_folder() {
    if [ -z "${SOCKET_FOLDER:-}" ] || ! is_ours "$SOCKET_FOLDER"; then
        SOCKET_FOLDER=$(mktemp -d /tmp/bank-XXXXXX)
    fi
    own_folder "$SOCKET_FOLDER" 755
}

# True for a folder that is ours, and for one that is not there and can be
# made under the old name.
is_ours() {
    mkdir "$1" 2>/dev/null || { [ -d "$1" ] && [ ! -L "$1" ] &&
        [ "$(stat -c %U "$1")" = "$SERVER_USER" ]; }
}

make_settings() {
    SERVER_USER=postgres
    [ -n "$AS_SERVER" ] || SERVER_USER=$(id -un)
    read_settings || true
    ! any_part_runs || return 0
    make_socket_folder
    ports=$(choose_ports)
    {
        echo "$ports"
        echo "SOCKET_FOLDER=$SOCKET_FOLDER"
        echo "REDIS_PASSWORD=${REDIS_PASSWORD:-$(random_hex)}"
    } >"$RUN/settings.new"
    chmod 600 "$RUN/settings.new"
    mv "$RUN/settings.new" "$RUN/settings"
    read_settings
}
