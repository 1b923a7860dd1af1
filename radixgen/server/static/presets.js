// The examples of the playground, one for each way to say what an answer must be.

import { laid } from "./words.js";

const BILL = `Dear Mr. Okafor,

thank you for your order of 3 March. Greenleaf Tools Ltd has sent
you six bow saws and two mortise chisels today, with invoice GT-20418.
The total of 181.68 GBP is due by 13 April 2025.

Greenleaf Tools Ltd, 12 Mill Lane, Bristol`;

const MAIL = `From: Annelie Wikström <annelie@letterbox.example>
Date: Tue, 4 Feb 2025 06:52
Subject: Refund for my kettle

Hello,

I bought the Morningside Swan kettle before Christmas, order MH-558120.
It began to drip in the second week, and this morning the counter was
under water. Please refund my 64.90.

Annelie Wikström`;

const record = (properties) => laid({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });

/** What each fills in of the form; what it leaves out is empty. */
export const PRESETS = {
  "Bill to record": {
    mode: "extract", prompt: BILL, kind: "schema", verbatim: true,
    constraint: record({
      vendor: { type: "string" }, invoice_number: { type: "string" }, total: { type: "number" },
      due_date: { type: ["string", "null"] }, discount: { type: ["number", "null"] },
    }),
  },
  "Support mail to record": {
    mode: "extract", prompt: MAIL, kind: "schema", verbatim: true,
    constraint: record({
      sender_name: { type: "string" }, product: { type: "string" }, order_number: { type: ["string", "null"] },
      category: { enum: ["defect", "billing", "account", "question"] }, wants_refund: { type: "boolean" },
    }),
  },
  "Patterns, ranges, a list": {
    mode: "extract", prompt: MAIL, kind: "schema", verbatim: false,
    constraint: record({
      order_number: { type: "string", pattern: "^[A-Z]{2}-\\d{6}$" },
      product: { type: "string", minLength: 3, maxLength: 30 },
      topics: { type: "array", items: { enum: ["refund", "repair", "delivery"] }, minItems: 1, maxItems: 2, uniqueItems: true },
    }),
  },
  "By a regex": {
    mode: "extract", system: "Fields:\ninvoice_number: string", prompt: BILL, kind: "regex",
    constraint: "\\{\"invoice_number\":\"[A-Z]{2}-\\d{5}\"\\}", max_tokens: 48,
  },
  "By a grammar": {
    mode: "extract", system: "Fields:\norder_number: string\nwants_refund: boolean", prompt: MAIL, kind: "grammar",
    constraint: `start: "{" order "," refund "}"
order: "\\"order_number\\":\\"" /[A-Z]{2}-[0-9]{6}/ "\\""
refund: "\\"wants_refund\\":" ("true" | "false")`, max_tokens: 64,
  },
  "One of some choices": {
    mode: "extract", system: "Fields:\ncategory: defect|billing|account|question", prompt: MAIL, kind: "choices",
    constraint: ["defect", "billing", "account", "question"].map((one) => `{"category":"${one}"}`).join("\n"), max_tokens: 32,
  },
};
