"""TagResource, UntagResource, and tags of new secrets (3.9)."""
import pytest

from marks import rule
from raw import ApiError
from texts import IP


def describe(api, made):
    return api.call("DescribeSecret", SecretId=made["ARN"])


@rule("3.9.1")
def test_tags_are_added_and_overwritten(api, secrets):
    made = secrets.make("v", Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": "2"}])
    api.call("TagResource", SecretId=made["Name"], Tags=[{"Key": "c", "Value": "3"}, {"Key": "b", "Value": "4"}])
    api.call("TagResource", SecretId=made["Name"], Tags=[{"Key": "B", "Value": "5"}])
    assert describe(api, made)["Tags"] == [{"Key": k, "Value": v} for k, v in (("b", "4"), ("a", "2"), ("c", "3"), ("B", "5"))]


@rule("3.9.2")
def test_untag_of_what_is_not_there(api, secrets):
    made = secrets.make("v", Tags=[{"Key": "a", "Value": "1"}])
    assert api.call("UntagResource", SecretId=made["Name"], TagKeys=["none", "A"]) == {}
    assert describe(api, made)["Tags"] == [{"Key": "a", "Value": "1"}]
    bare = secrets.make("v")
    api.call("UntagResource", SecretId=bare["Name"], TagKeys=["none"])


@rule("3.9.4", "2.3.12", "3.9.7")
@pytest.mark.parametrize("operation", ["CreateSecret", "TagResource"])
def test_fifty_tags(api, secrets, operation):
    tags = [{"Key": f"k{i}", "Value": ""} for i in range(51)]
    if operation == "CreateSecret":
        with pytest.raises(ApiError) as caught:
            api.call("CreateSecret", Name=secrets.name(), SecretString="v", Tags=tags)
        assert caught.value.code in (IP, "LimitExceededException")
    made = secrets.make("v", Tags=tags[:50] if operation == "CreateSecret" else tags[:49])
    if operation == "TagResource":
        api.call("TagResource", SecretId=made["Name"], Tags=[tags[0], tags[49]])  # one old, one new: 50
    assert len(describe(api, made)["Tags"]) == 50
    with pytest.raises(ApiError) as caught:
        api.call("TagResource", SecretId=made["Name"], Tags=[{"Key": "one more", "Value": ""}])
    assert caught.value.code in (IP, "LimitExceededException")
    assert len(describe(api, made)["Tags"]) == 50


@rule("3.9.5", "3.9.6", "2.3.13", "2.3.14")
def test_what_tags_may_hold(api, secrets):
    tags = [{"Key": "k" * 128, "Value": "v" * 256}, {"Key": "Az09 _.:/=+-@", "Value": "Az09 _.:/=+-@"},
            {"Key": "é\U0001f512", "Value": "ü"}, {"Key": "empty", "Value": ""}]
    try:
        made = secrets.make("v", Tags=tags)
    except ApiError as error:  # letters of which alphabets is not said
        assert error.code == IP
        del tags[2]
        made = secrets.make("v", Tags=tags)
    assert describe(api, made)["Tags"] == tags


@rule("3.9.9")
@pytest.mark.parametrize("operation", ["CreateSecret", "TagResource"])
def test_a_key_twice(api, secrets, operation):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    with pytest.raises(ApiError) as caught:
        if operation == "CreateSecret":
            api.call("CreateSecret", Name=secrets.name(), SecretString="v", Tags=tags)
        else:
            api.call("TagResource", SecretId=secrets.make("v")["Name"], Tags=tags)
    assert caught.value.code in (IP, "ValidationException")


@rule("3.9.13")
def test_a_tag_without_a_value(api, secrets):
    made = secrets.make("v", Tags=[{"Key": "a"}])
    assert describe(api, made)["Tags"] in ([{"Key": "a", "Value": ""}], [{"Key": "a"}])
