"""Metrics, status and health of a running node: numbers that move as requests are made, no secret among them, sound under load."""
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
import uuid

import botocore.exceptions
import pytest

from cluster import Cluster, eventually, wait_in_sync

EAST, WEST = "us-east-1", "us-west-2"
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')


@pytest.fixture(scope="module")
def running():
    with Cluster(regions=(EAST, WEST)) as cluster:
        yield cluster.start()


def get(url):
    """(status, content type, text)"""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def parse(text):
    """{series as written: value}; strict about every line."""
    assert text.endswith("\n")
    series, family = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            family = line.split(" ")[2]
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match.group(1) == family or match.group(1).rsplit("_", 1)[0] == family, line
        name = line[:line.rindex(" ")]
        assert name not in series, line
        series[name] = float(match.group(3))
    return series


def scrape(cluster, region):
    status, kind, text = get(cluster.metrics_endpoint(region) + "/metrics")
    assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8"
    return parse(text)


def requests(series, operation, code="OK"):
    return series.get(f'redoubt_requests_total{{operation="{operation}",code="{code}"}}', 0)


def count(series, operation):
    return series.get(f'redoubt_request_duration_seconds_count{{operation="{operation}"}}', 0)


def test_requests_are_counted_by_operation_and_code(running):
    client = running.client(EAST)
    name = "m-" + uuid.uuid4().hex
    before = scrape(running, EAST)
    client.create_secret(Name=name, SecretString="v")
    for _ in range(7):
        client.get_secret_value(SecretId=name)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId=name + "-not")
    with pytest.raises(botocore.exceptions.ClientError):
        running.client(EAST, secret_key="wrong").get_secret_value(SecretId=name)
    after = scrape(running, EAST)
    assert requests(after, "CreateSecret") - requests(before, "CreateSecret") == 1
    assert requests(after, "GetSecretValue") - requests(before, "GetSecretValue") == 7
    for code in ("ResourceNotFoundException", "InvalidSignatureException"):
        assert requests(after, "GetSecretValue", code) - requests(before, "GetSecretValue", code) == 1
    assert count(after, "GetSecretValue") - count(before, "GetSecretValue") == 9
    bucket = 'redoubt_request_duration_seconds_bucket{operation="CreateSecret",le="10"}'
    assert after[bucket] - before.get(bucket, 0) == 1
    total = 'redoubt_request_duration_seconds_sum{operation="CreateSecret"}'
    assert 0 < after[total] - before.get(total, 0) < 10
    assert after["redoubt_requests_running"] == 0


def test_the_write_path_moves(running):
    client = running.client(EAST)
    before = scrape(running, EAST)
    for i in range(5):
        client.create_secret(Name=f"w-{i}-" + uuid.uuid4().hex, SecretString="v")
    after = scrape(running, EAST)
    for name, least in (("redoubt_log_sync_duration_seconds_count", 5), ("redoubt_log_entry_commands_count", 5),
                        ("redoubt_raft_commit_index", 5), ("redoubt_raft_applied_index", 5), ("redoubt_log_last_index", 5),
                        ("redoubt_fsm_apply_duration_seconds_count", 5),
                        ('redoubt_fsm_commands_total{command="SECRET_CREATE"}', 5)):
        assert after[name] - before[name] >= least, name
    assert after["redoubt_log_sync_duration_seconds_sum"] > before["redoubt_log_sync_duration_seconds_sum"]
    eventually(lambda: scrape(running, EAST)["redoubt_proposals_waiting"] == 0, what="no proposals")
    assert after["redoubt_raft_apply_lag_entries"] == 0
    assert after['redoubt_raft_role{role="leader"}'] == 1 and after['redoubt_raft_role{role="follower"}'] == 0
    assert after["redoubt_raft_term"] >= 1 and after["redoubt_raft_elections_total"] >= 1
    assert after["redoubt_node_ready"] == 1
    assert after["redoubt_store_memtable_bytes"] > 0 and after["redoubt_store_background_errors"] == 0


