export interface StreamEvent {
  id: string;
  event: string;
  data: unknown;
}

/** Server-sent events (WHATWG HTML §9.2) out of text that comes in pieces. */
export class EventParser {
  lastId = "";
  retryMs: number | null = null;
  private rest = "";

  push(text: string): StreamEvent[] {
    const blocks = (this.rest + text.replaceAll("\r\n", "\n")).split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.flatMap((block) => this.read(block));
  }

  private read(block: string): StreamEvent[] {
    let event = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "id") this.lastId = value;
      else if (name === "event") event = value;
      else if (name === "data") data.push(value);
      else if (name === "retry") this.retryMs = Number(value) || null;
    }
    return data.length ? [{ id: this.lastId, event, data: JSON.parse(data.join("\n")) }] : [];
  }
}
