"""The service's operations: members, what is required, errors (AWS_BEHAVIOUR 2.5, 2.6). The union of the old and the new model.

A kind: str, int, bool, float (a timestamp), bytes (base64), a tuple (words), [kind], {member: kind}, "stages by version".
"""
INTERNAL = "InternalServiceError"
SHORT = {
    "RNF": "ResourceNotFoundException", "IP": "InvalidParameterException", "IR": "InvalidRequestException", "ISE": INTERNAL,
    "LE": "LimitExceededException", "RE": "ResourceExistsException", "EF": "EncryptionFailure", "DF": "DecryptionFailure",
    "MPD": "MalformedPolicyDocumentException", "PP": "PublicPolicyException", "PC": "PreconditionNotMetException",
    "INT": "InvalidNextTokenException",
}
MODELLED = set(SHORT.values())

RULES = {"AutomaticallyAfterDays": int, "Duration": str, "ScheduleExpression": str}
STATUS = {"Region": str, "KmsKeyId": str, "Status": ("InSync", "Failed", "InProgress"), "StatusMessage": str, "LastAccessedDate": float}
PAIR = {"Key": str, "Value": str}
IDENTITY = {"ARN": str, "Name": str}
SECRET = {
    **IDENTITY, "Type": str, "Description": str, "KmsKeyId": str, "RotationEnabled": bool, "RotationLambdaARN": str,
    "RotationRules": RULES, "ExternalSecretRotationMetadata": [PAIR], "ExternalSecretRotationRoleArn": str, "LastRotatedDate": float,
    "LastChangedDate": float, "LastAccessedDate": float, "DeletedDate": float, "NextRotationDate": float, "Tags": [PAIR],
    "OwningService": str, "CreatedDate": float, "PrimaryRegion": str,
}
VALUE = {**IDENTITY, "VersionId": str, "SecretBinary": bytes, "SecretString": str, "VersionStages": [str], "CreatedDate": float}

