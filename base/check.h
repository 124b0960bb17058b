/* Assertions that stay on in production, and the few compiler attributes that the code uses.
 *
 * CHECK is for our own bugs only: it prints the expression and aborts. What a caller or the world
 * can cause is an error. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

#define MUSTCHECK                       __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args)          __attribute__((format(printf, fmt, args)))

/* A local that is released by `fn(&local)` when its scope ends; never for things that outlive the
 * function.
 */
#define AUTO(fn)                        __attribute__((cleanup(fn)))

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

__attribute__((noreturn, cold)) void check_failed(const char *file, int line, const char *expr);

#define CHECK(expr)                                                                                \
    (__builtin_expect(!!(expr), 1) ? (void)0 : check_failed(__FILE__, __LINE__, #expr))

#endif
