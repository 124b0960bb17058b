"""ListSecrets: order, pages, and the language of its filters, row by row of the recordings (3.10); BatchGetSecretValue (3.13).

The account may hold other secrets: what is listed is always compared within the test's own.
"""
import time

import pytest

from marks import case, provokes, rule
from raw import ANY
from target import eventually
from texts import INT, MARKED, MISSING, RNF


def f(key, *values):
    return {"Key": key, "Values": list(values)}


def walk(api, size=None, **params):
    """All rows, page by page."""
    rows, token = [], None
    while True:
        page = api.call("ListSecrets", MaxResults=size, NextToken=token, **params)
        assert len(page["SecretList"]) <= (size or 100)
        rows += page["SecretList"]
        token = page.get("NextToken")
        if token is None:
            return rows


class Mine:
    """Some secrets, made once for many queries; told apart by the name that the tests use for them."""

    def __init__(self, target, secrets):
        self.target, self.api, self.secrets = target, target.api(), secrets
        self.arns = {}

    def add(self, what, **params):
        self.arns[self.secrets.make(**params)["ARN"]] = what

    def ready(self):
        """Until all are listed; at once here, minutes at a service that lists late."""
        eventually(lambda: {row["ARN"] for row in walk(self.api, 100)} >= set(self.arns), self.target.patience, "the list")
        return self

    def found(self, *filters, **params):
        return [self.arns[row["ARN"]] for row in walk(self.api, 100, Filters=list(filters), **params) if row["ARN"] in self.arns]


@pytest.fixture(scope="module")
def module_secrets(target):
    from conftest import Secrets
    made = Secrets(target)
    yield made
    made.close()


# -- 3.10: descriptions --

@pytest.fixture(scope="module")
def described(target, module_secrets):
    mine = Mine(target, module_secrets)
    for text in ("a secret", "an secret", "asecret", "thesecret", "one two", "one and two", "one", "two"):
        mine.add(text, Description=text)
    return mine.ready()


A = ["a secret", "an secret", "asecret"]
D = ["a secret", "an secret", "asecret", "thesecret"]
COUNTED = ["one two", "one and two", "one", "two"]
DESCRIPTIONS = [
    case([f("description", "a")], A, D, rules=("3.10.description.1", "3.10.description.2")),
    case([f("description", "A")], A, D, rules="3.10.description.1"),
    case([f("description", "a secret")], ["a secret", "an secret"], D, rules=("3.10.description.1", "3.10.description.3")),
    case([f("description", "SECRET a")], ["a secret", "an secret"], D, rules="3.10.description.1"),
    case([f("description", "!a")], ["thesecret"], D, rules=("3.10.description.4", "3.10.8")),
    case([f("description", "!c")], D, D, rules=("3.10.description.5", "3.10.8")),
    case([f("description", "ecret")], [], D, rules="3.10.description.1"),
    case([f("description", "a"), f("name", "secret")], [], D, rules=("3.10.description.6", "3.10.6")),
    case([f("description", "a"), f("name", "an")], [], D, rules=("3.10.description.6", "3.10.6")),
    case([f("description", "one two")], ["one two", "one and two"], COUNTED, rules="3.10.description.7"),
    case([f("description", "two one")], ["one two", "one and two"], COUNTED, rules="3.10.description.7"),
    case([f("description", "o t")], ["one two", "one and two"], COUNTED, rules="3.10.description.8"),
    case([f("description", "t")], ["one two", "one and two", "two"], COUNTED, rules="3.10.description.8"),
    case([f("description", "one"), f("description", "two")], ["one two", "one and two"], COUNTED, rules="3.10.6"),
    case([f("description", "one", "and")], ["one two", "one and two", "one"], COUNTED, rules="3.10.7"),
]


@pytest.mark.parametrize("filters,expected,among", DESCRIPTIONS)
def test_descriptions(described, filters, expected, among):
    assert [what for what in described.found(*filters) if what in among] == expected  # in order of creation


# -- 3.10: names --

@pytest.fixture(scope="module")
def named(target, module_secrets):
    mine = Mine(target, module_secrets)
    mine.unique = u = module_secrets.unique()
    for what, name in (("slash", f"/redoubt{u}/a"), ("testing", f"testing{u}"), ("Testing", f"Testing{u}"), ("testing1", f"testing{u}1")):
        mine.add(what, name=module_secrets.keep(name) or name)
    return mine.ready()


