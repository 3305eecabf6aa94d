// The page's words. Both languages come with the page, so that switching asks nobody.

const texts = JSON.parse(document.getElementById("texts").textContent);
const REMEMBERED = "comfywarm.language";

let language = document.body.dataset.language;

/** The text of a key in one of the groups; an unknown key stands for itself. */
const text = (group, key) => texts[language][group][key] ?? key;

/** A label, with `values` in its {places}. */
export const label = (key, values = {}) =>
  text("label", key).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
export const stateText = (state) => text("state", state);
export const reasonText = (reason) => texts[language].reason[reason] ?? text("notice", reason);
export const witnessText = (witness) => text("witness", witness);
export const outcomeText = (outcome) => text("outcome", outcome);
export const locale = () => (language === "zh" ? "zh-CN" : "en");

/** Take up the remembered language, unless the address names one. */
export function recallLanguage() {
  const remembered = localStorage.getItem(REMEMBERED);
  const named = new URLSearchParams(location.search).has("lang");
  if (!named && remembered in texts) setLanguage(remembered);
}

/** `onChange()` after the reader has switched: here, in the address where it named a language, and at the next visit. */
export function watchLanguage(onChange) {
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.addEventListener("click", () => {
      chooseLanguage(button.dataset.language);
      onChange();
    });
  }
}

function chooseLanguage(chosen) {
  localStorage.setItem(REMEMBERED, chosen);
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
  document.title = `comfywarm · ${label("title")}`;
  translate(document);
  for (const button of document.querySelectorAll("button[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

function translate(root) {
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = label(node.dataset.text);
  for (const node of root.querySelectorAll("[data-state-text]")) node.textContent = stateText(node.dataset.stateText);
  for (const node of root.querySelectorAll("[data-reason-text]")) node.textContent = reasonText(node.dataset.reasonText);
  for (const node of root.querySelectorAll("[data-aria-label]")) node.ariaLabel = label(node.dataset.ariaLabel);
  for (const node of root.querySelectorAll("[data-title]")) node.title = label(node.dataset.title);
  for (const node of root.querySelectorAll("[data-placeholder]")) node.placeholder = label(node.dataset.placeholder);
}

/** Give an element a text that follows the language. */
export function setLabel(node, key) {
  node.dataset.text = key;
  node.textContent = label(key);
}
