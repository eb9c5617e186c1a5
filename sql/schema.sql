-- Schemas, roles, tables and their comments.  Rights are in privileges.sql.

CREATE SCHEMA bank_ledger;
CREATE SCHEMA bank_report;
CREATE SCHEMA bank_search;

COMMENT ON SCHEMA bank IS 'Interface of the ledger: what applications call.';
COMMENT ON SCHEMA bank_ledger IS 'Accounts and the journal; written by the functions of schema bank only.';
COMMENT ON SCHEMA bank_report IS 'Notifications of transfers to BACEN.';
COMMENT ON SCHEMA bank_search IS 'Read model of balances, written by bank-bridge project.';

-- Roles belong to the cluster, so one that exists is kept as it is.
DO $$
BEGIN
    IF pg_catalog.to_regrole('bank_publish') IS NULL THEN
        CREATE ROLE bank_publish NOLOGIN REPLICATION;
    END IF;
    IF pg_catalog.to_regrole('bank_project') IS NULL THEN
        CREATE ROLE bank_project NOLOGIN;
    END IF;
    IF pg_catalog.to_regrole('bank_report') IS NULL THEN
        CREATE ROLE bank_report NOLOGIN;
    END IF;
    IF pg_catalog.to_regrole('bank_operator') IS NULL THEN
        CREATE ROLE bank_operator NOLOGIN;
    END IF;
    IF pg_catalog.to_regrole('bank_customer') IS NULL THEN
        CREATE ROLE bank_customer NOLOGIN;
    END IF;
END
$$;

-- ---------------------------------------------------------------------------
-- bank_ledger: current state
--
-- vacuum_truncate is off for what an inactivation writes: the truncation's
-- lock of the whole table would look to it like a transaction in progress.
-- ---------------------------------------------------------------------------

CREATE TABLE bank_ledger.site (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    role      text NOT NULL CHECK (role IN ('ledger', 'search')),
    name      text NOT NULL CHECK (name OPERATOR(pg_catalog.~) '^[A-Za-z0-9._-]{1,64}$')
);
COMMENT ON TABLE bank_ledger.site IS 'What this database is: its role and the name of the site. One row, written by bank_ledger.init(), not dumped.';
COMMENT ON COLUMN bank_ledger.site.role IS 'ledger: functions that write work here. search: they raise LG019.';
COMMENT ON COLUMN bank_ledger.site.name IS 'Name of the site, in ce_source of every event (/bank/<name>).';

CREATE TABLE bank_ledger.customer (
    customer_id uuid PRIMARY KEY,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closing')),
    changed_at  timestamptz NOT NULL
) WITH (vacuum_truncate = false);
COMMENT ON TABLE bank_ledger.customer IS 'Customers the ledger has met. closing: no account may be created (LG013).';

