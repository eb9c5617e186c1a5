/*
 * The configuration: one table says what there is.
 *
 * Not here: whether a command needs a setting; bridge_config_require is asked
 * for it by the command.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <libpq-fe.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bacen.h"
#include "kafka.h"
#include "log.h"

#define ENVIRONMENT_PREFIX "BANK_BRIDGE_"
#define KAFKA_PREFIX "kafka."
#define NAME_SIZE 128

typedef enum SettingType
{
	SETTING_TEXT,
	SETTING_INTEGER,
	SETTING_DSN,				/* connection string; its password is secret */
	SETTING_URL					/* what stands before its @ is secret */
} SettingType;

typedef struct Setting
{
	const char *name;
	SettingType type;
	const char *initial;
	int64_t		minimum;
	int64_t		maximum;
	size_t		target;
	const char *description;
} Setting;

#define TARGET(member) offsetof(BridgeConfig, member)

#define DAY_MS 86400000

static const Setting settings[] = {
	{"site.name", SETTING_TEXT, "bank", 0, 0, TARGET(site_name),
	"name of the site, in ce_source of every event"},
	{"init.ledger_dsn", SETTING_DSN, "", 0, 0, TARGET(init_ledger_dsn),
	"ledger database as superuser, for init and rebuild"},
	{"init.search_dsn", SETTING_DSN, "", 0, 0, TARGET(init_search_dsn),
	"search database as superuser, for init and rebuild"},
	{"publish.dsn", SETTING_DSN, "", 0, 0, TARGET(publish_dsn),
	"ledger database as bank_publish"},
	{"publish.heartbeat_s", SETTING_INTEGER, "30", 1, 3600,
	TARGET(publish_heartbeat_s), "seconds between heartbeats, and between steps towards a seal"},
	{"project.dsn", SETTING_DSN, "", 0, 0, TARGET(project_dsn),
	"search database as bank_project"},
	{"report.dsn", SETTING_DSN, "", 0, 0, TARGET(report_dsn),
	"ledger database as bank_report"},
	{"topics.partitions", SETTING_INTEGER, "6", 1, 1000,
	TARGET(topics_partitions), "partitions of a topic init makes"},
	{"topics.replication_factor", SETTING_INTEGER, "-1", -1, 100,
	TARGET(topics_replication_factor), "-1: the broker's default"},
	{"topics.min_insync_replicas", SETTING_INTEGER, "0", 0, 100,
	TARGET(topics_min_insync_replicas), "0: the broker's default"},
	{"topics.compaction_lag_ms", SETTING_INTEGER, "86400000", DAY_MS, INT64_MAX,
	TARGET(topics_compaction_lag_ms), "how long every record is kept"},
	{"topics.transfers_retention_ms", SETTING_INTEGER, "-1", -1, INT64_MAX,
	TARGET(topics_transfers_retention_ms), "-1: for ever"},
	{"redis.url", SETTING_URL, "", 0, 0, TARGET(redis_url),
	"redis://[user:password@]host:port"},
	{"redis.timeout_ms", SETTING_INTEGER, "500", 1, 60000,
	TARGET(redis_timeout_ms), "limit of one exchange"},
	{"bacen.url", SETTING_URL, "", 0, 0, TARGET(bacen_url),
	"where notifications are posted"},
	{"bacen.ca", SETTING_TEXT, "", 0, 0, TARGET(bacen_ca),
	"file of the certificates that may vouch for BACEN; empty: the system's"},
	{"bacen.certificate", SETTING_TEXT, "", 0, 0, TARGET(bacen_certificate),
	"file of the certificate shown to BACEN"},
	{"bacen.key", SETTING_TEXT, "", 0, 0, TARGET(bacen_key),
	"file of its key"},
	{"bacen.timeout_ms", SETTING_INTEGER, "5000", 1, BANK_BACEN_TIMEOUT_MAX_MS,
	TARGET(bacen_timeout_ms), "limit of one attempt"},
	{"bacen.parallel", SETTING_INTEGER, "64", 1, 256,
	TARGET(bacen_parallel), "first attempts at the same time"},
	{"http.address", SETTING_TEXT, "127.0.0.1", 0, 0, TARGET(http_address),
	"where /metrics and /health are served"},
	{"http.port", SETTING_INTEGER, "9464", 0, 65535, TARGET(http_port),
	"0: not served"},
	/* The last one: librdkafka's own properties are printed after it. */
	{"kafka.settle_ms", SETTING_INTEGER, "1000", 0, 60000,
	TARGET(kafka_settle_ms), "how long the topics' ends must stand still at a start; replicas add to it"},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

/* Written by the private stack for its users, and not for us. */
static const char *const foreign_variables[] = {
	"BANK_BRIDGE_METRICS_URL", "BANK_BRIDGE_PIDS"
};

/* What a value came from, for messages. */
typedef struct Source
{
	const char *file;			/* NULL: the environment */
	BridgeConfig *config;
	bool		seen[SETTING_COUNT];
	bool		failed;
} Source;

static char **
text_target(BridgeConfig *config, const Setting *setting)
{
	return (char **) ((char *) config + setting->target);
}

static int64_t *
integer_target(BridgeConfig *config, const Setting *setting)
{
	return (int64_t *) ((char *) config + setting->target);
}

static void *
require_memory(void *memory)
{
	if (memory == NULL)
	{
		bridge_log(BRIDGE_LOG_ERROR, "out of memory", NULL);
		exit(1);
	}
	return memory;
}

static void
replace_text(char **target, const char *value)
{
	free(*target);
	*target = require_memory(strdup(value));
}

static const Setting *
find_setting(const char *name)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

static bool
refuse(Source *source, const char *name, const char *why)
{
	bridge_log(BRIDGE_LOG_ERROR, "invalid configuration",
			   "source=%s name=%s reason=%s",
			   source->file != NULL ? source->file : "environment", name, why);
	source->failed = true;
	return false;
}

static bool
set_integer(Source *source, const Setting *setting, const char *value)
{
	char	   *end;
	long long	number;
	char		why[NAME_SIZE];

	errno = 0;
	number = strtoll(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' ||
		number < setting->minimum || number > setting->maximum)
	{
		snprintf(why, sizeof(why), "not an integer from %lld to %lld",
				 (long long) setting->minimum, (long long) setting->maximum);
		return refuse(source, setting->name, why);
	}
	*integer_target(source->config, setting) = number;
	return true;
}

static bool
set_dsn(Source *source, const Setting *setting, const char *value)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(value, &error);
	bool		valid = options != NULL;

	/* The text of the error may hold the password. */
	PQconninfoFree(options);
	PQfreemem(error);
	if (!valid)
		return refuse(source, setting->name, "not a connection string");
	replace_text(text_target(source->config, setting), value);
	return true;
}

