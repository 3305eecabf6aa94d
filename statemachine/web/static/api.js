// Requests to the daemon. Addresses are relative, so that a proxy may put the page under a path.

const TOKEN = "comfywarm.token";

export async function fetchStatus() {
  const answer = await fetch("api/status", { cache: "no-store" });
  if (!answer.ok) throw new Error(`/api/status answered ${answer.status}`);
  return answer.json();
}

/** Ask for an action, with the token where there is one; asks `askToken()` for it when the daemon wants one. */
export async function act(server, action, askToken) {
  let answer = await post(server, action);
  while (answer.status === 401) {
    const token = await askToken();
    if (token === null) return { ok: false, message: "" };
    sessionStorage.setItem(TOKEN, token);
    answer = await post(server, action);
  }
  if (answer.ok) return { ok: true, message: "" };
  const body = await answer.json().catch(() => ({}));
  return { ok: false, message: body.error?.message ?? `HTTP ${answer.status}` };
}

function post(server, action) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(`api/servers/${encodeURIComponent(server)}/${action}`, { method: "POST", headers });
}
