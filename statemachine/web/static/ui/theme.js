// Light or dark: as the system says, or as the reader chose.

const REMEMBERED = "comfywarm.theme";
const buttons = [...document.querySelectorAll("[data-theme-choice]")];
const root = document.documentElement;

/** `onChange()` when colours have changed, by choice or by the system. */
export function watchTheme(onChange) {
  show();
  for (const button of buttons) {
    button.addEventListener("click", () => {
      choose(button.dataset.themeChoice);
      onChange();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}

function choose(theme) {
  if (theme === "auto") {
    delete root.dataset.theme;
    localStorage.removeItem(REMEMBERED);
  } else {
    root.dataset.theme = theme;
    localStorage.setItem(REMEMBERED, theme);
  }
  show();
}

function show() {
  const chosen = root.dataset.theme ?? "auto";
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
}