static bool
set_value(Source *source, const Setting *setting, const char *value)
{
	switch (setting->type)
	{
		case SETTING_INTEGER:
			return set_integer(source, setting, value);
		case SETTING_DSN:
			return set_dsn(source, setting, value);
		case SETTING_TEXT:
		case SETTING_URL:
			break;
	}
	replace_text(text_target(source->config, setting), value);
	return true;
}

static BridgeKafkaProperty *
find_kafka(const BridgeConfig *config, const char *name)
{
	for (size_t i = 0; i < config->kafka_count; i++)
		if (strcmp(config->kafka[i].name, name) == 0)
			return &config->kafka[i];
	return NULL;
}

static void
store_kafka(BridgeConfig *config, const char *name, const char *value)
{
	BridgeKafkaProperty *property = find_kafka(config, name);

	if (property == NULL)
	{
		size_t		size = (config->kafka_count + 1) * sizeof(*property);

		config->kafka = require_memory(realloc(config->kafka, size));
		property = &config->kafka[config->kafka_count++];
		property->name = require_memory(strdup(name));
		property->value = NULL;
	}
	replace_text(&property->value, value);
}

static bool
set_kafka(Source *source, const char *full_name, const char *value)
{
	const char *name = full_name + strlen(KAFKA_PREFIX);
	char		why[256];
	rd_kafka_conf_t *conf;
	rd_kafka_conf_res_t result;

	if (bridge_kafka_reserved(name))
		return refuse(source, full_name, "property is set by bank-bridge");
	conf = rd_kafka_conf_new();
	result = rd_kafka_conf_set(conf, name, value, why, sizeof(why));
	rd_kafka_conf_destroy(conf);
	if (result != RD_KAFKA_CONF_OK)
		return refuse(source, full_name, why);
	store_kafka(source->config, name, value);
	return true;
}

