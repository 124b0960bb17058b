"""Wall clocks that tests move, with libfaketime between a server and the system's clock. Monotonic clocks stay as they are."""
import contextlib
import datetime
import glob
import os
import platform
import threading
import types
from unittest import mock

import botocore.auth

SIGNERS = [botocore.auth]
with contextlib.suppress(ImportError):  # where awscrt is installed, it signs
    import botocore.crt.auth
    SIGNERS.append(botocore.crt.auth)


def library():
    """For this machine's architecture. The variant with thread-safe bookkeeping: the server has many threads."""
    found = glob.glob(f"/usr/lib/{platform.machine()}-linux-gnu*/faketime/libfaketimeMT.so.1")
    assert found, "libfaketime is not installed: scripts/deps test"
    return found[0]


def preloaded(path, **more):
    """The environment of a server with a library preloaded. A sanitizer's runtime wants to be the first one; it does no harm that it is
    the second."""
    asan = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": str(path), "ASAN_OPTIONS": (asan + ":" if asan else "") + "verify_asan_link_order=0", **more}


class Clock:
    """The wall clock of servers, `shift` seconds ahead."""

    def __init__(self, folder, name="faketime"):
        self.path = folder / name
        self.shift = 0
        self.move(0)

    def move(self, shift):
        self.shift = shift
        new = self.path.with_suffix(".new")
        new.write_text(f"{shift:+d}\n")
        new.replace(self.path)

    def environment(self):
        return preloaded(library(), FAKETIME_TIMESTAMP_FILE=str(self.path), FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
                         NO_FAKE_STAT="1")

    def signing(self):
        """Signatures made here have this clock's time."""
        return signing_at(lambda: self.shift)


SIGNER = threading.local()  # `clock`: by which this thread signs


def signing_by_thread():
    """Each thread signs with the time of the Clock that is its SIGNER.clock."""
    return signing_at(lambda: SIGNER.clock.shift if getattr(SIGNER, "clock", None) else 0)


@contextlib.contextmanager
def signing_at(shift):
    """Signatures made here are shift() seconds ahead."""
    class Shifted(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return datetime.datetime.utcnow() + datetime.timedelta(seconds=shift())

    fake = types.SimpleNamespace(datetime=Shifted, timezone=datetime.timezone)
    with contextlib.ExitStack() as stack:
        for module in SIGNERS:
            stack.enter_context(mock.patch.object(module, "datetime", fake))
        yield
