const COUNT = new Intl.NumberFormat();
const SHORT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB"];

/** 1,234 */
export const count = (n: number): string => COUNT.format(n);

/** "1 message", "2 messages" */
export const counted = (n: number, of: string): string => `${count(n)} ${of}${n === 1 ? "" : "s"}`;

/** 12.3K from ten thousand on */
export const short = (n: number): string =>
  Math.abs(n) < 10_000 ? COUNT.format(Math.round(n * 10) / 10) : SHORT.format(n);

/** 1.5 MiB */
export function bytes(n: number): string {
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < BYTES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit ? value.toFixed(value < 10 ? 1 : 0) : value} ${BYTES[unit]}`;
}

/** 90 → "1 min 30 s" */
export function duration(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.round(seconds);
  for (const [unit, length] of [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ] as const) {
    const n = Math.floor(rest / length);
    if (n) parts.push(`${n} ${unit}`);
    rest -= n * length;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** A secret's beginning, by which one tells it from another. */
export const masked = (secret: string): string => `${secret.slice(0, 12)}${"•".repeat(16)}`;
