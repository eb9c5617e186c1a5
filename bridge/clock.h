/*
 * Two clocks: that of deadlines, which never steps, and that of dates.
 */
#ifndef BRIDGE_CLOCK_H
#define BRIDGE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment. */
extern int64_t bridge_clock_ms(void);

/* Milliseconds since 1970. */
extern int64_t bridge_clock_date_ms(void);

#endif
