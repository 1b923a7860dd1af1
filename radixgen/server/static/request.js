// What the form stands for: the constraint, the request to the API, and that request as a command line.

import { askJson, key } from "./api.js";
import { $, health } from "./dom.js";
import { count, laid } from "./words.js";

const INSTRUCTIONS = "Read the document and answer with JSON that fits this schema. Copy values exactly as they are "
  + "written. Use null for what the document does not say.";

let model = { reads_fields: false, name: "" };

/** Ask what this server is, and show it. */
export async function meet() {
  model = await askJson("/playground/model");
  $("model").textContent = model.name;
  $("model").title = `radixgen ${model.version}; context of ${count(model.context_len)} tokens, ${count(model.vocab_size)} in the vocabulary`;
  $("system").placeholder = model.reads_fields ? "The fields of the schema are told to the model by themselves" : INSTRUCTIONS;
  health("live", "");
}

/** How the prompt is sent, and what kind of constraint is chosen. */
export const mode = () => $("mode").dataset.value;
export const kind = () => $("kind").dataset.value;

/** The constraint as the API's fields. Throws what is wrong with it. */
export function constraint() {
  const text = $("constraint").value;
  if (kind() === "none" || !text.trim()) return {};
  if (kind() === "regex") return { regex: text };
  if (kind() === "grammar") return { grammar: text };
  if (kind() === "choices") return { choice: text.split("\n").filter((line) => line.trim()) };
  const schema = { name: "answer", strict: true, schema: JSON.parse(text) };
  const verbatim = $("verbatim").checked ? { verbatim: true } : {};
  return { response_format: { type: "json_schema", json_schema: schema }, ...verbatim };
}

/** The path of the API and the body that the form stands for. */
export function asked() {
  const body = { model: model.name, max_tokens: Number($("max_tokens").value), temperature: Number($("temperature").value) };
  if (Number($("top_p").value) !== 1) body.top_p = Number($("top_p").value);
  if ($("seed").value !== "") body.seed = Number($("seed").value);
  Object.assign(body, constraint());
  if (mode() === "text") return { path: "completions", body: { ...body, prompt: $("prompt").value } };
  const messages = [{ role: "user", content: $("prompt").value }];
  const system = instructions(body.response_format?.json_schema.schema);
  if (system) messages.unshift({ role: "system", content: system });
  return { path: "chat/completions", body: { ...body, messages } };
}

/** The system message; a model that does not read fields by itself is told the schema there. */
function instructions(schema) {
  const given = $("system").value.trim();
  if (mode() !== "extract" || !schema || model.reads_fields) return given;
  return `${given || INSTRUCTIONS}\n\nSchema:\n${JSON.stringify(schema)}`;
}

/** Show the request as a command. */
export function curl() {
  try {
    const { path, body } = asked();
    const quoted = laid(body).replaceAll("'", "'\\''");
    const header = key() ? " \\\n  -H \"Authorization: Bearer $RADIXGEN_API_KEY\"" : "";
    $("curl").textContent = `curl ${location.origin}/v1/${path} -H "Content-Type: application/json"${header} \\\n  -d '${quoted}'`;
  } catch {
    $("curl").textContent = "The constraint cannot be read.";
  }
}