NAMES = [
    case(["testing{u}"], ["testing", "testing1"], rules="3.10.name.1"),
    case(["testing{u}1"], ["testing1"], rules="3.10.name.1"),
    case(["Testing{u}"], ["Testing"], rules="3.10.name.1"),
    case(["TESTING{u}"], [], rules="3.10.name.1"),
    case(["esting{u}"], [], rules="3.10.name.1"),
    case(["{u}"], [], rules="3.10.name.1"),
    case(["/redoubt{u}", "Testing{u}"], ["slash", "Testing"], rules=("3.10.name.1", "3.10.7")),
    case(["/"], ["slash"], rules="3.10.name.2"),
    case(["!/"], ["testing", "Testing", "testing1"], rules=("3.10.name.2", "3.10.8")),
    case(["testing{u} one"], [], rules="3.10.name.3"),
    case(["!testing{u}"], ["slash", "Testing"], rules="3.10.8"),
]


@pytest.mark.parametrize("values,expected", NAMES)
def test_names(named, values, expected):
    assert named.found(f("name", *(value.format(u=named.unique) for value in values))) == expected


@rule("3.10.6")
def test_two_filters_of_one_key(named):
    u = named.unique
    assert named.found(f("name", f"testing{u}"), f("name", f"testing{u}1")) == ["testing1"]
    assert named.found(f("name", f"testing{u}"), f("name", f"Testing{u}")) == []
    assert named.found(f("name", f"testing{u}"), f("name", f"!testing{u}1")) == ["testing"]


@rule("3.10.9")
def test_no_match(api, secrets):
    answer = api.call("ListSecrets", Filters=[f("name", "redoubt-none-" + secrets.unique())])
    assert answer == {"SecretList": []}


# -- 3.10: tags --

@pytest.fixture(scope="module")
def tagged(target, module_secrets):
    mine = Mine(target, module_secrets)
    mine.unique = u = module_secrets.unique()
    mine.add("one", Tags=[{"Key": f"Key{u}", "Value": f"Value{u}"}])
    mine.add("two", Tags=[{"Key": f"Key{u}More", "Value": f"value{u}"}, {"Key": f"other{u}", "Value": "x"}])
    mine.add("three", Tags=[{"Key": f"third{u}", "Value": "y"}])
    return mine.ready()


TAGS = [
    case("tag-key", ["Key{u}"], ["one", "two"], rules="3.10.tag-key.1"),
    case("tag-key", ["Key{u}M"], ["two"], rules="3.10.tag-key.1"),
    case("tag-key", ["key{u}"], [], rules="3.10.tag-key.1"),
    case("tag-key", ["{u}"], [], rules="3.10.tag-key.1"),
    case("tag-key", ["other{u}", "Key{u}M"], ["two"], rules=("3.10.tag-key.1", "3.10.7")),
    case("tag-key", ["!Key{u}"], ["three"], rules=("3.10.tag-key.1", "3.10.8")),
    case("tag-value", ["Value{u}"], ["one"], rules="3.10.tag-value.1"),
    case("tag-value", ["value{u}"], ["two"], rules="3.10.tag-value.1"),
    case("tag-value", ["V"], ["one"], rules="3.10.tag-value.1"),
    case("tag-value", ["alue{u}"], [], rules="3.10.tag-value.1"),
]


@pytest.mark.parametrize("key,values,expected", TAGS)
def test_tags(tagged, key, values, expected):
    found = tagged.found(f(key, *(value.format(u=tagged.unique) for value in values)))
    # "two" has one key that begins so and one that does not: how a negation takes it is not recorded.
    assert [what for what in found if what != "two" or not values[0].startswith("!")] == expected


@rule("3.10.6")
def test_tag_key_and_value(tagged):
    u = tagged.unique
    assert tagged.found(f("tag-key", f"Key{u}"), f("tag-value", f"Value{u}")) == ["one"]


@rule("3.10.owning-service.1", "9.3")
def test_owning_service(tagged):
    assert tagged.found(f("owning-service", "rds")) == []
    assert tagged.found(f("owning-service", "!rds")) in ([], ["one", "two", "three"])  # of a secret without one: not recorded


# -- 3.10: all --

