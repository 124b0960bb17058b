#include "api/authenticate.h"

#include "base/wipe.h"

#include <string.h>

void authenticate_view(const struct http_request *request, struct sigv4_request *ret) {
    size_t query_at =
        request->path_len < request->target_len ? request->path_len + 1 : request->target_len;

    *ret = (struct sigv4_request){
        .method = request->method,
        .path = request->target,
        .path_len = request->path_len,
        .query = request->target + query_at,
        .query_len = request->target_len - query_at,
        .headers = request->headers,
        .n_headers = request->n_headers,
        .body = request->body.data,
        .body_len = request->body.len,
    };
}

enum errc authenticate_region(const struct region_rules *rules, const struct sigv4_claim *claim,
                              bool *ret_forward, struct err *err) {
    if (strcmp(claim->region, rules->own) == 0) {
        *ret_forward = false;
        return OK;
    }
    for (size_t i = 0; rules->forward && i < rules->n_peers; i++) {
        if (strcmp(claim->region, rules->peers[i]) == 0) {
            *ret_forward = true;
            return OK;
        }
    }
    /* The space at the end is the service's. */
    return err_set(err, ERR_INVALID_SIGNATURE,
                   "Credential should be scoped to a valid Region, not '%s'. ", claim->region);
}

enum errc authenticate_caller(struct credentials *credentials, const struct sigv4_request *request,
                              const struct sigv4_claim *claim, int64_t now_ms,
                              const struct identity **ret, struct err *err) {
    const struct identity *identity;
    uint8_t key[32];
    enum errc code = sigv4_check_scope(claim, SERVICE_NAME, now_ms, err);

    if (code != OK) {
        return code;
    }
    identity = credentials_find(credentials, claim->access_key_id);
    if (identity == NULL) {
        return err_default(err, ERR_UNRECOGNIZED_CLIENT);
    }
    code = credentials_check_session(credentials, identity, claim, now_ms, err);
    if (code != OK) {
        return code;
    }
    credentials_signing_key(credentials, identity, claim, key);
    code = sigv4_verify(request, claim, key, err);
    wipe(key, sizeof(key));
    if (code == OK) {
        *ret = identity;
    }
    return code;
}
