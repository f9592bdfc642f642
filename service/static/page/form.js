// A form made from the JSON Schema of an algorithm's parameters, and the job that it asks for.
import { html } from "./preact.js";
import { json } from "./words.js";

const NO_EXAMPLE = Symbol("no example");

export function Fields({ one, errors }) {
  const fields = fieldsOf(one);
  const told = new Set(fields.map((field) => `#/params/${field.name}`));
  const others = errors.filter((error) => !told.has(error.pointer));
  return html`
    ${!fields.length && html`<p class="quiet">It takes no parameters.</p>`}
    ${fields.map((field) => html`
      <${Field} key=${field.name} field=${field} error=${errors.find((each) => each.pointer === `#/params/${field.name}`)} />`)}
    ${others.map((error) => html`<p class="bad" key=${error.pointer}>${error.pointer}: ${error.detail}</p>`)}`;
}

function Field({ field, error }) {
  const id = `param-${field.name}`;
  const about = [field.kind, field.required ? "" : "may be left out", field.description].filter(Boolean).join("; ");
  const attributes = {
    id, name: field.name, "aria-describedby": `${id}-about`, "aria-invalid": error ? "true" : null,
  };
  return html`
    <div class="field">
      <label for=${id}>${field.name}</label>
      ${input(field, attributes)}
      <p class=${error ? "bad" : "quiet"} id=${`${id}-about`}>${error ? error.detail : about}</p>
    </div>`;
}

function input(field, attributes) {
  const { kind, example } = field;
  if (kind === "one of") {
    return html`<select ...${attributes}>
      ${!field.required && html`<option value=""></option>`}
      ${field.choices.map((choice) => {
        const text = JSON.stringify(choice);
        return html`<option key=${text} value=${text} selected=${text === JSON.stringify(example)}>${String(choice)}</option>`;
      })}</select>`;
  }
  const shown = example === NO_EXAMPLE ? "" : written(kind, example);
  if (kind === "JSON") return html`<textarea ...${attributes} rows="3" spellcheck="false">${shown}</textarea>`;
  return html`<input ...${attributes} defaultValue=${shown} inputmode=${kind === "text" ? null : "decimal"} autocomplete="off" />`;
}

function written(kind, value) {
  if (kind === "JSON") return json(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

// The parameters that a schema names, each with the kind of field that asks for it.
function fieldsOf({ parameters, example }) {
  const required = new Set(parameters.required ?? []);
  return Object.entries(parameters.properties ?? {}).map(([name, given]) => {
    const schema = resolved(given, parameters);
    return {
      name, ...kindOf(schema, parameters), required: required.has(name), description: given.description ?? schema.description,
      example: example && name in example ? example[name] : "default" in given ? given.default : NO_EXAMPLE,
    };
  });
}

function resolved(schema, root) {
  const name = schema.$ref?.match(/^#\/\$defs\/(.+)$/)?.[1];
  return name ? { ...root.$defs?.[name], ...schema } : schema;
}

function kindOf(schema, root) {
  const some = (schema.anyOf ?? schema.oneOf)?.map((each) => resolved(each, root)).filter((each) => each.type !== "null");
  if (some?.length === 1) return kindOf(some[0], root);
  if (some?.every((each) => ["integer", "number", "string"].includes(each.type))) return { kind: "number or text" };
  if (schema.enum) return { kind: "one of", choices: schema.enum };
  if ("const" in schema) return { kind: "one of", choices: [schema.const] };
  if (schema.type === "boolean") return { kind: "one of", choices: [true, false] };
  return { kind: { integer: "integer", number: "number", string: "text" }[schema.type] ?? "JSON" };
}

// The request as text: an integer of a thousand digits goes out as it was written.
export function bodyOf(one, form) {
  const params = fieldsOf(one)
    .filter((field) => field.required || form.get(field.name) !== "")
    .map((field) => `${JSON.stringify(field.name)}: ${value(field, form.get(field.name))}`);
  return `{"algorithm": ${JSON.stringify(one.name)}, "params": {${params.join(", ")}}}`;
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function value({ kind }, text) {
  if (kind === "text") return JSON.stringify(text);
  if (kind === "JSON") return isJson(text) ? text : JSON.stringify(text);
  if (kind === "one of") return text || "null";
  return NUMBER.test(text.trim()) ? text.trim() : JSON.stringify(text);
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