def test_the_process_its_disk_and_its_certificates(running):
    series = scrape(running, EAST)
    pid = running.processes[EAST].pid
    resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) * 1024
    assert 0.5 < series["process_resident_memory_bytes"] / resident < 2
    assert abs(time.time() - series["process_start_time_seconds"]) < 600
    assert 0 < series["process_open_fds"] < series["process_max_fds"]
    assert series["process_cpu_seconds_total"] > 0
    assert 0 < series["redoubt_disk_free_bytes"] <= series["redoubt_disk_size_bytes"]
    for certificate in ("peer", "authority"):
        expiry = series[f'redoubt_certificate_expiry_timestamp_seconds{{certificate="{certificate}"}}']
        assert time.time() + 300 * 86400 < expiry < time.time() + 20 * 366 * 86400
    assert 'redoubt_certificate_expiry_timestamp_seconds{certificate="api"}' not in series  # it has none
    assert len([name for name in series if name.startswith("redoubt_build_info")]) == 1
    assert [name for name in series if re.fullmatch(r'redoubt_node_info\{region="us-east-1",node="[0-9a-f]{16}"\}', name)]


def test_forwarding_and_replication(running):
    client = running.client(EAST)
    name = "r-" + uuid.uuid4().hex
    before = scrape(running, EAST)
    client.create_secret(Name=name, SecretString="v", AddReplicaRegions=[{"Region": WEST}])
    wait_in_sync(client, name, [WEST])
    assert running.client(WEST, via=EAST).get_secret_value(SecretId=name)["SecretString"] == "v"
    after = scrape(running, EAST)
    for series in ('redoubt_requests_forwarded_total{outcome="ok"}', f'redoubt_replication_items_total{{region="{WEST}"}}',
                   f'redoubt_replication_batches_total{{region="{WEST}",outcome="ok"}}', 'redoubt_peer_calls_done_total{outcome="ok"}'):
        assert after[series] > before.get(series, 0), series
    assert requests(scrape(running, WEST), "GetSecretValue") >= 1
    assert after["redoubt_peer_calls"] >= 0


def test_a_region_that_is_away_is_told(running):
    name = "a-" + uuid.uuid4().hex
    client = running.client(EAST)
    running.stop(WEST)
    try:
        client.create_secret(Name=name, SecretString="v", AddReplicaRegions=[{"Region": WEST}])
        eventually(lambda: scrape(running, EAST).get(f'redoubt_replication_outage{{region="{WEST}"}}') == 1, what="outage")
        with pytest.raises(botocore.exceptions.ClientError):
            running.client(WEST, via=EAST).get_secret_value(SecretId=name)
        series = scrape(running, EAST)
        assert series['redoubt_requests_unserved_total{reason="region_unreachable"}'] >= 1
        assert requests(series, "GetSecretValue", "ServiceUnavailable") >= 1
    finally:
        running.start(WEST)
    wait_in_sync(client, name, [WEST])
    eventually(lambda: scrape(running, EAST)[f'redoubt_replication_outage{{region="{WEST}"}}'] == 0, what="no outage")


def test_status(running):
    status, kind, text = get(running.metrics_endpoint(EAST) + "/status")
    assert status == 200 and kind == "application/json"
    told = json.loads(text)
    assert told["region"] == EAST and told["role"] == "leader" and told["ready"] is True and told["reason"] is None
    assert told["raft"]["applied"] <= told["raft"]["commit"] <= told["log"]["last"]
    assert told["disk"]["free_bytes"] > 0 and told["certificates"]["peer"] > time.time()


