/*
 * presence: which agents have a desk listening on this node: an open stream, or
 * a request not longer ago than presence_ms (real time: a network deadline).
 * Changes become `connect` and `disconnect` commands.
 */
#ifndef NODE_PRESENCE_H
#define NODE_PRESENCE_H

struct presence;
struct tenant;

struct presence *presence_new(struct tenant *);
void presence_free(struct presence *);
/* A stream of his began / ended. (Whoever polls is touched by every poll.) */
void presence_enter(struct presence *, int agent_id);
void presence_leave(struct presence *, int agent_id);
/* A request of his came in. */
void presence_touch(struct presence *, int agent_id);
/*
 * The log says that a desk of his came or went: on another node, or on this one
 * by a command that was given up and committed all the same.
 */
void presence_told(struct presence *, int agent_id);
/* The projection was (re)loaded, or an agent signed in: says again what differs. */
void presence_check(struct presence *);

#endif
