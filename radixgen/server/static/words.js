// Values as people read them.

export const percent = (part, digits = 0) => `${(100 * part).toFixed(digits)} %`;
/** What part is of a whole; none of nothing. */
export const share = (part, whole) => part / Math.max(1, whole);
export const count = (number) => Math.round(number).toLocaleString("en");

/** A time in the unit that it is said in. */
export function seconds(value) {
  if (value === undefined) return "–";
  if (value < 0.9995) return `${(1000 * value).toFixed(value < 0.01 ? 1 : 0)} ms`;
  if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  return value < 86400 ? `${(value / 3600).toFixed(1)} h` : `${(value / 86400).toFixed(1)} d`;
}

/** JSON with a line for each property and no more. */
export function laid(value, depth = 0) {
  if (value === null || typeof value !== "object" || depth > 1) {
    return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/([[{]) | ([\]}])/g, "$1$2");
  }
  const pad = "  ".repeat(depth + 1);
  if (Array.isArray(value)) return `[${value.map((one) => laid(one, 2)).join(", ")}]`;
  const lines = Object.entries(value).map(([name, one]) => `${pad}${JSON.stringify(name)}: ${laid(one, depth + 1)}`);
  return `{\n${lines.join(",\n")}\n${pad.slice(2)}}`;
}