def test_doors(running):
    """What is for everybody is on the API's door, the rest is not."""
    for door in (running.endpoint(EAST), running.metrics_endpoint(EAST)):
        assert get(door + "/livez")[::2] == (200, "ok\n")
        assert get(door + "/readyz")[::2] == (200, "ok\n")
        assert json.loads(get(door + "/health")[2]) == {"status": "ok", "region": EAST, "role": "leader"}
    for path in ("/metrics", "/status"):
        assert get(running.endpoint(EAST) + path)[0] == 400
    for path in ("/", "/metrics/", "/metricsx", "/../metrics"):
        assert get(running.metrics_endpoint(EAST) + path)[0] == 404, path
    post = urllib.request.Request(running.metrics_endpoint(EAST) + "/metrics", data=b"x", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(post, timeout=10)
    assert refused.value.code in (404, 413)


def test_no_secret_and_no_name(running):
    """Names and values of secrets, tags, tokens, key ids, accounts: none of it is told."""
    canary = "canary" + uuid.uuid4().hex
    client = running.client(EAST)
    client.create_secret(Name=canary + "-name", SecretString=canary + "-value", Description=canary + "-text",
                         Tags=[{"Key": canary + "-key", "Value": canary + "-tag"}], ClientRequestToken=canary + "-token-of-it",
                         AddReplicaRegions=[{"Region": WEST}])
    client.get_secret_value(SecretId=canary + "-name")
    for attempt in (lambda: client.get_secret_value(SecretId=canary + "-unknown"),
                    lambda: running.client(EAST, access_key=canary).get_secret_value(SecretId="x"),
                    lambda: client.create_secret(Name=canary + "-name", SecretString=canary)):
        with pytest.raises(botocore.exceptions.ClientError):
            attempt()
    request = urllib.request.Request(running.endpoint(EAST) + "/" + canary, data=b"{}",
                                     headers={"X-Amz-Target": "secretsmanager." + canary, "User-Agent": canary})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10)
    wait_in_sync(client, canary + "-name", [WEST])
    for region in (EAST, WEST):
        for path in ("/metrics", "/status", "/readyz", "/health", "/" + canary):
            text = get(running.metrics_endpoint(region) + path)[2]
            assert canary not in text
            assert "123456789012" not in text and running.access_key not in text and running.secret_key not in text


def test_scrapes_under_load(running):
    """Counters never step back while they are being read, and in the end they are exact."""
    name = "l-" + uuid.uuid4().hex
    running.client(EAST).create_secret(Name=name, SecretString="v")
    before = scrape(running, EAST)
    each, threads, failures = 150, 6, []

    def load():
        try:
            client = running.client(EAST)
            for i in range(each):
                if i % 5 == 0:
                    client.put_secret_value(SecretId=name, SecretString=str(i))
                else:
                    client.get_secret_value(SecretId=name)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    running_threads = [threading.Thread(target=load) for _ in range(threads)]
    for thread in running_threads:
        thread.start()
    last, scrapes = before, 0
    while any(thread.is_alive() for thread in running_threads):
        series = scrape(running, EAST)
        scrapes += 1
        for key, value in series.items():
            if "_total" in key or "_bucket" in key or "_count" in key:
                assert value >= last.get(key, 0), key
        for key in series:
            if key.startswith("redoubt_request_duration_seconds_count"):
                labels = key[key.index("{") + 1:-1]
                assert series[key] == series[f'redoubt_request_duration_seconds_bucket{{{labels},le="+Inf"}}']
        last = series
    for thread in running_threads:
        thread.join()
    assert not failures and scrapes > 3
    after = scrape(running, EAST)
    assert requests(after, "GetSecretValue") - requests(before, "GetSecretValue") == threads * each * 4 // 5
    assert requests(after, "PutSecretValue") - requests(before, "PutSecretValue") == threads * each // 5
    assert after["redoubt_requests_running"] == 0
    assert after['redoubt_http_bodies_bytes{door="api"}'] == 0
    # What reads leave behind (the day of the last access) may still be on its way.
    eventually(lambda: scrape(running, EAST)["redoubt_proposals_waiting"] == 0, what="no proposals")


def test_connections(running):
    opened, taken = 'redoubt_http_connections{door="api"}', 'redoubt_http_accepted_connections_total{door="api"}'
    bad = 'redoubt_http_bad_requests_total{door="api"}'
    before = scrape(running, EAST)
    sockets = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(5)]
    eventually(lambda: scrape(running, EAST)[taken] == before[taken] + 5, what="taken")
    assert scrape(running, EAST)[opened] >= 5
    sockets[0].sendall(b"nonsense\n\n")
    assert b" 400 " in sockets[0].recv(100)
    assert scrape(running, EAST)[bad] == before[bad] + 1
    # A body that is on its way is held, and counted.
    sockets[1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 60000)
    eventually(lambda: 60000 <= scrape(running, EAST)['redoubt_http_bodies_bytes{door="api"}'] < 200000, what="the body")
    for s in sockets:
        s.close()
    eventually(lambda: scrape(running, EAST)[opened] <= before[opened], what="closed")
    assert scrape(running, EAST)['redoubt_http_bodies_bytes{door="api"}'] == 0


