// Operations for the AWS SDK for JavaScript, a line of JSON each: {region, endpoint, operation, params} in, {ok} or {error} out.
// Blobs are base64 and dates are seconds, as on the wire. Credentials come from the environment.
import * as readline from "node:readline";
import * as sdk from "@aws-sdk/client-secrets-manager";

const clients = new Map();
function client(region, endpoint) {
  const key = `${region} ${endpoint}`;
  if (!clients.has(key)) clients.set(key, new sdk.SecretsManagerClient({ region, endpoint, maxAttempts: 1 }));
  return clients.get(key);
}

function plain(value) {
  if (value instanceof Date) return value.getTime() / 1000;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(([name, member]) => name !== "$metadata" && member !== undefined);
  return Object.fromEntries(entries.map(([name, member]) => [name, plain(member)]));
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { region, endpoint, operation, params } = JSON.parse(line);
  if (params.SecretBinary !== undefined) params.SecretBinary = new Uint8Array(Buffer.from(params.SecretBinary, "base64"));
  let answer;
  try {
    answer = { ok: plain(await client(region, endpoint).send(new sdk[`${operation}Command`](params))) };
  } catch (error) {
    answer = { error: { code: error.name, message: error.message, status: error.$metadata?.httpStatusCode ?? 0,
      modelled: error instanceof (sdk[error.name] ?? Array) } };
  }
  console.log(JSON.stringify(answer));
}
