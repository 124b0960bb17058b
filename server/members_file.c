#include "server/members_file.h"

#include "api/admin_wire.h"
#include "base/buf.h"
#include "server/place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_MAX_BYTES = ADMIN_ID_TEXT + 1 + LIMIT_ADDRESS + 1,
    FILE_BYTES = LIMIT_PEERS * LINE_MAX_BYTES
};

static enum errc path_of(const char *data, char out[PATH_MAX], struct err *err) {
    return snprintf(out, PATH_MAX, "%s/members", data) < PATH_MAX
               ? OK
               : err_set(err, ERR_IO, "the path of the data folder is too long");
}

static bool line_read(const char *line, struct members_file *ret) {
    const char *address = line + ADMIN_ID_TEXT + 1;
    char id[ADMIN_ID_TEXT + 1];

    if (strlen(line) <= ADMIN_ID_TEXT + 1 || line[ADMIN_ID_TEXT] != ' ' ||
        strlen(address) > LIMIT_ADDRESS) {
        return false;
    }
    (void)snprintf(id, sizeof(id), "%.*s", ADMIN_ID_TEXT, line);
    if (!admin_id_read(id, &ret->members[ret->n].id)) {
        return false;
    }
    memcpy(ret->members[ret->n].address, address, strlen(address) + 1); /* it fits: see above */
    return true;
}

enum errc members_file_read(const char *data, struct members_file *ret, struct err *err) {
    char path[PATH_MAX];
    char line[LINE_MAX_BYTES + 2];
    FILE *file;
    enum errc code = path_of(data, path, err);

    ret->n = 0;
    if (code != OK) {
        return code;
    }
    file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT ? OK
                               : err_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    }
    while (ret->n < LIMIT_PEERS && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        ret->n += line_read(line, ret) ? 1 : 0;
    }
    (void)fclose(file);
    return OK;
}

static bool is_same(const struct members_file *known, const struct node_status *status) {
    if (known->n != status->n_members) {
        return false;
    }
    for (size_t i = 0; i < known->n; i++) {
        if (known->members[i].id != status->members[i].id ||
            strcmp(known->members[i].address, status->members[i].address) != 0) {
            return false;
        }
    }
    return true;
}

enum errc members_file_write(const char *data, const struct node_status *status, struct err *err) {
    char path[PATH_MAX];
    char id[ADMIN_ID_TEXT + 1];
    struct members_file known;
    struct buf text;
    enum errc code = members_file_read(data, &known, err);

    if (code != OK || status->n_members == 0 || is_same(&known, status)) {
        return code;
    }
    code = path_of(data, path, err);
    if (code != OK) {
        return code;
    }
    buf_init(&text, FILE_BYTES);
    for (size_t i = 0; i < status->n_members; i++) {
        admin_id_write(status->members[i].id, id);
        buf_printf(&text, "%s %s\n", id, status->members[i].address);
    }
    code = text.failed ? err_default(err, ERR_NO_MEMORY)
                       : place_write_file(path, text.data, text.len, err);
    buf_fini(&text);
    return code;
}
