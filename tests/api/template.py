"""What a rotation function does, as AWS's published templates have it: the four steps, with every check that they make of the answers.

Where nobody invokes a function, a test plays it: `play` is what the service would call, step by step.
"""
from raw import ApiError

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Broken(Exception):
    pass


def step(api, name, arn, token):
    """One invocation. Returns what Describe showed at its beginning."""
    described = api.call("DescribeSecret", SecretId=arn)
    stages = described["VersionIdsToStages"]
    if not described["RotationEnabled"]:
        raise Broken("rotation is not enabled")
    if token not in stages:
        raise Broken("the version has no stage")
    if "AWSCURRENT" in stages[token]:
        return described
    if "AWSPENDING" not in stages[token]:
        raise Broken("the version is not AWSPENDING")
    globals()[name](api, arn, token)
    return described


def play(api, arn, token, steps=STEPS):
    return {name: step(api, name, arn, token) for name in steps}


def pending(api, arn, token):
    return api.call("GetSecretValue", SecretId=arn, VersionId=token, VersionStage="AWSPENDING")


def createSecret(api, arn, token):
    api.call("GetSecretValue", SecretId=arn, VersionStage="AWSCURRENT")
    try:
        pending(api, arn, token)
    except ApiError as error:
        if error.code != "ResourceNotFoundException":
            raise
        password = api.call("GetRandomPassword", ExcludeCharacters="/@\"'\\")["RandomPassword"]
        api.call("PutSecretValue", SecretId=arn, ClientRequestToken=token, SecretString=password, VersionStages=["AWSPENDING"])


def setSecret(api, arn, token):
    pending(api, arn, token)
    api.call("GetSecretValue", SecretId=arn, VersionStage="AWSCURRENT")
    try:
        api.call("GetSecretValue", SecretId=arn, VersionStage="AWSPREVIOUS")
    except ApiError as error:
        if error.code != "ResourceNotFoundException":
            raise


def testSecret(api, arn, token):
    pending(api, arn, token)


def finishSecret(api, arn, token):
    stages = api.call("DescribeSecret", SecretId=arn)["VersionIdsToStages"]
    current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
    if current != token:
        api.call("UpdateSecretVersionStage", SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