CREATE TABLE bank_ledger.account (
    account_id  uuid PRIMARY KEY,
    customer_id uuid,
    kind        text NOT NULL CHECK (kind IN ('customer', 'settlement')),
    currency    text NOT NULL CHECK (currency OPERATOR(pg_catalog.~) '^[A-Z]{3}$'),
    status      text NOT NULL CHECK (status IN ('active', 'inactive')),
    balance     bigint NOT NULL,
    held        bigint NOT NULL CHECK (held >= 0),
    version     bigint NOT NULL CHECK (version >= 1),
    opened_at   timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    closed_at   timestamptz,
    last_transfer     uuid,
    digest            bytea NOT NULL CHECK (pg_catalog.length(digest) = 32),
    spent             bigint NOT NULL CHECK (spent >= 0),
    spent_day         date NOT NULL,
    daily_limit       bigint CHECK (daily_limit >= 0),
    next_limit        bigint CHECK (next_limit >= 0),
    next_limit_day    date,
    clock_accepted_at timestamptz,
    CHECK ((kind = 'settlement') = (customer_id IS NULL)),
    CHECK ((status = 'inactive') = (closed_at IS NOT NULL)),
    CHECK (next_limit IS NULL OR next_limit_day IS NOT NULL),
    CHECK (kind = 'settlement' OR balance >= held),
    CHECK (status = 'active' OR (balance = 0 AND held = 0))
) WITH (fillfactor = 50, vacuum_truncate = false);
CREATE INDEX account_customer_id_idx ON bank_ledger.account (customer_id);
COMMENT ON TABLE bank_ledger.account IS 'Current state of every account; money in minor units (centavos for BRL).';
COMMENT ON COLUMN bank_ledger.account.customer_id IS 'Holder; null for settlement accounts.';
COMMENT ON COLUMN bank_ledger.account.kind IS 'customer, or settlement: the other side of deposits and withdrawals, 16 per currency.';
COMMENT ON COLUMN bank_ledger.account.held IS 'Part of the balance that live holds reserve.';
COMMENT ON COLUMN bank_ledger.account.version IS 'Counts the journal rows of the account, from 1 (created), without gap.';
COMMENT ON COLUMN bank_ledger.account.updated_at IS 'Date of the last journal row; later ones are never dated before it.';
COMMENT ON COLUMN bank_ledger.account.closed_at IS 'Later than every entry of the account, by 1 microsecond at least.';
COMMENT ON COLUMN bank_ledger.account.last_transfer IS 'The newest transfer of the account, where the chain of its entries begins; null: none.';
COMMENT ON COLUMN bank_ledger.account.digest IS 'Chain digest of the newest journal row of the account.';
COMMENT ON COLUMN bank_ledger.account.spent IS 'Gross debits dated on spent_day: transfers, withdrawals and holds less what holds gave back.';
COMMENT ON COLUMN bank_ledger.account.spent_day IS 'Local day (bank.time_zone) that spent counts.';
COMMENT ON COLUMN bank_ledger.account.daily_limit IS 'Most that spent may reach; null: no limit.';
COMMENT ON COLUMN bank_ledger.account.next_limit IS 'The limit from next_limit_day on; null there: none.';
COMMENT ON COLUMN bank_ledger.account.next_limit_day IS 'Local day on which next_limit takes the place of daily_limit; null: no change is waiting.';
COMMENT ON COLUMN bank_ledger.account.clock_accepted_at IS 'A last date ahead of the clock that bank.accept_clock let pass; null: never.';

-- ---------------------------------------------------------------------------
-- bank_ledger: the journal (insert-only, published)
-- ---------------------------------------------------------------------------

CREATE TABLE bank_ledger.account_event (
    account_id  uuid NOT NULL,
    customer_id uuid,
    kind        text NOT NULL CHECK (kind IN ('created', 'inactivated',
                    'hold_created', 'hold_posted', 'hold_voided', 'hold_expired',
                    'limit_set', 'clock_accepted')),
    version     bigint NOT NULL,
    currency    text NOT NULL,
    status      text NOT NULL,
    balance     bigint NOT NULL,
    held        bigint NOT NULL,
    transfer_id uuid,
    amount      bigint,
    counterparty uuid,
    due_at      timestamptz,
    reference   text,
    occurred_at timestamptz NOT NULL,
    actor       text NOT NULL,
    previous_transfer uuid,
    digest      bytea NOT NULL,
    period      integer NOT NULL,
    PRIMARY KEY (account_id, version)
) WITH (vacuum_truncate = false);
CREATE INDEX account_event_period_idx ON bank_ledger.account_event USING brin (period)
    WITH (autosummarize = on);
COMMENT ON TABLE bank_ledger.account_event IS 'Journal: what happened to an account other than a transfer. Insert-only.';
COMMENT ON COLUMN bank_ledger.account_event.balance IS 'After the event, minor units.';
COMMENT ON COLUMN bank_ledger.account_event.transfer_id IS 'Of a hold: the hold; else null.';
COMMENT ON COLUMN bank_ledger.account_event.amount IS 'Of a hold: its amount; of limit_set: the daily limit, null where it is removed; minor units.';
COMMENT ON COLUMN bank_ledger.account_event.counterparty IS 'Of a hold: the account it is to pay.';
COMMENT ON COLUMN bank_ledger.account_event.due_at IS 'Of a hold: when it expires; of limit_set: when the limit begins to count.';
COMMENT ON COLUMN bank_ledger.account_event.reference IS 'Of a hold: the caller''s own reference.';
COMMENT ON COLUMN bank_ledger.account_event.actor IS 'Role that called the function, and the claim sub of a web client after a slash.';
COMMENT ON COLUMN bank_ledger.account_event.previous_transfer IS 'Newest transfer of the account before the event; null: none.';
COMMENT ON COLUMN bank_ledger.account_event.digest IS 'SHA-256 of the digest of the account''s journal row before this one, and of this row.';
COMMENT ON COLUMN bank_ledger.account_event.period IS 'Number of the seal that covers the row.';

