// On a narrow screen the servers, the warmth and the log are seen one at a time.

const buttons = [...document.querySelectorAll("[data-view-choice]")];

export function watchViews() {
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.viewChoice));
}

function choose(view) {
  document.body.dataset.view = view;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.viewChoice === view));
  window.scrollTo(0, 0);
}
