const DEPTH_MAX = 32;
const ITEMS_MAX = 10_000;
const BREAK = Symbol("break");

/** CBOR in diagnostic notation (RFC 8949 §8), laid out over lines; throws where the bytes are none. */
export function diagnostic(bytes: Uint8Array): string {
  const reader = new Reader(bytes);
  const found = reader.item(0);
  if (found === BREAK) throw new Error("it begins with a break");
  if (reader.at < bytes.length) throw new Error(`${bytes.length - reader.at} bytes follow the item`);
  return found;
}

class Reader {
  at = 0;
  private items = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  item(depth: number): string | typeof BREAK {
    if (depth > DEPTH_MAX) throw new Error("it is nested too deeply");
    if (++this.items > ITEMS_MAX) throw new Error("it has too many items");
    const first = this.take(1)[0] as number;
    const major = first >> 5;
    const short = first & 31;
    if (major === 7) return this.simple(short);
    const endless = short === 31;
    if (endless && (major < 2 || major === 6)) throw new Error("it has no such length");
    const argument = endless ? 0n : this.argument(short);
    switch (major) {
      case 0:
        return String(argument);
      case 1:
        return String(-1n - argument);
      case 2:
      case 3:
        return endless ? this.pieces(major, depth) : this.text(major, Number(argument));
      case 4:
        return this.list(endless ? null : Number(argument), depth);
      case 5:
        return this.map(endless ? null : Number(argument), depth);
      default:
        return `${argument}(${this.known(depth)})`;
    }
  }

  private known(depth: number): string {
    const found = this.item(depth + 1);
    if (found === BREAK) throw new Error("a break stands where an item should");
    return found;
  }

  private take(count: number): Uint8Array {
    if (count > this.bytes.length - this.at) throw new Error("it ends too early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  private argument(short: number): bigint {
    if (short < 24) return BigInt(short);
    const at = this.at;
    switch (short) {
      case 24:
        return BigInt(this.take(1)[0] as number);
      case 25:
        this.take(2);
        return BigInt(this.view.getUint16(at));
      case 26:
        this.take(4);
        return BigInt(this.view.getUint32(at));
      case 27:
        this.take(8);
        return this.view.getBigUint64(at);
      default:
        throw new Error("it has no such length");
    }
  }

  private simple(short: number): string | typeof BREAK {
    const at = this.at;
    switch (short) {
      case 20:
        return "false";
      case 21:
        return "true";
      case 22:
        return "null";
      case 23:
        return "undefined";
      case 25:
        return number(half(Number(this.argument(short))));
      case 26:
        this.take(4);
        return number(this.view.getFloat32(at));
      case 27:
        this.take(8);
        return number(this.view.getFloat64(at));
      case 31:
        return BREAK;
      default:
        return `simple(${this.argument(short)})`;
    }
  }

  private text(major: number, length: number): string {
    const piece = this.take(length);
    if (major === 3) return JSON.stringify(new TextDecoder("utf-8", { fatal: true }).decode(piece));
    return `h'${Array.from(piece, (byte) => byte.toString(16).padStart(2, "0")).join("")}'`;
  }

  private pieces(major: number, depth: number): string {
    const found = this.until(null, () => this.item(depth + 1));
    return found.length ? `(_ ${found.join(", ")})` : major === 2 ? "''_" : '""_';
  }

  private list(length: number | null, depth: number): string {
    return laidOut(
      "[",
      "]",
      length === null,
      this.until(length, () => this.item(depth + 1)),
      depth,
    );
  }

  private map(length: number | null, depth: number): string {
    const pair = () => {
      const key = this.item(depth + 1);
      return key === BREAK ? BREAK : `${key}: ${this.known(depth)}`;
    };
    return laidOut("{", "}", length === null, this.until(length, pair), depth);
  }

  private until(length: number | null, next: () => string | typeof BREAK): string[] {
    const found: string[] = [];
    while (length === null || found.length < length) {
      const one = next();
      if (one === BREAK) {
        if (length === null) break;
        throw new Error("a break stands where an item should");
      }
      found.push(one);
    }
    return found;
  }
}

function laidOut(open: string, close: string, endless: boolean, items: string[], depth: number): string {
  const begin = endless ? `${open}_ ` : open;
  const line = `${begin}${items.join(", ")}${close}`;
  if (line.length <= 60 && !line.includes("\n")) return line;
  const indent = "  ".repeat(depth + 1);
  return `${begin}\n${indent}${items.join(`,\n${indent}`)}\n${"  ".repeat(depth)}${close}`;
}

const number = (value: number): string =>
  Number.isInteger(value) ? value.toFixed(1) : Number.isNaN(value) ? "NaN" : String(value);

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
