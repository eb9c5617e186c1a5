/*
 * Module magic and settings; no rule of the ledger is here.
 *
 * Settings are SIGHUP: they decide where money's news is sent and how long a
 * call may take, so no session may change its own.
 */
#include "postgres.h"

#include <limits.h>

#include "pgtime.h"
#include "utils/guc.h"

#include "bank.h"

PG_MODULE_MAGIC;

char	   *bank_customer_api_url;
int			bank_customer_api_timeout;
BankHttpTls bank_customer_api_tls;
char	   *bank_bacen_url;
int			bank_bacen_timeout;
BankHttpTls bank_bacen_tls;
int			bank_bacen_max_attempts;
double		bank_bacen_rate;
int			bank_bacen_retry_time;
char	   *bank_redis_url;
char	   *bank_redis_password_file;
int			bank_redis_timeout;
char	   *bank_search_dsn;
int			bank_search_timeout;
struct pg_tz *bank_time_zone;
int			bank_max_clock_lead;
int			bank_progress_interval;
char	   *bank_authenticator;

static char *time_zone_name;

/* Addresses may carry passwords, so only superusers may read them. */
static void
define_address(const char *name, const char *description, char **variable)
{
	DefineCustomStringVariable(name, description, NULL, variable, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
}

/* Where keys are is nobody's to know who cannot set it. */
static void
define_file(const char *name, const char *description, const char **variable)
{
	DefineCustomStringVariable(name, description, NULL,
							   unconstify(char **, variable), "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
}

static void
define_timeout(const char *name, const char *description, int *variable,
			   int default_ms)
{
	DefineCustomIntVariable(name, description, NULL, variable, default_ms,
							1, 60 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
}

static bool
check_time_zone(char **name, void **extra, GucSource source)
{
	if (pg_tzset(*name) != NULL)
		return true;
	GUC_check_errdetail("Time zone \"%s\" is not known.", *name);
	return false;
}

static void
assign_time_zone(const char *name, void *extra)
{
	bank_time_zone = pg_tzset(name);
}

static void
define_ledger_settings(void)
{
	DefineCustomStringVariable("bank.time_zone",
							   "Time zone whose days daily limits count.",
							   NULL, &time_zone_name, "America/Sao_Paulo",
							   PGC_SIGHUP, 0, check_time_zone, assign_time_zone,
							   NULL);
	DefineCustomIntVariable("bank.max_clock_lead",
							"How far an account's last date may be ahead of the clock.",
							NULL, &bank_max_clock_lead, 10, 0, 24 * 60 * 60,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("bank.progress_interval",
							"Time between two notices of how far bank.verify() is.",
							NULL, &bank_progress_interval, 5000, 0, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

static void
define_certificates(void)
{
	define_file("bank.customer_api_ca",
				"File of the certificates that may vouch for customer-api; empty: the system's.",
				&bank_customer_api_tls.ca);
	define_file("bank.customer_api_certificate",
				"File of the certificate shown to customer-api.",
				&bank_customer_api_tls.certificate);
	define_file("bank.customer_api_key",
				"File of the key of bank.customer_api_certificate.",
				&bank_customer_api_tls.key);
	define_file("bank.bacen_ca",
				"File of the certificates that may vouch for BACEN; empty: the system's.",
				&bank_bacen_tls.ca);
	define_file("bank.bacen_certificate",
				"File of the certificate shown to BACEN.",
				&bank_bacen_tls.certificate);
	define_file("bank.bacen_key",
				"File of the key of bank.bacen_certificate.",
				&bank_bacen_tls.key);
}

void		_PG_init(void);

void
_PG_init(void)
{
	define_address("bank.customer_api_url",
				   "URL of customer-api; {customer_id} stands for the customer.",
				   &bank_customer_api_url);
	define_timeout("bank.customer_api_timeout",
				   "Longest time one question to customer-api may take.",
				   &bank_customer_api_timeout, 5000);
	define_address("bank.bacen_url",
				   "URL that notifications are posted to.",
				   &bank_bacen_url);
	define_timeout("bank.bacen_timeout",
				   "Longest time one notification to BACEN may take.",
				   &bank_bacen_timeout, 5000);
	DefineCustomIntVariable("bank.bacen_max_attempts",
							"Attempts after which a notification is dead.",
							NULL, &bank_bacen_max_attempts, 100, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("bank.bacen_rate",
							 "Notifications a second that may be sent to BACEN; 0: no limit.",
							 NULL, &bank_bacen_rate, 0, 0, 1000000,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("bank.bacen_retry_time",
							"Time after which one call of bank_report.retry() begins no further notification.",
							NULL, &bank_bacen_retry_time, 45 * 1000, 1,
							3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);
	define_address("bank.redis_url",
				   "URL of Redis: redis://user:password@host:port or unix:///path.",
				   &bank_redis_url);
	define_address("bank.redis_password_file",
				   "File whose first line is the password of Redis, where the URL has none.",
				   &bank_redis_password_file);
	define_timeout("bank.redis_timeout",
				   "Longest time one command to Redis may take.",
				   &bank_redis_timeout, 500);
	define_address("bank.search_dsn",
				   "libpq connection string of the search database; empty: this database.",
				   &bank_search_dsn);
	define_timeout("bank.search_timeout",
				   "Longest time one query to the search database may take.",
				   &bank_search_timeout, 2000);
	define_certificates();
	define_ledger_settings();
	DefineCustomStringVariable("bank.authenticator",
							   "Role whose sessions' claims count: that of the web server.",
							   NULL, &bank_authenticator, "bank_web",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("bank");
}
