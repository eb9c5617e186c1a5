/*
 * Hosts of connection strings: what of them must be resolved, and what libpq
 * is told then.
 */
#include "host_list.h"

#include "tap.h"

#define ANSWER_MS 60000

/* Waits for all answers. */
static BankResolveState
wait_for_all(BankHostList *list)
{
	BankResolveState state;

	do
		state = bank_host_list_wait(list, ANSWER_MS);
	while (state == BANK_RESOLVE_PENDING);
	return state;
}

static void
check_nothing_to_resolve(void)
{
	static const char *const none[] = {
		"", "dbname=bank", "host=/run/postgresql", "host=@bank", "host=127.0.0.1",
		"host=::1,/run/postgresql", "host=a hostaddr=127.0.0.1", "postgresql:///bank",
		"postgresql://127.0.0.1/bank", "no connection string",
		"host=a,b hostaddr=127.0.0.1", "host=a,b port=1,2,3"
	};
	BankHostTexts texts;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
	{
		BankHostList list = {0};

		tap_ok(bank_host_list_begin(&list, none[i]) == NULL && list.count == 0 &&
			   bank_host_list_wait(&list, 0) == BANK_RESOLVE_DONE &&
			   bank_host_list_texts(&list, &texts) && texts.hosts[0] == '\0', none[i]);
	}
}

/* What libpq is told of a string all of whose names have been looked for. */
static void
check_texts(const char *dsn, const char *hosts, const char *addresses,
			const char *ports)
{
	BankHostList list = {0};
	BankHostTexts texts;

	bank_host_list_begin(&list, dsn);
	tap_is_int(wait_for_all(&list), BANK_RESOLVE_DONE, dsn);
	/* However many addresses this machine's name has, one will do here. */
	for (int i = 0; i < list.count; i++)
		if (list.hosts[i].addresses.count > 0)
			list.hosts[i].addresses = (BankAddresses)
		{
			1,
			{
				"127.0.0.1"
			}
		};
	tap_ok(bank_host_list_texts(&list, &texts), "it has hosts");
	tap_is_text(texts.hosts, hosts, "names");
	tap_is_text(texts.addresses, addresses, "addresses");
	tap_is_text(texts.ports, ports, "ports");
	bank_host_list_release(&list);
}

static void
check_several_addresses(void)
{
	BankHostList list = {.count = 1, .hosts = {{.name = "db", .port = "5", .is_name = true,
	.addresses = {2, {"127.0.0.1", "::1"}}}}};
	BankHostTexts texts;

	bank_host_list_texts(&list, &texts);
	tap_is_text(texts.hosts, "db,db", "a name as often as it has addresses");
	tap_is_text(texts.addresses, "127.0.0.1,::1", "and its addresses");
	tap_is_text(texts.ports, "5,5", "and its port");
}

static void
check_refusals(void)
{
	BankHostList list = {0};
	char		dsn[BANK_HOST_SIZE + 16] = "host=";

	tap_ok(bank_host_list_begin(&list, "host=a,b,c,d,e,f,g,h,i") != NULL, "too many are refused");
	memset(dsn + 5, 'a', BANK_HOST_SIZE);
	tap_ok(bank_host_list_begin(&list, dsn) != NULL, "and a name too long");
	tap_ok(bank_host_list_begin(&list, "host='no such name.,nor this.'") == NULL,
		   "names may be unknown");
	tap_is_int(wait_for_all(&list), BANK_RESOLVE_FAILED, "where all are, that is seen");
	tap_ok(list.error[0] != '\0', "and it says why");
	bank_host_list_release(&list);
}

/* A second attempt goes on with the questions of the first. */
static void
check_questions_are_kept(void)
{
	BankHostList list = {0};
	BankResolve *kept;

	bank_host_list_begin(&list, "host=localhost,127.0.0.1");
	kept = list.hosts[0].question;
	bank_host_list_begin(&list, "host=127.0.0.1,localhost");
	tap_ok(kept != NULL && list.hosts[1].question == kept, "a question goes on");
	bank_host_list_begin(&list, "host=127.0.0.1");
	tap_is_int(list.count, 0, "or is given up");
	bank_host_list_release(&list);
}

int
main(void)
{
	check_nothing_to_resolve();
	check_texts("host=localhost", "localhost", "127.0.0.1", "");
	check_texts("postgresql://u:p@localhost:7/bank", "localhost", "127.0.0.1", "7");
	check_texts("host=localhost,/run/x,::1 port=1,2,3", "localhost,/run/x,::1", "127.0.0.1,,",
				"1,2,3");
	check_texts("host=/run/x,localhost port=5", "/run/x,localhost", ",127.0.0.1", "5,5");
	check_texts("host='no such name.,localhost'", "localhost", "127.0.0.1", "");
	check_texts("host=a,localhost hostaddr=127.0.0.2,", "a,localhost", "127.0.0.2,127.0.0.1",
				",");
	check_several_addresses();
	check_refusals();
	check_questions_are_kept();
	return tap_done();
}
