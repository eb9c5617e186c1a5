/*
 * Text of a PostgreSQL array.
 *
 * Memory:    one malloc'd buffer an array, as large as its largest batch;
 *            a process out of memory ends, as a supervisor restarts it.
 */
#include "array.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 1024

static void
append(BridgeArray *array, const char *text, size_t length)
{
	if (array->length + length + 1 > array->size)
	{
		array->size = array->size * 2 + length + FIRST_SIZE;
		array->text = realloc(array->text, array->size);
		if (array->text == NULL)
			abort();
	}
	memcpy(array->text + array->length, text, length);
	array->length += length;
	array->text[array->length] = '\0';
}

void
bridge_array_reset(BridgeArray *array)
{
	array->length = 0;
	append(array, "{", 1);
}

static void
begin_element(BridgeArray *array)
{
	if (array->length > 1)
		append(array, ",", 1);
}

void
bridge_array_add(BridgeArray *array, const char *element)
{
	if (element == NULL || element[0] == '\0')
		element = "NULL";
	begin_element(array);
	append(array, element, strlen(element));
}

void
bridge_array_add_quoted(BridgeArray *array, const char *element)
{
	if (element == NULL)
	{
		bridge_array_add(array, NULL);
		return;
	}
	begin_element(array);
	append(array, "\"", 1);
	for (; *element != '\0'; element++)
	{
		if (*element == '"' || *element == '\\')
			append(array, "\\", 1);
		append(array, element, 1);
	}
	append(array, "\"", 1);
}

void
bridge_array_add_int64(BridgeArray *array, int64_t element)
{
	char		text[24];

	snprintf(text, sizeof(text), "%" PRId64, element);
	bridge_array_add(array, text);
}

const char *
bridge_array_finish(BridgeArray *array)
{
	append(array, "}", 1);
	return array->text;
}

void
bridge_array_free(BridgeArray *array)
{
	free(array->text);
	memset(array, 0, sizeof(*array));
}
