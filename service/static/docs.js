// Shows /openapi.json. Makes elements only of text, never of markup; loads nothing from elsewhere.

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
};
const code = (text) => make("code", {}, text);
const pretty = (value) => make("pre", {}, JSON.stringify(value, null, 2));
const last = (reference) => reference.split("/").pop();
const link = (name) => make("a", { href: `#schema-${name}` }, code(name));

// A schema in a few words, with links to those that have a name.
const words = (schema) => {
  if (schema === undefined || schema === true || Object.keys(schema).length === 0) return ["any"];
  if (schema.$ref) return [link(last(schema.$ref))];
  const choices = schema.anyOf || schema.oneOf || schema.allOf;
  if (choices) return choices.flatMap((each, at) => (at ? [" or ", ...words(each)] : words(each)));
  if (schema.enum) return [schema.enum.map((each) => JSON.stringify(each)).join(", ")];
  if ("const" in schema) return [JSON.stringify(schema.const)];
  if (schema.type === "array") return ["array of ", ...words(schema.items)];
  if (typeof schema.additionalProperties === "object") return ["object of ", ...words(schema.additionalProperties)];
  return [[schema.type].flat().join(" or ") + (schema.format ? ` (${schema.format})` : "")];
};

const RULES = {
  minimum: "at least", maximum: "at most", exclusiveMinimum: "more than", exclusiveMaximum: "less than",
  minLength: "characters at least", maxLength: "characters at most", maxProperties: "entries at most",
  pattern: "pattern", default: "default",
};
const rules = (schema) => [schema, ...(schema.anyOf || [])].flatMap((each) =>
  Object.entries(RULES).filter(([name]) => each[name] !== undefined && each[name] !== null)
    .map(([name, text]) => `${text} ${JSON.stringify(each[name])}`)).join(", ");

const table = (rows) => make("table", {}, make("tbody", {}, ...rows.map((cells) =>
  make("tr", {}, ...cells.map((cell) => make("td", {}, ...[cell].flat()))))));

const parameters = (operation) => operation.parameters.length === 0 ? null : make("section", {},
  make("h4", {}, "Parameters"),
  table(operation.parameters.map((each) => [
    code(each.name), `${each.in}${each.required ? ", required" : ""}`,
    [...words(each.schema), make("div", { class: "quiet" }, rules(each.schema))], each.description || "",
  ])));

const shown = (example, description) =>
  example.$ref ? description.components.examples[last(example.$ref)].value : example.value;

const contents = (content, description) => Object.entries(content || {}).flatMap(([type, each]) => [
  make("p", {}, code(type), " ", ...words(each.schema)),
  ...Object.entries(each.examples || {}).map(([name, example]) => make("details", {},
    make("summary", {}, `Example: ${example.summary || name}`), pretty(shown(example, description)))),
]);

const body = (operation, description) => !operation.requestBody ? null : make("section", {},
  make("h4", {}, "Body"), ...contents(operation.requestBody.content, description));

const answer = (status, each, description) => make("details", {},
  make("summary", {}, code(status), ` ${each.description}`),
  table(Object.entries(each.headers || {}).map(([name, header]) => [code(name), header.description])),
  ...contents(each.content, description));

const anchor = (operation) => `operation-${operation.operationId}`;

const section = (method, path, operation, description) => make("details", { id: anchor(operation) },
  make("summary", {}, make("span", { class: "method" }, method.toUpperCase()), code(path), ` ${operation.summary}`),
  operation.description ? make("p", {}, operation.description) : null,
  parameters(operation), body(operation, description),
  make("h4", {}, "Answers"),
  ...Object.entries(operation.responses).map(([status, each]) => answer(status, each, description)));

const schema = ([name, each]) => make("details", { id: `schema-${name}` },
  make("summary", {}, code(name), ` ${each.description || ""}`),
  each.properties
    ? table(Object.entries(each.properties).map(([property, one]) => [
      code(property), (each.required || []).includes(property) ? "" : "optional",
      [...words(one), make("div", { class: "quiet" }, rules(one))], one.description || "",
    ]))
    : make("p", {}, ...words(each), " ", rules(each)));

const algorithm = ([name, each]) => [code(name), link(last(each.parameters.$ref)), link(last(each.result.$ref))];

const operationsOf = (description, tag) => Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).filter(([, operation]) => operation.tags.includes(tag))
    .map(([method, operation]) => [method, path, operation]));

const chapter = (title, ...children) => make("section", {}, make("h2", {}, title), ...children);

export const page = (description) => [
  ...description.tags.map(({ name }) => chapter(name,
    ...operationsOf(description, name).map((each) => section(...each, description)))),
  chapter("parameters and results of algorithms", table(Object.entries(description["x-algorithms"]).map(algorithm))),
  chapter("schemas", ...Object.entries(description.components.schemas).map(schema)),
];

export const index = (description) => description.tags.flatMap(({ name }) => [
  make("strong", {}, name),
  make("ul", {}, ...operationsOf(description, name).map(([method, path, operation]) =>
    make("li", {}, make("a", { href: `#${anchor(operation)}` }, `${method.toUpperCase()} ${path}`)))),
]);

const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target) {
    target.open = true;
    target.scrollIntoView();
  }
};

const show = async () => {
  const main = document.getElementById("operations");
  const response = await fetch("openapi.json");
  const description = await response.json();
  if (!response.ok) {
    main.replaceChildren(make("p", {}, `${description.title}: ${description.detail}`));
    return;
  }
  document.getElementById("about").replaceChildren(
    `${description.info.description} `, make("a", { href: "openapi.json" }, "openapi.json"));
  document.getElementById("contents").replaceChildren(...index(description));
  main.replaceChildren(...page(description));
  addEventListener("hashchange", open);
  open();
};

show().catch((error) => document.getElementById("operations").replaceChildren(`The description cannot be read: ${error}`));
