/* A secret's rotation: its schedule, and what a new current version means to it. AWS_BEHAVIOUR
 * 3.14. Works on records in memory. Raft thread. */
#ifndef CLUSTER_COMMANDS_ROTATION_H
#define CLUSTER_COMMANDS_ROTATION_H

#include "cluster/command.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

/* The days, expression and duration of a call: present and good. */
bool rotation_rules_are_valid(const Redoubt__Rotation *rules);

/* The version under AWSPENDING where that is another than the current one: a rotation has begun and
 * is not complete. Borrowed; NULL: none. */
const Redoubt__Version *rotation_unfinished(const Redoubt__Secret *secret);

/* The stored schedule begins to count now, and is on. */
void rotation_start_counting(Redoubt__Rotation *rotation, int64_t now_ms);

/* For every command that gives a value to the version `version_id`, or moves AWSCURRENT there,
 * after the labels are in the record and before it is written. Does nothing unless rotation is on
 * and the version is the current one. The next rotation is then counted from now. The last one was
 * now only if the version is also AWSPENDING, which a rotation's version still is when its function
 * makes it current; any other value came by hand, which the schedule takes for a rotation but
 * LastRotatedDate does not. */
void rotation_note_current(Redoubt__Secret *secret, const char *version_id, int64_t now_ms);

void rotation_clear_metadata(Redoubt__Rotation *rotation);

/* A replica becomes a secret of its own here: its function and role are those of the former
 * primary's region, so rotation is off and must be set up anew. Its rules and dates stay to be
 * seen. */
void rotation_leave_primary(Redoubt__Secret *secret);

#endif
