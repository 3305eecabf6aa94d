// Requests to the daemon. URLs are relative so that a proxy can serve the page under a path.

const TOKEN_KEY = "comfywarm.token";
/** Characters that no token has, and with which a browser sends no request. */
const NOT_ASCII = /[^\x20-\x7e]/g;

export const fetchStatus = () => getJson("api/status");
export const fetchServer = (name) => getJson(`api/servers/${encodeURIComponent(name)}`);
export const fetchLog = (query) => getJson(`api/log?${new URLSearchParams(query)}`);
export const fetchDecisions = (query = {}) => getJson(`api/decisions?${new URLSearchParams(query)}`);
export const fetchOrigin = (name) => getJson(`api/servers/${encodeURIComponent(name)}/origin`);
export const fetchSources = () => getJson("api/discovery");
export const fetchAlerts = () => getJson("api/alerts");
export const fetchTrends = (names) =>
  getJson(`api/trends?${new URLSearchParams(names.map((name) => ["server", name]))}`);
/** `most`: how many servers of the run. */
export const fetchRollout = (most) => getJson(`api/rollout?limit=${most}`);
export const fetchStats = (query) => getJson(`api/stats?${new URLSearchParams(query)}`);

/** Return the JSON of a GET; throw an Error with the response's `status` if it is not successful. */
async function getJson(url) {
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw Object.assign(new Error(`${url} returned ${response.status}`), { status: response.status });
  return response.json();
}

/** URLs below which a server's or a group's actions are posted. */
export const serverTarget = (name) => `api/servers/${encodeURIComponent(name)}`;
export const groupTarget = (name) => `api/groups/${encodeURIComponent(name)}`;

/**
 * Post an action, with `terms` as its body. While the daemon wants another token, call `askToken(refusal)` for it.
 * Return {ok, servers, state, error}: `state` is that of a server which is being restarted; `error` is {code, message}, or null where the reader gave no token.
 */
export async function postAction(target, action, askToken, terms = null) {
  for (;;) {
    const response = await post(target, action, terms);
    const body = await response.json().catch(() => ({}));
    if (response.ok) return { ok: true, servers: body.servers, state: body.state };
    const refusal = tokenRefusal(response.status, body.error?.code);
    if (refusal === null) return { ok: false, error: body.error ?? { code: "", message: `HTTP ${response.status}` } };
    sessionStorage.removeItem(TOKEN_KEY);
    const token = await askToken(refusal);
    if (token === null) return { ok: false, error: null };
    sessionStorage.setItem(TOKEN_KEY, token);
  }
}

/** Return what is the matter with the token: "missing", "wrong" or "read_only"; null if it is not the token. */
function tokenRefusal(status, code) {
  if (code === "token_may_not_act") return "read_only";
  if (status !== 401) return null;
  return sessionStorage.getItem(TOKEN_KEY) ? "wrong" : "missing";
}

function post(target, action, terms) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = token ? { Authorization: `Bearer ${token.replace(NOT_ASCII, "?")}` } : {};
  return fetch(`${target}/${action}`, { method: "POST", headers, body: terms && JSON.stringify(terms) });
}
