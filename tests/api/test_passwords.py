"""GetRandomPassword (3.11)."""
import string

import pytest

from marks import rule
from texts import ALL_EXCLUDED

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
CLASSES = {"Uppercase": string.ascii_uppercase, "Lowercase": string.ascii_lowercase, "Numbers": string.digits, "Punctuation": PUNCTUATION}


def password(api, **params):
    answer = api.call("GetRandomPassword", **params)
    assert answer.keys() == {"RandomPassword"}
    return answer["RandomPassword"]


@rule("3.11.1", "3.11.2", "3.11.3", "3.11.9", "3.11.10")
def test_passwords_by_default(api):
    drawn = {password(api) for _ in range(20)}
    assert len(drawn) == 20
    for one in drawn:
        assert len(one) == 32
        assert set(one) <= set("".join(CLASSES.values()))
        assert all(set(one) & set(letters) for letters in CLASSES.values())
    assert set("".join(CLASSES.values())) == set(password(api, PasswordLength=4096))  # 4096 of 94: each is in it


@rule("3.11.1", "3.11.3")
@pytest.mark.parametrize("length", [4, 5, 33, 4096])
def test_lengths_of_passwords(api, length):
    for _ in range(5):
        one = password(api, PasswordLength=length)
        assert len(one) == length and all(set(one) & set(letters) for letters in CLASSES.values())
    assert len(password(api, PasswordLength=1, RequireEachIncludedType=False)) == 1


@rule("3.11.5", "3.11.3")
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_classes_of_passwords(api, name):
    others = set("".join(CLASSES.values())) - set(CLASSES[name])
    assert set(password(api, PasswordLength=4096, **{f"Exclude{name}": True})) == others
    alone = password(api, PasswordLength=500, **{f"Exclude{other}": True for other in CLASSES if other != name})
    assert set(alone) <= set(CLASSES[name])
    password(api, PasswordLength=3, **{f"Exclude{name}": True})  # three classes are left


@rule("3.11.2")
def test_space_in_passwords(api):
    assert " " in password(api, PasswordLength=4096, IncludeSpace=True)
    assert " " not in password(api, PasswordLength=4096, IncludeSpace=False)


@rule("3.11.4")
def test_characters_excluded_from_passwords(api):
    assert not set("/@\"'\\") & set(password(api, PasswordLength=4096, ExcludeCharacters="/@\"'\\"))
    one = password(api, PasswordLength=500, ExcludeCharacters=PUNCTUATION[1:] + string.ascii_letters[1:], ExcludeNumbers=True,
                   RequireEachIncludedType=False)
    assert set(one) <= {"a", "!"}
    every = "".join(CLASSES.values())
    assert set(password(api, ExcludeCharacters=every.replace("x", ""), RequireEachIncludedType=False)) == {"x"}


@rule("3.11.8")
def test_nothing_left_for_a_password(api):
    api.refused_as("GetRandomPassword", ALL_EXCLUDED, ExcludeCharacters="".join(CLASSES.values()), RequireEachIncludedType=False)
