/* ring: a circular array of a tenant's last events; position is seq modulo size. */
#include "node/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct ring {
	struct ring_event *slots;
	size_t max;
	uint64_t first, last; /* 0: empty */
};

struct ring *
ring_new(size_t max)
{
	struct ring *r = xcalloc(1, sizeof *r);

	r->slots = xcalloc(max, sizeof *r->slots);
	r->max = max;
	return r;
}

static void
slot_clear(struct ring_event *e)
{
	free(e->kind); /* body lives in the same allocation */
	memset(e, 0, sizeof *e);
}

void
ring_clear(struct ring *r)
{
	for (size_t i = 0; i < r->max; i++)
		slot_clear(&r->slots[i]);
	r->first = r->last = 0;
}

void
ring_free(struct ring *r)
{
	if (r == NULL)
		return;
	ring_clear(r);
	free(r->slots);
	free(r);
}

void
ring_add(struct ring *r, uint64_t seq, int64_t at_ms, int agent_id, const char *kind,
    const char *body, size_t body_len)
{
	size_t kind_size = strlen(kind) + 1;

	if (r->last != 0 && seq != r->last + 1)
		ring_clear(r);
	if (r->last == 0)
		r->first = seq;
	else if (seq - r->first >= r->max)
		r->first++;

	struct ring_event *e = &r->slots[seq % r->max];
	slot_clear(e);
	e->seq = seq;
	e->at_ms = at_ms;
	e->agent_id = agent_id;
	e->kind = xmalloc(kind_size + body_len + 1);
	memcpy(e->kind, kind, kind_size);
	e->body = e->kind + kind_size;
	memcpy(e->body, body, body_len);
	e->body[body_len] = '\0';
	r->last = seq;
}

const struct ring_event *
ring_get(const struct ring *r, uint64_t seq)
{
	if (r->last == 0 || seq < r->first || seq > r->last)
		return NULL;
	return &r->slots[seq % r->max];
}

uint64_t
ring_last(const struct ring *r)
{
	return r->last;
}
