# The two external systems.  Sourced by up.

simulator_answers() {
    curl -s -o /dev/null -m 5 "http://127.0.0.1:$1/_log"
}

# simulator_up PART PROGRAM PORT
simulator_up() {
    ! part_runs "$1" || return 0
    start_part "$1" /usr/bin/python3 "$ROOT/test/fake/$2" --port "$3"
    wait_for "$1" 60 simulator_answers "$3"
}

simulators_up() {
    simulator_up customer-api customer_api.py "$PORT_CUSTOMER_API"
    simulator_up bacen bacen.py "$PORT_BACEN"
}
