// The service's model as the installed SDK for JavaScript carries it, as JSON: every operation with the members of its request and reply,
// from the schemas that the client serialises by. What only the types say (what is required, enumerations, errors) is read by the caller.
import { NormalizedSchema } from "@smithy/core/schema";
import * as sdk from "@aws-sdk/client-secrets-manager";

function describe(schema) {
  const traits = schema.getMergedTraits();
  const flags = { sensitive: Boolean(traits.sensitive), idempotency_token: Boolean(traits.idempotencyToken) };
  if (schema.isStructSchema()) {
    const members = {};
    for (const [name, member] of schema.structIterator()) members[name] = describe(member);
    return { kind: "structure", shape: schema.getName(), members, ...flags };
  }
  if (schema.isListSchema()) return { kind: "list", element: describe(schema.getValueSchema()), ...flags };
  if (schema.isMapSchema()) return { kind: "map", ...flags };
  const kinds = { string: "isStringSchema", blob: "isBlobSchema", boolean: "isBooleanSchema", number: "isNumericSchema",
    timestamp: "isTimestampSchema" };
  const kind = Object.keys(kinds).find((name) => schema[kinds[name]]());
  if (!kind) throw new Error(`a schema of an unknown kind: ${schema.getName(true)}`);
  return { kind, ...flags };
}

const operations = {};
for (const schema of Object.values(sdk)) {
  if (!Array.isArray(schema) || schema[0] !== 9) continue; // 9: an operation
  const [, , name, , input, output] = schema;
  const side = (of) => (of() === "unit" ? null : describe(NormalizedSchema.of(of)));
  operations[name] = { input: side(input), output: side(output) };
}
const enums = {};
for (const [name, value] of Object.entries(sdk)) {
  if (name.endsWith("Type") && typeof value === "object" && !Array.isArray(value)) enums[name] = Object.values(value);
}
console.log(JSON.stringify({ operations, enums, commands: Object.keys(sdk).filter((name) => /^[A-Z].*Command$/.test(name) && name !== "$Command") }));
