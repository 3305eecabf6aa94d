// Requests to the daemon. Addresses are relative, so that a proxy may put the page under a path.

const TOKEN = "comfywarm.token";

export const fetchStatus = () => read("api/status");
export const fetchServer = (name) => read(`api/servers/${encodeURIComponent(name)}`);
export const fetchLog = (query) => read(`api/log?${new URLSearchParams(query)}`);
export const fetchStats = (query) => read(`api/stats?${new URLSearchParams(query)}`);

/** What the daemon answers; an Error with its `status` where it refuses. */
async function read(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw Object.assign(new Error(`${address} answered ${answer.status}`), { status: answer.status });
  return answer.json();
}

/** Where an action is asked for. */
export const serverTarget = (name) => `api/servers/${encodeURIComponent(name)}`;
export const groupTarget = (name) => `api/groups/${encodeURIComponent(name)}`;

/** Ask for an action, with the token where there is one; asks `askToken()` for it when the daemon wants one. */
export async function act(target, action, askToken) {
  let answer = await post(target, action);
  while (answer.status === 401) {
    const token = await askToken();
    if (token === null) return { ok: false, message: "" };
    sessionStorage.setItem(TOKEN, token);
    answer = await post(target, action);
  }
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return { ok: true, servers: body.servers };
  return { ok: false, message: body.error?.message ?? `HTTP ${answer.status}` };
}

function post(target, action) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(`${target}/${action}`, { method: "POST", headers });
}
