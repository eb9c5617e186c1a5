/*
 * Host names of connection strings.
 */
#include "hosts.h"

#include "clock.h"
#include "role.h"

/* How often the stop is looked for. */
#define WAIT_MS 50

const char *
bridge_hosts_find(const char *dsn, int64_t deadline, BankHostList *list,
				  BankHostTexts *texts)
{
	const char *problem = bank_host_list_begin(list, dsn);
	BankResolveState state = BANK_RESOLVE_PENDING;
	int64_t		now = bridge_clock_ms();
	int64_t		half = now + (deadline - now) / 2;

	if (problem != NULL)
		return problem;
	while (state == BANK_RESOLVE_PENDING && !bridge_stop_requested() &&
		   now < deadline && (now < half || !bank_host_list_texts(list, texts)))
	{
		state = bank_host_list_wait(list, WAIT_MS);
		now = bridge_clock_ms();
	}
	if (bank_host_list_texts(list, texts))
		return NULL;
	return state == BANK_RESOLVE_FAILED ? list->error :
		"the name server gives no answer in time";
}