CREATE TABLE bank_ledger.transfer (
    transfer_id  uuid PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('transfer', 'deposit', 'withdrawal',
                     'hold_posted', 'reversal')),
    customer_id  uuid NOT NULL,
    from_account uuid NOT NULL,
    to_account   uuid NOT NULL,
    amount       bigint NOT NULL CHECK (amount > 0),
    currency     text NOT NULL,
    from_version bigint NOT NULL,
    to_version   bigint NOT NULL,
    from_balance bigint NOT NULL,
    to_balance   bigint NOT NULL,
    from_held    bigint NOT NULL,
    to_held      bigint NOT NULL,
    completed_at timestamptz NOT NULL,
    reverses     uuid,
    reference    text CHECK (pg_catalog.length(reference) <= 140),
    actor        text NOT NULL,
    from_previous uuid,
    to_previous  uuid,
    from_digest  bytea NOT NULL,
    to_digest    bytea NOT NULL,
    period       integer NOT NULL,
    CHECK (from_account <> to_account),
    CHECK ((kind = 'reversal') = (reverses IS NOT NULL))
);
-- An account's entries are chained, each to the one before, so that a posting
-- pays for no index by account. Every 64th version is a way into the chain.
CREATE UNIQUE INDEX transfer_from_waypoint_idx ON bank_ledger.transfer (from_account, from_version)
    WHERE from_version % 64 = 0;
CREATE UNIQUE INDEX transfer_to_waypoint_idx ON bank_ledger.transfer (to_account, to_version)
    WHERE to_version % 64 = 0;
CREATE UNIQUE INDEX transfer_reverses_idx ON bank_ledger.transfer (reverses)
    WHERE reverses IS NOT NULL;
CREATE INDEX transfer_period_idx ON bank_ledger.transfer USING brin (period)
    WITH (autosummarize = on);
COMMENT ON TABLE bank_ledger.transfer IS 'Journal: one row moves amount from one account to another. Insert-only.';
COMMENT ON COLUMN bank_ledger.transfer.transfer_id IS 'Idempotency key of the caller.';
COMMENT ON COLUMN bank_ledger.transfer.amount IS 'Minor units of currency.';
COMMENT ON COLUMN bank_ledger.transfer.from_balance IS 'Balance of from_account after the posting; so to_balance, from_held, to_held, from_version, to_version.';
COMMENT ON COLUMN bank_ledger.transfer.completed_at IS 'Date of the entry, taken after the locks.';
COMMENT ON COLUMN bank_ledger.transfer.reverses IS 'Of a reversal: the transfer it takes back.';
COMMENT ON COLUMN bank_ledger.transfer.reference IS 'The caller''s own reference, at most 140 characters.';
COMMENT ON COLUMN bank_ledger.transfer.actor IS 'Role that called the function, and the claim sub of a web client after a slash.';
COMMENT ON COLUMN bank_ledger.transfer.from_previous IS 'Transfer of from_account before this one; null: this is its first. So to_previous.';
COMMENT ON COLUMN bank_ledger.transfer.from_digest IS 'SHA-256 of the digest of the journal row of from_account before this one, and of this row. So to_digest.';
COMMENT ON COLUMN bank_ledger.transfer.period IS 'Number of the seal that covers the row.';

-- ---------------------------------------------------------------------------
-- bank_ledger: holds, whose terms and ends are also in the journal
-- ---------------------------------------------------------------------------

