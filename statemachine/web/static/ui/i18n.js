// The page's texts. The page is served with all languages, so switching needs no request.

const texts = JSON.parse(document.getElementById("texts").textContent);
const STORAGE_KEY = "comfywarm.language";
const PLACE = /\{(\w+)\}/g;
const DAY_AND_CLOCK = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const LIST_SEPARATOR = { en: ", ", zh: "、" };

let language = document.body.dataset.language;

/** Return the text of a key, or undefined. */
function find(group, key) {
  const entries = texts[language][group] ?? {};
  return Object.hasOwn(entries, key) ? entries[key] : undefined;
}

/** Return a label with `values` filled into its {places}. */
export const label = (key, values = {}) =>
  (find("label", key) ?? key).replace(PLACE, (place, name) => values[name] ?? place);
export const stateText = (state) => find("state", state) ?? state;
export const reasonText = (reason) => find("reason", reason) ?? find("notice", reason) ?? reason;
export const sourceText = (source) => find("source", source) ?? source;
export const whyText = (why) => find("message", `route.why.${why}`) ?? why;
/** Return the text of a message without parameters, or undefined. */
export const messageOf = (code) => find("message", code);
export const outcomeText = (outcome) => find("outcome", outcome) ?? outcome;
/** Return the text for an error code of the API, or the message that came with it. */
export const errorText = ({ code, message }) => find("label", `error_${code}`) ?? message;
export const joinList = (parts) => parts.join(LIST_SEPARATOR[language]);
export const locale = () => (language === "zh" ? "zh-CN" : "en");

/** Return a message in the reader's language, or the daemon's sentence in `entry[field]` if it has no template. */
export function messageText(entry, field = "message") {
  return render(entry[`${field}_code`], entry[`${field}_params`]) ?? entry[field];
}

/** Return null if the code, a nested code or a parameter is unknown. */
function render(code, params) {
  const template = find("message", code);
  if (template === undefined) return null;
  const names = [...template.matchAll(PLACE)].map(([, name]) => name);
  const values = Object.fromEntries(names.map((name) => [name, timeOf(name, params) ?? paramText(params?.[name])]));
  if (Object.values(values).includes(null)) return null;
  return template.replace(PLACE, (_, name) => values[name]);
}

/** Return the reader's local time for a parameter that comes with its epoch seconds, as `until` does with `until_at`. */
function timeOf(name, params) {
  const seconds = params?.[`${name}_at`];
  return typeof seconds === "number" ? new Intl.DateTimeFormat(locale(), DAY_AND_CLOCK).format(seconds * 1000) : null;
}

function paramText(param) {
  if (param === undefined || param === null) return null;
  if (Array.isArray(param)) {
    const parts = param.map(paramText);
    return parts.includes(null) ? null : joinList(parts);
  }
  if (typeof param === "object") return render(param.code, param.params);
  return Number.isInteger(param) || typeof param === "string" ? String(param) : shortened(param);
}

/** Write a fraction as Python's ":g" does, so that the page and the daemon render the same text. */
const shortened = (fraction) => String(Number(fraction.toPrecision(6)));

/** Switch to the language that the reader chose on an earlier visit, unless the address names one. */
export function restoreLanguage() {
  const stored = localStorage.getItem(STORAGE_KEY);
  const named = new URLSearchParams(location.search).has("lang");
  if (!named && Object.hasOwn(texts, stored)) setLanguage(stored);
}

/** Let the reader switch languages; call `onChange()` after each switch. */
export function watchLanguage(onChange) {
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.addEventListener("click", () => {
      chooseLanguage(button.dataset.language);
      onChange();
    });
  }
}

function chooseLanguage(chosen) {
  localStorage.setItem(STORAGE_KEY, chosen);
  const address = new URL(location.href);
  if (address.searchParams.has("lang")) {
    address.searchParams.set("lang", chosen);
    history.replaceState(null, "", address);
  }
  setLanguage(chosen);
}

function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = locale();
  translate(document);
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

function translate(root) {
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = label(node.dataset.text);
  for (const node of root.querySelectorAll("[data-state-text]")) node.textContent = stateText(node.dataset.stateText);
  for (const node of root.querySelectorAll("[data-reason-text]")) {
    node.textContent = reasonText(node.dataset.reasonText);
  }
  for (const node of root.querySelectorAll("[data-aria-label]")) node.ariaLabel = label(node.dataset.ariaLabel);
  for (const node of root.querySelectorAll("[data-title]")) node.title = label(node.dataset.title);
  for (const node of root.querySelectorAll("[data-placeholder]")) node.placeholder = label(node.dataset.placeholder);
}

/** Set an element's text to a label that follows the language. */
export function setLabel(node, key) {
  node.dataset.text = key;
  node.textContent = label(key);
}