@pytest.fixture(scope="module")
def group():
    with Cluster(regions=(EAST,), nodes=3) as cluster:
        yield cluster.start()


def labelled(series, name):
    """{label: value} of the series of one name with one label."""
    return {match.group(1): value for key, value in series.items() for match in [re.fullmatch(name + r'\{\w+="(.*)"\}', key)] if match}


def test_a_group_of_three(group):
    """Each node tells its part: what the leader alone knows, and what is the same everywhere."""
    client = group.client(EAST)
    name = "g-" + uuid.uuid4().hex
    client.create_secret(Name=name, SecretString="v")
    leader = group.wait_leader(EAST)
    told = {node: json.loads(get(group.metrics_endpoint(node) + "/status")[2]) for node in group.nodes_of(EAST)}
    ids = {answer["node"] for answer in told.values()}
    assert len(ids) == 3
    for node, answer in told.items():
        assert answer["ready"] and answer["raft"]["leader"] == told[leader]["node"]
        assert {member["id"] for member in answer["raft"]["members"]} == ids
        assert all((member["match"] is not None) == (node == leader) for member in answer["raft"]["members"])
    series = eventually(lambda: (lambda s: s if s.get("redoubt_raft_live_voters") == 3 else None)(scrape(group, leader)), what="3 voters")
    assert series["redoubt_raft_voters"] == series["redoubt_raft_members"] == 3
    assert set(labelled(series, "redoubt_raft_member_match_index")) == ids
    assert set(labelled(series, "redoubt_raft_member_connected").values()) == {1} and len(labelled(series, "redoubt_raft_member_connected")) == 2
    follower = group.followers(EAST)[0]
    before = scrape(group, follower)
    assert before['redoubt_raft_role{role="follower"}'] == 1 and before["redoubt_raft_leader_known"] == 1
    assert "redoubt_raft_live_voters" not in before and not labelled(before, "redoubt_raft_member_match_index")
    # A write at a follower is judged and counted at the leader; a read is its own.
    group.client(EAST, via=follower).put_secret_value(SecretId=name, SecretString="w")
    assert group.client(EAST, via=follower).get_secret_value(SecretId=name)["SecretString"] == "w"
    after = scrape(group, follower)
    assert requests(after, "PutSecretValue") == requests(before, "PutSecretValue")
    assert after['redoubt_requests_forwarded_total{outcome="ok"}'] - before['redoubt_requests_forwarded_total{outcome="ok"}'] == 1
    assert requests(scrape(group, leader), "PutSecretValue") - requests(series, "PutSecretValue") == 1
    assert requests(after, "GetSecretValue") - requests(before, "GetSecretValue") == 1
    assert after["redoubt_raft_reads_total"] > before["redoubt_raft_reads_total"]


def test_a_leader_that_dies_is_seen(group):
    old = group.wait_leader(EAST)
    before = {node: scrape(group, node) for node in group.followers(EAST)}
    group.kill(old)
    try:
        new = group.wait_leader(EAST, other_than=old)
        series = eventually(lambda: (lambda s: s if s.get("redoubt_raft_live_voters") == 2 else None)(scrape(group, new)), what="2 voters")
        assert series["redoubt_raft_elections_total"] > before[new]["redoubt_raft_elections_total"]
        assert series["redoubt_raft_leader_changes_total"] > before[new]["redoubt_raft_leader_changes_total"]
        assert series["redoubt_raft_term"] > before[new]["redoubt_raft_term"]
        # Without a majority a node lives, is not ready, and says why to whom runs it.
        other = group.followers(EAST)[0]
        group.kill(new)
        eventually(lambda: get(group.endpoint(other) + "/readyz")[::2] == (503, "not ready\n"), what="not ready")
        status, _, reason = get(group.metrics_endpoint(other) + "/readyz")
        assert status == 503 and "majority" in reason
        assert get(group.endpoint(other) + "/livez")[0] == 200
        series = scrape(group, other)
        assert series["redoubt_node_ready"] == 0 and series["redoubt_raft_leader_known"] == 0
        assert json.loads(get(group.metrics_endpoint(other) + "/status")[2])["reason"] == reason
    finally:
        for node in group.nodes_of(EAST):
            if node not in group.processes:
                group.start(node, wait=False)
        group.wait_ready(EAST)


