/* The secrets that a list's clauses leave, found by their terms: posting lists (index rows in order
 * of creation), intersected and united while they are walked.
 *
 * What is left is a superset: terms that would be too many are left out, and a walk that finds
 * nothing for a while names the next best secret, so that no call takes long. Not for other
 * folders; used by the thread of its view. */
#ifndef STORAGE_POSTINGS_H
#define STORAGE_POSTINGS_H

#include "storage/view.h"

struct postings;

/* Effort: stepping to the next row is 1, some 0.2 us; the others are measured against that. */
enum { EFFORT_STEP = 1, EFFORT_SEEK = 10 };

/* *ret is NULL when the clauses leave all secrets in. Owned: postings_close, which says how the
 * reading went. */
MUSTCHECK enum errc postings_open(const struct view *view, const char *account,
                                  const struct list_clause *clauses, size_t n, bool descending,
                                  struct postings **ret);
MUSTCHECK enum errc postings_close(struct postings *postings);

/* The first secret at or behind *seq in the walk's direction goes into *seq; false: there is none,
 * or reading failed. Never goes back. After `patience` of effort without finding one, the secret
 * where the walk stands. */
MUSTCHECK bool postings_seek(struct postings *postings, uint64_t *seq, uint64_t patience);
/* The walk begins anew. */
void postings_rewind(struct postings *postings);
/* Effort of all calls so far. */
uint64_t postings_effort(const struct postings *postings);

#endif
