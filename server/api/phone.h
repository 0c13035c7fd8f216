/*
 * phone: telephone numbers by libphonenumber (the only C++ here): what was
 * typed to E.164, its region, and whether it may be called at all.
 */
#ifndef API_PHONE_H
#define API_PHONE_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PHONE_TEXT_MAX 64	/* bytes that are looked at */
#define PHONE_E164_SIZE 17	/* "+" and 15 digits */
#define PHONE_REGION_SIZE 4	/* "DE"; "001": of no country (satellite, international freephone) */

enum phone_type { PHONE_FIXED_LINE, PHONE_MOBILE, PHONE_FIXED_OR_MOBILE, PHONE_TOLL_FREE, PHONE_VOIP };

/*
 * A number as a person types it, without a country code in default_region's
 * way. False with a constant sentence in *why, fit for a field's error: not a
 * number, not possible, not valid, with an extension, or of a kind that costs
 * the caller more (premium-rate, shared-cost, personal, company numbers) or
 * that nobody answers (pager, voicemail). text is UTF-8.
 */
bool phone_parse(const char *text, const char *default_region, char e164[PHONE_E164_SIZE],
    char region[PHONE_REGION_SIZE], enum phone_type *type, const char **why);
/* A region ("DE") whose numbers are known. The first call of either loads the tables (some 5 ms). */
bool phone_region_ok(const char *region);

#ifdef __cplusplus
}
#endif

#endif