def test_a_snapshot_is_seen_from_both_ends():
    """A node that was away for more than the log holds: what the leader hands over, and what the node takes, over its new beginning in
    the same process."""
    with Cluster(regions=(EAST,), nodes=3) as cluster:
        for node in cluster.nodes_of(EAST):
            config = cluster.config(node)
            config.write_text(re.sub(r"\[raft\]\n", "[raft]\nlog_entries = 16\n", config.read_text()))
        cluster.start()
        away = cluster.followers(EAST)[0]
        client = cluster.client(EAST, via=cluster.wait_leader(EAST), retries=3)
        for name in ("s0", "s1", "s2", "s3"):  # of each at most 400 versions
            client.create_secret(Name=name, SecretString="v")
        cluster.stop(away)
        for i in range(1300):  # more than the 1024 entries, or 16 MiB, that stay behind a snapshot
            client.put_secret_value(SecretId=f"s{i % 4}", SecretString=f"{i}-" + "x" * 17000)
        leader = cluster.wait_leader(EAST)
        assert scrape(cluster, leader)["redoubt_snapshot_index"] > 0
        assert time.time() - scrape(cluster, leader)["redoubt_snapshot_timestamp_seconds"] < 600
        cluster.start(away, wait=False)

        def caught_up():
            try:  # its doors are closed for a moment, when it goes over to what it has fetched
                return scrape(cluster, away)["redoubt_raft_applied_index"] >= scrape(cluster, leader)["redoubt_raft_applied_index"]
            except OSError:
                return False
        eventually(caught_up, seconds=120, every=0.1, what="caught up")
        taken = scrape(cluster, away)
        assert taken["redoubt_snapshots_received_total"] >= 1 and taken["redoubt_snapshot_install_running"] == 0
        assert sum(scrape(cluster, node)["redoubt_snapshots_sent_total"] for node in cluster.nodes_of(EAST)) >= 1
        given = sum(scrape(cluster, node)["redoubt_snapshot_sent_bytes_total"] for node in cluster.nodes_of(EAST))
        made = sum(scrape(cluster, node)["redoubt_snapshot_checkpoints_total"] for node in cluster.nodes_of(EAST))
        assert given > 1 << 20 and made >= 1
        assert cluster.client(EAST, via=away).get_secret_value(SecretId="s3")["SecretString"].startswith("1299-")


def settings(tmp_path, text):
    """The exit of a server with these lines in [metrics], and what it says."""
    import subprocess

    from cluster import BINARY
    config = tmp_path / "redoubt.conf"
    config.write_text("[node]\nregion = us-east-1\ndata = data\n[api]\ncredentials = c\n[keys]\nroot_key = r\n"
                      "[peer]\nca = ca\ncert = cert\nkey = key\n[metrics]\n" + text)
    done = subprocess.run([BINARY, "server", "--config", str(config)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_other_addresses_than_loopback_need_a_word(tmp_path):
    code, text = settings(tmp_path, "listen = 0.0.0.0:7700\n")
    assert code == 1 and "[metrics] listen: 0.0.0.0:7700 is not loopback" in text
    code, text = settings(tmp_path, "listen = 0.0.0.0:7700\nallow_plain = true\n")
    assert "loopback" not in text
    code, text = settings(tmp_path, "listen = nonsense\n")
    assert code == 1 and "must be host:port, or -" in text


def test_no_door(fresh_one):
    """With "-" there is none, and the node serves."""
    path = fresh_one.data / EAST / "redoubt.conf"
    path.write_text(re.sub(r"(\[metrics\]\nlisten = )\S+", r"\1-", path.read_text()))
    fresh_one.start(EAST)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(fresh_one.metrics_endpoint(EAST) + "/metrics", timeout=5)
    assert get(fresh_one.endpoint(EAST) + "/readyz")[0] == 200


@pytest.fixture
def fresh_one():
    with Cluster(regions=(EAST,)) as cluster:
        yield cluster