CREATE TABLE bank_ledger.hold (
    hold_id         uuid PRIMARY KEY,
    customer_id     uuid NOT NULL,
    from_account    uuid NOT NULL,
    to_account      uuid NOT NULL,
    amount          bigint NOT NULL CHECK (amount > 0),
    currency        text NOT NULL,
    expires_at      timestamptz NOT NULL,
    reference       text CHECK (pg_catalog.length(reference) <= 140),
    state           text NOT NULL CHECK (state IN ('pending', 'posted', 'voided', 'expired')),
    posted_amount   bigint,
    counted_day     date NOT NULL,
    created_version bigint NOT NULL,
    ended_version   bigint,
    CHECK ((state = 'posted') = (posted_amount IS NOT NULL)),
    CHECK ((state = 'pending') = (ended_version IS NULL))
) WITH (fillfactor = 70, vacuum_truncate = false);
CREATE INDEX hold_pending_from_idx ON bank_ledger.hold (from_account) WHERE state = 'pending';
CREATE INDEX hold_pending_to_idx ON bank_ledger.hold (to_account) WHERE state = 'pending';
CREATE INDEX hold_pending_due_idx ON bank_ledger.hold (expires_at) WHERE state = 'pending';
COMMENT ON TABLE bank_ledger.hold IS 'Current state of every hold: money of from_account reserved for to_account; minor units.';
COMMENT ON COLUMN bank_ledger.hold.state IS 'pending: held, unless expires_at has come. posted, voided, expired: final.';
COMMENT ON COLUMN bank_ledger.hold.posted_amount IS 'What was moved by transfer hold_id; the rest was released.';
COMMENT ON COLUMN bank_ledger.hold.counted_day IS 'Local day whose gross debits it counts towards; what it gives back is given back to that day alone.';
COMMENT ON COLUMN bank_ledger.hold.created_version IS 'Version of from_account whose event created the hold; ended_version: whose event ended it.';

-- ---------------------------------------------------------------------------
-- bank_ledger: seals
-- ---------------------------------------------------------------------------

CREATE TABLE bank_ledger.sealing (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    period    integer NOT NULL CHECK (period >= 1),
    barrier   xid8
);
COMMENT ON TABLE bank_ledger.sealing IS 'Which period journal rows are posted in. One row, made by bank_ledger.init().';
COMMENT ON COLUMN bank_ledger.sealing.period IS 'Period now open; the one before may still have rows to come.';
COMMENT ON COLUMN bank_ledger.sealing.barrier IS 'Once no older transaction runs, no row of an earlier period can come; null: not taken yet.';

CREATE TABLE bank_ledger.seal (
    number    integer PRIMARY KEY CHECK (number >= 1),
    entries   bigint NOT NULL CHECK (entries >= 0),
    root      bytea NOT NULL,
    previous  bytea NOT NULL,
    sealed_at timestamptz NOT NULL
);
COMMENT ON TABLE bank_ledger.seal IS 'Merkle roots of the journal, one a period; to be kept elsewhere too. Insert-only, published.';
COMMENT ON COLUMN bank_ledger.seal.number IS 'The period whose rows it covers.';
COMMENT ON COLUMN bank_ledger.seal.entries IS 'Rows it covers: of the journal, epochs and acts.';
COMMENT ON COLUMN bank_ledger.seal.root IS 'Root of the tree whose leaves are the digests of those rows (bank_ledger.leaf).';
COMMENT ON COLUMN bank_ledger.seal.previous IS 'SHA-256 of previous, root and sealed_at of the seal before; 32 zero bytes for the first.';

CREATE TABLE bank_ledger.heartbeat (
    beat_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL
);
COMMENT ON TABLE bank_ledger.heartbeat IS 'One row every 30 s, so that an idle database does not hold WAL; pruned after a day.';

-- The lock keeps the period open until the row that it stamps is committed.
CREATE FUNCTION bank_ledger.open_period() RETURNS integer
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT s.period FROM bank_ledger.sealing AS s FOR SHARE), 1)
$$;
COMMENT ON FUNCTION bank_ledger.open_period() IS 'Period of a row that SQL inserts and a seal is to cover.';

