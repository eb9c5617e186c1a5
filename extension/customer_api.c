/*
 * The question to customer-api, asked once, and its three answers: active,
 * not active, and none that could be understood.
 *
 * Promises:  returns only where customer-api said that the customer is there
 *            and did not say that he is inactive.
 * Locks:     none, and callers hold none.
 * Memory:    the answer's JSON is malloc'd by jansson; it is read and freed
 *            before anything is raised.
 * Raises:    LG002, LG003, LG011; 57014.
 */
#include "postgres.h"

#include <jansson.h>

#include "lib/stringinfo.h"

#include "bank.h"
#include "fetch.h"

#define PLACEHOLDER "{customer_id}"

/* Far more than a customer's data takes. */
#define ANSWER_MAX (64 * 1024)

typedef enum CustomerAnswer
{
	CUSTOMER_ACTIVE,
	CUSTOMER_NOT_ACTIVE,
	CUSTOMER_NOT_UNDERSTOOD
} CustomerAnswer;

static void
raise_unavailable(const char *detail, int retry_after_s)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_CUSTOMER_API_UNAVAILABLE),
			 errmsg("customer-api unavailable"),
			 errdetail("%s.", detail),
			 retry_after_s > 0 ?
			 errhint("Try again in %d s.", retry_after_s) :
			 errhint("Nothing was changed; try again later.")));
}

/* Where customer-api is, and why it is silent, is the operator's to know. */
static void
raise_no_answer(const char *customer_id, const char *reason)
{
	ereport(ERROR,
			(errcode(BANK_ERRCODE_CUSTOMER_API_UNAVAILABLE),
			 errmsg("customer-api unavailable"),
			 errdetail("Customer-api gave no answer about customer %s.", customer_id),
			 errdetail_log("Customer-api gave no answer about customer %s: %s.",
						   customer_id, reason),
			 errhint("Nothing was changed; try again later.")));
}

static const char *
customer_url(const char *customer_id)
{
	StringInfoData url;
	const char *rest = bank_customer_api_url;
	const char *place;

	if (rest == NULL || *rest == '\0')
		raise_unavailable("Setting bank.customer_api_url is empty", 0);
	initStringInfo(&url);
	while ((place = strstr(rest, PLACEHOLDER)) != NULL)
	{
		appendBinaryStringInfo(&url, rest, place - rest);
		appendStringInfoString(&url, customer_id);
		rest = place + strlen(PLACEHOLDER);
	}
	if (rest == bank_customer_api_url)
		raise_unavailable("Setting bank.customer_api_url has no place for " PLACEHOLDER, 0);
	appendStringInfoString(&url, rest);
	return url.data;
}

/* An id that is there must be the customer's. */
static bool
is_about(const json_t *id, const char *customer_id)
{
	return id == NULL ||
		(json_is_string(id) &&
		 pg_strcasecmp(json_string_value(id), customer_id) == 0);
}

static CustomerAnswer
read_customer(const json_t *customer, const char *customer_id)
{
	const json_t *active = json_object_get(customer, "ativo");

	if (!json_is_object(customer) ||
		!is_about(json_object_get(customer, "id"), customer_id) ||
		(active != NULL && !json_is_boolean(active)))
		return CUSTOMER_NOT_UNDERSTOOD;
	return active == NULL || json_is_true(active) ?
		CUSTOMER_ACTIVE : CUSTOMER_NOT_ACTIVE;
}

static CustomerAnswer
read_answer(const BankHttpReply *reply, const char *customer_id)
{
	json_t	   *customer = json_loadb(reply->body, reply->size,
									  JSON_REJECT_DUPLICATES, NULL);
	CustomerAnswer answer = read_customer(customer, customer_id);

	json_decref(customer);
	return answer;
}

static void
require_active(const BankHttpReply *reply, const char *customer_id)
{
	switch (read_answer(reply, customer_id))
	{
		case CUSTOMER_ACTIVE:
			return;
		case CUSTOMER_NOT_ACTIVE:
			ereport(ERROR,
					(errcode(BANK_ERRCODE_CUSTOMER_NOT_ACTIVE),
					 errmsg("customer not active"),
					 errdetail("Customer-api says that customer %s is not active.",
							   customer_id),
					 errhint("Try again when he is active there.")));
			break;
		case CUSTOMER_NOT_UNDERSTOOD:
			raise_unavailable(psprintf("The answer of customer-api about customer %s was not understood",
									   customer_id), 0);
			break;
	}
}

/*
 * Returns when the customer is active.  Raises LG002 where customer-api does
 * not know him, LG003 where he is inactive, and LG011 for everything else:
 * no setting, no connection, no answer in time, or none that says which.
 */
void
bank_customer_api_require_active(const pg_uuid_t *customer_id)
{
	const char *id = bank_uuid_text(customer_id);
	const char *headers[] = {"Accept: application/json", NULL};
	BankHttpRequest request = {
		.method = "GET", .url = customer_url(id), .headers = headers,
		.connect_timeout_ms = bank_customer_api_timeout,
		.timeout_ms = bank_customer_api_timeout, .answer_max = ANSWER_MAX,
		.tls = bank_customer_api_tls
	};
	const BankHttpReply *reply = bank_fetch(&request);

	if (reply->failed)
		raise_no_answer(id, reply->error);
	if (reply->status == 404)
		ereport(ERROR,
				(errcode(BANK_ERRCODE_CUSTOMER_NOT_FOUND),
				 errmsg("customer not found"),
				 errdetail("Customer-api knows no customer %s.", id),
				 errhint("Correct the id, or try again when customer-api knows him.")));
	if (reply->status != 200)
		raise_unavailable(psprintf("Customer-api answered %d about customer %s",
								   reply->status, id), reply->retry_after_s);
	require_active(reply, id);
}
