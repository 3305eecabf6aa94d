// The appearance that the reader chose, before the first paint: a module would come too late, and the page would flash.

{
  const chosen = localStorage.getItem("comfywarm.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
