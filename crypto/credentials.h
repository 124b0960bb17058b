/* Who may sign: access keys with their secrets, and the signing keys derived from them, cached by
 * day.
 *
 * Read once at start from a file (0600) of lines
 *
 *     access_key_id secret_access_key account [session_token [expires]]
 *
 * '#' begins a comment. With a token the key is a temporary one, until `expires`
 * (YYYY-MM-DDTHH:MM:SSZ) where that is given. Every key there is the root of its account. Any
 * thread after loading. */
#ifndef CRYPTO_CREDENTIALS_H
#define CRYPTO_CREDENTIALS_H

#include "base/errc.h"
#include "base/world.h"
#include "crypto/sigv4.h"

struct credentials;

struct identity {
    const char *access_key_id;
    const char *account;
    const char *arn; /* of the principal, e.g. arn:aws:iam::123456789012:root */
};

/* Returns owned. Refuses a file that others can read, and a bad line by its number (never its
 * text). */
MUSTCHECK enum errc credentials_load(const char *path, struct credentials **ret, struct err *err);
void credentials_free(struct credentials *credentials);
/* A new file with one random key pair for `account`; never overwrites. */
MUSTCHECK enum errc credentials_create(const char *path, const char *account,
                                       const struct world *world, struct err *err);
/* The first key of the file, for `dev` to print: borrowed until credentials_free. *ret_token: NULL
 * for a long-term key. */
void credentials_first(const struct credentials *credentials, const char **ret_id,
                       const struct secret **ret_secret, const struct secret **ret_token);

/* NULL for an unknown key. Borrowed. */
const struct identity *credentials_find(const struct credentials *credentials,
                                        const char *access_key_id);
/* The session's token that the request carries against the key's own, in constant time: a long-term
 * key has none, a temporary one must come with it. ERR_UNRECOGNIZED_CLIENT, ERR_EXPIRED_TOKEN; the
 * right token is asked for before anything is told of its end. `identity` came from
 * credentials_find. */
MUSTCHECK enum errc credentials_check_session(const struct credentials *credentials,
                                              const struct identity *identity,
                                              const struct sigv4_claim *claim, int64_t now_ms,
                                              struct err *err);
/* The signing key of `claim`'s scope, cached. `identity` came from credentials_find. */
void credentials_signing_key(struct credentials *credentials, const struct identity *identity,
                             const struct sigv4_claim *claim, uint8_t out[32]);

#endif
