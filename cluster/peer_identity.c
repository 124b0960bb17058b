#include "cluster/peer_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_MAX = 256 * 1024, /* a bundle of authorities, at most */
    CHUNK = 4096,
    ATTEMPTS = 3 /* to find files that nobody is changing */
};

/* Without stdio, whose buffers nobody wipes. */
static enum errc read_file(const char *path, struct buf *out, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;

    buf_init(out, FILE_MAX);
    while (got > 0 && buf_reserve(out, CHUNK) != NULL) {
        got = read(fd, out->data + out->len, CHUNK);
        out->len += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        (void)err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (out->failed) {
        return err_set(err, ERR_IO, "%s: too large for a certificate or key", path);
    }
    return got < 0 ? ERR_IO : OK;
}

static enum errc read_all(const struct tls_files *files, struct peer_identity **ret,
                          struct err *err) {
    struct peer_identity *identity = calloc(1, sizeof(*identity));
    enum errc code = identity == NULL ? err_default(err, ERR_NO_MEMORY) : OK;

    if (code == OK) {
        code = read_file(files->ca_path, &identity->ca, err);
    }
    if (code == OK) {
        code = read_file(files->cert_path, &identity->cert, err);
    }
    if (code == OK) {
        code = read_file(files->key_path, &identity->key, err);
    }
    if (code == OK) {
        *ret = identity;
    } else {
        peer_identity_free(identity);
    }
    return code;
}

static enum errc judge(const struct tls_files *files, struct err *err) {
    struct tls_context *context = NULL;
    enum errc code = tls_node_context_new(files, &context, err);

    if (code == OK) {
        tls_context_free(context);
    }
    return code;
}

static bool is_same(const struct buf *a, const struct buf *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* What was judged lies between two readings that agree. */
enum errc peer_identity_read(const struct tls_files *files, struct peer_identity **ret,
                             struct err *err) {
    for (int i = 0; i < ATTEMPTS; i++) {
        struct peer_identity *before = NULL, *after = NULL;
        enum errc code = read_all(files, &before, err);
        bool is_settled;

        if (code == OK) {
            code = judge(files, err);
        }
        if (code == OK) {
            code = read_all(files, &after, err);
        }
        if (code != OK) {
            peer_identity_free(before);
            return code;
        }
        is_settled = is_same(&before->ca, &after->ca) && is_same(&before->cert, &after->cert) &&
                     is_same(&before->key, &after->key);
        peer_identity_free(before);
        if (is_settled) {
            *ret = after;
            return OK;
        }
        peer_identity_free(after);
    }
    return err_set(err, ERR_IO, "%s: it is being changed", files->cert_path);
}

void peer_identity_free(struct peer_identity *identity) {
    if (identity != NULL) {
        buf_fini(&identity->ca);
        buf_fini(&identity->cert);
        buf_fini(&identity->key);
        free(identity);
    }
}
