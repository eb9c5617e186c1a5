/*
 * The request BACEN gets, what its answers mean, and the pauses between
 * attempts.
 */
#include "bacen.h"

#include "tap.h"

#define ID "0197f0aa-0000-7000-8000-00000000abcd"
#define OTHER "0197f0aa-0000-7000-8000-00000000abce"

static const BankBacenNotification sample = {
	.transfer_id = ID,
	.from_account = "0197f0aa-0000-7000-8000-000000000001",
	.to_account = "0197f0aa-0000-7000-8000-000000000002",
	.currency = "BRL",
	.completed_at = "2026-01-31T12:00:00.000001Z",
	.amount = 1050,
	.attempt = 3
};

static const BankBacenTarget target = {
	.url = "http://bacen/n", .timeout_ms = 5000, .tls = {.ca = "ca.pem"}
};

static void
check_request(void)
{
	BankBacenPost post;
	BankBacenNotification strange = sample;

	tap_ok(bank_bacen_build(&post, &sample, &target), "it is built");
	tap_is_text(post.request.method, "POST", "it is a POST");
	tap_is_text(post.request.url, "http://bacen/n", "to the address given");
	tap_is_text(post.request.body,
				"{\"id\": \"" ID "\", \"valor\": 10.50, "
				"\"conta\": {\"idOrigem\": \"0197f0aa-0000-7000-8000-000000000001\", "
				"\"idDestino\": \"0197f0aa-0000-7000-8000-000000000002\"}, "
				"\"dataHora\": \"2026-01-31T12:00:00.000001Z\"}", "with this body");
	tap_is_text(post.request.headers[1], "Idempotency-Key: " ID, "the key is the transfer");
	tap_is_text(post.request.headers[2], "X-Attempt: 3", "the attempt is counted");
	tap_ok(post.request.headers[3] == NULL, "the headers end");
	tap_is_text(post.request.tls.ca, "ca.pem", "by whom the target trusts");
	strange.currency[2] = 'Z';
	tap_ok(!bank_bacen_build(&post, &strange, &target),
		   "an unknown currency is not sent");
}

/* The number that BACEN reads, by the exponent of the currency. */
static void
check_value(const char *currency, int64_t amount, const char *expected)
{
	BankBacenPost post;
	BankBacenNotification notification = sample;

	memcpy(notification.currency, currency, sizeof(notification.currency));
	notification.amount = amount;
	tap_ok(bank_bacen_build(&post, &notification, &target), currency);
	tap_ok(strstr(post.body, expected) != NULL, expected);
}

static void
check_values(void)
{
	check_value("BRL", 1, "\"valor\": 0.01,");
	check_value("BRL", INT64_C(9007199254740991), "\"valor\": 90071992547409.91,");
	check_value("JPY", 1050, "\"valor\": 1050,");
	check_value("KWD", 1050, "\"valor\": 1.050,");
	check_value("KWD", INT64_C(9007199254740991), "\"valor\": 9007199254740.991,");
	check_value("CLF", 10, "\"valor\": 0.0010,");
}

static void
check_longest_request(void)
{
	BankBacenPost post;
	BankBacenNotification longest = sample;

	longest.amount = INT64_MIN;
	longest.attempt = INT32_MIN;
	tap_ok(bank_bacen_build(&post, &longest, &target), "the longest is built");
	tap_is_text(post.body + strlen(post.body) - 4, "1Z\"}", "its body is whole");
	tap_is_text(post.attempt, "X-Attempt: -2147483648", "its header is whole");
}

static void
judge(BankBacenOutcome *outcome, int status, const char *body)
{
	BankHttpReply reply = {
		.status = status, .body = body, .size = strlen(body), .error = ""
	};

	bank_bacen_judge(outcome, &reply, ID);
}

static void
check_verdict(int status, const char *body, BankBacenVerdict expected)
{
	BankBacenOutcome outcome;
	char		name[128];

	judge(&outcome, status, body);
	snprintf(name, sizeof(name), "%d %s", status, body);
	tap_is_int(outcome.verdict, expected, name);
	tap_ok((outcome.error[0] == '\0') == (expected == BANK_BACEN_DELIVERED),
		   "an error is kept unless delivered");
}

