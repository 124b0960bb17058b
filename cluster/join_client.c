#include "cluster/join_client.h"

#include "base/limits.h"
#include "base/wipe.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { URL_MAX = 512 };

static CURLcode curl_once_code;

static void curl_init(void) {
    tls_global_init();
    /* What passes through curl's buffers is wiped when it is freed: a token does. */
    curl_once_code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc,
                                          wipe_strdup, wipe_calloc);
}

static size_t take_answer(char *data, size_t size, size_t n, void *arg) {
    struct buf *answer = arg;

    buf_append(answer, data, size * n);
    return answer->failed ? 0 : size * n;
}

static bool set_security(CURL *easy, const struct join_call *call) {
    long verify = call->ca_path != NULL ? 1L : 0L;

    return curl_easy_setopt(easy, CURLOPT_CAINFO, call->ca_path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLCERT, call->cert_path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLKEY, call->key_path) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2 * verify) == CURLE_OK;
}

static bool set_up(CURL *easy, struct join_call *call, struct curl_slist *connect_to,
                   struct curl_slist *headers, char *error) {
    char url[URL_MAX];
    bool fits = snprintf(url, sizeof(url), "https://%s.redoubt:443%s", call->region, call->path) <
                (int)sizeof(url);
    bool is_set =
        fits && set_security(easy, call) && curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_PEER_CONNECT_MS) ==
            CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &call->answer) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error) == CURLE_OK;

    if (is_set && call->body != NULL) {
        is_set = curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
                 curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body->len) ==
                     CURLE_OK &&
                 curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body->data) == CURLE_OK;
    }
    return is_set && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method) == CURLE_OK;
}

/* What the failure says about the other side. Not a word of what was sent is in curl's texts. */
static enum errc failed(CURLcode code, const struct join_call *call, const char *error,
                        struct err *err) {
    const char *reason = error[0] != '\0' ? error : curl_easy_strerror(code);
    enum errc errc = ERR_OUTCOME_UNKNOWN;

    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        errc = ERR_ACCESS_DENIED;
    } else if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
               code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CERTPROBLEM) {
        errc = ERR_UNAVAILABLE;
    }
    return err_set(err, errc, "%s: %s", call->address, reason);
}

static enum errc perform(CURL *easy, struct join_call *call, struct err *err) {
    char place[LIMIT_ADDRESS + 16];
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *connect_to = NULL;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    enum errc errc = OK;
    long status = 0;

    if (snprintf(place, sizeof(place), "::%s", call->address) < (int)sizeof(place)) {
        connect_to = curl_slist_append(NULL, place);
    }
    if (headers == NULL || connect_to == NULL || !set_up(easy, call, connect_to, headers, error)) {
        errc = err_set(err, ERR_INVALID_PARAMETER, "%s: cannot be called", call->address);
    } else {
        CURLcode code = curl_easy_perform(easy);
        if (code != CURLE_OK) {
            errc = failed(code, call, error, err);
        }
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        call->status = (int)status;
    }
    curl_slist_free_all(connect_to);
    curl_slist_free_all(headers);
    return errc;
}

enum errc join_call_run(struct join_call *call, struct err *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CURL *easy;
    enum errc errc;

    buf_init(&call->answer, JOIN_ANSWER_MAX);
    CHECK(pthread_once(&once, curl_init) == 0);
    easy = curl_once_code == CURLE_OK ? curl_easy_init() : NULL;
    if (easy == NULL) {
        return err_default(err, ERR_NO_MEMORY);
    }
    errc = perform(easy, call, err);
    curl_easy_cleanup(easy);
    return errc;
}