CREATE TABLE bank_ledger.epoch (
    number            integer PRIMARY KEY CHECK (number >= 1),
    system_identifier bigint NOT NULL,
    timeline          integer NOT NULL,
    at                timestamptz NOT NULL,
    period            integer NOT NULL DEFAULT bank_ledger.open_period()
);
COMMENT ON TABLE bank_ledger.epoch IS 'Numbers the timelines of this ledger; consumers compare (epoch, version). Insert-only.';
COMMENT ON COLUMN bank_ledger.epoch.period IS 'Number of the seal that covers the row.';

CREATE TABLE bank_ledger.operator_act (
    act_id      uuid PRIMARY KEY,
    act         text NOT NULL CHECK (act IN ('customer_closing', 'customer_reactivated',
                    'notification_requeued')),
    customer_id uuid,
    transfer_id uuid,
    occurred_at timestamptz NOT NULL,
    actor       text NOT NULL,
    period      integer NOT NULL DEFAULT bank_ledger.open_period()
) WITH (vacuum_truncate = false);
CREATE INDEX operator_act_period_idx ON bank_ledger.operator_act USING brin (period)
    WITH (autosummarize = on);
COMMENT ON TABLE bank_ledger.operator_act IS 'Acts on a customer or a notification. Insert-only, not published.';
COMMENT ON COLUMN bank_ledger.operator_act.period IS 'Number of the seal that covers the row.';

CREATE TABLE bank_ledger.definition (
    name   text PRIMARY KEY,
    digest bytea NOT NULL
);
COMMENT ON TABLE bank_ledger.definition IS 'The functions as the extension''s script made them, not dumped: bank.verify() names what was replaced since.';

-- ---------------------------------------------------------------------------
-- bank_report
-- ---------------------------------------------------------------------------

CREATE TABLE bank_report.notification (
    transfer_id      uuid PRIMARY KEY,
    customer_id      uuid NOT NULL,
    from_account     uuid NOT NULL,
    to_account       uuid NOT NULL,
    amount           bigint NOT NULL,
    currency         text NOT NULL,
    completed_at     timestamptz NOT NULL,
    state            text NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'dead')),
    attempts         integer NOT NULL DEFAULT 0,
    requeued_after   integer NOT NULL DEFAULT 0,
    stored_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    first_attempt_at timestamptz,
    next_attempt_at  timestamptz,
    delivered_at     timestamptz,
    last_status      integer,
    last_error       text,
    CHECK ((state IN ('pending', 'sending')) = (next_attempt_at IS NOT NULL)),
    CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX notification_due_idx ON bank_report.notification (next_attempt_at)
    WHERE state IN ('pending', 'sending');
CREATE INDEX notification_dead_idx ON bank_report.notification (transfer_id)
    WHERE state = 'dead';
COMMENT ON TABLE bank_report.notification IS 'One row for each transfer BACEN must know; committed before anything is sent.';
COMMENT ON COLUMN bank_report.notification.state IS 'pending: due at next_attempt_at. sending: leased until next_attempt_at. delivered, dead: final.';
COMMENT ON COLUMN bank_report.notification.attempts IS 'Sends begun; committed before each; also the X-Attempt header.';
COMMENT ON COLUMN bank_report.notification.requeued_after IS 'attempts when last requeued: bank.bacen_max_attempts counts from there.';
COMMENT ON COLUMN bank_report.notification.next_attempt_at IS 'When a pending row is due, or when the lease of a sending row ends.';
COMMENT ON COLUMN bank_report.notification.last_status IS 'HTTP status of the last answer; null when there was none.';

CREATE TABLE bank_report.gate (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    tokens       double precision NOT NULL DEFAULT 0,
    refilled_at  timestamptz NOT NULL DEFAULT pg_catalog.to_timestamp(0),
    failures     integer NOT NULL DEFAULT 0,
    openings     integer NOT NULL DEFAULT 0,
    opened_until timestamptz,
    probing      boolean NOT NULL DEFAULT false,
    slowdowns    integer NOT NULL DEFAULT 0,
    paused_until timestamptz
) WITH (fillfactor = 10);
INSERT INTO bank_report.gate DEFAULT VALUES;
COMMENT ON TABLE bank_report.gate IS 'Rate and circuit towards BACEN, shared by all that send. One row, not dumped.';
COMMENT ON COLUMN bank_report.gate.tokens IS 'Notifications that could begin at refilled_at; bank.bacen_rate fills it.';
COMMENT ON COLUMN bank_report.gate.failures IS 'In a row: no answer, or 5xx. Five open the circuit.';
COMMENT ON COLUMN bank_report.gate.opened_until IS 'Null: the circuit is closed. Once past, one notification is let through as a probe.';
COMMENT ON COLUMN bank_report.gate.paused_until IS 'Nothing begins before: BACEN answered 429.';