# Operation: (required members, all members, errors, members of the answer).
OPERATIONS = {
    "BatchGetSecretValue": (
        "", "SecretIdList Filters MaxResults NextToken", "RNF IP IR DF ISE INT",
        {"SecretValues": [VALUE], "NextToken": str, "Errors": [{"SecretId": str, "ErrorCode": str, "Message": str}]}),
    "CancelRotateSecret": ("SecretId", "SecretId", "RNF IP ISE IR", {**IDENTITY, "VersionId": str}),
    "CreateSecret": (
        "Name", "Name ClientRequestToken Description KmsKeyId SecretBinary SecretString Tags AddReplicaRegions "
        "ForceOverwriteReplicaSecret Type", "IP IR LE EF RE RNF MPD ISE PC DF",
        {**IDENTITY, "VersionId": str, "ReplicationStatus": [STATUS]}),
    "DeleteResourcePolicy": ("SecretId", "SecretId", "RNF ISE IR IP", IDENTITY),
    "DeleteSecret": ("SecretId", "SecretId RecoveryWindowInDays ForceDeleteWithoutRecovery", "RNF IP IR ISE",
                     {**IDENTITY, "DeletionDate": float}),
    "DescribeSecret": ("SecretId", "SecretId", "RNF ISE IP",
                       {**SECRET, "VersionIdsToStages": "stages by version", "ReplicationStatus": [STATUS]}),
    "GetRandomPassword": (
        "", "PasswordLength ExcludeCharacters ExcludeNumbers ExcludePunctuation ExcludeUppercase ExcludeLowercase IncludeSpace "
        "RequireEachIncludedType", "IP IR ISE", {"RandomPassword": str}),
    "GetResourcePolicy": ("SecretId", "SecretId", "RNF ISE IR IP", {**IDENTITY, "ResourcePolicy": str}),
    "GetSecretValue": ("SecretId", "SecretId VersionId VersionStage", "RNF IP IR DF ISE", VALUE),
    "ListSecretVersionIds": (
        "SecretId", "SecretId MaxResults NextToken IncludeDeprecated", "INT RNF ISE IP",
        {"Versions": [{"VersionId": str, "VersionStages": [str], "LastAccessedDate": float, "CreatedDate": float, "KmsKeyIds": [str]}],
         "NextToken": str, **IDENTITY}),
    "ListSecrets": ("", "IncludePlannedDeletion MaxResults NextToken Filters SortOrder SortBy", "IP IR INT ISE",
                    {"SecretList": [{**SECRET, "SecretVersionsToStages": "stages by version"}], "NextToken": str}),
    "PutResourcePolicy": ("SecretId ResourcePolicy", "SecretId ResourcePolicy BlockPublicPolicy", "MPD RNF IP ISE IR PP", IDENTITY),
    "PutSecretValue": (
        "SecretId", "SecretId ClientRequestToken SecretBinary SecretString VersionStages RotationToken", "IP IR LE EF RE RNF ISE DF",
        {**IDENTITY, "VersionId": str, "VersionStages": [str]}),
    "RemoveRegionsFromReplication": ("SecretId RemoveReplicaRegions", "SecretId RemoveReplicaRegions", "RNF IR IP ISE",
                                     {"ARN": str, "ReplicationStatus": [STATUS]}),
    "ReplicateSecretToRegions": ("SecretId AddReplicaRegions", "SecretId AddReplicaRegions ForceOverwriteReplicaSecret",
                                 "RNF IR IP ISE", {"ARN": str, "ReplicationStatus": [STATUS]}),
    "RestoreSecret": ("SecretId", "SecretId", "RNF IP IR ISE", IDENTITY),
    "RotateSecret": (
        "SecretId", "SecretId ClientRequestToken RotationLambdaARN RotationRules ExternalSecretRotationMetadata "
        "ExternalSecretRotationRoleArn RotateImmediately", "RNF IP ISE IR", {**IDENTITY, "VersionId": str}),
    "StopReplicationToReplica": ("SecretId", "SecretId", "RNF IR IP ISE", {"ARN": str}),
    "TagResource": ("SecretId Tags", "SecretId Tags", "RNF IR IP ISE", {}),
    "UntagResource": ("SecretId TagKeys", "SecretId TagKeys", "RNF IR IP ISE", {}),
    "UpdateSecret": (
        "SecretId", "SecretId ClientRequestToken Description KmsKeyId SecretBinary SecretString Type",
        "IP IR LE EF RE RNF MPD ISE PC DF", {**IDENTITY, "VersionId": str}),
    "UpdateSecretVersionStage": ("SecretId VersionStage", "SecretId VersionStage RemoveFromVersionId MoveToVersionId",
                                 "RNF IP IR LE ISE", IDENTITY),
    "ValidateResourcePolicy": ("ResourcePolicy", "SecretId ResourcePolicy", "MPD RNF IP ISE IR",
                               {"PolicyValidationPassed": bool, "ValidationErrors": [{"CheckName": str, "ErrorMessage": str}]}),
}
REQUIRED = {name: entry[0].split() for name, entry in OPERATIONS.items()}
MEMBERS = {name: entry[1].split() for name, entry in OPERATIONS.items()}
ERRORS = {name: [SHORT[e] for e in entry[2].split()] for name, entry in OPERATIONS.items()}
RESPONSES = {name: entry[3] for name, entry in OPERATIONS.items()}
WITH_SECRET_ID = [name for name, members in MEMBERS.items() if "SecretId" in members]

POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},' \
         '"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}'


def example(operation, secret_id, region="us-west-2", account="123456789012"):
    """Parameters with which the operation can be called on `secret_id`: all that is required, and a value where one belongs."""
    extra = {
        "CreateSecret": {"SecretString": "x"}, "PutSecretValue": {"SecretString": "x"}, "UpdateSecret": {"SecretString": "x"},
        "PutResourcePolicy": {"ResourcePolicy": POLICY % f"arn:aws:iam::{account}:root"},
        "ValidateResourcePolicy": {"ResourcePolicy": POLICY % f"arn:aws:iam::{account}:root"},
        "RemoveRegionsFromReplication": {"RemoveReplicaRegions": [region]},
        "ReplicateSecretToRegions": {"AddReplicaRegions": [{"Region": region}]},
        "TagResource": {"Tags": [{"Key": "k", "Value": "v"}]}, "UntagResource": {"TagKeys": ["k"]},
        "UpdateSecretVersionStage": {"VersionStage": "mine", "RemoveFromVersionId": "0" * 32},
        "BatchGetSecretValue": {"SecretIdList": [secret_id]},
    }.get(operation, {})
    if operation == "CreateSecret":
        return {"Name": secret_id, **extra}
    return {"SecretId": secret_id, **extra} if operation in WITH_SECRET_ID else extra