static void
check_verdicts(void)
{
	check_verdict(200, "", BANK_BACEN_DELIVERED);
	check_verdict(201, "{}", BANK_BACEN_DELIVERED);
	check_verdict(299, "?", BANK_BACEN_DELIVERED);
	check_verdict(300, "", BANK_BACEN_LATER);
	check_verdict(302, "", BANK_BACEN_LATER);
	check_verdict(400, "", BANK_BACEN_DEAD);
	check_verdict(401, "", BANK_BACEN_DEAD);
	check_verdict(404, "", BANK_BACEN_DEAD);
	check_verdict(408, "", BANK_BACEN_LATER);
	check_verdict(409, "", BANK_BACEN_LATER);
	check_verdict(409, "{\"id\": \"" ID "\"}", BANK_BACEN_DELIVERED);
	check_verdict(409, "{\"id\": \"0197F0AA-0000-7000-8000-00000000ABCD\"}",
				  BANK_BACEN_DELIVERED);
	check_verdict(409, "{\"id\": \"" OTHER "\"}", BANK_BACEN_LATER);
	check_verdict(409, "{\"id\": 1}", BANK_BACEN_LATER);
	check_verdict(409, "[\"" ID "\"]", BANK_BACEN_LATER);
	check_verdict(409, "\"" ID "\"", BANK_BACEN_LATER);
	check_verdict(409, "{\"id\": \"" ID "\"", BANK_BACEN_LATER);
	check_verdict(422, "{\"erro\": \"conta\"}", BANK_BACEN_DEAD);
	check_verdict(425, "", BANK_BACEN_LATER);
	check_verdict(429, "", BANK_BACEN_LATER);
	check_verdict(499, "", BANK_BACEN_DEAD);
	check_verdict(500, "", BANK_BACEN_LATER);
	check_verdict(503, "", BANK_BACEN_LATER);
	check_verdict(600, "", BANK_BACEN_LATER);
}

static void
check_failures(void)
{
	BankHttpReply silent = {.failed = true, .body = "", .error = "it is down"};
	BankHttpReply cut = {.failed = true, .status = 201, .body = "", .error = "too long"};
	BankHttpReply refused = {
		.failed = true, .status = 422, .body = "x", .error = "too long",
		.retry_after_s = 7
	};
	BankBacenOutcome outcome;

	bank_bacen_judge(&outcome, &silent, ID);
	tap_is_int(outcome.verdict, BANK_BACEN_LATER, "no answer: later");
	tap_is_int(outcome.status, 0, "no answer: no status");
	tap_is_text(outcome.error, "no answer: it is down", "no answer: why");
	bank_bacen_judge(&outcome, &cut, ID);
	tap_is_int(outcome.verdict, BANK_BACEN_DELIVERED, "success with a lost body: delivered");
	bank_bacen_judge(&outcome, &refused, ID);
	tap_is_int(outcome.verdict, BANK_BACEN_LATER, "a refusal that was cut: later");
	tap_is_int(outcome.retry_after_s, 7, "the pause asked for is passed on");
	tap_is_text(outcome.error, "answered 422: too long", "status and reason are kept");
}

static void
check_kept_text(void)
{
	BankBacenOutcome outcome;
	char		body[2000];

	judge(&outcome, 422, "inv\xc3\xa1lida\n\x01\x7f");
	tap_is_text(outcome.error, "answered 422: inv\xc3\xa1lida   ", "one line of UTF-8");
	judge(&outcome, 422, "a\xff" "b\xc3");
	tap_is_text(outcome.error, "answered 422: a?b?", "what is no UTF-8 is replaced");
	judge(&outcome, 422, "\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82\xac");
	tap_is_text(outcome.error, "answered 422: \?\?\?\?\?\?\?\?\?\xe2\x82\xac",
				"overlong forms and surrogates are replaced");
	judge(&outcome, 422, "");
	tap_is_text(outcome.error, "answered 422", "an empty answer");
	memset(body, 0, sizeof(body));
	for (size_t i = 0; i + 2 < sizeof(body); i += 2)
		memcpy(body + i, "\xc3\xa1", 2);
	judge(&outcome, 422, body);
	tap_is_int((int64_t) strlen(outcome.error), BANK_BACEN_ERROR_SIZE - 2,
			   "a long answer ends with a whole character");
}

static void
check_delays(void)
{
	tap_is_int(bank_bacen_delay_ms(1, 0, 0.5), 1000, "half of 2 s");
	tap_is_int(bank_bacen_delay_ms(2, 0, 0.5), 2000, "half of 4 s");
	tap_is_int(bank_bacen_delay_ms(11, 0, 1.0), 2048000, "it doubles");
	tap_is_int(bank_bacen_delay_ms(12, 0, 1.0), 3600000, "up to an hour");
	tap_is_int(bank_bacen_delay_ms(INT32_MAX, 0, 1.0), 3600000, "and no more");
	tap_is_int(bank_bacen_delay_ms(5, 0, 0.0), 0, "chance may say at once");
	tap_is_int(bank_bacen_delay_ms(1, 30, 0.9), 30000, "not before BACEN asked to");
	tap_is_int(bank_bacen_delay_ms(12, 30, 0.5), 1800000, "but later where chance says so");
}

int
main(void)
{
	check_request();
	check_values();
	check_longest_request();
	check_verdicts();
	check_failures();
	check_kept_text();
	check_delays();
	return tap_done();
}
