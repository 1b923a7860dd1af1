// Talking to the server, with the key that this tab keeps: requests, streams of events, and the dialog for the key.

import { $, notice } from "./dom.js";

const KEY = "radixgen-key";

export const key = () => sessionStorage.getItem(KEY) ?? "";
export const keepKey = (value) => sessionStorage.setItem(KEY, value);

/** Let one give a key; page.js takes it from the dialog's form. */
export function openKey() {
  if ($("key-dialog").open) return;
  $("key").value = key();
  notice("key-wrong", "");
  $("key-dialog").showModal();
}

/** status: of HTTP; 0: there is no server. retry: seconds until it makes sense again. */
export class Refused extends Error {
  constructor(message, status, retry) {
    super(message);
    this.status = status;
    this.retry = retry;
  }
}

/** A response that is fine. Throws `Refused` with what the server says. */
export async function ask(path, body, signal) {
  const headers = {};
  if (key()) headers.Authorization = `Bearer ${key()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { headers, signal, method: body === undefined ? "GET" : "POST", body: body && JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer.", 0);
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  if (response.status === 401) $("key-open").hidden = false;
  let text = told?.error?.message ?? `The server answers ${response.status}.`;
  if (response.status >= 500) text += ` (${response.headers.get("x-request-id")})`;
  throw new Refused(text, response.status, Number(response.headers.get("Retry-After")) || 1);
}

export const askJson = async (path, body, signal) => (await ask(path, body, signal)).json();

/** Server-sent events of one response, as they come. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const data = piece.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
