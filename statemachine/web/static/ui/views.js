// The view switcher of narrow screens, which show the servers, the warmth or the log.

const buttons = [...document.querySelectorAll("[data-view-choice]")];

export function watchViews() {
  for (const button of buttons) button.addEventListener("click", () => showView(button.dataset.viewChoice));
}

function showView(view) {
  document.body.dataset.view = view;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.viewChoice === view));
  window.scrollTo(0, 0);
}
