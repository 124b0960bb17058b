/* How functions and roles may be named: what is well formed, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/function_arn.h"

#include <string.h>

#define TEN "0123456789"

static void functions(void **state) {
    static const char *const good[] = {
        "rotate",
        "rotate-db_2",
        "rotate:7",
        "rotate:live",
        "rotate:$LATEST",
        "123456789012:function:rotate",
        "123456789012:function:rotate:live",
        "arn:aws:lambda:us-east-1:123456789012:function:rotate",
        "arn:aws:lambda:us-east-1:123456789012:function:rotate:$LATEST",
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:rotate:live",
        "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:rotate",
        TEN TEN TEN TEN TEN TEN "0123",
    };
    static const char *const bad[] = {
        "",
        "rotate me",
        "rotate/me",
        "rotate:",
        "rotate:a:b",
        "rotate:$OLDEST",
        ":function:rotate",
        "123456789012:rotate",
        "123456789012:layer:rotate",
        "123456789012:function:",
        "arn:aws:lambda:us-east-1:123456789012:function",
        "arn:aws:lambda:us-east-1:123456789012:function:",
        "arn:aws:lambda:us-east-1:123456789012:layer:rotate",
        "arn:aws:lambda:us-east-1:12345678901:function:rotate",
        "arn:aws:lambda:us-east-1:12345678901x:function:rotate",
        "arn:aws:lambda::123456789012:function:rotate",
        "arn:aws:lambda:nowhere:123456789012:function:rotate",
        "arn:aws:iam:us-east-1:123456789012:function:rotate",
        "arn:azure:lambda:us-east-1:123456789012:function:rotate",
        "arn:aws:lambda:us-east-1:123456789012:function:rotate:",
        "arn:aws:lambda:us-east-1:123456789012:function:ro tate",
        "arn:aws",
        "arn:",
        TEN TEN TEN TEN TEN TEN "01234",
        "f\xc3\xbcnction",
    };
    char lengthy[400];

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!function_arn_is_valid(good[i])) {
            fail_msg("%s", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (function_arn_is_valid(bad[i])) {
            fail_msg("%s", bad[i]);
        }
    }
    memset(lengthy, 'a', sizeof(lengthy));
    memcpy(lengthy, "arn:aws:lambda:", 15);
    lengthy[sizeof(lengthy) - 2] = ':';
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_false(function_arn_is_valid(lengthy));
}

static void roles(void **state) {
    static const char *const good[] = {
        "arn:aws:iam::123456789012:role/rotation",
        "arn:aws:iam::123456789012:role/service-role/rotation+=,.@_-1",
        "arn:aws-cn:iam::123456789012:role/rotation",
    };
    static const char *const bad[] = {
        "rotation",
        "arn:aws:iam::123456789012:user/rotation",
        "arn:aws:iam:us-east-1:123456789012:role/rotation",
        "arn:aws:iam::12345678901:role/rotation",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/a/",
        "arn:aws:iam::123456789012:role/a b",
        "arn:aws:sts::123456789012:role/rotation",
        "arn:xyz:iam::123456789012:role/rotation",
        "xrn:aws:iam::123456789012:role/rotation",
        "",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!role_arn_is_valid(good[i])) {
            fail_msg("%s", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (role_arn_is_valid(bad[i])) {
            fail_msg("%s", bad[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions),
        cmocka_unit_test(roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