static bool
set_by_name(Source *source, const char *name, const char *value)
{
	const Setting *setting = find_setting(name);

	if (setting == NULL &&
		strncmp(name, KAFKA_PREFIX, strlen(KAFKA_PREFIX)) == 0)
		return set_kafka(source, name, value);
	if (setting == NULL)
		return refuse(source, name, "unknown name");
	if (source->file != NULL && source->seen[setting - settings])
		return refuse(source, name, "given twice");
	source->seen[setting - settings] = true;
	return set_value(source, setting, value);
}

/* Called by inih for each name; 0 stops it. */
static int
handle_pair(void *user, const char *section, const char *key, const char *value)
{
	Source	   *source = user;
	char		name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s.%s", section, key);
	return set_by_name(source, name, value != NULL ? value : "") ? 1 : 0;
}

typedef struct LineReader
{
	FILE	   *stream;
	bool		too_long;
} LineReader;

/* inih takes the rest of a line that is too long for another line. */
static char *
read_line(char *line, int size, void *user)
{
	LineReader *reader = user;
	size_t		length;

	if (reader->too_long || fgets(line, size, reader->stream) == NULL)
		return NULL;
	length = strlen(line);
	if (length + 1 == (size_t) size && line[length - 1] != '\n')
		reader->too_long = true;
	return line;
}

static bool
load_file(const char *file, BridgeConfig *config)
{
	Source		source = {.file = file, .config = config};
	LineReader	reader = {.stream = fopen(file, "re")};
	int			line;

	if (reader.stream == NULL)
	{
		bridge_log(BRIDGE_LOG_ERROR, "could not open the configuration",
				   "file=%s error=%s", file, strerror(errno));
		return false;
	}
	line = ini_parse_stream(read_line, &reader, handle_pair, &source);
	fclose(reader.stream);
	if (reader.too_long)
		return refuse(&source, file, "a line is too long; use the environment");
	if (line != 0 && !source.failed)
		bridge_log(BRIDGE_LOG_ERROR, "invalid configuration",
				   "source=%s line=%d reason=%s", file, line,
				   "not a section, a name = value or a comment");
	return line == 0 && !source.failed;
}

/* BANK_BRIDGE_REDIS_TIMEOUT_MS is redis.timeout_ms. */
static bool
matches_variable(const char *name, const char *variable, size_t length)
{
	if (strlen(name) != length)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		char		expected = name[i] == '.' ? '_' :
		(char) toupper((unsigned char) name[i]);

		if (variable[i] != expected)
			return false;
	}
	return true;
}

static bool
set_kafka_variable(Source *source, const char *variable, size_t length,
				   const char *value)
{
	char		name[NAME_SIZE];

	if (length >= sizeof(name))
		return refuse(source, variable, "unknown name");
	for (size_t i = 0; i < length; i++)
		name[i] = variable[i] == '_' ? '.' :
			(char) tolower((unsigned char) variable[i]);
	name[length] = '\0';
	return set_by_name(source, name, value);
}

static bool
set_variable(Source *source, const char *variable, const char *value)
{
	const char *name = variable + strlen(ENVIRONMENT_PREFIX);
	size_t		length = (size_t) (value - 1 - name);

	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (matches_variable(settings[i].name, name, length))
			return set_value(source, &settings[i], value);
	if (strncmp(name, "KAFKA_", strlen("KAFKA_")) == 0)
		return set_kafka_variable(source, name, length, value);
	bridge_log(BRIDGE_LOG_ERROR, "unknown environment variable", "name=%.*s",
			   (int) (value - 1 - variable), variable);
	return false;
}

static bool
is_foreign(const char *variable, size_t length)
{
	for (size_t i = 0; i < sizeof(foreign_variables) / sizeof(char *); i++)
		if (strlen(foreign_variables[i]) == length &&
			strncmp(variable, foreign_variables[i], length) == 0)
			return true;
	return false;
}

