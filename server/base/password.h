/*
 * password: scrypt (N = 2^15, r = 8, p = 1: 32 MiB and about 0.1 s) to and
 * from one line of text,
 *	$scrypt$ln=15,r=8,p=1$<salt>$<hash>
 * both parts base64url without padding: 16 bytes and 32. Safe on any thread,
 * and never to be called on the loop (see work.h).
 */
#ifndef BASE_PASSWORD_H
#define BASE_PASSWORD_H

#include <stdbool.h>

/* Malloced text with a new salt. */
char *password_hash(const char *password) __attribute__((warn_unused_result));
/*
 * True when `stored` is that password's. False also when `stored` is not such
 * a text, its ln is not 10 to 17, or its r and p are others. NULL (there is no
 * such account) is false after as long as a real check takes.
 */
bool password_check(const char *password, const char *stored) __attribute__((warn_unused_result));

#endif
