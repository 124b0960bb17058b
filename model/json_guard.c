#include "model/json_guard.h"

#include "base/limits.h"
#include "base/wipe.h"

#include <jansson.h>
#include <pthread.h>

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;

static void setup(void) {
    json_set_alloc_funcs(wipe_malloc, wipe_free);
}

void json_guard_setup(void) {
    (void)pthread_once(&setup_once, setup);
}

bool json_is_modest(const void *text, size_t len) {
    const unsigned char *bytes = text;
    size_t depth = 0;
    size_t values = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = bytes[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
            values++;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0 ? 1 : 0;
        } else if (c == ',') {
            values++;
        }
        if (depth > LIMIT_JSON_DEPTH || values > LIMIT_JSON_VALUES) {
            return false;
        }
    }
    return true;
}
