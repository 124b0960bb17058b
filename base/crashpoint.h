/* Crash points: named moments of the life of what lies on disk, at which a test build can be made
 * to die, to see that it starts again from what is left (base/crashpoint.def).
 *
 *     CRASHPOINT(LOG_WRITTEN);
 *
 * is nothing in what is released: the program `redoubt` has no trace of it. The program
 * `redoubt_crash`, made for tests, is the same sources with REDOUBT_CRASHPOINTS defined, and looks
 * at the environment:
 *
 *     REDOUBT_CRASHPOINT=NAME[:COUNT][,NAME[:COUNT]]...
 *
 * passes each in turn, so many times (once), and dies at the last one of the last: one line
 * "crashpoint: NAME" on standard error, then SIGKILL to itself. Nothing is flushed. A text that is
 * none of this, or a name that is not known, ends the program at the first point that it passes.
 *
 * Any thread. */
#ifndef BASE_CRASHPOINT_H
#define BASE_CRASHPOINT_H

enum crashpoint {
#define X(name, ...) CRASHPOINT_##name,
#include "base/crashpoint.def"
#undef X
    CRASHPOINT_COUNT
};

#ifdef REDOUBT_CRASHPOINTS
void crashpoint_pass(enum crashpoint point);
#define CRASHPOINT(NAME) crashpoint_pass(CRASHPOINT_##NAME)
#else
#define CRASHPOINT(NAME) ((void)CRASHPOINT_##NAME)
#endif

#endif
