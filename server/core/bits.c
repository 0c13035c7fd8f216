/* bits: the one part of a bit set that allocates. */
#include "core/bits.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
bits_fini(struct bits *b)
{
	free(b->words);
	*b = (struct bits){ 0 };
}

void
bits_add(struct bits *b, size_t i)
{
	size_t w = i / BITS_WORD;

	if (w >= b->nwords) {
		size_t grown = w + 1 > b->nwords * 2 ? w + 1 : b->nwords * 2;

		b->words = xreallocarray(b->words, grown, sizeof(*b->words));
		memset(b->words + b->nwords, 0, (grown - b->nwords) * sizeof(*b->words));
		b->nwords = grown;
	}
	b->words[w] |= UINT64_C(1) << i % BITS_WORD;
}
