/*
 * The clock of deadlines: it never steps.
 */
#ifndef BRIDGE_CLOCK_H
#define BRIDGE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment. */
extern int64_t bridge_clock_ms(void);

#endif
