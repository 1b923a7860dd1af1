// radixgen's RPC from JavaScript; the protocol is the docstring of radixgen/wire.
//   npm install && node client.mjs ipc:///path/to/socket        (radixgen worker --rpc ipc:///path/to/socket)
import { randomBytes } from "node:crypto";
import { decode, encode } from "@msgpack/msgpack";
import { Dealer } from "zeromq";

export class Client {
  #socket = new Dealer({ linger: 0 });
  #waiting = new Map(); // request_id -> who waits for its end; 0 is the greeting's
  #count = 0;
  #sent = Promise.resolve(); // a socket takes one frame at a time

  static async connect(address) {
    const client = new Client();
    client.#socket.connect(address);
    client.#listen();
    const hello = { type: "hello", version: 2, token: randomBytes(16).toString("hex") };
    client.welcome = await client.#ask(hello, 0);
    client.beat = setInterval(() => client.#send({ type: "heartbeat" }), 2000).unref();
    return client;
  }

  // fields: what radixgen.wire says of `generate`. onDelta is called as the answer is written.
  generate(fields, onDelta) {
    return this.#ask({ type: "generate", params: {}, stream: Boolean(onDelta), ...fields }, ++this.#count, onDelta);
  }
  call(verb) { return this.#ask({ type: "call", verb }, ++this.#count).then((reply) => reply.result); }
  close() { clearInterval(this.beat); this.#socket.close(); }

  #send(message) { return (this.#sent = this.#sent.then(() => this.#socket.send(encode(message)))); }
  #ask(message, request_id, onDelta) {
    this.#send(request_id ? { ...message, request_id } : message);
    return new Promise((resolve, reject) => this.#waiting.set(request_id, { resolve, reject, onDelta }));
  }

  async #listen() {
    for await (const [frame] of this.#socket) {
      const message = decode(frame), id = message.request_id ?? 0, one = this.#waiting.get(id);
      if (message.type === "heartbeat" || !one) continue;
      if (message.type === "delta") { one.onDelta(message); continue; }
      this.#waiting.delete(id);
      if (message.type === "failed") one.reject(new Error(`${message.code}: ${message.message}`));
      else one.resolve(message);
    }
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const client = await Client.connect(process.argv[2]);
  const text = "Greenleaf Tools Ltd\nInvoice 2041\nTotal due: 63.70 EUR\nPlease pay by 12 March 2025.";
  const properties = { vendor: { type: "string" }, total: { type: "number" } };
  const schema = { type: "object", properties, required: ["vendor", "total"] };
  const message = (role, part) => ({ type: "message", role, parts: [part] });
  const system = { type: "text", text: "Fields:\nvendor: string\ntotal: number" };
  const prompt = [message("system", system), message("user", { type: "document", text })];
  const constraint = { type: "json_schema", text: JSON.stringify(schema), verbatim: true };
  const end = await client.generate({ prompt, constraint }, (delta) => process.stderr.write(delta.text));
  console.log(JSON.stringify({ model: client.welcome.model, answer: JSON.parse(end.outputs[0].text), usage: end.usage }));
  client.close();
}
