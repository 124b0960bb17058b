// Presigned URLs with the signer of the AWS SDK for JavaScript: node presign.mjs ENDPOINT; credentials come from the environment.
// It moves X-Amz-... headers into the query (with them X-Amz-Target) and signs the body.
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";

const endpoint = new URL(process.argv[2]);

class Sha256 {
  constructor(key) { this.hash = key ? createHmac("sha256", key) : createHash("sha256"); }
  update(data) { this.hash.update(data); }
  async digest() { return new Uint8Array(this.hash.digest()); }
}

const longTerm = { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY };

async function presign(operation, parameters, { credentials = longTerm, headers = {}, ...options } = {}) {
  const signer = new SignatureV4({ credentials, region: "us-east-1", service: "secretsmanager", sha256: Sha256 });
  const body = JSON.stringify(parameters);
  const request = await signer.presign({
    method: "POST", protocol: "http:", hostname: endpoint.hostname, port: Number(endpoint.port), path: "/", query: {}, body,
    headers: { host: endpoint.host, "content-type": "application/x-amz-json-1.1", "x-amz-target": `secretsmanager.${operation}`, ...headers },
  }, options);
  const url = new URL(endpoint);
  url.search = Object.entries(request.query).map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join("&");
  return { url, body };
}

async function use({ url, body }) {
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/x-amz-json-1.1" }, body });
  return [answer.status, await answer.json()];
}

const create = await presign("CreateSecret", { Name: "js/presigned", SecretString: "v \u00e9", ClientRequestToken: crypto.randomUUID() });
assert.ok(create.url.searchParams.has("x-amz-target"), String(create.url));
const [status, created] = await use(create);
assert.equal(status, 200, JSON.stringify(created));
assert.equal((await use(await presign("GetSecretValue", { SecretId: created.ARN })))[1].SecretString, "v \u00e9");

const list = await presign("ListSecrets", { MaxResults: 1 });
assert.equal((await use(list))[1].SecretList.length, 1);
assert.equal((await use({ ...list, body: "{}" }))[1].__type, "InvalidSignatureException");
const anyBody = await presign("ListSecrets", {}, { headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } });
assert.ok([...anyBody.url.searchParams.keys()].some((name) => name.toLowerCase() === "x-amz-content-sha256"));
assert.equal((await use({ ...anyBody, body: '{"MaxResults": 1}' }))[0], 200);

const expired = await presign("ListSecrets", {}, { expiresIn: 60, signingDate: new Date(Date.now() - 90000) });
assert.match((await use(expired))[1].message, /^Signature expired: .* - 1 min\.\)$/);

const session = { accessKeyId: "ASIAVALID", secretAccessKey: "temporary", sessionToken: process.env.SESSION_TOKEN };
assert.equal((await use(await presign("ListSecrets", {}, { credentials: session })))[0], 200);
const wrong = await use(await presign("ListSecrets", {}, { credentials: { ...session, sessionToken: "wrong" } }));
assert.deepEqual(wrong, [400, { __type: "UnrecognizedClientException", message: "The security token included in the request is invalid." }]);
console.log("ok");
