// Renders /openapi.json. Text only ever enters the page as text nodes.

const METHODS = ["get", "post", "put", "patch", "delete"];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// `code` and **bold** within a paragraph; blank lines between paragraphs
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return make("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return make("strong", {}, part.slice(2, -2));
    return part;
  });
}

function prose(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((part) => make("p", {}, ...inline(part)));
}

function snippet(text) {
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return make("div", { class: "copy" }, make("pre", { tabindex: "0" }, make("code", {}, text)), button);
}

function pretty(example) {
  return typeof example === "string" ? example : JSON.stringify(example, null, 2);
}

class Reader {
  constructor(spec) {
    this.spec = spec;
  }

  resolve(node) {
    if (!node?.$ref) return node ?? {};
    return node.$ref.slice(2).split("/").reduce((held, key) => held[key], this.spec);
  }

  type(schema) {
    const held = this.resolve(schema);
    if (held.const !== undefined) return JSON.stringify(held.const);
    if (held.enum) return held.enum.map((value) => JSON.stringify(value)).join(" | ");
    const options = held.anyOf ?? held.oneOf;
    if (options) return options.map((option) => this.type(option)).join(" | ");
    if (held.type === "array") {
      const item = this.type(held.items);
      return item.includes(" | ") ? `(${item})[]` : `${item}[]`;
    }
    if (held.format) return held.format;
    if (schema.$ref && held.type === "object") return held.title ?? "object";
    return held.type ?? "any";
  }

  limits(schema) {
    const held = this.resolve(schema);
    const words = {
      minimum: (n) => `at least ${n}`,
      maximum: (n) => `at most ${n}`,
      maxLength: (n) => `at most ${n} characters`,
      maxItems: (n) => `at most ${n} entries`,
    };
    const found = Object.entries(words).filter(([key]) => held[key] !== undefined).map(([key, say]) => say(held[key]));
    if (held.default !== undefined && held.default !== null) found.push(`default ${JSON.stringify(held.default)}`);
    return found.join(", ");
  }

  row(name, schema, required, description) {
    const words = [description ?? this.resolve(schema).description, this.limits(schema)].filter(Boolean).join(" · ");
    return make("tr", {},
      make("th", { scope: "row" }, make("code", {}, name), " ", required ? make("span", { class: "required" }, "required") : null),
      make("td", {}, make("span", { class: "type" }, this.type(schema)), ...(words ? [make("br"), ...inline(words)] : [])));
  }

  fields(schema) {
    const held = this.resolve(schema);
    if (!held.properties) return null;
    const required = new Set(held.required ?? []);
    const rows = Object.entries(held.properties).map(([name, inner]) => this.row(name, inner, required.has(name)));
    return make("table", {}, make("tbody", {}, ...rows));
  }

  nested(schema, seen = new Set()) {
    // objects that the fields refer to, each once
    const found = [];
    const visit = (node) => {
      if (!node || typeof node !== "object") return;
      if (node.$ref) {
        if (seen.has(node.$ref)) return;
        seen.add(node.$ref);
        const held = this.resolve(node);
        if (held.properties) found.push(make("details", {}, make("summary", {}, make("code", {}, held.title ?? node.$ref.split("/").pop())), this.fields(node)));
        visit(held);
        return;
      }
      for (const inner of Object.values(node)) visit(inner);
    };
    if (schema.$ref) seen.add(schema.$ref);
    visit(this.resolve(schema));
    return found;
  }

  content(content) {
    return Object.entries(content ?? {}).flatMap(([media, held]) => {
      const examples = held.examples ? Object.entries(held.examples) : [[null, { value: held.example }]];
      return [
        make("p", {}, make("code", {}, media)),
        ...examples.flatMap(([name, example]) => [name ? make("p", {}, make("code", {}, name)) : null, example.value === undefined ? null : snippet(pretty(example.value))]),
        this.fields(held.schema ?? {}),
        ...this.nested(held.schema ?? {}),
      ].filter(Boolean);
    });
  }

