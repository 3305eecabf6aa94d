// The address of a server's drawer: #server=NAME.

const PREFIX = "#server=";

export const serverHash = (name) => PREFIX + encodeURIComponent(name);

/** The server that the page's address names, or null. */
export function serverInAddress() {
  return location.hash.startsWith(PREFIX) ? decoded(location.hash.slice(PREFIX.length)) : null;
}

/** A hand-typed "%" is not always a valid escape; take the text as it is then. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Point a link at a server's own page, if its address is one for browsers. */
export function setOwnPage(link, url) {
  if (/^https?:/.test(url)) link.href = url;
  else link.removeAttribute("href");
  Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
}