CREATE TABLE bank_report.phantom (
    source   text NOT NULL CHECK (source IN ('kafka', 'search', 'bacen')),
    subject  text NOT NULL,
    epoch    integer NOT NULL,
    content  jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
-- A transfer's id may be lost more than once, each time with another posting.
CREATE UNIQUE INDEX phantom_idx ON bank_report.phantom
    (source, subject, pg_catalog.md5(content::text));
COMMENT ON TABLE bank_report.phantom IS 'What others hold and the journal does not, after commits were lost; listed by bank-bridge rebuild --new-epoch.';
COMMENT ON COLUMN bank_report.phantom.source IS 'kafka, search: they hold it. bacen: it may have been told of the transfer, before the commits were lost.';
COMMENT ON COLUMN bank_report.phantom.subject IS 'A transfer''s id, account:epoch:version, or seal:epoch:number.';
COMMENT ON COLUMN bank_report.phantom.epoch IS 'Epoch that began when it was found.';
COMMENT ON COLUMN bank_report.phantom.content IS 'What they hold: the value of the record, or the row. bacen: that of Kafka, or the notification, which is no longer one.';

CREATE TABLE bank_report.consumer_offset (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE bank_report.consumer_offset IS 'Next Kafka offset of bank-bridge report, stored with the effect of the records before it.';

CREATE TABLE bank_report.consumer_generation (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    generation bigint NOT NULL
);
COMMENT ON TABLE bank_report.consumer_generation IS 'Raised by each start of bank-bridge report; an older process is fenced.';

-- ---------------------------------------------------------------------------
-- bank_search
-- ---------------------------------------------------------------------------

CREATE TABLE bank_search.balance (
    account_id  uuid PRIMARY KEY,
    customer_id uuid,
    currency    text NOT NULL,
    balance     bigint NOT NULL,
    held        bigint NOT NULL,
    status      text NOT NULL,
    epoch       integer NOT NULL,
    version     bigint NOT NULL,
    updated_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE bank_search.balance IS 'Last known state of every account, ordered by (epoch, version).';

CREATE TABLE bank_search.consumer_offset (
    topic     text NOT NULL,
    partition integer NOT NULL,
    applied   bigint NOT NULL,
    cached    bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE bank_search.consumer_offset IS 'Next Kafka offsets of bank-bridge project.';
COMMENT ON COLUMN bank_search.consumer_offset.applied IS 'Everything below is in bank_search.balance; stored in the same transaction.';
COMMENT ON COLUMN bank_search.consumer_offset.cached IS 'Everything below is in Redis too; where the role starts from.';

CREATE TABLE bank_search.consumer_generation (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    generation bigint NOT NULL
);
COMMENT ON TABLE bank_search.consumer_generation IS 'Raised by each start of bank-bridge project; an older process is fenced.';

-- Dumped, since their rows are the bank's and not the script's. The site is
-- not: a restored copy must not take itself for the original.
DO $$
DECLARE
    dumped text;
BEGIN
    FOREACH dumped IN ARRAY ARRAY[
        'bank_ledger.customer', 'bank_ledger.account', 'bank_ledger.account_event',
        'bank_ledger.transfer', 'bank_ledger.hold', 'bank_ledger.epoch',
        'bank_ledger.operator_act', 'bank_ledger.sealing', 'bank_ledger.seal',
        'bank_report.notification', 'bank_report.phantom', 'bank_report.consumer_offset',
        'bank_report.consumer_generation',
        'bank_search.balance', 'bank_search.consumer_offset',
        'bank_search.consumer_generation']
    LOOP
        PERFORM pg_catalog.pg_extension_config_dump(dumped::pg_catalog.regclass, '');
    END LOOP;
END
$$;
