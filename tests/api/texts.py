"""The service's sentences, each once, as (code, text). A text that is not recorded anywhere is ANY: only the code is held.

RELIED_ON says which clients search for which fragment of them (AWS_BEHAVIOUR 10): test_clients.py holds us to it.
"""
import re

from raw import ANY

RNF, IP, IR, RE = "ResourceNotFoundException", "InvalidParameterException", "InvalidRequestException", "ResourceExistsException"
LE, MPD, PP, INT = "LimitExceededException", "MalformedPolicyDocumentException", "PublicPolicyException", "InvalidNextTokenException"
VE, SE, AD = "ValidationException", "SerializationException", "AccessDeniedException"

MISSING = (RNF, "Secrets Manager can't find the specified secret.")
MARKED = (IR, "You can't perform this operation on the secret because it was marked for deletion.")
NAME_SCHEDULED = (IR, "You can't create this secret because a secret with this name is already scheduled for deletion.")
BAD_NAME = (VE, "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
TOKEN_NEEDED = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
NO_TOKEN = (IR, TOKEN_NEEDED)
NO_ROTATION_TOKEN = (IP, TOKEN_NEEDED)
BOTH_VALUES = (IP, "You can't specify both a binary secret value and a string secret value in the same secret.")
NO_VALUE = (IR, "You must provide either SecretString or SecretBinary.")
WINDOW = (IP, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
WINDOW_AND_FORCE = (IP, "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
CURRENT_REMOVED = (IP, "You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.")
DAYS_AND_SCHEDULE = (IP, "You cannot specify both rotation frequency and schedule expression together.")
PASSWORD_SHORT = (IP, "Password length is too short based on the required types.")
TYPE_EXCLUDED = (IP, "All characters of the desired type have been excluded")
ALL_EXCLUDED = (IP, "All characters have been excluded from selection")
BAD_KEY = (IP, "The operation failed because of an invalid KMS key: Invalid keyId")
BAD_REGION = (IP, "Invalid replica region.")
ON_REPLICA = (IP, "Operation not permitted on a replica secret. Call must be made in primary secret's region.")
BATCH_EITHER = (IP, "Either 'SecretIdList' or 'Filters' must be provided, but not both.")
BATCH_PAGE = (IP, "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.")
STAGE_ELSEWHERE = (IR, "You provided a VersionStage that is not associated to the provided VersionId.")
NO_FUNCTION = (IR, "No Lambda rotation function ARN is associated with this secret.")
NOT_INVOKABLE = (AD, "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
                     "principal secretsmanager.amazonaws.com.")
ROTATION_UNFINISHED = (IR, "A previous rotation isn't complete. That rotation will be reattempted.")
POLICY_SYNTAX = (MPD, "This resource policy contains a syntax error.")
POLICY_PRINCIPAL = (MPD, "This resource policy contains an unsupported principal.")
POLICY_SERVICE = (MPD, "This resource policy contains an invalid service principal.")
POLICY_PUBLIC = (PP, ANY)
BAD_NEXT_TOKEN = (INT, ANY)
REPLICATED = "Replication succeeded"


def name_taken(name):
    return (RE, f"The operation failed because the secret {name} already exists.")


def token_used(token, arn):
    return (RE, f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {arn}.")


def no_stage(label):
    return (RNF, f"Secrets Manager can't find the specified secret value for staging label: {label}")


def no_version(version):
    return (RNF, f"Secrets Manager can't find the specified secret value for VersionId: {version}")


def remove_from_needed(label, version):
    return (IP, f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version {version}, "
                "so you must explicitly reference that version in RemoveFromVersionId.")


def system_tag(key):
    return (IP, f"You can't modify system tags. Tag key: '{key}'.")


def has_replicas(arn, regions):
    return (IP, f"You can't delete secret {arn} that still has replica regions [{', '.join(regions)}].")


def filter_values_missing(key):
    return (IP, f"Invalid filter values for key: {key}")


FILTER_KEY_MISSING = (IP, "Invalid filter key")


def violation(*violations):
    """The front end's sentence; each violation as (path, value in quotes or "null" or None for a sensitive member, constraint)."""
    parts = [f"Value {'' if value is None else value + ' '}at '{path}' failed to satisfy constraint: {constraint}"
             for path, value, constraint in violations]
    return (VE, f"{len(parts)} validation error{'s' * (len(parts) > 1)} detected: {'; '.join(parts)}")


def null(path):
    return (path, "null", "Member must not be null")


def longer(path, value, bound):
    return (path, value and f"'{value}'", f"Member must have length less than or equal to {bound}")


def shorter(path, value, bound):
    return (path, value if value is None else f"'{value}'", f"Member must have length greater than or equal to {bound}")


def above(path, value, bound):
    return (path, f"'{value}'", f"Member must have value less than or equal to {bound}")


def below(path, value, bound):
    return (path, f"'{value}'", f"Member must have value greater than or equal to {bound}")


def matches(*fragments):
    """A text in which these follow each other."""
    return re.compile(".*".join(map(re.escape, ("",) + fragments + ("",))), re.S)
