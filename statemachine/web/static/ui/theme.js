// The theme: light, dark, or that of the system.

const STORAGE_KEY = "comfywarm.theme";
const buttons = [...document.querySelectorAll("[data-theme-choice]")];
const root = document.documentElement;

/** Let the reader choose a theme; call `onChange()` when the colours change, also with the system's setting. */
export function watchTheme(onChange) {
  showChoice();
  for (const button of buttons) {
    button.addEventListener("click", () => {
      chooseTheme(button.dataset.themeChoice);
      onChange();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}

function chooseTheme(theme) {
  if (theme === "auto") {
    delete root.dataset.theme;
    localStorage.removeItem(STORAGE_KEY);
  } else {
    root.dataset.theme = theme;
    localStorage.setItem(STORAGE_KEY, theme);
  }
  showChoice();
}

function showChoice() {
  const theme = root.dataset.theme ?? "auto";
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
}