@pytest.fixture(scope="module")
def words(target, module_secrets):
    mine = Mine(target, module_secrets)
    mine.unique = u = module_secrets.unique()
    keep = module_secrets.keep

    def add(what, name=None, **params):
        name = name or f"{what}{u}"
        mine.add(what, name=keep(name) or name, **params)
    add("SecretOne")
    add("SecretTwo", Description="DescTwo")
    add("SecretFTag", Tags=[{"Key": "foo", "Value": "x"}])
    add("SecretFValue", Tags=[{"Key": "y", "Value": "foo"}])
    add("Thirdsecret")
    for separator in "/_+=.@-":
        add(separator, f"prod{separator}AppBeta{separator}{u}")
    add("COMPANY", f"uat/COMPANY/{u}")
    add("COMPANYthings", f"uat/COMPANYthings/{u}")
    add("creds", Description="credsDatabase#892")
    return mine.ready()


CAMEL = ["SecretOne", "SecretTwo", "SecretFTag", "SecretFValue"]
CAMEL_THIRD = CAMEL + ["Thirdsecret"]
SEVEN = list("/_+=.@-")
COMPANIES = ["COMPANY", "COMPANYthings"]
ALL = [
    *[case([word], CAMEL, CAMEL, rules=("3.10.all.1", "3.10.all.2")) for word in ("Secret", "secret", "sec", "SECRET")],
    case(["SecretOne"], ["SecretOne"], CAMEL_THIRD, rules="3.10.all.3"),
    case(["ret"], [], CAMEL_THIRD, rules="3.10.all.4"),
    case(["SomeSecret"], [], CAMEL_THIRD, rules="3.10.all.5"),
    case(["Secret"], CAMEL, CAMEL_THIRD, rules="3.10.all.6"),
    case(["foo"], ["SecretFTag", "SecretFValue"], CAMEL_THIRD, rules=("3.10.all.1", "3.10.all.7")),
    case(["d"], ["SecretTwo"], CAMEL_THIRD, rules="3.10.all.8"),
    case(["d t"], ["SecretTwo"], CAMEL_THIRD, rules="3.10.all.8"),
    case(["t"], ["SecretTwo", "SecretFTag", "Thirdsecret"], CAMEL_THIRD, rules="3.10.all.9"),
    case(["AppBeta"], SEVEN, SEVEN, rules="3.10.all.10"),
    case(["Beta"], SEVEN, SEVEN, rules="3.10.all.10"),
    case(["{u}"], SEVEN, SEVEN, rules="3.10.all.10"),
    case(["+"], [], SEVEN, rules="3.10.all.11"),
    case(["company"], ["COMPANY"], COMPANIES, rules=("3.10.all.12", "3.10.all.13")),
    *[case([word], [], ["COMPANYthings"], rules="3.10.all.13") for word in ("company", "things", "N", "pany")],
    case(["Ythings"], ["COMPANYthings"], COMPANIES, rules="3.10.all.14"),
    case(["credsDatabase"], ["creds"], ["creds"], rules="3.10.all.15"),
    case(["892"], ["creds"], ["creds"], rules="3.10.all.15"),
    case(["database creds"], ["creds"], ["creds"], rules="3.10.all.15"),
    case(["AppBeta", "prod"], SEVEN, SEVEN + COMPANIES, rules=("3.10.all.16", "3.10.4", "3.10.7")),
    case(["!AppBeta"], COMPANIES, SEVEN + COMPANIES, rules=("3.10.8", "3.10.all.1")),
]


@pytest.mark.parametrize("values,expected,among", ALL)
def test_all(words, values, expected, among):
    found = words.found(f("all", *(value.format(u=words.unique) for value in values)))
    assert [what for what in found if what in among] == expected


# -- 3.10: the set, the order, the pages --

@rule("3.10.1", "3.10.2", "3.0.15", "3.8.15", "9.5", "3.1.9")
def test_scheduled_secrets_are_listed_when_asked_for(target, secrets):
    mine = Mine(target, secrets)
    mine.add("stays")
    mine.add("goes")
    mine.ready()
    arn = next(arn for arn, what in mine.arns.items() if what == "goes")
    deletion = mine.api.call("DeleteSecret", SecretId=arn)["DeletionDate"]
    eventually(lambda: mine.found() == ["stays"], target.patience, "its absence")
    assert mine.found(IncludePlannedDeletion=False) == ["stays"]
    assert mine.found(IncludePlannedDeletion=True) == ["stays", "goes"]
    row = next(row for row in walk(mine.api, 100, IncludePlannedDeletion=True) if row["ARN"] == arn)
    assert abs(row["DeletedDate"] - deletion) < 1


