// The main job with the AWS SDK for JavaScript: node roundtrip.mjs ENDPOINT; credentials and region come from the environment.
import assert from "node:assert/strict";
import * as sdk from "@aws-sdk/client-secrets-manager";

const endpoint = process.argv[2];
const client = (region) => new sdk.SecretsManagerClient({ region, endpoint });
const east = client("us-east-1");
const replicas = ["us-west-2", "eu-west-1"];
const read = (region) => client(region).send(new sdk.GetSecretValueCommand({ SecretId: "js/db" }));

async function eventually(check, what) {
  const deadline = Date.now() + 30000;
  while (!(await check())) {
    assert.ok(Date.now() < deadline, `${what} did not come true`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const created = await east.send(new sdk.CreateSecretCommand({
  Name: "js/db", SecretString: "s1 \u00e9\u{1F512}", AddReplicaRegions: replicas.map((Region) => ({ Region })),
}));
assert.equal(created.Name, "js/db");
assert.deepEqual(new Set(created.ReplicationStatus.map((row) => row.Status)), new Set(["InProgress"]));
await eventually(async () => {
  const { ReplicationStatus } = await east.send(new sdk.DescribeSecretCommand({ SecretId: created.ARN }));
  return ReplicationStatus.every((row) => row.Status === "InSync");
}, "InSync");
for (const region of replicas) assert.equal((await read(region)).SecretString, "s1 \u00e9\u{1F512}");

await east.send(new sdk.PutSecretValueCommand({ SecretId: "js/db", SecretBinary: new Uint8Array([0, 255, 7]) }));
for (const region of replicas) {
  await eventually(async () => {
    const { SecretBinary } = await read(region);
    return SecretBinary && Buffer.compare(Buffer.from(SecretBinary), Buffer.from([0, 255, 7])) === 0;
  }, `the new value in ${region}`);
}
await assert.rejects(client("eu-west-1").send(new sdk.PutSecretValueCommand({ SecretId: "js/db", SecretString: "no" })),
  (error) => error instanceof sdk.InvalidParameterException
    && error.message === "Operation not permitted on a replica secret. Call must be made in primary secret's region.");
await assert.rejects(east.send(new sdk.GetSecretValueCommand({ SecretId: "js/none" })),
  (error) => error instanceof sdk.ResourceNotFoundException && error.$metadata.httpStatusCode === 400
    && /^[0-9a-f-]{36}$/.test(error.$metadata.requestId));

const names = [];
for await (const page of sdk.paginateListSecrets({ client: east, pageSize: 1 }, {})) names.push(...page.SecretList.map((s) => s.Name));
assert.ok(names.includes("js/db"));

const collect = async (pages, of) => {
  const all = [];
  for await (const page of pages) all.push(...page[of]);
  return all;
};
const listed = ["js/list/a", "js/list/b", "js/list/c"];
for (const Name of listed) await east.send(new sdk.CreateSecretCommand({ Name, SecretString: `of ${Name}`, Description: "for TheList" }));
const query = { Filters: [{ Key: "description", Values: ["list for"] }, { Key: "name", Values: ["!js/db"] }] };
const paging = { client: east, pageSize: 2 };
assert.deepEqual((await collect(sdk.paginateListSecrets(paging, { ...query, SortBy: "name", SortOrder: "desc" }), "SecretList"))
  .map((row) => row.Name), [...listed].reverse());
assert.deepEqual((await collect(sdk.paginateBatchGetSecretValue(paging, query), "SecretValues")).map((row) => row.SecretString),
  listed.map((Name) => `of ${Name}`));
const batch = await east.send(new sdk.BatchGetSecretValueCommand({ SecretIdList: ["js/none", "js/list/b", "js/db"] }));
assert.deepEqual(batch.SecretValues.map((row) => row.Name), ["js/list/b", "js/db"]);
assert.deepEqual(Buffer.from(batch.SecretValues[1].SecretBinary), Buffer.from([0, 255, 7]));
assert.deepEqual(batch.Errors.map((row) => [row.SecretId, row.ErrorCode]), [["js/none", "ResourceNotFoundException"]]);
const versions = await collect(sdk.paginateListSecretVersionIds({ client: east, pageSize: 1 }, { SecretId: "js/db" }), "Versions");
assert.deepEqual(versions.map((row) => [row.VersionStages, row.KmsKeyIds]),
  [[["AWSPREVIOUS"], ["DefaultEncryptionKey"]], [["AWSCURRENT"], ["DefaultEncryptionKey"]]]);
await client("us-west-2").send(new sdk.StopReplicationToReplicaCommand({ SecretId: "js/db" }));
await east.send(new sdk.RemoveRegionsFromReplicationCommand({ SecretId: "js/db", RemoveReplicaRegions: ["eu-west-1"] }));
await eventually(async () => {
  const { ReplicationStatus } = await east.send(new sdk.DescribeSecretCommand({ SecretId: "js/db" }));
  return !ReplicationStatus || ReplicationStatus.length === 0;
}, "no replicas");
const deleted = await east.send(new sdk.DeleteSecretCommand({ SecretId: "js/db", RecoveryWindowInDays: 7 }));
assert.ok(deleted.DeletionDate.getTime() - Date.now() > 6.9 * 86400 * 1000);
await assert.rejects(read("us-east-1"), (error) => error instanceof sdk.InvalidRequestException
  && error.message.includes("was marked for deletion"));
console.log("ok");
