/* bits: a set of small integers, which grows. All zeroes is the empty set. */
#ifndef CORE_BITS_H
#define CORE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITS_WORD 64

struct bits {
	uint64_t *words;
	size_t nwords;
};

void bits_fini(struct bits *);
void bits_add(struct bits *, size_t i);

static inline uint64_t
bits_word(const struct bits *b, size_t w)
{
	return w < b->nwords ? b->words[w] : 0;
}

static inline bool
bits_has(const struct bits *b, size_t i)
{
	return (bits_word(b, i / BITS_WORD) >> (i % BITS_WORD) & 1) != 0;
}

static inline void
bits_drop(struct bits *b, size_t i)
{
	if (i / BITS_WORD < b->nwords)
		b->words[i / BITS_WORD] &= ~(UINT64_C(1) << i % BITS_WORD);
}

/* Takes the lowest member out of a word that is not empty, and returns its place in it. */
static inline size_t
bits_pop(uint64_t *word)
{
	size_t low = (size_t)__builtin_ctzll(*word);

	*word &= *word - 1;
	return low;
}

#endif
