# What up, down and reset share: where things are, and how a part is started,
# found again and stopped.  Sourced from the top of the clone.
#
# A part is one process known by its id, start time and boot, kept in
# $RUN/pid/PART, since ids alone are used again.  Its output is
# $RUN/log/PART.log.

umask 022
ROOT=$(pwd -P)
RUN=${BANK_RUN_DIR:-.run}
case $RUN in
    /*) ;;
    *) RUN=$ROOT/$RUN ;;
esac

say() {
    echo "stack: $*"
}

fail() {
    echo "stack: $*" >&2
    exit 1
}

now() {
    date +%s
}

# Where fetched programs are kept, for every clone of this user.
CACHE=${BANK_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-$RUN}/.cache}/bank}

# PostgreSQL refuses root, so root runs every part as postgres, with the one
# right it takes to read a clone in a folder of root's own.  The securebit
# lets access(2) know of that right; some containers have only the wider one.
choose_user() {
    AS_SERVER=
    [ "$(id -u)" -eq 0 ] || return 0
    plain='setpriv --reuid=postgres --regid=postgres --clear-groups'
    mkdir -p "$CACHE"
    for right in '' dac_read_search dac_override; do
        AS_SERVER=$plain
        [ -z "$right" ] || AS_SERVER="$plain --securebits +no_setuid_fixup
            --inh-caps=-all,+$right --ambient-caps=+$right"
        if can_read "$ROOT" && can_read "$CACHE"; then
            return 0
        fi
    done
    fail "user postgres cannot read $ROOT and $CACHE"
}

can_read() {
    # shellcheck disable=SC2086
    $AS_SERVER ls "$1/." >/dev/null 2>&1
}
choose_user

# A folder the parts may write, and nobody else read.
own_folder() {
    mkdir -p "$1"
    chmod "${2:-700}" "$1"
    [ -z "$AS_SERVER" ] || chown postgres:postgres "$1"
}

# Writes a file from standard input that only the parts may read.
own_file() {
    ( umask 077; cat >"$1.new" )
    [ -z "$AS_SERVER" ] || chown postgres:postgres "$1.new"
    mv "$1.new" "$1"
}

as_server() {
    # shellcheck disable=SC2086
    ( cd "$RUN" && exec env -i PATH="$PATH" HOME="$RUN" LANG=C.UTF-8 $AS_SERVER "$@" )
}

boot_id() {
    cat /proc/sys/kernel/random/boot_id
}

# Prints "pid starttime boot" of a process, also of one that has ended and
# waits to be collected.
identity() {
    identity_pid=$1
    identity_stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name, in parentheses, may hold blanks; after it come state (field 3)
    # and, 19 further on, the start time.
    # shellcheck disable=SC2086
    set -- ${identity_stat##*) }
    echo "$identity_pid ${20} $(boot_id)"
}

# True while the process of a part is there at all.
part_lingers() {
    part_known=$(cat "$RUN/pid/$1" 2>/dev/null) || return 1
    [ "$(identity "${part_known%% *}")" = "$part_known" ]
}

# True for a process that was killed and is not gone yet: SIGKILL (bit 8, in
# the third hexadecimal digit from the right) is pending, or threads are left
# of a leader that has ended.
is_dying() {
    awk '/^State:/ { ended = ($2 == "Z") }
        /^Threads:/ { threads = $2 }
        /^(SigPnd|ShdPnd):/ && substr($2, length($2) - 2, 1) ~ /[13579bdf]/ { killed = 1 }
        END { exit !(killed || (ended && threads > 1)) }' "/proc/$1/status" 2>/dev/null
}

# Prints the id of a running part; fails where it does not run.  A killed one
# is waited for, since it holds its ports and files until it is gone.
part_pid() {
    part_lingers "$1" || return 1
    while is_dying "${part_known%% *}"; do
        sleep 0.05
    done
    part_lingers "$1" || return 1
    # One that has ended may be collected before the look.
    grep -q '^State:.[^Z]' "/proc/${part_known%% *}/status" 2>/dev/null || return 1
    echo "${part_known%% *}"
}

part_runs() {
    part_pid "$1" >/dev/null
}

# A part leads a session of its own.  What is left in it when its leader is
# gone, a process someone stopped for instance, is killed.
end_session() {
    [ -f "$RUN/pid/$1" ] || return 0
    read -r session _ session_boot <"$RUN/pid/$1" || return 0
    [ "$session_boot" = "$(boot_id)" ] || return 0
    [ ! -e "/proc/$session" ] || part_lingers "$1" || return 0
    for member in $(ps -o pid= -s "$session"); do
        kill -KILL "$member" 2>/dev/null || true
    done
}

# start_part PART COMMAND...
start_part() {
    start_name=$1
    shift
    end_session "$start_name"
    say "starting $start_name"
    # shellcheck disable=SC2086
    (
        cd "$RUN"
        exec env -i PATH="$PATH" HOME="$RUN" LANG=C.UTF-8 \
            setsid $AS_SERVER "$@" </dev/null >>"$RUN/log/$start_name.log" 2>&1 9>&-
    ) &
    identity $! >"$RUN/pid/$start_name" || true
}

# wait_for PART SECONDS CONDITION...: fails with the end of the log.
wait_for() {
    wait_part=$1
    wait_deadline=$(($(now) + $2))
    shift 2
    until "$@"; do
        part_runs "$wait_part" || part_failed "$wait_part" "has ended"
        [ "$(now)" -lt "$wait_deadline" ] || part_failed "$wait_part" "is not ready in time"
        sleep 0.1
    done
}

part_failed() {
    {
        echo "stack: $1 $2; the end of $RUN/log/$1.log:"
        tail -n 25 "$RUN/log/$1.log"
    } >&2
    exit 1
}

# stop_part PART SIGNAL SECONDS: asks by SIGNAL, then kills.
stop_part() {
    if ! stop_pid=$(part_pid "$1"); then
        end_session "$1"
        rm -f "$RUN/pid/$1"
        return 0
    fi
    kill "-$2" "$stop_pid" 2>/dev/null || true
    stop_deadline=$(($(now) + $3))
    while part_runs "$1"; do
        if [ "$(now)" -ge "$stop_deadline" ]; then
            say "$1 did not end within $3 s and is killed"
            kill -KILL "$stop_pid" 2>/dev/null || true
            stop_deadline=$(($(now) + $3))
        fi
        sleep 0.05
    done
    end_session "$1"
    rm -f "$RUN/pid/$1"
    say "$1 stopped"
}

# One run of up, down or reset at a time.
lock_run() {
    mkdir -p "$RUN"
    exec 9>"$RUN/lock"
    flock -w 300 9 || fail "another command works on $RUN"
}

# Reads the ports and the folder of the socket; fails where there are none.
read_settings() {
    [ -f "$RUN/settings" ] || return 1
    # shellcheck disable=SC1091
    . "$RUN/settings"
}
