/* Certificate, key and authority of the client for calls to peers, as bytes: what is on disk may be
 * half of a new pair at any moment, and a connection must not begin with that. Any thread. */
#ifndef CLUSTER_PEER_IDENTITY_H
#define CLUSTER_PEER_IDENTITY_H

#include "base/buf.h"
#include "base/errc.h"
#include "crypto/tls.h"

struct peer_identity {
    struct buf ca, cert, key; /* PEM; wiped */
};

/* Only what belongs together. ERR_IO, ERR_CRYPTO, or what tls_node_context_new says. Returns owned.
 */
MUSTCHECK enum errc peer_identity_read(const struct tls_files *files, struct peer_identity **ret,
                                       struct err *err);
/* Takes NULL too. */
void peer_identity_free(struct peer_identity *identity);

#endif
