/* kind: the events that this program knows. PURE. */
#ifndef CORE_KIND_H
#define CORE_KIND_H

#include <stdbool.h>

bool kind_known(const char *);

#endif
