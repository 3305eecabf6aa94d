// Applies the reader's theme before the first paint. A module would run too late, and the page would flash.

{
  const theme = localStorage.getItem("comfywarm.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