@rule("3.1.1", "3.1.2", "3.1.11", "3.1.14", "2.6.2")
def test_what_a_row_shows(target, secrets):
    mine = Mine(target, secrets)
    mine.add("bare", value=None)
    mine.add("full", Description="d", Tags=[{"Key": "k", "Value": "v"}])
    mine.ready()
    rows = {mine.arns[row["ARN"]]: row for row in walk(mine.api, 100) if row["ARN"] in mine.arns}
    for what, row in rows.items():
        described = mine.api.call("DescribeSecret", SecretId=row["ARN"])
        if "VersionIdsToStages" in described:
            described["SecretVersionsToStages"] = described.pop("VersionIdsToStages")
        assert row == described, what
    assert rows["bare"].keys() == {"ARN", "Name", "CreatedDate", "LastChangedDate"}


@pytest.fixture(scope="module")
def ordered(target, module_secrets):
    """Created as a, b, c, d; changed last: b, c, a, d (d never); read: c only. Names in another order."""
    mine = Mine(target, module_secrets)
    u = module_secrets.unique()
    mine.names = {}
    for what, name in zip("abcd", ("z", "M", "a", "b")):
        name = f"{name}{u}"
        mine.names[what] = name
        mine.add(what, name=module_secrets.keep(name) or name, Description=f"ordered{u}")
        time.sleep(0.005)
    for what in "bca":
        mine.api.call("TagResource", SecretId=mine.names[what], Tags=[{"Key": "k", "Value": "v"}])
        time.sleep(0.005)
    mine.api.call("GetSecretValue", SecretId=mine.names["c"])
    mine.ready()
    eventually(lambda: "LastAccessedDate" in mine.api.call("DescribeSecret", SecretId=mine.names["c"]), target.patience, "the read")
    mine.filter = f("description", f"ordered{u}")
    return mine


ORDERS = [
    case({}, "abcd", rules=("3.10.4", "3.10.5")),
    case({"SortOrder": "asc"}, "abcd", rules="3.10.5"),
    case({"SortOrder": "desc"}, "dcba", rules="3.10.5"),
    case({"SortBy": "created-date", "SortOrder": "asc"}, "abcd", rules=("3.10.5", "9.12")),
    case({"SortBy": "created-date", "SortOrder": "desc"}, "dcba", rules=("3.10.5", "9.12")),
    case({"SortBy": "last-changed-date", "SortOrder": "asc"}, "dbca", rules=("3.10.5", "9.12")),
    case({"SortBy": "last-changed-date", "SortOrder": "desc"}, "acbd", rules=("3.10.5", "9.12")),
    case({"SortBy": "name", "SortOrder": "asc"}, "bcda", rules=("3.10.5", "9.12")),
    case({"SortBy": "name", "SortOrder": "desc"}, "adcb", rules=("3.10.5", "9.12")),
]


@pytest.mark.parametrize("params,expected", ORDERS)
def test_orders(ordered, params, expected):
    assert "".join(ordered.found(ordered.filter, **params)) == expected


@rule("3.10.5", "9.12")
def test_order_of_reads(ordered):
    assert ordered.found(ordered.filter, SortBy="last-accessed-date", SortOrder="desc")[0] == "c"
    assert ordered.found(ordered.filter, SortBy="last-accessed-date", SortOrder="asc")[-1] == "c"


@rule("3.10.10", "1.12.1", "3.10.4")
@pytest.mark.parametrize("params", [{}, {"SortOrder": "desc"}, {"SortBy": "name", "SortOrder": "asc"},
                                    {"SortBy": "last-changed-date", "SortOrder": "desc"}])
def test_pages(ordered, params):
    whole = ordered.found(ordered.filter, **params)
    assert sorted(whole) == list("abcd")
    for size in (1, 2, 3, 4):
        rows = walk(ordered.api, size, Filters=[ordered.filter], **params)
        assert [ordered.arns[row["ARN"]] for row in rows] == whole


