/*
 * slot_page: slots as a page lets people choose from them. PURE.
 */
#ifndef API_SLOT_PAGE_H
#define API_SLOT_PAGE_H

#include <stdint.h>

#include <jansson.h>

/* How many days a page shows. */
#define SLOT_PAGE_DAYS 14

/* Places left in one of load_slots()'s; none or fewer when it is full or overbooked. */
int64_t slot_left(const json_t *slot);
/*
 * [{"day": "Tuesday, 24 November 2026", "times": [{"time": "10:00", "value": an instant, "chosen":
 * bool}]}] of what load_slots() says, without full ones; chosen: the instant that was typed, or NULL.
 * New reference.
 */
json_t *slot_days(const json_t *slots, const char *chosen);

#endif