  curl(method, path, operation) {
    const scheme = Object.keys(operation.security?.[0] ?? {})[0];
    const key = scheme === "operator" ? "$ADMIN_KEY" : "$API_KEY";
    const lines = [`curl ${scheme && path === "/v1/stream" ? "-N " : ""}${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path.replace(/\{(\w+)\}/g, (_, name) => `$${name.toUpperCase()}`)}`];
    if (scheme) lines.push(`-H "Authorization: Bearer ${key}"`);
    const content = operation.requestBody?.content["application/json"];
    const example = content?.example ?? Object.values(content?.examples ?? {})[0]?.value;
    if (example !== undefined) lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(example).replaceAll("'", "'\\''")}'`);
    return lines.join(" \\\n  ");
  }

  response(status, node) {
    const held = this.resolve(node);
    const kind = status < 400 ? "ok" : "no";
    const summary = make("summary", {}, make("span", { class: `status ${kind}` }, status), ...inline(held.description ?? ""));
    const body = this.content(held.content);
    return body.length ? make("details", { open: status < 300 }, summary, ...body) : make("p", {}, ...summary.childNodes);
  }

  article(method, path, operation) {
    const verb = method.toUpperCase();
    const parameters = (operation.parameters ?? []).map((each) => this.row(`${each.name}`, each.schema, each.required, [each.in === "query" ? null : each.in, each.description].filter(Boolean).join(" · ")));
    const request = [];
    if (parameters.length) request.push(make("h4", {}, "Parameters"), make("table", {}, make("tbody", {}, ...parameters)));
    if (operation.requestBody) request.push(make("h4", {}, "Body"), ...this.content(operation.requestBody.content));
    return make("article", { id: operation.operationId, "data-words": `${verb} ${path} ${operation.summary} ${operation.tags.join(" ")}`.toLowerCase() },
      make("h3", {}, operation.summary),
      make("div", { class: "call" }, make("span", { class: `method ${verb}` }, verb), make("span", { class: "path" }, path)),
      ...prose(operation.description),
      make("div", { class: "two" },
        make("div", {}, make("h4", {}, "Request"), snippet(this.curl(method, path, operation)), ...request),
        make("div", {}, make("h4", {}, "Answers"), ...Object.entries(operation.responses).map(([status, node]) => this.response(Number(status), node)))));
  }

  render(main, index) {
    main.replaceChildren(make("h2", {}, `${this.spec.info.title} API`), ...prose(this.spec.info.description));
    for (const tag of this.spec.tags) {
      const operations = Object.entries(this.spec.paths).flatMap(([path, item]) =>
        METHODS.filter((method) => item[method]?.tags.includes(tag.name)).map((method) => [method, path, item[method]]));
      if (!operations.length) continue;
      const title = tag.name.replaceAll("-", " ").replace(/^./, (letter) => letter.toUpperCase());
      const list = make("ul", {}, ...operations.map(([method, , operation]) => {
        const verb = method.toUpperCase();
        return make("li", { "data-for": operation.operationId }, make("a", { href: `#${operation.operationId}` }, make("span", { class: `method ${verb}` }, verb), make("span", {}, operation.summary.split(/[:;,]/)[0])));
      }));
      index.append(make("section", {}, make("h2", {}, title), list));
      main.append(make("section", {}, make("h2", {}, title), make("p", {}, tag.description), ...operations.map((each) => this.article(...each))));
    }
  }
}

function filter(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const article of document.querySelectorAll("article")) {
    const shown = wanted.every((word) => article.dataset.words.includes(word));
    article.hidden = !shown;
    document.querySelector(`[data-for="${article.id}"]`).hidden = !shown;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("article:not([hidden]), li:not([hidden])");
  }
}

function mark() {
  const current = location.hash.slice(1);
  for (const link of document.querySelectorAll("nav li a")) {
    if (link.hash.slice(1) === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

const main = document.querySelector("main");
try {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`/openapi.json answered ${response.status}`);
  new Reader(await response.json()).render(main, document.querySelector("#index"));
  document.querySelector("#filter").addEventListener("input", (event) => filter(event.target.value));
  addEventListener("hashchange", mark);
  mark();
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (error) {
  main.replaceChildren(make("p", { role: "alert" }, `The document cannot be shown: ${error.message}`));
}