@rule("3.10.11", "1.5.11")
@pytest.mark.parametrize("token", ["x", "AAAA", "0" * 64, "eyJhIjoxfQ=="])
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, INT)) for op in (
    "ListSecrets", "ListSecretVersionIds", "BatchGetSecretValue")])
def test_a_next_token_that_is_none(api, secrets, operation, token):
    params = {"ListSecrets": {}, "ListSecretVersionIds": {"SecretId": secrets.make()["Name"]},
              "BatchGetSecretValue": {"Filters": [f("name", "a")]}}[operation]
    api.refused(operation, INT, ANY, NextToken=token, **params)


@rule("3.10.11")
@provokes("ListSecrets", INT)
def test_a_next_token_of_other_filters(ordered, api):
    page = api.call("ListSecrets", MaxResults=1, Filters=[ordered.filter])
    api.refused("ListSecrets", INT, ANY, MaxResults=1, Filters=[f("name", "a")], NextToken=page["NextToken"])
    api.call("ListSecrets", MaxResults=2, Filters=[ordered.filter], NextToken=page["NextToken"])  # another size may be


@provokes("ListSecretVersionIds", INT)
@rule("3.6.4")
def test_a_next_token_of_another_secret(api, secrets):
    pages = {}
    for _ in range(2):
        made = secrets.make("1")
        api.call("PutSecretValue", SecretId=made["Name"], SecretString="2")
        pages[made["Name"]] = api.call("ListSecretVersionIds", SecretId=made["Name"], MaxResults=1)["NextToken"]
    one, other = pages
    api.refused("ListSecretVersionIds", INT, ANY, SecretId=one, MaxResults=1, NextToken=pages[other])


# -- 3.13 --

@rule("3.13.1", "3.13.2", "3.13.3", "9.8")
def test_batch_by_ids(api, secrets):
    good = [secrets.make("first"), secrets.make(b"\x00\xff")]
    api.call("PutSecretValue", SecretId=good[0]["Name"], SecretString="second")
    bare = secrets.make(None)
    gone = secrets.make("v")
    api.call("DeleteSecret", SecretId=gone["Name"])
    missing = secrets.name()
    ids = [good[1]["ARN"], missing, bare["Name"], good[0]["Name"], gone["Name"]]
    answer = api.call("BatchGetSecretValue", SecretIdList=ids)
    assert answer.keys() == {"SecretValues", "Errors"}
    assert [value["Name"] for value in answer["SecretValues"]] == [good[1]["Name"], good[0]["Name"]]
    assert answer["SecretValues"] == [api.call("GetSecretValue", SecretId=secret["Name"]) for secret in (good[1], good[0])]
    errors = {entry["SecretId"]: (entry["ErrorCode"], entry["Message"]) for entry in answer["Errors"]}
    assert errors.keys() == {missing, bare["Name"], gone["Name"]}
    for name, error in errors.items():
        api.refused("GetSecretValue", *error, SecretId=name)  # the same code and text
    assert errors[missing] == MISSING and errors[gone["Name"]] == MARKED and errors[bare["Name"]][0] == RNF


@rule("3.13.2")
def test_batch_counts_as_a_read(target, api, secrets):
    made = secrets.make("v")
    answer = api.call("BatchGetSecretValue", SecretIdList=[made["Name"]])
    assert answer["SecretValues"][0]["SecretString"] == "v" and not answer.get("Errors")
    eventually(lambda: "LastAccessedDate" in api.call("DescribeSecret", SecretId=made["Name"]), target.patience, "the read")


@rule("3.13.1", "3.13.3", "9.8")
def test_batch_by_filters(target, api, secrets):
    mine = Mine(target, secrets)
    u = secrets.unique()
    for i in range(5):
        mine.add(i, value=str(i), Description=f"batch{u}")
    mine.ready()
    seen, token = [], None
    while True:
        page = api.call("BatchGetSecretValue", Filters=[f("description", f"batch{u}")], MaxResults=2, NextToken=token)
        assert len(page["SecretValues"]) <= 2 and not page.get("Errors")
        seen += [value["SecretString"] for value in page["SecretValues"]]
        token = page.get("NextToken")
        if token is None:
            break
    assert sorted(seen) == list("01234")
    whole = api.call("BatchGetSecretValue", Filters=[f("description", f"batch{u}")])["SecretValues"]
    assert {value["SecretString"] for value in whole} == set("01234")
