/*
 * The one internal header of the extension: settings, shared structs, then
 * the prototypes grouped under the file that owns them.
 */
#ifndef BANK_H
#define BANK_H

#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "utils/uuid.h"

#include "contract.h"
#include "errors.h"
#include "http.h"
#include "relation.h"

/* bank.c: settings; README.md has units and ranges */
extern char *bank_customer_api_url;
extern int	bank_customer_api_timeout;
extern BankHttpTls bank_customer_api_tls;
extern char *bank_bacen_url;
extern int	bank_bacen_timeout;
extern BankHttpTls bank_bacen_tls;
extern int	bank_bacen_max_attempts;
extern double bank_bacen_rate;
extern int	bank_bacen_retry_time;
extern char *bank_redis_url;
extern char *bank_redis_password_file;
extern int	bank_redis_timeout;
extern char *bank_search_dsn;
extern int	bank_search_timeout;
extern struct pg_tz *bank_time_zone;
extern int	bank_max_clock_lead;
extern int	bank_progress_interval;
extern char *bank_authenticator;

/*
 * caller.c: may this call write?
 *
 * Every function that writes calls bank_require_writer first: it raises 25006
 * in a read-only transaction or on a standby, 25000 in a parallel worker, and
 * LG019 where this database is no ledger.
 */
extern void bank_require_writer(const char *function);
extern Datum bank_call_writer(FunctionCallInfo fcinfo, const char *function,
							  BankOpenMode mode, PGFunction body);
extern void bank_require_argument(bool is_null, const char *name);
extern void bank_require_range(const char *name, int64 value, int64 least,
							   int64 most);
extern TupleDesc bank_result_descriptor(FunctionCallInfo fcinfo);
extern void bank_require_columns(TupleDesc descriptor, int ncolumns,
								 const char *type);

/* customer_api.c: returns when the customer is active, else raises LG002,
 * LG003 or LG011; called with no lock held */
extern void bank_customer_api_require_active(const pg_uuid_t *customer_id);

/* uuid.c */
extern pg_uuid_t bank_uuid_generate(const pg_uuid_t *customer_id);
extern uint64 bank_uuid_hash(const pg_uuid_t *id);
extern const char *bank_uuid_text(const pg_uuid_t *id); /* palloc'd */
extern int	bank_uuid_compare(const pg_uuid_t *a, const pg_uuid_t *b);

#endif
