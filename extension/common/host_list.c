/*
 * Hosts of a connection string, each resolved by a question of its own.
 *
 * Promises:  nothing here waits longer than it is told to.
 * Memory:    the list is the caller's; questions are released once answered.
 */
#include "host_list.h"

#include <stdio.h>
#include <string.h>

#include <libpq-fe.h>

#include "text.h"

/* The value of a keyword; empty where it is absent. */
static const char *
value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val != NULL)
			return options->val;
	return "";
}

/* Elements of a list separated by commas; an empty text is no list. */
static int
count_elements(const char *list)
{
	int			count = *list != '\0';

	for (; *list != '\0'; list++)
		count += *list == ',';
	return count;
}

/* Copies the numbered element; false where it does not fit. */
static bool
copy_element(const char *list, int number, char *element, size_t size)
{
	size_t		length;

	for (; number > 0 && *list != '\0'; list++)
		number -= *list == ',';
	length = strcspn(list, ",");
	if (length >= size)
		return false;
	memcpy(element, list, length);
	element[length] = '\0';
	return true;
}

static bool
is_name(const BankHost *host)
{
	return host->address[0] == '\0' && host->name[0] != '\0' &&
		host->name[0] != '/' && host->name[0] != '@' &&
		!bank_resolve_is_address(host->name);
}

/* One port is that of all hosts. */
static bool
read_host(BankHost *host, int number, const PQconninfoOption *options)
{
	const char *ports = value_of(options, "port");

	if (!copy_element(value_of(options, "host"), number, host->name,
					  sizeof(host->name)) ||
		!copy_element(value_of(options, "hostaddr"), number, host->address,
					  sizeof(host->address)) ||
		!copy_element(ports, count_elements(ports) > 1 ? number : 0, host->port,
					  sizeof(host->port)))
		return false;
	host->is_name = is_name(host);
	return true;
}

/* NULL, or what is wrong; lists of unequal lengths are libpq's to refuse. */
static const char *
read_hosts(BankHostList *list, const PQconninfoOption *options)
{
	int			count = count_elements(value_of(options, "host"));
	int			addresses = count_elements(value_of(options, "hostaddr"));
	int			ports = count_elements(value_of(options, "port"));
	bool		has_name = false;

	if ((addresses > 0 && addresses != count) || (ports > 1 && ports != count))
		return NULL;
	if (count > BANK_HOST_LIST_MAX)
		return "too many hosts in a connection string";
	for (int i = 0; i < count; i++)
	{
		if (!read_host(&list->hosts[i], i, options))
			return "a host in a connection string is too long";
		has_name = has_name || list->hosts[i].is_name;
	}
	list->count = has_name ? count : 0;
	return NULL;
}

/* Takes the question of an earlier attempt about the same name, if any. */
static BankResolve *
take_question(BankHostList *before, const char *name)
{
	for (int i = 0; i < before->count; i++)
	{
		BankResolve *question = before->hosts[i].question;

		if (question != NULL && bank_resolve_is_about(question, name))
		{
			before->hosts[i].question = NULL;
			return question;
		}
	}
	return bank_resolve_start(name);
}

const char *
bank_host_list_begin(BankHostList *list, const char *dsn)
{
	PQconninfoOption *options = PQconninfoParse(dsn, NULL);
	BankHostList before = *list;
	const char *problem = NULL;

	memset(list, 0, sizeof(*list));
	if (options != NULL)
		problem = read_hosts(list, options);
	PQconninfoFree(options);
	for (int i = 0; problem == NULL && i < list->count; i++)
	{
		BankHost   *host = &list->hosts[i];

		if (!host->is_name)
			continue;
		host->question = take_question(&before, host->name);
		if (host->question == NULL)
			problem = "out of memory";
	}
	bank_host_list_release(&before);
	return problem;
}

/* Takes the answer, if it is there; a name without addresses has none. */
static bool
take_answer(BankHostList *list, BankHost *host, int timeout_ms)
{
	BankResolveState state = bank_resolve_wait(host->question, timeout_ms,
											   &host->addresses);

	if (state == BANK_RESOLVE_PENDING)
		return false;
	if (state == BANK_RESOLVE_FAILED)
	{
		list->error = bank_resolve_error(host->question);
		host->addresses.count = 0;
	}
	bank_resolve_release(host->question);
	host->question = NULL;
	return true;
}

static bool
is_known(const BankHost *host)
{
	return !host->is_name || host->addresses.count > 0;
}

BankResolveState
bank_host_list_wait(BankHostList *list, int timeout_ms)
{
	bool		pending = false;
	bool		known = list->count == 0;

	for (int i = 0; i < list->count; i++)
	{
		BankHost   *host = &list->hosts[i];

		if (host->question != NULL &&
			!take_answer(list, host, pending ? 0 : timeout_ms))
			pending = true;
		known = known || is_known(host);
	}
	if (pending)
		return BANK_RESOLVE_PENDING;
	return known ? BANK_RESOLVE_DONE : BANK_RESOLVE_FAILED;
}

/* Every element but the first follows a comma; elements may be empty. */
static void
append(char *list, size_t size, bool first, const char *element)
{
	size_t		length = strlen(list);

	snprintf(list + length, size - length, "%s%s", first ? "" : ",", element);
}

static void
append_host(BankHostTexts *texts, bool first, const BankHost *host,
			const char *address)
{
	append(texts->hosts, sizeof(texts->hosts), first, host->name);
	append(texts->addresses, sizeof(texts->addresses), first, address);
	append(texts->ports, sizeof(texts->ports), first, host->port);
}

bool
bank_host_list_texts(const BankHostList *list, BankHostTexts *texts)
{
	bool		first = true;

	texts->hosts[0] = texts->addresses[0] = texts->ports[0] = '\0';
	for (int i = 0; i < list->count; i++)
	{
		const BankHost *host = &list->hosts[i];

		if (!host->is_name)
		{
			append_host(texts, first, host, host->address);
			first = false;
		}
		for (int j = 0; j < host->addresses.count; j++)
		{
			append_host(texts, first, host, host->addresses.text[j]);
			first = false;
		}
	}
	return list->count == 0 || !first;
}

void
bank_host_list_release(BankHostList *list)
{
	for (int i = 0; i < list->count; i++)
	{
		bank_resolve_release(list->hosts[i].question);
		list->hosts[i].question = NULL;
	}
}
