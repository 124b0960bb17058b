"""Requests byte by byte: a signer of our own that can sign anything, also what no SDK would, and answers as they came.

Independent of botocore, so that a test says itself which headers are signed, when, by whom and for what.
"""
import datetime
import hashlib
import hmac
import json
import socket
import urllib.parse

JSON_TYPE = "application/x-amz-json-1.1"
FORM_TYPE = "application/x-www-form-urlencoded"
UNKNOWN = {"__type": "com.amazon.coral.service#UnknownOperationException"}
NO_FORM = {"Output": UNKNOWN, "Version": "1.0"}


class Answer:
    def __init__(self, data):
        head, self.body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.lines = lines[1:]
        self.headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in self.lines}
        self.json = json.loads(self.body) if self.body else {}

    @property
    def code(self):
        return self.json.get("Output", self.json).get("__type", "").split("#")[-1]

    @property
    def text(self):
        """The message, which must stand under one key only."""
        assert not {"Message", "message"} <= self.json.keys()
        return self.json.get("message", self.json.get("Message"))

    def __repr__(self):
        return f"{self.status} {self.body!r}"


def address(cluster, region=None):
    host, port = cluster.endpoint(region or cluster.regions[0]).removeprefix("http://").split(":")
    return host, int(port)


def send(cluster, method="POST", target="/", headers=None, body=b"", region=None):
    """Sends exactly these headers, with Host, Connection and Content-Length added where they are missing."""
    host, port = address(cluster, region)
    headers = dict(headers or {})
    names = {name.lower() for name in headers}
    for name, value in (("Host", f"{host}:{port}"), ("Connection", "close"), ("Content-Length", str(len(body)))):
        if name.lower() not in names:
            headers[name] = value
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items() if v is not None) + "\r\n"
    with socket.create_connection((host, port), timeout=30) as s:
        s.sendall(head.encode("latin-1") + body)
        data = b""
        while piece := s.recv(65536):
            data += piece
    return Answer(data)


def quote(text):
    return urllib.parse.quote(str(text), safe="-_.~")


def form(parameters):
    """Parameters (pairs or a dict) as a query string."""
    pairs = parameters.items() if isinstance(parameters, dict) else parameters
    return "&".join(f"{quote(k)}={quote(v)}" for k, v in pairs)


def stamp(when=None, shift=0):
    when = when or datetime.datetime.now(datetime.timezone.utc)
    return (when + datetime.timedelta(seconds=shift)).strftime("%Y%m%dT%H%M%SZ")


class Signer:
    """What it takes to sign; change an attribute to sign wrongly."""

    def __init__(self, cluster, **changes):
        self.access_key, self.secret_key = cluster.access_key, cluster.secret_key
        self.region, self.service, self.terminator = cluster.regions[0], "secretsmanager", "aws4_request"
        self.timestamp = stamp()
        self.scope_date = None  # the timestamp's
        self.host = "%s:%d" % address(cluster)
        self.payload = None  # the hash that goes into the canonical request; None: the body's
        self.__dict__.update(changes)

    def scope(self):
        return "/".join((self.scope_date or self.timestamp[:8], self.region, self.service, self.terminator))

    def signature(self, method, query, headers, names, body):
        def canonical_value(name):
            return " ".join(next(v for k, v in headers.items() if k.lower() == name).split())
        pairs = sorted((quote(urllib.parse.unquote(k)), quote(urllib.parse.unquote(v)))
                       for k, _, v in (pair.partition("=") for pair in query.split("&") if pair))
        canonical = "\n".join((method, "/", "&".join(f"{k}={v}" for k, v in pairs),
                               "".join(f"{name}:{canonical_value(name)}\n" for name in names), ";".join(names),
                               self.payload or hashlib.sha256(body).hexdigest()))
        to_sign = "\n".join(("AWS4-HMAC-SHA256", self.timestamp, self.scope(), hashlib.sha256(canonical.encode()).hexdigest()))
        key = ("AWS4" + self.secret_key).encode()
        for part in (*self.scope().split("/"), to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex()

    def sign(self, method="POST", query="", headers=None, body=b"", signed=None):
        """All headers of a header-signed request. `signed`: names; None: all."""
        headers = {"Host": self.host, **({"X-Amz-Date": self.timestamp} if self.timestamp else {}), **(headers or {})}
        names = sorted(name.lower() for name in headers) if signed is None else sorted(signed)
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self.scope()}, "
                                    f"SignedHeaders={';'.join(names)}, Signature={self.signature(method, query, headers, names, body)}")
        return headers

    def presign(self, method="GET", parameters=(), headers=None, body=b"", expires=900, token=None, signed=None):
        """The target of a request with its signature in the query."""
        headers = {"Host": self.host, **(headers or {})}
        names = sorted(name.lower() for name in headers) if signed is None else sorted(signed)
        pairs = list(parameters.items() if isinstance(parameters, dict) else parameters)
        pairs += [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", f"{self.access_key}/{self.scope()}"),
                  ("X-Amz-Date", self.timestamp), ("X-Amz-SignedHeaders", ";".join(names))]
        pairs += [("X-Amz-Expires", expires)] if expires is not None else []
        pairs += [("X-Amz-Security-Token", token)] if token is not None else []
        query = form(pairs)
        return f"/?{query}&X-Amz-Signature={self.signature(method, query, headers, names, body)}"


def call(cluster, operation, body=None, headers=None, signer=None, region=None):
    """One call as an SDK makes it. `body`: an object, or bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
    signer = signer or Signer(cluster)
    return send(cluster, headers=signer.sign(headers={"Content-Type": JSON_TYPE, "X-Amz-Target": f"secretsmanager.{operation}",
                                                      **(headers or {})}, body=data), body=data, region=region)
