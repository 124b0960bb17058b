/* How rotation functions and roles are named. Pure, any thread. */
#ifndef MODEL_FUNCTION_ARN_H
#define MODEL_FUNCTION_ARN_H

#include <stdbool.h>

/* A Lambda function as its service takes it: an ARN, "account:function:name", or a name, each with
 * a version or an alias behind it or not. */
bool function_arn_is_valid(const char *text);
/* An IAM role's ARN. */
bool role_arn_is_valid(const char *text);

#endif