static bool
load_environment(BridgeConfig *config)
{
	Source		source = {.config = config};
	bool		valid = true;

	for (char **entry = environ; *entry != NULL; entry++)
	{
		const char *equals = strchr(*entry, '=');

		if (equals == NULL || strncmp(*entry, ENVIRONMENT_PREFIX,
									  strlen(ENVIRONMENT_PREFIX)) != 0)
			continue;
		if (!is_foreign(*entry, (size_t) (equals - *entry)) &&
			!set_variable(&source, *entry, equals + 1))
			valid = false;
	}
	return valid;
}

bool
bridge_config_load(const char *file, BridgeConfig *config)
{
	Source		source = {.file = "default", .config = config};

	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (!set_value(&source, &settings[i], settings[i].initial))
			return false;
	if (file != NULL && !load_file(file, config))
		return false;
	return load_environment(config);
}

bool
bridge_config_require(const BridgeConfig *config, const char *name)
{
	const Setting *setting = find_setting(name);
	bool		given;

	if (setting != NULL)
		given = **text_target((BridgeConfig *) config, setting) != '\0';
	else
		given = find_kafka(config, name + strlen(KAFKA_PREFIX)) != NULL;
	if (!given)
		bridge_log(BRIDGE_LOG_ERROR, "setting is missing", "name=%s", name);
	return given;
}

/* Writes the connection string as keyword='value', the password masked. */
static void
print_dsn(const char *value, FILE *stream)
{
	PQconninfoOption *options = PQconninfoParse(value, NULL);
	const char *separator = "";

	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
	{
		bool		secret = *o->dispchar == '*';

		if (o->val == NULL)
			continue;
		fprintf(stream, "%s%s='", separator, o->keyword);
		for (const char *c = secret ? "***" : o->val; *c != '\0'; c++)
			fprintf(stream, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
		fputc('\'', stream);
		separator = " ";
	}
	PQconninfoFree(options);
}

static void
print_url(const char *value, FILE *stream)
{
	const char *host = strrchr(value, '@');
	const char *scheme = strstr(value, "://");

	if (host == NULL || scheme == NULL || scheme > host)
		fputs(value, stream);
	else
		fprintf(stream, "%.*s***%s", (int) (scheme + 3 - value), value, host);
}

static void
print_setting(BridgeConfig *config, const Setting *setting, FILE *stream)
{
	switch (setting->type)
	{
		case SETTING_INTEGER:
			fprintf(stream, "%lld",
					(long long) *integer_target(config, setting));
			break;
		case SETTING_DSN:
			print_dsn(*text_target(config, setting), stream);
			break;
		case SETTING_URL:
			print_url(*text_target(config, setting), stream);
			break;
		case SETTING_TEXT:
			fputs(*text_target(config, setting), stream);
			break;
	}
}

/* Properties of librdkafka whose values are secrets or may hold one. */
static bool
is_secret_property(const char *name)
{
	static const char *const parts[] = {
		"password", "secret", "pem", "jaas", "oauthbearer.config", "username"
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(name, parts[i]) != NULL)
			return true;
	return false;
}

void
bridge_config_print(const BridgeConfig *config, FILE *stream)
{
	const char *section = "";

	for (size_t i = 0; i < SETTING_COUNT; i++)
	{
		const char *name = settings[i].name;
		size_t		length = strcspn(name, ".");

		if (strncmp(section, name, length + 1) != 0)
			fprintf(stream, "%s[%.*s]\n", i > 0 ? "\n" : "", (int) length, name);
		section = name;
		fprintf(stream, "; %s\n%s = ", settings[i].description, name + length + 1);
		print_setting((BridgeConfig *) config, &settings[i], stream);
		fputc('\n', stream);
	}
	for (size_t i = 0; i < config->kafka_count; i++)
		fprintf(stream, "%s = %s\n", config->kafka[i].name,
				is_secret_property(config->kafka[i].name) ? "***" :
				config->kafka[i].value);
}

void
bridge_config_free(BridgeConfig *config)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		if (settings[i].type != SETTING_INTEGER)
			free(*text_target(config, &settings[i]));
	for (size_t i = 0; i < config->kafka_count; i++)
	{
		free(config->kafka[i].name);
		free(config->kafka[i].value);
	}
	free(config->kafka);
	memset(config, 0, sizeof(*config));
}
