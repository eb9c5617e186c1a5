/*
 * Log lines, key=value, one write each, so that the lines of several
 * processes on one descriptor never mix.
 */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 2048

/* Stands between the fields while their values may hold spaces. */
#define FIELD_SEPARATOR '\x1f'

typedef struct LogLine
{
	size_t		length;
	char		text[LINE_SIZE];
} LogLine;

static const char *log_role = "main";
static const char *const level_names[] = {"debug", "info", "warning", "error"};

void
bridge_log_role(const char *role)
{
	log_role = role;
}

/* Leaves room for the newline. */
static void
append_char(LogLine *line, char c)
{
	if (line->length < LINE_SIZE - 1)
		line->text[line->length++] = c;
}

static void
append_text(LogLine *line, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		append_char(line, text[i]);
}

static bool
needs_quotes(const char *value, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if ((unsigned char) value[i] <= ' ' || value[i] == '"' ||
			value[i] == '=' || value[i] == '\\')
			return true;
	}
	return length == 0;
}

static void
append_value(LogLine *line, const char *value, size_t length)
{
	while (length > 0 && value[length - 1] == '\n')
		length--;
	if (!needs_quotes(value, length))
	{
		append_text(line, value, length);
		return;
	}
	append_char(line, '"');
	for (size_t i = 0; i < length; i++)
	{
		if (value[i] == '"' || value[i] == '\\')
			append_char(line, '\\');
		append_char(line, (unsigned char) value[i] < ' ' ? ' ' : value[i]);
	}
	append_char(line, '"');
}

static void
append_head(LogLine *line, BridgeLogLevel level, const char *message)
{
	struct timespec now;
	struct tm	utc;
	char		head[128];
	size_t		length;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	length = strftime(head, sizeof(head), "time=%Y-%m-%dT%H:%M:%S", &utc);
	append_text(line, head, length);
	snprintf(head, sizeof(head), ".%03ldZ level=%s role=%s pid=%d message=",
			 now.tv_nsec / 1000000, level_names[level], log_role,
			 (int) getpid());
	append_text(line, head, strlen(head));
	append_value(line, message, strlen(message));
}

/* One formatted "key=value". */
static void
append_field(LogLine *line, const char *field, size_t length)
{
	const char *equals = memchr(field, '=', length);
	size_t		key = equals != NULL ? (size_t) (equals - field) + 1 : 0;

	append_char(line, ' ');
	append_text(line, field, key);
	append_value(line, field + key, length - key);
}

static void
append_fields(LogLine *line, const char *fields, va_list arguments)
{
	char		format[256];
	char		text[LINE_SIZE];
	char	   *field = text;
	char	   *end;

	snprintf(format, sizeof(format), "%s", fields);
	for (char *c = format; *c != '\0'; c++)
		if (*c == ' ')
			*c = FIELD_SEPARATOR;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, sizeof(text), format, arguments);
#pragma GCC diagnostic pop
	while ((end = strchr(field, FIELD_SEPARATOR)) != NULL)
	{
		append_field(line, field, (size_t) (end - field));
		field = end + 1;
	}
	append_field(line, field, strlen(field));
}

void
bridge_log(BridgeLogLevel level, const char *message, const char *fields,...)
{
	LogLine		line;
	va_list		arguments;

	line.length = 0;
	append_head(&line, level, message);
	if (fields != NULL)
	{
		va_start(arguments, fields);
		append_fields(&line, fields, arguments);
		va_end(arguments);
	}
	line.text[line.length++] = '\n';
	if (write(STDERR_FILENO, line.text, line.length) < 0)
		return;
}
